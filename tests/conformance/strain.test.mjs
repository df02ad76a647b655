// The ONNX project's tests on the shipped wasm at other addresses, in memory full of garbage, behind another
// run, and with NaNs whose bits differ: the same outputs to the bit. First, what each of these would show.
import { test } from 'node:test';
import { compile } from '../../harness/index.mjs';
import { FLOAT, INT64, noCompiler, onnxFile } from '../js/cli_support.mjs';
import { testAgainst } from './against.mjs';
import { PLACES } from './places/index.mjs';

const skip = noCompiler;
const data = new Float32Array([3, 1, 3, 2, 1, 3, 5, 1]);

/** @param {string} op @param {string[]} outputs @param {number} type */
async function strain(op, outputs, type, weights = /** @type {any[]} */ ([])) {
  const onnx = onnxFile({
    nodes: [[op, ['x', ...weights.map(([name]) => name)], outputs, op]],
    inputs: [['x', FLOAT, [8]]],
    outputs: outputs.filter(Boolean).map((name) => [name, type, ['?']]),
    weights,
  });
  const { bytes } = await compile(onnx, { optimize: true });
  const place = await PLACES.strain({ roots: {} });
  await place.run({ bytes, feeds: [['x', { dtype: 'float32', dims: [8], data }]] });
  await place.close();
}

test('all NaNs go out as one', { skip }, () => strain('Abs', ['y'], FLOAT));

test('a NaN is sorted by being one, not by its bits', { skip }, () =>
  strain('Unique', ['', '', 'places'], INT64),
);

test('what a run before left is not counted', { skip }, () =>
  strain('Unique', ['', '', '', 'counts'], INT64),
);

test('a NaN before a ReLU that is part of a product stays one', { skip }, async () => {
  const onnx = onnxFile({
    nodes: [
      ['MatMul', ['x', 'w'], ['product']],
      ['Relu', ['product'], ['y']],
    ],
    inputs: [['x', FLOAT, [2, 4]]],
    outputs: [['y', FLOAT, [2, 8]]],
    weights: [['w', [4, 8], Array.from({ length: 32 }, (_, i) => i - 16)]],
  });
  const { bytes } = await compile(onnx, { optimize: true });
  const place = await PLACES.strain({ roots: {} });
  await place.run({ bytes, feeds: [['x', { dtype: 'float32', dims: [2, 4], data }]] });
});

await testAgainst('strain');
