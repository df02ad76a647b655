// Three targets on the wasm side of web/engine.js.
//   exports   the metered runtime, its exports called in any order with any numbers and with words of
//             its memory changed in between: it answers or traps, in bounded time, in its own memory
//   engine    a runtime that answers anything: the engine throws WasmAIError, or gives what fits
//   packages  packages with words changed, through engine and metered runtime: a bounded run, or a
//             named error, never a trap

import { readFileSync } from 'node:fs';
import path from 'node:path';
import wabt from 'wabt';
import { HEADER_SIZE, PAGE_SIZE, pagesOf, readCertificate } from '../../web/certificate.js';
import { openEngine } from '../../web/engine.js';
import { WasmAIError } from '../../web/errors.js';
import { dtypeByName, elementCount } from '../dtypes.mjs';
import { projectDir } from '../toolchain/cache.mjs';
import { Choices } from './choices.mjs';
import { mutate, Random } from './random.mjs';
import * as seedsOf from './seeds.mjs';

const FUEL = 1 << 24;
const MOST_PAGES = 1024;

/** @type {WebAssembly.Module} */
let runtime;
/** @type {Uint8Array[]} */
let packs = [];

async function prepare() {
  const metered = path.join(projectDir, 'build/wasm/runtime-simd.metered.wasm');
  runtime = new WebAssembly.Module(readFileSync(metered));
  packs = (await seedsOf.packages(false)).filter((pack) => pagesFor(pack) <= MOST_PAGES);
  if (packs.length === 0) throw new Error('there are no packages to begin with');
}

const pagesFor = (/** @type {Uint8Array} */ pack) =>
  Math.ceil(readCertificate(pack, 'package').peakSize / PAGE_SIZE);

// ---- exports ----

const NAMES = ['alloc', 'open', 'io', 'run', 'carry', 'diag', 'memory', 'harden', 'wipe'];

/** The usual start, so that some of what follows has a session. */
function open(wasm, memory, pack) {
  wasm.wai_fuel_set(2n ** 32n);
  const at = wasm.wai_glue_alloc(pack.length) >>> 0;
  if (at + pack.length > memory.buffer.byteLength) throw new Error('alloc gave what is not there');
  new Uint8Array(memory.buffer, at, pack.length).set(pack);
  return wasm.wai_glue_open(at, pack.length);
}

/** Anything that a number of JavaScript can be. @param {Choices} choices */
const argument = (choices) =>
  choices.pick([choices.word(), 0, -1, 65536, 2 ** 32 - 1, 1024, 0.5, NaN, 2 ** 53, undefined]);

function callExports(/** @type {Buffer} */ input) {
  const choices = new Choices(input);
  const pack = packs[choices.word() % packs.length];
  const pages = pagesFor(pack);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const wasm = /** @type {any} */ (new WebAssembly.Instance(runtime, { env: { memory } }).exports);
  let outcome = '';
  wasm.wai_fuel_set(2n ** 20n);
  if (choices.byte() % 2) outcome += wasm.wai_glue_harden(choices.word(), 7, choices.byte() % 3);
  if (choices.byte() % 4) outcome += open(wasm, memory, pack);
  while (choices.left) {
    const name = choices.pick(NAMES);
    for (let words = choices.byte() % 4; words > 0; words--)
      new DataView(memory.buffer).setUint32(
        choices.word() % (pages * PAGE_SIZE - 4),
        choices.word(),
        true,
      );
    wasm.wai_fuel_set(BigInt(FUEL));
    try {
      wasm[`wai_glue_${name}`](argument(choices), argument(choices), argument(choices));
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      outcome += /unreachable/.test(error.message) ? '!' : '*';
      break; // what trapped is not used again
    }
    if (memory.buffer.byteLength !== pages * PAGE_SIZE) throw new Error('the memory has grown');
  }
  return outcome;
}

/** Decisions at random. @param {number} count @param {number} size */
function decisions(count, size) {
  const random = new Random(4);
  return Array.from({ length: count }, () =>
    Buffer.from(Array.from({ length: size }, () => random.below(256))),
  );
}

/** @type {import('./javascript.mjs').Target} */
export const exportsTarget = {
  name: 'exports',
  limitMs: 5000,
  run: callExports,
  async seeds() {
    await prepare();
    return decisions(64, 60);
  },
};

// ---- engine ----

const TABLE = 1024;
const AFTER = 3072;
const END = 5120;
/** @type {Buffer} */
let hostile;

/** The hostile runtime with `input` as what its memory holds. @param {Uint8Array} input */
function withMemory(input) {
  const leb = (/** @type {number} */ n) => [
    (n & 127) | 128,
    ((n >> 7) & 127) | 128,
    (n >> 14) & 127,
  ];
  const segment = [0, 0x41, 0, 0x0b, ...leb(input.length)]; // at address 0
  const size = 1 + segment.length + input.length;
  return Buffer.concat([hostile, Uint8Array.from([11, ...leb(size), 1, ...segment]), input]);
}

