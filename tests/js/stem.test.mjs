// Convolutions of few input channels without XNNPACK's pointers: less memory, the same bits, any size.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from '../../harness/index.mjs';
import { load, Tensor } from '../../web/wasmai.js';
import { FLOAT, noCompiler, onnxFile } from './cli_support.mjs';

const skip = noCompiler;
const CHANNELS = 3;
const OUT = 20;
const KERNEL = 7;
const wave = (/** @type {number} */ count) =>
  Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i * 12.9898)));

/** 7x7 with stride 2 in front of a Relu. @param {number | string} size */
const model = (size) =>
  onnxFile({
    nodes: [
      ['Conv', ['x', 'w'], ['c'], 'conv', { pads: [3, 3, 3, 3], strides: [2, 2] }],
      ['Relu', ['c'], ['y'], 'relu'],
    ],
    inputs: [['x', FLOAT, [1, CHANNELS, size, size]]],
    outputs: [['y', FLOAT, [1, OUT, 'h', 'w']]],
    weights: [['w', [OUT, CHANNELS, KERNEL, KERNEL], [...wave(OUT * CHANNELS * KERNEL * KERNEL)]]],
  });

/** @param {import('../../web/wasmai.js').Session} session @param {number} size */
async function answer(session, size) {
  const x = new Tensor('float32', wave(CHANNELS * size * size), [1, CHANNELS, size, size]);
  const { y } = await session.run({ x });
  return { dims: y.dims, data: y.data.slice() };
}

/** @param {Uint8Array} bytes @param {number} size */
async function once(bytes, size) {
  const session = await load(bytes);
  try {
    return await answer(session, size);
  } finally {
    await session.close();
  }
}

const stems = (/** @type {import('../../harness/index.mjs').Report} */ report) =>
  report.ops.find(({ op }) => op === 'stem')?.count ?? 0;

test('with --optimize: the bits of before, in less memory', { skip }, async () => {
  const size = 61;
  const plain = await compile(model(size));
  const made = await compile(model(size), { optimize: true });
  assert.deepEqual([stems(plain.report), stems(made.report)], [0, 1]);
  assert.deepEqual(await once(made.bytes, size), await once(plain.bytes, size));
  const pointers = 4 * KERNEL * KERNEL * Math.ceil(size / 2) ** 2;
  const saved = plain.report.peakBytes - made.report.peakBytes;
  assert.ok(saved >= pointers, `${saved} of ${pointers}`);
});

test('open dims: one package for every size', { skip }, async () => {
  const { bytes, report } = await compile(model('n'), { optimize: true, dims: { n: '1..70' } });
  assert.equal(stems(report), 1);
  const session = await load(bytes);
  for (const size of [70, 1, 2, 13, 64]) {
    const fixed = await compile(model(size), { optimize: true });
    assert.deepEqual(await answer(session, size), await once(fixed.bytes, size), `${size}`);
  }
  await session.close();
});
