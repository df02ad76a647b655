/**
 * Golden outputs: what the package's maker got for inputs that anybody can make again. Section 7 of
 * core/package/format.h, which has the rules for the inputs and the digests.
 */
import { DIGEST_SIZE, hex } from './certificate.js';
import { WasmAIError } from './errors.js';
import { tensorDigest } from './receipt.js';
import { dtypeOfName, Tensor } from './tensors.js';

/** @typedef {import('./wasmai.d.ts').Slot} Slot */
/** @typedef {import('./wasmai.d.ts').DType} DType */
/** @typedef {import('./receipt.js').AnyTensor} AnyTensor */
/** @typedef {{ fill: number, inputs: number[][], outputs: { dims: number[], sha384: string }[] }} GoldenCase */
/** `why` there are no cases. @typedef {{ seed: number, cases: GoldenCase[], why: string }} Golden */

const VERSION = 1;

/**
 * @param {Uint8Array | null} section @param {readonly Slot[]} inputs @param {readonly Slot[]} outputs
 * @returns {Golden}
 */
export function readGolden(section, inputs, outputs) {
  if (!section) return { seed: 0, cases: [], why: 'it was made without' };
  const view = new DataView(section.buffer, section.byteOffset, section.byteLength);
  let at = 0;
  const word = () => {
    at += 4;
    return view.getUint32(at - 4, true);
  };
  const digest = () => {
    at += DIGEST_SIZE;
    return hex(section.subarray(at - DIGEST_SIZE, at));
  };
  if (word() !== VERSION)
    throw new WasmAIError('UNSUPPORTED', 'golden', 'these golden outputs are of another release');
  const seed = word();
  const count = word();
  if (count === 0) {
    const text = new TextDecoder().decode(section.subarray(at));
    return { seed, cases: [], why: text.replace(/\0.*/s, '') };
  }
  const cases = Array.from({ length: count }, () => ({
    fill: word(),
    inputs: inputs.map(({ dims }) => dims.map(word)),
    outputs: outputs.map(({ dims }) => ({ dims: dims.map(word), sha384: digest() })),
  }));
  return { seed, cases, why: '' };
}

/** @param {number} x */
function mix(x) {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** How many bits of a word an element takes; one where nothing is said. @type {Record<string, number>} */
const BITS = {
  float32: 16,
  float64: 16,
  float16: 11,
  bfloat16: 8,
  int8: 8,
  uint8: 8,
  int16: 16,
  uint16: 16,
  uint4: 4,
  int4: 4,
};
/** Floats that come as codes: bits of the mantissa, bias of the exponent. @type {Record<string, [number, number]>} */
const CODES = {
  float16: [10, 15],
  bfloat16: [7, 127],
  float8e4m3fn: [3, 7],
  float8e4m3fnuz: [3, 8],
  float8e5m2: [2, 15],
  float8e5m2fnuz: [2, 16],
};

/** n / half - 1 as the code of a float; nothing is rounded. @param {number} n @param {number} half @param {number} sign its bit @param {[number, number]} form */
function codeOf(n, half, sign, [mantissa, bias]) {
  const size = Math.abs(n - half);
  if (size === 0) return 0;
  const top = 31 - Math.clz32(size);
  const exponent = top - (31 - Math.clz32(half)) + bias;
  const rest = (size << (mantissa - top)) & ((1 << mantissa) - 1);
  return (n < half ? sign : 0) | (exponent << mantissa) | rest;
}

/** From an element's n to the element. @param {DType} dtype @param {number} half @returns {(n: number) => any} */
function elementOf(dtype, half) {
  if (dtype in CODES) {
    const sign = dtypeOfName(dtype).size === 2 ? 0x8000 : 0x80;
    return (n) => codeOf(n, half, sign, CODES[dtype]);
  }
  if (dtype === 'float32' || dtype === 'float64') return (n) => n / half - 1;
  if (dtype === 'int64' || dtype === 'uint64') return (n) => (n ? 1n : 0n);
  if (dtype === 'int4') return (n) => (n < half ? n : n - 2 * half);
  return (n) => n;
}

/**
 * Input number `index` of a golden case.
 * @param {DType} dtype @param {number} count @param {{ fill: number, seed: number, index: number }} rule
 */
export function goldenData(dtype, count, { fill, seed, index }) {
  const bits = dtype.startsWith('float8') ? 3 : (BITS[dtype] ?? 1);
  const half = 2 ** (bits - 1);
  const { array } = dtypeOfName(dtype);
  const data = new (dtype === 'float16' ? Uint16Array : array)(count);
  const element = elementOf(dtype, half);
  const real = dtype.includes('float');
  if (fill > 0) return data.fill(element(real ? half * fill : fill - 1));
  const start = mix(seed + mix(index + 1));
  for (let i = 0; i < count; i++) data[i] = element(mix(start + i) >>> (32 - bits));
  return data;
}

/** @param {readonly Slot[]} inputs @param {Pick<GoldenCase, 'fill' | 'inputs'>} one @param {number} seed @returns {Record<string, Tensor>} */
export function goldenFeeds(inputs, { fill, inputs: dims }, seed) {
  return Object.fromEntries(
    inputs.map(({ name, dtype }, index) => {
      const count = dims[index].reduce((product, dim) => product * dim, 1);
      return [
        name,
        new Tensor(dtype, goldenData(dtype, count, { fill, seed, index }), dims[index]),
      ];
    }),
  );
}

/** Failures that say nothing about the package: the test did not take place. */
const NOT_ITS_FAULT = ['ABORTED', 'STATE', 'MEMORY', 'DEADLINE'];

/**
 * Every golden case, one after the other.
 * @param {Golden} golden
 * @param {{ inputs: readonly Slot[], outputs: readonly Slot[] }} model
 * @param {(feeds: Record<string, Tensor>) => Promise<Record<string, AnyTensor>>} run
 * @returns {Promise<import('./wasmai.d.ts').SelfTest>}
 */
export async function testGolden({ seed, cases }, { inputs, outputs }, run) {
  const start = performance.now();
  const done = [];
  for (const one of cases) done.push(await testCase(one, seed, inputs, outputs, run));
  return { passed: done.every(({ ok }) => ok), cases: done, ms: performance.now() - start };
}

/** @param {GoldenCase} one @param {number} seed @param {readonly Slot[]} inputs @param {readonly Slot[]} outputs @param {(feeds: Record<string, Tensor>) => Promise<Record<string, AnyTensor>>} run */
async function testCase(one, seed, inputs, outputs, run) {
  const named = (/** @type {any[]} */ list) =>
    Object.fromEntries(list.map((value, i) => [outputs[i].name, value]));
  const dims = Object.fromEntries(inputs.map(({ name }, i) => [name, one.inputs[i]]));
  const expected = named(one.outputs);
  try {
    const answers = await run(goldenFeeds(inputs, one, seed));
    const got = await Promise.all(
      outputs.map(async ({ name }) => {
        const { dims } = answers[name];
        return { dims: [...dims], sha384: await tensorDigest(answers[name]) };
      }),
    );
    const ok = got.every(({ sha384 }, i) => sha384 === one.outputs[i].sha384);
    return { dims, ok, expected, got: named(got) };
  } catch (error) {
    if (!(error instanceof WasmAIError) || NOT_ITS_FAULT.includes(error.code)) throw error;
    return { dims, ok: false, expected, got: {}, error };
  }
}
