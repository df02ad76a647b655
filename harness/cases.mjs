// Reference cases of a model: cases/<case>/{case.json,inputs/*.npy,outputs/*.npy}.
// Knows how to find, read and judge them, and nothing about who runs them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { elementCount, typeText, valueAt } from './dtypes.mjs';
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
 * @property {() => Record<string, import('./dtypes.mjs').HostTensor>} readInputs
 * @property {() => Record<string, import('./dtypes.mjs').HostTensor>} readOutputs
 */

/** @param {string} folder  of one model @returns {Case[]} */
export function casesOf(folder) {
  const root = join(folder, 'cases');
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .sort()
    .map((name) => {
      const place = join(root, name);
      const facts = JSON.parse(readFileSync(join(place, 'case.json'), 'utf8'));
      return {
        name,
        dims: facts.dims ?? {},
        rule: facts.rule,
        outputs: facts.outputs.map((output) => ({
          name: output.name,
          tolerance: output.tolerance_abs,
        })),
        readInputs: () => readTensors(join(place, 'inputs'), facts.inputs),
        readOutputs: () => readTensors(join(place, 'outputs'), facts.outputs),
      };
    });
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
 * @param {Case} testCase @param {Record<string, import('./dtypes.mjs').HostTensor>} outputs
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
