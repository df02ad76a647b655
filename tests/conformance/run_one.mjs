// Runs one ONNX test through the product: compiler.wasm, then the loader with the runtime wasm in
// this process, and in another place too if one is given. Says passed, refused (and why), failed
// (and how), or that the places differ.
import { Compiler } from '../../harness/compiler.mjs';
import { bytesOf, elementCount, typeText, valueAt } from '../../harness/dtypes.mjs';
import { DIGEST_SIZE, readCertificate } from '../../web/certificate.js';
import { errorToData } from '../../web/errors.js';
import { PLACES } from './places/index.mjs';
import { readTest } from './suite.mjs';

// What ONNX's own backend runner allows (onnx/backend/test/loader).
const RTOL = 1e-3;
const ATOL = 1e-7;

// compiler.wasm's memory only grows, so a fresh instance now and then.
const COMPILES_PER_INSTANCE = 200;
/** @type {Compiler | null} */
let compiler = null;
let compiles = 0;

/** @typedef {import('./places/index.mjs').Place} Place */

/**
 * @typedef {object} Result
 * @property {string} name
 * @property {'passed' | 'bound' | 'refused' | 'failed' | 'differs'} status
 * @property {string} reason  class of a refusal, such as "operator"; "" when passed
 * @property {string} detail
 */

/** @type {Promise<Place> | undefined} */
let node;

/**
 * @param {Record<string, string | null>} roots @param {string} name
 * @param {Place | null} other  where else than here
 * @returns {Promise<Result>}
 */
export async function runTest(roots, name, other) {
  try {
    node ??= PLACES.node({ roots });
    const test = readTest(roots, name);
    let bound = [];
    for (const set of test.sets) {
      bound = [...bound, ...(await runSet(test, set, await node, other))];
    }
    const detail = bound.length > 0 ? `bound: ${[...new Set(bound)].join(', ')}` : '';
    return { name, status: bound.length > 0 ? 'bound' : 'passed', reason: '', detail };
  } catch (error) {
    return { name, ...judgeError(error) };
  }
}

/** The answer is not the expected one. */
class Mismatch extends Error {}

/** Two places do not agree, whatever was expected. */
class Difference extends Error {}

async function runSet({ path, onnx, model }, set, here, other) {
  const { given, expected, unreadable } = readSet(set);
  const [inputs, counts] = spread(model.inputs, given);
  const [wanted] = spread(model.outputs, expected);
  const { request, outcome } = await compileBound(onnx, inputs, counts);
  const exact = !model.ops.some(({ op }) => other?.inexact?.has(op));
  if (other?.compile) sameOutcome(await other.compile({ path, request }), outcome, exact);
  if (outcome.error) throw outcome.error;
  if (unreadable) throw new Mismatch(`it compiles, but its data cannot be read: ${unreadable}`);
  const bound = [...request.bindings.keys()];
  /** @type {[string, any][]} */
  const feeds = inputs
    .filter(({ name, tensor }) => tensor !== undefined && !bound.includes(name))
    .map(({ name, tensor }) => [name, tensor]);
  const job = { bytes: outcome.bytes, feeds };
  const answers = [await here.run(job)];
  if (other) answers.push(await other.run(job));
  if (other && exact) sameOutputs(answers[1], answers[0]);
  for (const outputs of answers) judge(model, wanted, outputs);
  return bound;
}

/** Of data that we cannot read (strings), the compiler must refuse the model: its words count. */
function readSet(set) {
  try {
    return { given: set.inputs(), expected: set.outputs(), unreadable: '' };
  } catch (error) {
    return { given: [], expected: [], unreadable: error.message };
  }
}

function judge(model, wanted, outputs) {
  const names = wanted.map(({ name }) => name);
  const more = Object.keys(outputs).filter((name) => !names.includes(name));
  // A test need not state every output, but it states whole sequences.
  if (more.length > 0 && model.outputs.some(({ kind }) => kind !== undefined))
    throw new Mismatch(`there are more outputs than expected: ${more.join(', ')}`);
  for (const [i, { name, tensor }] of wanted.entries()) {
    if (tensor !== undefined) compare(tensor, outputs[name], i);
  }
}

function sameOutcome(have, want, exact) {
  if (have.error?.message !== want.error?.message) {
    throw new Difference(`compile: ${have.error?.message}, wasm: ${want.error?.message}`);
  }
  if (!exact || want.error) return;
  const [a, b] = [have.bytes, want.bytes].map(withoutSizes);
  const at = a.equals(b) ? -1 : a.findIndex((byte, i) => byte !== b[i]);
  if (at >= 0) throw new Difference(`the packages differ, first at byte ${at}`);
}

/** state_size and peak_size of the header are measured by each build: pointers are of two sizes. */
const MEASURED = [32, 48];

function withoutSizes(bytes) {
  const { headSize } = readCertificate(bytes, 'package');
  const digest = [headSize - DIGEST_SIZE, headSize];
  return Buffer.from(bytes)
    .fill(0, ...MEASURED)
    .fill(0, ...digest);
}

function sameOutputs(have, want) {
  for (const [name, tensor] of Object.entries(want)) {
    const other = have[name];
    if (other === undefined || typeText(other) !== typeText(tensor)) {
      throw new Difference(`${name} is ${other && typeText(other)}, in Node ${typeText(tensor)}`);
    }
    const [a, b] = [other, tensor].map(({ data }) => Buffer.from(bytesOf(data)));
    if (a.equals(b)) continue;
    for (let i = 0; i < elementCount(tensor.dims); i++) {
      const [x, y] = [valueAt(other, i), valueAt(tensor, i)];
      if (!Object.is(x, y)) throw new Difference(`${name}, element ${i}: ${x}, in Node ${y}`);
    }
  }
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
  return { request: requestFor(dims, bindings), outcome };
}

const requestFor = (dims, bindings) => ({ optimize: true, dims, bindings });

async function compileOnce(onnx, dims, bindings) {
  if (compiler === null || compiler.dead || compiles++ % COMPILES_PER_INSTANCE === 0) {
    compiler = await Compiler.create();
  }
  return compiler.compile(onnx, requestFor(dims, bindings));
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
