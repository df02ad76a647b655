// The same bits, and the same fuel, from every engine: what a `--secure` folder answers in Chromium, Firefox and
// WebKit is compared with what the same runtime answers in Node, by hash.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { casesOf, realModelsFolder } from '../../harness/cases.mjs';
import { bytesOf, dtypeByName } from '../../harness/dtypes.mjs';
import { METERED } from '../../harness/fuel.mjs';
import { compile } from '../../harness/index.mjs';
import { openRunner } from '../../harness/runners/index.mjs';
import { assets } from '../../web/assets.js';
import { FLOAT, onnxFile } from '../js/cli_support.mjs';
import { makeSite, onEngines, openPage } from './browser.mjs';

const UNARY =
  'Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Exp Floor HardSigmoid HardSwish LeakyRelu Log Mish Neg ' +
  'Reciprocal Relu Round Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan Tanh ThresholdedRelu';
const BINARY = 'Add Sub Mul Div Pow Max Min PRelu';
const ROWS = 'Softmax LogSoftmax ReduceSum ReduceMean ReduceL2 ReduceLogSumExp ReduceProd';

/** What engines could differ in: functions without an exact answer, long sums, and every kind of number. */
function arithmetic() {
  const nodes = [];
  for (const op of UNARY.split(' ')) nodes.push([op, ['x'], [op]]);
  for (const op of BINARY.split(' ')) nodes.push([op, ['x', 'y'], [op]]);
  for (const op of ROWS.split(' ')) nodes.push([op, ['small'], [op]]);
  nodes.push(['MatMul', ['small', 'tall'], ['MatMul']]);
  const [wide, tall, sum] = [
    [4, 1024],
    [1024, 64],
    [1, 1],
  ];
  const dims = { MatMul: [4, 64], Softmax: wide, LogSoftmax: wide };
  const inputs = [
    ['x', FLOAT, wide],
    ['y', FLOAT, wide],
    ['small', FLOAT, wide],
    ['tall', FLOAT, tall],
  ];
  const outputs = nodes.map(([op]) => [
    op,
    FLOAT,
    dims[op] ?? (ROWS.split(' ').includes(op) ? sum : wide),
  ]);
  return onnxFile({ nodes, inputs, outputs, opset: 18 });
}

/** Bits in a fixed order that looks like none: numbers of every size, infinities, NaNs. */
function bits(count, seed) {
  const words = new Uint32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = state ^ (state >>> 15);
  }
  words.set([0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7fa00001, 1]);
  return new Float32Array(words.buffer);
}

/** The same without NaNs; functions still make them. */
const numbers = (count, seed) =>
  bits(count, seed).map((number) => (Number.isNaN(number) ? 1 : number));

/** Between -1 and 1. */
const fractions = (count, seed) =>
  Float32Array.from(new Int32Array(bits(count, seed).buffer), (word) => word / 2 ** 31);

const float32 = (data, dims) => ({ dtype: 'float32', dims, data });
const operands = (kind) => ({
  x: float32(kind(4096, 1), [4, 1024]),
  y: float32(kind(4096, 2), [4, 1024]),
  small: float32(fractions(4096, 3), [4, 1024]),
  tall: float32(fractions(65536, 4), [1024, 64]),
});
const image = fractions(784, 7);
const DIGITS = fileURLToPath(new URL('../../models/digits/digits.onnx', import.meta.url));

/** Our own models, and real ones of which there are cases: one quantised, one with open dims, one with states. */
const MODELS = {
  arithmetic: { onnx: arithmetic, feeds: () => operands(numbers) },
  'arithmetic-with-nans': { onnx: arithmetic, feeds: () => operands(bits) },
  digits: {
    onnx: () => readFileSync(DIGITS),
    feeds: () => ({ image: float32(image, [1, 1, 28, 28]) }),
  },
  'mnist-8': {},
  'squeezenet1.0-fp32-derived': {},
  'mobilenetv2-12-qdq': {},
  'gtcrn-stream-simple': {},
  libtashkeel: { dims: { batch: '1..2', seq: '1..64' } },
};

const folder = mkdtempSync(join(tmpdir(), 'wasm-ai-determinism-'));
const present = Object.entries(MODELS).filter(
  ([name, { onnx }]) => onnx || existsSync(join(realModelsFolder(), name, 'model.onnx')),
);
/** @type {Record<string, { feeds: any[], expected: { fuel: number, outputs: Record<string, string> } }>} */
const prepared = {};
let site;

before(async () => {
  assets.runtimes.simd = { url: pathToFileURL(METERED), sha384: null };
  const files = {};
  for (const [name, { onnx, feeds, dims }] of present) {
    const home = join(realModelsFolder(), name);
    const [first] = onnx ? [] : casesOf(home);
    const model = onnx?.() ?? readFileSync(join(home, 'model.onnx'));
    const { bytes } = await compile(model, { optimize: true, dims: dims ?? first?.dims });
    writeFileSync(join(folder, `${name}.wai`), bytes);
    const given = feeds?.() ?? first.readInputs();
    const runner = await openRunner('node', bytes, { hardened: true });
    const { outputs } = await runner.run(given);
    prepared[name] = {
      feeds: Object.entries(given).map(([input, { dtype, dims, data }], i) => {
        files[`${name}.${i}.bin`] = bytesOf(data);
        const array = dtypeByName(dtype).array.name;
        return { input, dtype, dims, array, file: `./${name}.${i}.bin` };
      }),
      expected: { fuel: runner.info.fuel, outputs: hashes(outputs) },
    };
    await runner.close();
  }
  const models = present.map(([name]) => join(folder, `${name}.wai`));
  site = await makeSite({ secure: true, models, files });
});

after(async () => {
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

const hashes = (outputs) =>
  Object.fromEntries(
    Object.entries(outputs).map(([name, { dims, data }]) => [
      name,
      `[${dims}] ${createHash('sha384').update(bytesOf(data)).digest('hex')}`,
    ]),
  );

/** In the page: one run, its fuel and its outputs' hashes. */
async function runThere({ name, feeds }) {
  const session = await wasmai.load(`./models/${name}.wai`);
  const tensors = {};
  for (const { input, dtype, dims, array, file } of feeds) {
    const bytes = await (await fetch(file)).arrayBuffer();
    tensors[input] = new wasmai.Tensor(dtype, new globalThis[array](bytes), dims);
  }
  const answer = await session.run(tensors);
  const outputs = {};
  for (const [output, { dims, data }] of Object.entries(answer)) {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-384', data));
    const text = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    outputs[output] = `[${dims}] ${text}`;
  }
  const { fuel } = session.info;
  await session.close();
  return { fuel, outputs };
}

for (const name of Object.keys(MODELS)) {
  const absent = !present.some(([there]) => there === name) && 'the real models are not there';
  onEngines(
    `${name}: bits and fuel are Node's`,
    async ({ browser }) => {
      const { feeds, expected } = prepared[name];
      const { page, complaints, violations, close } = await openPage(browser, site);
      const seen = await page.evaluate(runThere, { name, feeds });
      const outputs = Object.keys(expected.outputs);
      const other = outputs.filter((output) => seen.outputs[output] !== expected.outputs[output]);
      assert.deepEqual(other, [], 'outputs with other bits than in Node');
      assert.equal(seen.fuel, expected.fuel);
      assert.deepEqual(await violations(), []);
      assert.deepEqual(complaints, []);
      await close();
    },
    { cannot: absent ? { chromium: absent, firefox: absent, webkit: absent } : {} },
  );
}