/** A table that is right: one input, one output, two by two floats. */
function honestMemory() {
  const memory = Buffer.alloc(END);
  const words = (/** @type {number} */ at, /** @type {number[]} */ list) => {
    for (const [i, word] of list.entries()) memory.writeUInt32LE(word, at + i * 4);
  };
  const none = [0, 0, 0, 0, 0, 0];
  const slot = (/** @type {number} */ name, /** @type {number} */ data) => [
    ...[name, 1, 1, 2],
    ...[2, 2, ...none],
    ...[data, 16],
    ...[1, 2, ...none],
    ...[name, 0, ...none],
  ];
  words(0, [8192, 0, TABLE, 0, 0, 512, 65536]);
  memory.write('x\0y\0', 600, 'latin1');
  for (const at of [TABLE, AFTER]) words(at, [2, 1, 1, ...slot(600, 700), ...slot(602, 720)]);
  return memory;
}

/** All outputs of a run with zeros; the engine's own checks are what is tried. */
function useEngine(engine) {
  const feeds = engine.inputs.map(({ dtype, dims }) => {
    const size = dtypeByName(dtype).array.BYTES_PER_ELEMENT * elementCount(dims);
    if (size > 1 << 24)
      throw new WasmAIError('LIMIT', 'fuzz', 'an input that is too large to feed');
    return { dims, data: new ArrayBuffer(size) };
  });
  const wanted = engine.outputs.map((_, i) => i);
  const carry = wanted.length && feeds.length ? [[0, 0]] : [];
  const answers = engine.run({ feeds, wanted, carry, fuel: FUEL });
  for (const [i, { dims, data }] of answers.entries()) {
    const { dtype } = engine.outputs[i];
    const size = dtypeByName(dtype).array.BYTES_PER_ELEMENT * elementCount(dims);
    if (!(data instanceof ArrayBuffer) || data.byteLength !== size)
      throw new Error(`output ${i} has ${data.byteLength} bytes, its dims say ${size}`);
  }
  const { length } = answers;
  if (!Number.isFinite(engine.memoryBytes())) throw new Error('memory that is no number');
  return `${feeds.length} ${length}`;
}

/** @type {import('./javascript.mjs').Target} */
export const engineTarget = {
  name: 'engine',
  blamed: [],
  run(input) {
    const pages = 1 + ((input[END] ?? 0) & 3);
    const hardening = (input[END] ?? 0) & 4 ? { weightsEvery: 1 } : null;
    const hostileRuntime = withMemory(input.subarray(0, END));
    return useEngine(
      openEngine({ runtime: hostileRuntime, pack: new Uint8Array(64), pages, hardening }),
    );
  },
  async seeds() {
    const tools = await wabt();
    const file = path.join(projectDir, 'harness/fuzz/hostile_runtime.wat');
    const module = tools.parseWat(file, readFileSync(file, 'utf8'), { bulk_memory: true });
    hostile = Buffer.from(module.toBinary({}).buffer);
    return [honestMemory()];
  },
  /** Words where they are read. */
  change(random, input) {
    const result = Buffer.concat([input.subarray(0, END), Uint8Array.of(random.below(8))]);
    for (let count = 1 + random.below(4); count > 0; count--) {
      const at = random.pick([0, TABLE, TABLE, AFTER, AFTER]);
      const word = at === 0 ? random.below(9) : random.below(63);
      const near = random.below(3) - 1 + result.readUInt32LE(at + word * 4);
      result.writeUInt32LE((random.once(3) ? near : random.number()) >>> 0, at + word * 4);
    }
    return result;
  },
};

// ---- packages ----

/** @type {import('./javascript.mjs').Target} */
export const packagesTarget = {
  name: 'packages',
  limitMs: 5000,
  run(input) {
    const pack = new Uint8Array(input);
    const pages = pagesOf(readCertificate(pack, 'package'), MOST_PAGES / 16, 'package');
    const hardening = input[input.length - 1] & 1 ? { weightsEvery: 1 } : null;
    return useEngine(openEngine({ runtime, pack, pages, hardening }));
  },
  async seeds() {
    await prepare();
    return packs;
  },
  /** Words, most of them behind the header; the rest of the changes for the loader's own checks. */
  change(random, input, donors) {
    if (random.once(32) || input.length < HEADER_SIZE) return mutate(random, input, { donors });
    const result = Buffer.from(input);
    for (let count = 1 + random.below(3); count > 0; count--) {
      const at = 4 * random.below(Math.floor((random.once(8) ? HEADER_SIZE : result.length) / 4));
      const word = result.readUInt32LE(at);
      const near = [word + 1, word - 1, word * 2, word ^ (1 << random.below(32)), random.below(20)];
      result.writeUInt32LE((random.once(3) ? random.number() : random.pick(near)) >>> 0, at);
    }
    return result;
  },
};
