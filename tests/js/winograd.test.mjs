// 3x3 convolutions by Winograd's method: who gets it, what it costs the package, what comes out.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile } from '../../harness/index.mjs';
import { load, Tensor } from '../../web/wasmai.js';
import { cli, FLOAT, folderFor, noCompiler, onnxFile } from './cli_support.mjs';

const skip = noCompiler;
const numbers = (/** @type {number} */ count, /** @type {number} */ seed) =>
  Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i * 12.9898 + seed)));

/** A 3x3 convolution of `channels` with padding 1 and a Relu. @param {number} channels @param {number | string} size */
const model = (channels, size) =>
  onnxFile({
    nodes: [
      ['Conv', ['x', 'w', 'b'], ['c'], 'conv', { pads: [1, 1, 1, 1] }],
      ['Relu', ['c'], ['y'], 'relu'],
    ],
    inputs: [['x', FLOAT, [1, channels, size, size]]],
    outputs: [['y', FLOAT, [1, channels, size, size]]],
    weights: [
      ['w', [channels, channels, 3, 3], [...numbers(channels * channels * 9, 1)]],
      ['b', [channels], [...numbers(channels, 2)]],
    ],
  });

/** @param {Uint8Array} bytes @param {number} channels @param {number} size */
async function answer(bytes, channels, size) {
  const session = await load(bytes);
  const dims = [1, channels, size, size];
  const x = new Tensor('float32', numbers(channels * size * size, 3), dims);
  const { y } = await session.run({ x });
  const data = y.data.slice();
  await session.close();
  return data;
}

/** @param {Float32Array} one @param {Float32Array} other */
function assertNear(one, other) {
  assert.equal(one.length, other.length);
  const largest = one.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let i = 0; i < one.length; i++)
    assert.ok(Math.abs(one[i] - other[i]) <= 1e-5 * largest, `${i}: ${one[i]} and ${other[i]}`);
}

const tileOf = (/** @type {import('../../harness/index.mjs').Report} */ report) =>
  report.ops.find(({ op }) => op === 'winograd')?.count ?? 0;

test('it is taken where it is faster, or as one says, and answers the same', { skip }, async () => {
  const made = new Map();
  for (const winograd of /** @type {const} */ (['off', 'auto', 2, 4]))
    made.set(winograd, await compile(model(32, 21), { optimize: true, winograd }));
  assert.deepEqual(
    [...made.values()].map(({ report }) => tileOf(report)),
    [0, 1, 1, 1],
  );
  assert.deepEqual(
    [...made.values()].map(({ report }) => report.winograd),
    [...made.keys()],
  );
  assert.deepEqual(made.get('auto').bytes, made.get(4).bytes);
  const direct = await answer(made.get('off').bytes, 32, 21);
  for (const tile of [2, 4]) assertNear(direct, await answer(made.get(tile).bytes, 32, 21));
  // The weights are the same bytes, so neither the download nor the memory for them grows.
  const sizes = [...made.values()].map(({ report }) => report.packageBytes);
  assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 256, `${sizes}`);

  const promised = await compile(model(3, 21), { optimize: true, winograd: 4 });
  assert.equal(tileOf(promised.report), 1, 'few channels too, if one asks for it');
  const tiny = await compile(model(2, 3), { optimize: true });
  assert.equal(tileOf(tiny.report), 0, 'not worth it for two channels');
  const plain = await compile(model(32, 21));
  assert.equal(tileOf(plain.report), 0, 'a pass of --optimize');
});

test('open dims: one package for every size', { skip }, async () => {
  const { bytes, report } = await compile(model(16, 'n'), {
    optimize: true,
    dims: { n: '1..40' },
    winograd: 4,
  });
  assert.equal(tileOf(report), 1);
  const session = await load(bytes);
  for (const size of [40, 1, 7, 23, 40]) {
    const fixed = await compile(model(16, size), { optimize: true, winograd: 4 });
    const dims = [1, 16, size, size];
    const x = new Tensor('float32', numbers(16 * size * size, 3), dims);
    const { y } = await session.run({ x });
    assert.deepEqual(y.dims, dims);
    assert.deepEqual(y.data, await answer(fixed.bytes, 16, size), `${size}`);
  }
  await session.close();
});

test('--winograd on the command line, inspect shows the tile, others are refused', {
  skip,
}, async (t) => {
  const folder = folderFor(t);
  const [file, out] = [join(folder, 'm.onnx'), join(folder, 'm.wai')];
  writeFileSync(file, model(8, 9));
  const made = await cli('compile', file, '-o', out, '--optimize', '--winograd', '2', '--json');
  assert.equal(made.code, 0, made.err);
  assert.equal(JSON.parse(made.out).winograd, 2);
  assert.match((await cli('inspect', out, '--stage', 'package')).out, /winograd\(.*tile=2/);
  const bad = await cli('compile', file, '-o', out, '--winograd', '3');
  assert.equal(bad.code, 1);
  assert.match(bad.err, /ARGUMENT: winograd: must be one of auto, off, 2, 4, not "3"/);
});
