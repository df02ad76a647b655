// One exported model: compile it, run its cases in order, compare with what PyTorch answered.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { elementCount, typeText, valueAt } from '../dtypes.mjs';
import { compile } from '../index.mjs';
import { readNpy } from '../readers/npy.mjs';
import { openRunner } from '../runners/index.mjs';

/**
 * @typedef {import('../dtypes.mjs').HostTensor} HostTensor
 *
 * @typedef {object} ExportCase
 * @property {Record<string, number>} dims
 * @property {Record<string, { file?: string, carry?: string }>} inputs  carry: an output of the case before
 * @property {Record<string, { file: string }>} outputs
 *
 * @typedef {object} Result
 * @property {number} error     the largest difference, of the range of its output
 * @property {string} worst     which output of which case that was
 * @property {string[]} wrong   what broke the rule; empty: passed
 * @property {number} steps     of the first package
 * @property {number} kinds     different operators
 * @property {number} packageBytes
 * @property {number} peakBytes
 * @property {number} packages  how many were compiled: one for each set of dims
 * @property {number} compileMs
 * @property {number} runMs     the fastest run of the last package
 */

/**
 * @param {string} folder  of exporter.mjs
 * @param {{ runner: string, repeat: number, ranges: boolean }} options  repeat: runs of the last case,
 *   for the latency; ranges: one package for all dims, with bounds, instead of one for each set of dims
 * @returns {Promise<Result>}
 */
export async function play(folder, { runner: runnerName, repeat, ranges }) {
  const onnx = new Uint8Array(readFileSync(join(folder, 'model.onnx')));
  const meta = readMeta(folder);
  /** @type {ExportCase[]} */
  const cases = meta.cases;
  const bounds = Object.entries(meta.ranges).map(([name, [least, most]]) => [
    name,
    `${least}..${most}`,
  ]);
  const dimsOf = (i) => (ranges ? Object.fromEntries(bounds) : cases[i].dims);
  const same = (i, j) => JSON.stringify(dimsOf(i)) === JSON.stringify(dimsOf(j));
  const result = newResult();
  /** @type {any} one session as long as the dims are the same */
  let runner = null;
  /** @type {Record<string, HostTensor>} */
  let before = {};
  let carry = {};
  try {
    for (const [i, one] of cases.entries()) {
      if (i === 0 || !same(i - 1, i)) {
        await runner?.close();
        const bytes = await build(onnx, dimsOf(i), result);
        runner = await openRunner(runnerName, bytes, { where: 'package' });
      }
      const feeds = feedsOf(folder, one, before, runner.inputs, carry);
      // What is fed back stays inside the session; for the last case it comes from outside.
      carry = i < cases.length - 2 && same(i, i + 1) ? carried(cases[i + 1]) : {};
      const last = i === cases.length - 1;
      const { outputs, times } = await runner.run(feeds, { repeat: last ? repeat : 1, carry });
      result.runMs = Math.min(...times);
      for (const [name, { file }] of Object.entries(one.outputs)) {
        const want = readTensor(folder, file);
        judgeOutput(result, meta.tolerance, `${name} of case ${i}`, want, outputs[name]);
      }
      before = outputs;
    }
  } finally {
    await runner?.close();
  }
  return result;
}

/** What export.py says of the model. @param {string} folder */
export function readMeta(folder) {
  return JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8'));
}

/** Input -> output of the case before. @param {ExportCase} one */
function carried({ inputs }) {
  const from = Object.entries(inputs).filter(([, { carry }]) => carry);
  return Object.fromEntries(from.map(([name, { carry }]) => [name, carry]));
}

/** @returns {Result} */
function newResult() {
  const zero = { steps: 0, kinds: 0, packageBytes: 0, peakBytes: 0, packages: 0 };
  return { ...zero, error: 0, worst: '', wrong: [], compileMs: 0, runMs: 0 };
}

async function build(onnx, dims, result) {
  const start = performance.now();
  const { bytes, report } = await compile(onnx, { optimize: true, dims });
  result.compileMs += performance.now() - start;
  if (result.packages++ === 0) {
    result.steps = report.ops.reduce((sum, { count }) => sum + count, 0);
    result.kinds = report.ops.length;
    result.packageBytes = report.packageBytes;
    result.peakBytes = report.peakBytes;
  }
  return bytes;
}

function readTensor(folder, file) {
  return readNpy(new Uint8Array(readFileSync(join(folder, file))), file);
}

/** The exporter leaves out inputs that nothing depends on; the session has those that it carried. */
function feedsOf(folder, { inputs }, before, wanted, here) {
  const tensors = {};
  for (const { name } of wanted) {
    if (Object.hasOwn(here, name)) continue;
    const { file, carry } = inputs[name];
    tensors[name] = carry ? before[carry] : readTensor(folder, file);
  }
  return tensors;
}

/** Floating point within `tolerance` of the output's range; everything else equal. */
function judgeOutput(result, tolerance, name, want, have) {
  const fault = (why) => void result.wrong.push(`${name}: ${why}`);
  if (have === undefined) return fault('is missing');
  if (typeText(want) !== typeText(have)) {
    return fault(`is ${typeText(have)}, expected ${typeText(want)}`);
  }
  const { error, at } = relativeDifference(want, have);
  if (error > result.error || result.worst === '') {
    result.error = error;
    result.worst = name;
  }
  const allowed = want.dtype.startsWith('float') ? tolerance : 0;
  if (!(error <= allowed)) {
    fault(
      `element ${at} is ${valueAt(have, at)}, expected ${valueAt(want, at)}: ${error.toExponential(1)} of the range`,
    );
  }
}

/** The largest difference and where; NaN or an infinity in one of the two only is infinitely different. */
function relativeDifference(want, have) {
  let [low, high, difference, at] = [Infinity, -Infinity, 0, 0];
  for (let i = 0; i < elementCount(want.dims); i++) {
    const [a, b] = [Number(valueAt(want, i)), Number(valueAt(have, i))];
    if (Number.isFinite(a)) [low, high] = [Math.min(low, a), Math.max(high, a)];
    if (Object.is(a, b) || a === b) continue;
    const d = Number.isNaN(a - b) ? Infinity : Math.abs(a - b);
    if (d > difference) [difference, at] = [d, i];
  }
  // One element, or all alike, has no range: its own size counts.
  const range = high > low ? high - low : Math.max(Math.abs(high), 1e-30);
  return { error: difference === 0 ? 0 : difference / range, at };
}
