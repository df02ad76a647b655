// What the tests of hostile input share: the bundled model, its package, seals, and what a refusal is.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { compile } from '../../harness/index.mjs';
import { load, WasmAIError } from '../../web/wasmai.js';
import { cli, filesOf } from '../js/cli_support.mjs';

export { seal } from '../js/stub.mjs';

export const HEADER = 128;
const DATA_ENTRY = HEADER + 4 * 24; // of the section table: kind, zero, offset, size

export const digits = new Uint8Array(
  readFileSync(new URL('../../models/digits/digits.onnx', import.meta.url)),
);
export const digitsPackage = Buffer.from((await compile(digits, { optimize: true })).bytes);

/** Where the constants begin: everything before is structure. @param {Buffer} bytes */
export const dataOffset = (bytes) => Number(bytes.readBigUInt64LE(DATA_ENTRY + 8));

/** xorshift32: the same numbers on every machine. */
export function randomFrom(seed) {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const REFUSALS = ['ARGUMENT', 'MALFORMED', 'UNSUPPORTED', 'LIMIT', 'MEMORY', 'INTEGRITY'];

/** Bad bytes were refused: a code that is not our bug, a place, a sentence. No trap. */
export function assertRefusal(error, what) {
  assert.ok(error instanceof WasmAIError, `${what}: ${error?.stack ?? error}`);
  assert.ok(REFUSALS.includes(error.code), `${what}: ${error.code}: ${error.message}`);
  assert.ok(error.where.length > 0 && error.message.length > 10, `${what}: ${error.message}`);
  assert.doesNotMatch(error.message, /\n|\bat .*\.m?js:\d+/, what);
}

/** One `error:` line, exit code 1, nothing on stdout, the folder as it was. */
export async function assertCliRefuses(folder, argv, message) {
  const before = filesOf(folder);
  const { code, out, err } = await cli(...argv);
  const what = `${argv.join(' ')}: ${err}${out}`;
  assert.equal(code, 1, what);
  assert.equal(out, '', what);
  assert.match(err, /^error: [A-Z]+: [^\n]+: [^\n]+\n$/, what);
  assert.doesNotMatch(err, /^error: (INTERNAL|TRAP)/, what);
  if (message) assert.match(err, message, what);
  assert.deepEqual(filesOf(folder), before, what);
  return err;
}

/** Load and run once. @param {Uint8Array} bytes @returns {Promise<any>} the error, or null */
export async function loadAndRun(bytes) {
  let session;
  try {
    session = await load(new Uint8Array(bytes), { isolation: 'none', maxHeapMB: 64 });
    const feeds = {};
    for (const { name, dtype, dims } of session.inputs) feeds[name] = zeros(dtype, dims);
    await session.run(feeds);
    return null;
  } catch (error) {
    return error;
  } finally {
    await session?.close();
  }
}

const ARRAYS = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array, bool: Uint8Array };

function zeros(dtype, dims) {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return new (ARRAYS[dtype] ?? Uint8Array)(count);
}

/** The bundled model still gives its answer. */
export async function assertGoodRun() {
  const error = await loadAndRun(digitsPackage);
  assert.equal(error, null, String(error));
}
