// Golden outputs in packages: what is written, that anybody can make the inputs again, selfTest and
// `verify --self-test`, and that a changed weight or a changed runtime does not pass.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Compiler } from '../../harness/compiler.mjs';
import { buildDist } from '../../harness/dist.mjs';
import { dtypeByName, valueAt } from '../../harness/dtypes.mjs';
import { dimSets } from '../../harness/golden.mjs';
import { compile } from '../../harness/index.mjs';
import { NATIVE_COMMAND } from '../../harness/runners/native.mjs';
import { findChromium } from '../../harness/toolchain/chromium.mjs';
import { GOLDEN_SECTION, sectionOf } from '../../web/certificate.js';
import { goldenData, readGolden } from '../../web/golden.js';
import { load } from '../../web/wasmai.js';
import { cli, FLOAT, folderFor, INT64, noCompiler, onnxFile } from './cli_support.mjs';

const skip = noCompiler;
const RUNTIME = fileURLToPath(new URL('../../build/wasm/runtime-simd.wasm', import.meta.url));
const DATA = 5;

/** y = softmax(x w), s = x + s: open rows, a state that can be carried. */
const model = onnxFile({
  nodes: [
    ['MatMul', ['x', 'w'], ['scores'], 'scores'],
    ['Softmax', ['scores'], ['y'], 'weights'],
    ['ReduceMax', ['x'], ['most'], 'most', { keepdims: 0 }],
    ['Add', ['most', 's'], ['sum'], 'sum'],
  ],
  inputs: [
    ['x', FLOAT, ['n', 3]],
    ['s', FLOAT, [1]],
  ],
  outputs: [
    ['y', FLOAT, ['n', 4]],
    ['sum', FLOAT, [1]],
  ],
  weights: [['w', [3, 4], Array.from({ length: 12 }, (_, i) => Math.cos(i))]],
});

/** @type {Uint8Array} */
let bytes;
/** @type {Compiler} */
let compiler;
before(async () => {
  if (skip) return;
  ({ bytes } = await compile(model, { optimize: true, dims: { n: '2..9' } }));
  compiler = await Compiler.create();
});

/** Changed by `change` and sealed again. @param {(view: DataView, section: (kind: number) => number) => void} change */
function changed(change) {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  change(view, (kind) => Number(view.getBigUint64(128 + (kind - 1) * 24 + 8, true)));
  return compiler.stateGolden(copy, /** @type {Uint8Array} */ (sectionOf(copy, GOLDEN_SECTION)));
}

/** One bit of the first weight that is not 0. */
const lighter = () =>
  changed((view, section) => {
    let at = section(DATA);
    while (view.getUint32(at, true) === 0) at += 4;
    view.setUint32(at, view.getUint32(at, true) ^ 0x10000, true);
  });

test('the inputs are the numbers that format.h defines', () => {
  const rule = { fill: 0, seed: 7, index: 1 };
  // By another way, in whole numbers of any length.
  const mask = 0xffffffffn;
  const mix = (x) => {
    x = ((x ^ (x >> 16n)) * 0x7feb352dn) & mask;
    x = ((x ^ (x >> 15n)) * 0x846ca68bn) & mask;
    return x ^ (x >> 16n);
  };
  const start = mix((7n + mix(2n)) & mask);
  const words = Array.from({ length: 999 }, (_, i) => Number(mix((start + BigInt(i)) & mask)));
  const bits = (b) => words.map((word) => Math.floor(word / 2 ** (32 - b)));
  const real = (b) => bits(b).map((n) => n / 2 ** (b - 1) - 1);
  const signed = (b) => bits(b).map((n) => (n < 2 ** (b - 1) ? n : n - 2 ** b));
  const want = {
    float32: real(16),
    float64: real(16),
    float16: real(11),
    bfloat16: real(8),
    float8e4m3fn: real(3),
    float8e4m3fnuz: real(3),
    float8e5m2: real(3),
    float8e5m2fnuz: real(3),
    int8: signed(8),
    uint8: bits(8),
    int16: signed(16),
    uint16: bits(16),
    uint4: bits(4),
    int4: signed(4),
    int32: bits(1),
    uint32: bits(1),
    int64: bits(1),
    uint64: bits(1),
    bool: bits(1),
  };
  for (const [dtype, numbers] of Object.entries(want)) {
    const name = /** @type {any} */ (dtype);
    const read = (data) =>
      Array.from({ length: data.length }, (_, i) => Number(valueAt({ dtype, data }, i)));
    assert.ok(dtypeByName(dtype));
    assert.deepEqual(read(goldenData(name, 999, rule)), numbers, dtype);
    assert.deepEqual(read(goldenData(name, 2, { ...rule, fill: 1 })), [0, 0], dtype);
    assert.deepEqual(read(goldenData(name, 2, { ...rule, fill: 2 })), [1, 1], dtype);
    assert.ok(new Set(numbers).size > (numbers.some((n) => n > 1) ? 15 : 1), dtype);
  }
});

