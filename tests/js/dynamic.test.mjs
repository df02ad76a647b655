// Symbolic dims end to end: one package, any dims of its ranges, every runner.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { compile } from '../../harness/index.mjs';
import { openRunner } from '../../harness/runners/index.mjs';
import { writeNpy } from '../../harness/writers/npy.mjs';
import { load, Tensor } from '../../web/wasmai.js';
import {
  addRelu,
  cli,
  FLOAT,
  folderFor,
  INT64,
  noCompiler,
  onnxFile,
  RUNNERS,
} from './cli_support.mjs';

const skip = noCompiler;
const MODELS = new URL('../../../shared/real-models/', import.meta.url);

/** Numbers that are the same on every machine, all different. */
const count = (dims) => dims.reduce((a, b) => a * b, 1);
const ramp = (...dims) =>
  new Tensor(
    'float32',
    Float32Array.from({ length: count(dims) }, (_, i) => Math.sin(i + dims.length)),
    dims,
  );

/** y = x (n, d) against itself, its shape, and where it is above zero. */
const model = onnxFile({
  nodes: [
    ['Transpose', ['x'], ['t'], 'turn'],
    ['MatMul', ['x', 't'], ['scores'], 'scores'],
    ['Softmax', ['scores'], ['weights'], 'weights'],
    ['MatMul', ['weights', 'x'], ['y'], 'mix'],
    ['Shape', ['y'], ['shape'], 'shape'],
    ['Relu', ['x'], ['positive'], 'relu'],
    ['NonZero', ['positive'], ['places'], 'places'],
  ],
  inputs: [['x', FLOAT, ['n', 4]]],
  outputs: [
    ['y', FLOAT, ['n', 4]],
    ['shape', INT64, [2]],
    ['places', INT64, [2, 'found']],
  ],
});

/** @type {Uint8Array} */
let bytes;
before(async () => {
  if (!skip) ({ bytes } = await compile(model, { optimize: true, dims: { n: '1..40' } }));
});

const plain = (outputs) =>
  Object.fromEntries(
    Object.entries(outputs).map(([name, { dims, data }]) => [
      name,
      { dims: [...dims], data: [...data] },
    ]),
  );

test('a package with a range gives what packages of one number give, up and down', {
  skip,
}, async () => {
  const session = await load(bytes);
  const [x] = session.inputs;
  assert.deepEqual(
    [x.dims, x.symbols],
    [
      [40, 4],
      [{ name: 'n', min: 1, max: 40 }, null],
    ],
  );
  for (const n of [40, 1, 2, 39, 7, 16, 40]) {
    const { bytes: fixed } = await compile(model, { optimize: true, dims: { n } });
    const reference = await load(fixed);
    const feeds = { x: ramp(n, 4) };
    const want = plain(await reference.run(feeds));
    assert.deepEqual(plain(await session.run(feeds)), want);
    assert.deepEqual(want.shape.data, [BigInt(n), 4n]);
    const above = [...feeds.x.data].filter((value) => value > 0).length;
    assert.deepEqual(want.places.dims, [2, above]);
    await reference.close();
  }
  await session.close();
});

test('dims outside the range are refused before anything runs, and the session goes on', {
  skip,
}, async () => {
  const session = await load(bytes);
  const good = plain(await session.run({ x: ramp(3, 4) }));
  /** @type {any[]} */
  const rows = [
    [ramp(41, 4), /expected float32 \[n \(1 to 40\), 4\], got float32 \[41, 4\]/],
    [ramp(0, 4), /got float32 \[0, 4\]/],
    [ramp(3, 5), /got float32 \[3, 5\]/],
    [ramp(12), /got float32 \[12\]/],
    [new Float32Array(12), /use a Tensor, which says its dims/],
  ];
  for (const [x, message] of rows) {
    await assert.rejects(session.run({ x }), { code: 'ARGUMENT', where: 'x', message });
  }
  assert.deepEqual(plain(await session.run({ x: ramp(3, 4) })), good);
  await session.close();
});

test('one symbol is one number in all inputs', { skip }, async () => {
  const both = onnxFile({
    nodes: [['Add', ['a', 'b'], ['sum']]],
    inputs: [
      ['a', FLOAT, ['n', 2]],
      ['b', FLOAT, ['n', 2]],
    ],
    outputs: [['sum', FLOAT, ['n', 2]]],
  });
  const session = await load((await compile(both, { dims: { n: '1..8' } })).bytes);
  await assert.rejects(session.run({ a: ramp(2, 2), b: ramp(3, 2) }), {
    code: 'ARGUMENT',
    where: 'b',
    message: /n is 2 on axis 0 of a, but 3 on axis 0 of b/,
  });
  const { sum } = await session.run({ a: ramp(5, 2), b: ramp(5, 2) });
  assert.deepEqual(sum.dims, [5, 2]);
  await session.close();
});

