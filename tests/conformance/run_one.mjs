// Runs one ONNX test through the product: compiler.wasm, then the loader with
// the runtime wasm. Says passed, refused (and why), or failed (and how).
import { Compiler } from '../../harness/compiler.mjs';
import { elementCount, typeText, valueAt } from '../../harness/dtypes.mjs';
import { NOT_A_TENSOR } from '../../harness/readers/onnx.mjs';
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

class Refusal extends Error {
  constructor(reason, message) {
    super(message);
    this.reason = reason;
  }
}

async function runSet({ onnx, model }, set) {
  if ([...model.inputs, ...model.outputs].some(({ dtype }) => dtype === NOT_A_TENSOR)) {
    const { error } = await compileOnce(onnx, new Map(), new Map());
    if (error?.code === 'UNSUPPORTED') throw new Refusal('sequence', error.message);
    throw new Mismatch(
      `a model of sequences should be UNSUPPORTED: ${error?.message ?? 'it compiled'}`,
    );
  }
  const inputs = set.inputs();
  const wanted = set.outputs();
  const { bytes, bound } = await compileBound(onnx, model, inputs);
  const session = await load(/** @type {Uint8Array} */ (bytes), { isolation: 'none' });
  try {
    const feeds = {};
    model.inputs.forEach(({ name }, i) => {
      if (bound.includes(name) || inputs[i] === undefined) return;
      feeds[name] = new Tensor(inputs[i].dtype, inputs[i].data, inputs[i].dims);
    });
    const outputs = await session.run(feeds);
    for (const [i, want] of wanted.entries()) compare(want, outputs[model.outputs[i].name], i);
  } finally {
    await session.close();
  }
  return bound;
}

/**
 * Compile; when an input must be a constant, bind it to the test's value: one
 * after the other, from the last, as few as possible.
 */
async function compileBound(onnx, model, inputs) {
  const dims = dimsOf(model.inputs, inputs);
  const bindings = new Map();
  let outcome = await compileOnce(onnx, dims, bindings);
  while (wantsConstant(outcome.error)) {
    const free = model.inputs
      .map((input, i) => [input.name, inputs[i]])
      .filter(([name, tensor]) => tensor !== undefined && !bindings.has(name))
      .reverse();
    if (free.length === 0) break;
    /** @type {any} */
    let next = null;
    for (const [name, tensor] of free) {
      const tried = await compileOnce(onnx, dims, new Map([...bindings, [name, tensor]]));
      if (tried.error?.message === outcome.error?.message) continue;
      next = { name, tensor, tried };
      break;
    }
    // No single input helps: the last one is as good as any, then the others.
    next ??= { name: free[0][0], tensor: free[0][1], tried: null };
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

// Symbolic dims get the sizes that the test data has.
function dimsOf(slots, tensors) {
  const dims = new Map();
  slots.forEach(({ name, dims: declared }, i) => {
    declared.forEach((dim, axis) => {
      const size = tensors[i]?.dims[axis];
      if (typeof dim === 'number' || size === undefined) return;
      dims.set(dim === '?' ? `${name}[${axis}]` : dim, size);
    });
  });
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
  if (error instanceof Refusal)
    return { status: 'refused', reason: error.reason, detail: error.message };
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