test('the largest dims, the smallest and one between', { skip }, async () => {
  const slot = (dims, symbols) =>
    /** @type {any} */ ({ name: 'x', dtype: 'float32', dims, symbols });
  assert.deepEqual(dimSets([slot([2, 3])]), [[[2, 3]]]);
  const n = { name: 'n', min: 1, max: 8 };
  assert.deepEqual(dimSets([slot([8, 3], [n, null])]), [[[8, 3]], [[1, 3]], [[4, 3]]]);
  assert.deepEqual(dimSets([slot([2], [{ name: 'n', min: 1, max: 2 }])]), [[[2]], [[1]]]);
  const session = await load(bytes);
  const { passed, cases } = await session.selfTest();
  assert.equal(passed, true);
  assert.deepEqual(
    cases.map(({ dims, ok, got }) => [dims.x, dims.s, ok, got.y.dims]),
    [9, 2, 5].map((rows) => [[rows, 3], [1], true, [rows, 4]]),
  );
  for (const { expected, got } of cases) assert.deepEqual(got, expected);
  assert.equal(session.info.runs, 0, 'its runs do not count');
  await session.close();
  await assert.rejects(session.selfTest(), { code: 'STATE' });
});

test('a changed weight does not pass: the output is named', { skip }, async (t) => {
  const session = await load(lighter());
  const { passed, cases } = await session.selfTest();
  assert.equal(passed, false);
  for (const { ok, expected, got } of cases) {
    assert.equal(ok, false);
    assert.notEqual(got.y.sha384, expected.y.sha384);
    assert.deepEqual(got.sum, expected.sum);
  }
  await session.close();
  const file = join(folderFor(t), 'm.wai');
  writeFileSync(file, lighter());
  const { code, err } = await cli('verify', file, '--self-test');
  assert.equal(code, 1);
  assert.match(
    err,
    /^error: INTEGRITY: .*m\.wai: output "y" with x \[9, 3\], s \[1\] on node is not/,
  );
});

test('a changed runtime does not pass', { skip }, async (t) => {
  const folder = folderFor(t);
  const wasm = readFileSync(RUNTIME);
  // The coefficient of x^2 / 2 in XNNPACK's e^x, by one bit.
  const number = Buffer.from(new Float32Array([0x1fffdc6 / 2 ** 26]).buffer);
  let places = 0;
  for (let at = wasm.indexOf(number); at >= 0; at = wasm.indexOf(number, at + 1), places++)
    wasm[at] ^= 1;
  assert.ok(places > 0 && WebAssembly.validate(wasm));
  writeFileSync(join(folder, 'm.wai'), bytes);
  for (const name of ['good', 'bad']) {
    const runtime = name === 'bad' ? join(folder, 'bad.wasm') : undefined;
    if (runtime) writeFileSync(runtime, wasm);
    const out = join(folder, name);
    await buildDist({ out, secure: true, runtime, models: [join(folder, 'm.wai')] });
    const { load: loadHere } = await import(pathToFileURL(join(out, 'wasmai.js')).href);
    const session = await loadHere(pathToFileURL(join(out, 'models/m.wai')).href);
    const { passed, cases } = await session.selfTest();
    assert.deepEqual([passed, cases.length], [name === 'good', 3], name);
    await session.close();
  }
});

test('a self-test leaves what is carried where it is', { skip }, async () => {
  const session = await load(bytes);
  const one = (x) => ({ x: new Float32Array([x, 0, 0, 0, 0, 0]) });
  const { Tensor } = await import('../../web/wasmai.js');
  const feeds = (x) => ({ x: new Tensor('float32', one(x).x, [2, 3]) });
  const carry = { s: 'sum' };
  await session.run({ ...feeds(1), s: new Float32Array([10]) }, { carry });
  assert.equal((await session.selfTest()).passed, true);
  const { sum } = await session.run(feeds(2), { carry });
  assert.deepEqual([...sum.data], [13]);
  // In the queue, without waiting.
  const [a, tested, b] = await Promise.all([
    session.run(feeds(3), { carry }),
    session.selfTest(),
    session.run(feeds(4), { carry }),
  ]);
  assert.deepEqual([a.sum.data[0], tested.passed, b.sum.data[0]], [16, true, 20]);
  await session.close();
});

