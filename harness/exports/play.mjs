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
 * @param {string} folder  of exporter.mjs @param {string} runnerName
 * @param {{ repeat: number }} options  repeat: runs of the last case, for the latency
 * @returns {Promise<Result>}
 */
export async function play(folder, runnerName, { repeat }) {
  const onnx = new Uint8Array(readFileSync(join(folder, 'model.onnx')));
  const { tolerance, cases } = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8'));
  const result = newResult();
  const judge = (name, want, have) => judgeOutput(result, tolerance, name, want, have);
  /** @type {any} one session as long as the dims are the same */
  let runner = null;
  let made = '';
  try {
    /** @type {Record<string, HostTensor>} */
    let before = {};
    for (const [i, one] of /** @type {ExportCase[]} */ (cases).entries()) {
      if (made !== JSON.stringify(one.dims)) {
        await runner?.close();
        runner = await openRunner(runnerName, await build(onnx, one.dims, result), {
          where: 'package',
        });
        made = JSON.stringify(one.dims);
      }
      const { outputs, times } = await runner.run(feeds(folder, one, before, runner.inputs), {
        repeat: i === cases.length - 1 ? repeat : 1,
      });
      result.runMs = Math.min(...times);
      for (const [name, { file }] of Object.entries(one.outputs)) {
        judge(`${name} of case ${i}`, readTensor(folder, file), outputs[name]);
      }
      before = outputs;
    }
  } finally {
    await runner?.close();
  }
  return result;
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

/** The exporter leaves out inputs that nothing depends on. */
function feeds(folder, { inputs }, before, wanted) {
  const tensors = {};
  for (const { name } of wanted) {
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
