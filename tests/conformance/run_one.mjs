// Runs one ONNX test through the product: compiler.wasm, then the loader with
// the runtime wasm. Says passed, refused (and why), or failed (and how).
import { Compiler } from '../../harness/compiler.mjs';
import { elementCount, typeText, valueAt } from '../../harness/dtypes.mjs';
import { errorToData } from '../../web/errors.js';
import { load, Tensor } from '../../web/wasmai.js';
import { readTest } from './suite.mjs';

// What ONNX's own backend runner allows (onnx/backend/test/loader).
const RTOL = 1e-3;
const ATOL = 1e-7;

// compiler.wasm's memory only grows, so a fresh instance now and then.
const COMPILES_PER_INSTANCE = 200;
/** @type {Compiler | null} */
let compiler = null;
let compiles = 0;

/**
 * @typedef {object} Result
 * @property {string} name
 * @property {'passed' | 'bound' | 'refused' | 'failed'} status
 * @property {string} reason  class of a refusal, such as "operator"; "" when passed
 * @property {string} detail
 * @property {string} ops     ONNX operators of the model
 */

/** @param {string} root @param {string} name @returns {Promise<Result>} */
export async function runTest(root, name) {
  let ops = '';
  try {
    const test = readTest(root, name);
    ops = test.model.ops.map(({ op }) => op).join(' ');
    let bound = [];
    for (const set of test.sets) {
      bound = [...bound, ...(await runSet(test, set))];
    }
    const detail = bound.length > 0 ? `bound: ${[...new Set(bound)].join(', ')}` : '';
    return { name, status: bound.length > 0 ? 'bound' : 'passed', reason: '', detail, ops };
  } catch (error) {
    return { name, ops, ...judgeError(error) };
  }
}

class Mismatch extends Error {}

async function runSet({ onnx, model }, set) {
  const [inputs, counts] = spread(model.inputs, set.inputs());
  const [wanted] = spread(model.outputs, set.outputs());
  const { bytes, bound } = await compileBound(onnx, inputs, counts);
  const session = await load(/** @type {Uint8Array} */ (bytes), { isolation: 'none' });
  try {
    const feeds = {};
    for (const { name, tensor } of inputs) {
      if (bound.includes(name) || tensor === undefined) continue;
      feeds[name] = new Tensor(tensor.dtype, tensor.data, tensor.dims);
    }
    const outputs = await session.run(feeds);
    const names = wanted.map(({ name }) => name);
    const more = Object.keys(outputs).filter((name) => !names.includes(name));
    // A test need not state every output, but it states whole sequences.
    if (more.length > 0 && model.outputs.some(({ kind }) => kind !== undefined))
      throw new Mismatch(`there are more outputs than expected: ${more.join(', ')}`);
    for (const [i, { name, tensor }] of wanted.entries()) {
      if (tensor !== undefined) compare(tensor, outputs[name], i);
    }
  } finally {
    await session.close();
  }
  return bound;
}

/**
 * Slots and values as the tensors of a package: those of a sequence `x` are `x[0]`, `x[1]` ...; and
 * the dims that say how many there are.
 */
function spread(slots, values) {
  const counts = new Map();
  const flat = slots.flatMap((slot, i) => {
    const value = values[i];
    if (slot.kind === undefined) return [{ ...slot, tensor: value }];
    counts.set(slot.name, Array.isArray(value) ? value.length : Number(value !== null));
    if (value === null) return [];
    if (!Array.isArray(value)) return [{ ...slot, tensor: value }];
    return value.map((tensor, k) => ({ ...slot, name: `${slot.name}[${k}]`, tensor }));
  });
  return [flat, counts];
}

/**
 * Compile; when an input must be a constant, bind it to the test's value: one
 * after the other, from the last, as few as possible.
 */