test('a cache that grows is carried from run to run', { skip }, async () => {
  const cache = onnxFile({
    nodes: [['Concat', ['past', 'x'], ['present'], 'join', { axis: -2 }]],
    inputs: [
      ['past', FLOAT, ['p', 2]],
      ['x', FLOAT, [1, 2]],
    ],
    outputs: [['present', FLOAT, ['q', 2]]],
  });
  const session = await load((await compile(cache, { dims: { p: '0..3' } })).bytes);
  const x = (value) => new Float32Array([value, -value]);
  const carry = { past: 'present' };
  await session.run(
    { past: new Tensor('float32', new Float32Array(0), [0, 2]), x: x(1) },
    { carry },
  );
  await session.run({ x: x(2) }, { carry });
  await session.run({ x: x(3) }, { carry });
  const { present } = await session.run({ x: x(4) });
  assert.deepEqual([...present.data], [1, -1, 2, -2, 3, -3, 4, -4]);
  assert.deepEqual(present.dims, [4, 2]);
  // Four rows do not fit into a past of at most three.
  await assert.rejects(session.run({ past: ramp(3, 2), x: x(5) }, { carry }), {
    code: 'ARGUMENT',
    where: 'past',
  });
  await session.close();
});

for (const [name, missing] of Object.entries(RUNNERS)) {
  test(`run with dims from a file and from --dim on ${name}`, {
    skip: skip || missing,
  }, async (t) => {
    const folder = folderFor(t);
    const [file, npy] = [join(folder, 'm.wai'), join(folder, 'x.npy')];
    writeFileSync(file, bytes);
    writeFileSync(npy, writeNpy({ dtype: 'float32', dims: [5, 4], data: ramp(5, 4).data }));
    const run = (...argv) => cli('run', file, '--runner', name, '--json', ...argv);
    const dimsOf = ({ code, out, err }) => {
      assert.equal(code, 0, err);
      return JSON.parse(out).outputs.find((one) => one.name === 'y').dims;
    };
    assert.deepEqual(dimsOf(await run('--input', npy)), [5, 4]);
    assert.deepEqual(dimsOf(await run('--input', 'random:1', '--dim', 'n=9')), [9, 4]);
    const wrong = await run('--input', 'zeros', '--dim', 'n=41');
    assert.match(wrong.err, /ARGUMENT: --dim n: must be 1 to 40, not 41/);
    const runner = await openRunner(name, bytes);
    const feeds = { x: { dtype: 'float32', dims: [3, 4], data: ramp(3, 4).data } };
    const { outputs } = await runner.run(feeds);
    await runner.close();
    const session = await load(bytes);
    assert.deepEqual(plain(outputs), plain(await session.run({ x: ramp(3, 4) })));
    await session.close();
  });
}

test('compile says what it cannot leave open', { skip }, async () => {
  const narrow = addRelu('batch');
  await compile(narrow, { dims: { batch: '1..8' } });
  await assert.rejects(compile(narrow, { dims: { bach: '1..8' } }), /did you mean batch\?/);
  const fixed = onnxFile({
    nodes: [['Add', ['x', 'w'], ['y'], 'add']],
    inputs: [['x', FLOAT, ['n']]],
    outputs: [['y', FLOAT, ['n']]],
    weights: [['w', [5], [1, 2, 3, 4, 5]]],
  });
  await assert.rejects(compile(fixed, { dims: { n: '1..5' } }), /add: .*do not broadcast/);
});

const diacritics = new URL('libtashkeel/model.onnx', MODELS);
test('a real transformer with batch and length open', {
  skip: skip || (!existsSync(diacritics) && 'the real models are not here'),
}, async () => {
  const onnx = new Uint8Array(readFileSync(diacritics));
  const open = await compile(onnx, { optimize: true, dims: { batch: '1..4', seq: '2..96' } });
  const session = await load(open.bytes);
  for (const [batch, seq] of [
    [1, 43],
    [4, 96],
    [3, 2],
    [2, 17],
  ]) {
    const feeds = {
      char_inputs: new Tensor(
        'int64',
        BigInt64Array.from({ length: batch * seq }, (_, i) => BigInt((i * 7) % 30)),
        [batch, seq],
      ),
      input_lengths: new Tensor('int64', new BigInt64Array(batch).fill(BigInt(seq)), [batch]),
    };
    const one = await load((await compile(onnx, { optimize: true, dims: { batch, seq } })).bytes);
    const [got, want] = [await session.run(feeds), await one.run(feeds)];
    for (const name of Object.keys(want)) {
      assert.deepEqual(got[name].dims, want[name].dims);
      assert.deepEqual(got[name].data, want[name].data);
    }
    await one.close();
  }
  await session.close();
});
