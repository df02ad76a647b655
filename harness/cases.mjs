// Reference cases of a model: cases/<case>/{case.json,inputs/*.npy,outputs/*.npy}, and a sequence of
// frames with fed back states, stream/{sequence.json,...}. Knows how to find, play and judge them, and
// nothing about where they run.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dtypeByName, elementCount, typeText, valueAt } from './dtypes.mjs';
import { safeName } from './files.mjs';
import { readNpy } from './readers/npy.mjs';

const PROJECT = fileURLToPath(new URL('..', import.meta.url));

/** The folder beside the project that holds real models; WASM_AI_SHARED overrides. */
export function realModelsFolder() {
  return join(process.env.WASM_AI_SHARED ?? join(PROJECT, '..', 'shared'), 'real-models');
}

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {Record<string, number>} dims
 * @property {{kind: string, min?: number, top1?: boolean}} rule
 * @property {{name: string, tolerance: number}[]} outputs
 * @property {() => Tensors} readInputs
 * @property {() => Tensors} readOutputs
 * @property {(runner: any, how?: { carry: boolean }) => Promise<Tensors>} play  the answer of a runner
 *   (runners/index.mjs); carry: a stream's states stay in the runner
 *
 * @typedef {Record<string, import('./dtypes.mjs').HostTensor>} Tensors
 */

/** The cases and, after them, the stream. @param {string} folder  of one model @returns {Case[]} */
export function casesOf(folder) {
  const root = join(folder, 'cases');
  const names = existsSync(root) ? readdirSync(root).sort() : [];
  const cases = names.map((name) => readCase(join(root, name), name));
  const stream = join(folder, 'stream');
  if (!existsSync(stream)) return cases;
  return [...cases, readStream(stream, cases[0]?.dims)];
}

/** @param {string} place @param {string} name @returns {Case} */
function readCase(place, name) {
  const facts = JSON.parse(readFileSync(join(place, 'case.json'), 'utf8'));
  const readInputs = () => readTensors(join(place, 'inputs'), facts.inputs);
  return {
    name,
    dims: facts.dims ?? {},
    rule: facts.rule,
    outputs: facts.outputs.map((output) => ({
      name: output.name,
      tolerance: output.tolerance_abs,
    })),
    readInputs,
    readOutputs: () => readTensors(join(place, 'outputs'), facts.outputs),
    play: async (runner) => (await runner.run(readInputs())).outputs,
  };
}

/** Frames have the dims of one step, which only the cases state. @returns {Case} */
function readStream(place, dimsOfStep = {}) {
  const { sequence } = JSON.parse(readFileSync(join(place, 'sequence.json'), 'utf8'));
  const one = readCase(place, 'stream');
  return {
    ...one,
    dims: { ...dimsOfStep, ...one.dims },
    play: (runner, how) => playStream(runner, sequence, one.readInputs(), how),
  };
}

/** Every frame after the other; a state is zero at first, then what the step before made of it. */
async function playStream(
  runner,
  sequence,
  { [sequence.frames_key]: frames, ...constants },
  { carry: carried = false } = {},
) {
  const carry = carried ? Object.fromEntries(sequence.states.map((one) => [one.in, one.out])) : {};
  const feeds = { ...constants };
  for (const state of sequence.states) {
    const { dtype } = runner.inputs.find(({ name }) => name === state.in);
    const data = new (dtypeByName(dtype).array)(elementCount(state.shape));
    feeds[state.in] = { dtype, dims: state.shape, data };
  }
  /** @type {Record<string, any[]>} */
  const recorded = Object.fromEntries(sequence.record.map((name) => [name, []]));
  const size = elementCount(sequence.frame_shape);
  /** @type {Tensors} */
  let outputs = {};
  for (let frame = 0; frame < frames.dims[0]; frame++) {
    const data = frames.data.slice(frame * size, (frame + 1) * size);
    feeds[sequence.frame_input] = { dtype: frames.dtype, dims: sequence.frame_shape, data };
    ({ outputs } = await runner.run(feeds, { carry }));
    for (const name of sequence.record) recorded[name].push(outputs[name]);
    for (const state of sequence.states) {
      if (carried) delete feeds[state.in];
      else feeds[state.in] = outputs[state.out];
    }
  }
  const answer = {};
  for (const [name, steps] of Object.entries(recorded)) answer[name] = stack(steps);
  for (const state of sequence.states) answer[`final:${state.out}`] = outputs[state.out];
  return answer;
}

/** Tensors of one type along a new first axis. */
function stack(tensors) {
  const [{ dtype, dims }] = tensors;
  const size = elementCount(dims);
  const data = new (dtypeByName(dtype).array)(tensors.length * size);
  for (const [i, one] of tensors.entries()) data.set(one.data, i * size);
  return { dtype, dims: [tensors.length, ...dims], data };
}

function readTensors(folder, slots) {
  const tensors = {};
  for (const { name } of slots) {
    const path = join(folder, `${safeName(name)}.npy`);
    tensors[name] = readNpy(new Uint8Array(readFileSync(path)), path);
  }
  return tensors;
}

/**
 * What is wrong with `outputs`; empty when the case's rule holds.
 * @param {Case} testCase @param {Tensors} outputs
 * @returns {string[]}
 */
export function judge(testCase, outputs) {
  const expected = testCase.readOutputs();
  return testCase.outputs.flatMap(({ name, tolerance }) => {
    const [want, have] = [expected[name], outputs[name]];
    if (have === undefined) return [`output "${name}" is missing`];
    if (typeText(want) !== typeText(have)) {
      return [`output "${name}" is ${typeText(have)}, expected ${typeText(want)}`];
    }
    const rule = RULES[testCase.rule.kind];
    if (rule === undefined) return [`the rule "${testCase.rule.kind}" is not known`];
    return rule(want, have, testCase.rule, tolerance).map((why) => `output "${name}": ${why}`);
  });
}

const RULES = {
  max_abs(want, have, _rule, tolerance) {
    const { difference, at } = largestDifference(want, have);
    return difference <= tolerance
      ? []
      : [`differs by ${difference} at element ${at}, allowed ${tolerance}`];
  },
  cosine(want, have, rule) {
    const wrong = [];
    const similarity = cosine(want, have);
    if (!(similarity >= rule.min)) wrong.push(`cosine ${similarity}, at least ${rule.min} wanted`);
    const [wantTop, haveTop] = [argmax(want), argmax(have)];
    if (rule.top1 && wantTop !== haveTop) wrong.push(`top element ${haveTop}, expected ${wantTop}`);
    return wrong;
  },
};

/** NaN where the other has a number, or another infinity, counts as infinitely different. */
export function largestDifference(want, have) {
  const count = elementCount(want.dims);
  let [difference, at] = [0, 0];
  for (let i = 0; i < count; i++) {
    const [a, b] = [valueAt(want, i), valueAt(have, i)];
    if (Object.is(a, b) || a === b) continue;
    const d = Math.abs(a - b);
    const size = Number.isNaN(d) ? Infinity : d;
    if (size > difference) [difference, at] = [size, i];
  }
  return { difference, at };
}

function cosine(a, b) {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < elementCount(a.dims); i++) {
    const [x, y] = [valueAt(a, i), valueAt(b, i)];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}

function argmax(tensor) {
  let best = 0;
  for (let i = 1; i < elementCount(tensor.dims); i++) {
    if (valueAt(tensor, i) > valueAt(tensor, best)) best = i;
  }
  return best;
}