async function compileBound(onnx, inputs, counts) {
  const dims = new Map([...dimsOf(inputs), ...counts]);
  const bindings = new Map();
  let outcome = await compileOnce(onnx, dims, bindings);
  while (wantsConstant(outcome.error)) {
    const free = inputs
      .filter(({ name, tensor }) => tensor !== undefined && !bindings.has(name))
      .reverse();
    if (free.length === 0) break;
    /** @type {any} */
    let next = null;
    for (const { name, tensor } of free) {
      const tried = await compileOnce(onnx, dims, new Map([...bindings, [name, tensor]]));
      if (tried.error?.message === outcome.error?.message) continue;
      next = { name, tensor, tried };
      break;
    }
    // No single input helps: the last one is as good as any, then the others.
    next ??= { ...free[0], tried: null };
    bindings.set(next.name, next.tensor);
    outcome = next.tried ?? (await compileOnce(onnx, dims, bindings));
  }
  if (outcome.error) throw outcome.error;
  return { bytes: outcome.bytes, bound: [...bindings.keys()] };
}

async function compileOnce(onnx, dims, bindings) {
  if (compiler === null || compiler.dead || compiles++ % COMPILES_PER_INSTANCE === 0) {
    compiler = await Compiler.create();
  }
  return compiler.compile(onnx, { optimize: true, dims, bindings });
}

const wantsConstant = (error) => error !== null && /must be (a )?constant/i.test(error.message);

// Symbolic dims get the sizes that the test data has. Elements of a sequence share names of dims
// but not sizes, so theirs are given by place.
function dimsOf(slots) {
  const dims = new Map();
  for (const { name, kind, dims: declared, tensor } of slots) {
    declared.forEach((dim, axis) => {
      const size = tensor?.dims[axis];
      if (typeof dim === 'number' || size === undefined) return;
      dims.set(dim === '?' || kind !== undefined ? `${name}[${axis}]` : dim, size);
    });
  }
  return dims;
}

function compare(want, have, index) {
  if (have === undefined) throw new Mismatch(`output ${index} is missing`);
  if (typeText(want) !== typeText(have)) {
    throw new Mismatch(`output ${index} is ${typeText(have)}, expected ${typeText(want)}`);
  }
  for (let i = 0; i < elementCount(want.dims); i++) {
    const [a, b] = [valueAt(have, i), valueAt(want, i)];
    if (Object.is(a, b) || a === b) continue;
    if (!(Math.abs(a - b) <= ATOL + RTOL * Math.abs(b))) {
      throw new Mismatch(`output ${index}, element ${i}: ${a}, expected ${b}`);
    }
  }
}

// First match wins. A class is a reason that a person accepts for a skip.
/** @type {[string, RegExp][]} */
const REFUSALS = [
  ['opset', /^opset \d+ is not|is supported in opsets/],
  ['training', /training/i],
  ['sequence', /^operator \S*(Sequence|Optional)(?!\S*Reverse)/],
  ['domain', /of domain|no ai\.onnx opset/],
  ['operator', /^operator .* is not supported/],
  ['constant', /must be (a )?constant/i],
  ['dtype', /ONNX type|data type|of (f|i|u)\d+|of bool|elements of/i],
  ['dynamic', /dynamic|run time|depends on/i],
];

/** @returns {Pick<Result, 'status' | 'reason' | 'detail'>} */
function judgeError(error) {
  const { code, where, message } = errorToData(error);
  const detail = `${code}: ${where}: ${message}`.replace(/\s+/g, ' ');
  if (error instanceof Mismatch)
    return { status: 'failed', reason: 'wrong', detail: error.message };
  if (error instanceof Error && error.name !== 'WasmAIError') {
    return {
      status: 'failed',
      reason: 'crash',
      detail: `${error.stack}`.split('\n').slice(0, 2).join(' '),
    };
  }
  if (code !== 'UNSUPPORTED' && code !== 'LIMIT') {
    return { status: 'failed', reason: 'error', detail };
  }
  const reason = REFUSALS.find(([, pattern]) => pattern.test(message))?.[0] ?? 'attribute';
  return { status: 'refused', reason, detail };
}