test('a NaN that was folded when it was compiled is the one NaN', { skip }, async () => {
  const onnx = onnxFile({
    nodes: [
      ['Div', ['zero', 'zero'], ['y'], 'nan'],
      ['Add', ['x', 'y'], ['z']],
    ],
    inputs: [['x', FLOAT, [2]]],
    outputs: [
      ['y', FLOAT, [2]],
      ['z', FLOAT, [2]],
    ],
    weights: [['zero', [2], [0, -0]]],
  });
  const { bytes: pack } = await compile(onnx, { optimize: true });
  const found = (/** @type {number} */ sign) =>
    Buffer.from(pack).indexOf(Buffer.from([0, 0, 0xc0, sign, 0, 0, 0xc0, sign])) >= 0;
  assert.deepEqual([found(0x7f), found(0xff)], [true, false], 'packages are the same bytes too');
  const session = await load(pack);
  const { y, z } = await session.run({ x: new Float32Array([1, 2]) });
  for (const { data } of [y, z])
    assert.deepEqual([...new Uint32Array(data.buffer)], [0x7fc00000, 0x7fc00000]);
  await session.close();
});

test('it can be stopped, and says what it was given wrongly', { skip }, async () => {
  const session = await load(bytes);
  await assert.rejects(session.selfTest({ signal: AbortSignal.abort() }), { code: 'ABORTED' });
  await assert.rejects(session.selfTest(/** @type {any} */ ({ sinal: 1 })), {
    code: 'ARGUMENT',
    message: /did you mean "signal"/,
  });
  await session.close();
});

test('a model that refuses random inputs is run with zeros; one that refuses all has none, and why', {
  skip,
}, async (t) => {
  const pick = (rows) =>
    onnxFile({
      nodes: [['Gather', ['x', 'i'], ['y'], 'pick']],
      inputs: [
        ['x', FLOAT, [rows, 2]],
        ['i', INT64, [8]],
      ],
      outputs: [['y', FLOAT, [8, 2]]],
    });
  const goldenOf = async (rows) => {
    const { bytes: pack } = await compile(pick(rows));
    const session = await load(pack);
    const golden = readGolden(sectionOf(pack, GOLDEN_SECTION), session.inputs, session.outputs);
    const tested = await session.selfTest().catch((error) => error);
    await session.close();
    return { pack, golden, tested };
  };
  const two = await goldenOf(2);
  assert.deepEqual([two.golden.cases[0].fill, two.tested.passed], [0, true]);
  const one = await goldenOf(1);
  assert.deepEqual([one.golden.cases[0].fill, one.tested.passed], [1, true]);
  const none = await goldenOf(0);
  assert.deepEqual(none.golden.cases, []);
  assert.match(none.golden.why, /pick/);
  assert.equal(none.tested.code, 'UNSUPPORTED');
  const folder = folderFor(t);
  const show = async (name, pack) => {
    writeFileSync(join(folder, name), pack);
    return cli('inspect', join(folder, name));
  };
  assert.match(
    (await show('two.wai', two.pack)).out,
    /golden\n {2}random inputs: x \[2, 2\], i \[8\]\n {4}y \[8, 2\] sha384 [0-9a-f]{96}\n/,
  );
  assert.match((await show('one.wai', one.pack)).out, /\n {2}zeros: x \[1, 2\]/);
  assert.match((await show('none.wai', none.pack)).out, /golden +none: .*pick/);
  const { code, err } = await cli('verify', join(folder, 'none.wai'), '--self-test');
  assert.equal(code, 1);
  assert.match(err, /no golden outputs: .*pick/);
});

test('stating golden outputs changes their section and the digest, not the size', {
  skip,
}, async () => {
  const section = /** @type {Uint8Array} */ (sectionOf(bytes, GOLDEN_SECTION));
  assert.deepEqual(compiler.stateGolden(bytes, section), bytes);
  const other = section.slice();
  other[4] ^= 1; // the seed
  const seeded = compiler.stateGolden(bytes, other);
  assert.equal(seeded.length, bytes.length);
  const session = await load(seeded);
  assert.equal((await session.selfTest()).passed, false);
  await session.close();
  assert.throws(() => compiler.stateGolden(bytes, new Uint8Array(section.length + 1)), {
    code: 'ARGUMENT',
    where: 'golden',
  });
});

const RUNNERS = {
  node: false,
  native: !existsSync(NATIVE_COMMAND) && 'build/native/wai is not built',
  chromium: findChromium() === null && 'Chromium is not installed',
};
for (const [name, missing] of Object.entries(RUNNERS)) {
  test(`verify --self-test on ${name}`, { skip: skip || missing }, async (t) => {
    const file = join(folderFor(t), 'm.wai');
    writeFileSync(file, bytes);
    const { code, out, err } = await cli('verify', file, '--self-test', '--runner', name, '--json');
    assert.equal(code, 0, err);
    const { selfTest } = JSON.parse(out);
    assert.deepEqual([selfTest.runner, selfTest.cases.length], [name, 3]);
    writeFileSync(file, lighter());
    assert.equal((await cli('verify', file, '--self-test', '--runner', name)).code, 1);
  });
}
