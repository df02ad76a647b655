// Runs again what somebody else ran, anywhere a package runs, and says which tensor differs: golden
// outputs of a package, and receipts (web/receipt.js).
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { GOLDEN_SECTION, sectionOf } from '../web/certificate.js';
import { checkPackage } from '../web/chunks.js';
import { WasmAIError } from '../web/errors.js';
import { readGolden, testGolden } from '../web/golden.js';
import { describeTensors } from '../web/receipt.js';
import { isVariant, runtimeNames } from '../web/variants.js';
import { METERED } from './fuel.mjs';
import { prebuiltRuntime } from './runtimes.mjs';

/** @typedef {import('../web/wasmai.d.ts').Receipt} Receipt */
/** @typedef {{ name: string, inputs: any[], outputs: any[], run: (feeds: any) => Promise<{ outputs: Record<string, any> }> }} Runner */

const differ = (where, why) => new WasmAIError('INTEGRITY', where, why);
const dimsText = (dims) => `[${dims.join(', ')}]`;

/**
 * All golden cases of a package; INTEGRITY names the first output that differs.
 * @param {string} file @param {Uint8Array} bytes @param {Runner} runner
 */
export async function replayGolden(file, bytes, runner) {
  const golden = readGolden(sectionOf(bytes, GOLDEN_SECTION), runner.inputs, runner.outputs);
  if (golden.cases.length === 0) {
    throw new WasmAIError(
      'UNSUPPORTED',
      file,
      `the package has no golden outputs: ${golden.why}; compile it again`,
    );
  }
  const result = await testGolden(
    golden,
    runner,
    async (feeds) => (await runner.run(feeds)).outputs,
  );
  for (const { ok, dims, expected, got, error } of result.cases) {
    if (ok) continue;
    const at = Object.entries(dims).map(([name, of]) => `${name} ${dimsText(of)}`);
    if (error)
      throw differ(file, `with ${at.join(', ')} on ${runner.name} it fails: ${error.message}`);
    const [name, want] = /** @type {[string, any]} */ (
      Object.entries(expected).find(([output, { sha384 }]) => got[output].sha384 !== sha384)
    );
    throw differ(
      file,
      `output "${name}" with ${at.join(', ')} on ${runner.name} is not the golden one: ` +
        `${dimsText(got[name].dims)} ${got[name].sha384}, not ${dimsText(want.dims)} ${want.sha384}`,
    );
  }
  return result;
}

/** @param {string} file @returns {Promise<Receipt>} */
export async function readReceipt(file, bytes) {
  const bad = (why) => new WasmAIError('MALFORMED', file, why);
  let receipt;
  try {
    receipt = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw bad('this is not JSON: write JSON.stringify(session.receipt(outputs))');
  }
  const tensors = [receipt?.inputs, receipt?.outputs];
  const complete = ({ name, dtype, dims, sha384 }) =>
    [name, dtype, sha384].every((text) => typeof text === 'string') && Array.isArray(dims);
  if (receipt?.receipt !== 1) throw bad('this is not a receipt of this release');
  if (!tensors.every((list) => Array.isArray(list) && list.every((one) => one && complete(one))))
    throw bad('its inputs or outputs are incomplete');
  if (typeof receipt.package?.head !== 'string' || typeof receipt.runtime?.sha384 !== 'string')
    throw bad('it does not name its package and runtime');
  if (!isVariant(receipt.runtime.variant))
    throw bad('it names a variant of the runtime that this release does not have');
  return receipt;
}

/** The package must be the one that was run. @param {Receipt} receipt @param {string} file @param {Uint8Array} bytes */
export async function checkReceiptPackage(receipt, file, bytes) {
  const { head } = await checkPackage(bytes, file);
  if (head === receipt.package.head) return;
  throw differ(file, `the receipt is of another package: ${receipt.package.head}, not ${head}`);
}

/** Values of symbolic dims in the run. @param {Receipt} receipt @param {readonly any[]} slots */
export function receiptDims(receipt, slots) {
  const dims = {};
  for (const { name, symbols = [] } of slots) {
    const given = receipt.inputs.find((input) => input.name === name)?.dims ?? [];
    for (const [axis, symbol] of symbols.entries())
      if (symbol && given[axis] !== undefined) dims[symbol.name] = given[axis];
  }
  return dims;
}

/**
 * Runs and compares inputs, then outputs; INTEGRITY names the first that differs.
 * @param {Receipt} receipt @param {Runner} runner @param {Record<string, any>} feeds
 */
export async function replayReceipt(receipt, runner, feeds) {
  const fed = runner.inputs.map(({ name }) => feeds[name]);
  compare('input', receipt.inputs, await describeTensors(runner.inputs, fed), runner.name);
  const { outputs } = await runner.run(feeds);
  const wanted = runner.outputs.filter(({ name }) =>
    receipt.outputs.some((output) => output.name === name),
  );
  const got = await describeTensors(
    wanted,
    wanted.map(({ name }) => outputs[name]),
  );
  compare('output', receipt.outputs, got, runner.name);
  return { runtime: await whichRuntime(receipt.runtime.sha384) };
}

/** @param {string} kind @param {Receipt['inputs']} stated @param {Receipt['inputs']} found @param {string} place */
function compare(kind, stated, found, place) {
  const names = (list) => list.map(({ name }) => name).join(', ');
  if (stated.length !== found.length)
    throw differ('receipt', `it has the ${kind}s ${names(stated)}, the model ${names(found)}`);
  for (const { name, dtype, dims, sha384 } of stated) {
    const other = found.find((one) => one.name === name);
    if (!other) throw differ(name, `the receipt has this ${kind}, the model does not`);
    const text = (one) => `${one.dtype} ${dimsText(one.dims)} ${one.sha384}`;
    const wanted = text({ dtype, dims, sha384 });
    if (text(other) !== wanted)
      throw differ(name, `this ${kind} is ${text(other)} (${place}), the receipt says ${wanted}`);
  }
}

/** Which of the runtimes of this build it is, or "another". @param {string} sha384 */
async function whichRuntime(sha384) {
  for (const [name, path] of [
    ...runtimeNames.map((name) => [name, prebuiltRuntime(name)]),
    ['simd, metered', METERED],
  ]) {
    const bytes = await readFile(path).catch(() => null);
    if (bytes && createHash('sha384').update(bytes).digest('hex') === sha384) return name;
  }
  return 'another';
}
