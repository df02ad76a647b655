// The benchmark's arithmetic, and the nets as other runtimes want them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peakModule } from '../../harness/bench/peak.mjs';
import { graphOf } from '../../harness/bench/peers/graph.mjs';
import { checkPackages } from '../../harness/bench/peers/index.mjs';
import { writeTfjs } from '../../harness/bench/peers/tfjs.mjs';
import {
  geometricMean,
  quantile,
  relativeError,
  roundRatios,
  slope,
  summary,
} from '../../harness/bench/stats.mjs';
import { allowRelaxedSimd } from '../../harness/runtimes.mjs';
import { addRelu, cli, FLOAT, onnxFile } from './cli_support.mjs';
import { smallNet } from './small_net.mjs';

test('quantiles lie between neighbours, and a summary has the tail', () => {
  assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5);
  const { min, p50, p99, max } = summary(Array.from({ length: 101 }, (_, i) => 100 - i));
  assert.deepEqual([min, p50, p99, max], [0, 50, 99, 100]);
});

test('ratios are taken round by round: a machine that slows down between rounds changes none', () => {
  const ours = [
    [1, 2, 3],
    [10, 20, 30],
    [100, 100, 100],
  ];
  const theirs = ours.map((round) => round.map((time) => time * 2));
  assert.deepEqual(roundRatios(theirs, ours), { middle: 2, low: 2, high: 2 });
  theirs[2] = [500, 500, 500];
  assert.deepEqual(roundRatios(theirs, ours), { middle: 2, low: 2, high: 5 });
});

test('the loop that measures the peak does what it counts', { skip: !allowRelaxedSimd() }, () => {
  for (const relaxed of [false, true]) {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(peakModule(relaxed)));
    const { run } = /** @type {any} */ (exports);
    const time = (/** @type {number} */ turns) => {
      const start = performance.now();
      run(turns);
      return performance.now() - start;
    };
    time(1e6);
    assert.ok(time(4e6) > 2 * time(1e4), 'more turns take longer');
  }
});

test('means and slopes are of logarithms', () => {
  assert.ok(Math.abs(geometricMean([1, 4]) - 2) < 1e-12);
  const sizes = [96, 160, 224, 512];
  assert.ok(Math.abs(slope(sizes, sizes.map((size) => 3 * size ** 2)) - 2) < 1e-12); // biome-ignore format: one thought
});

test('an error is relative to the largest value; NaN and other lengths are seen', () => {
  assert.equal(relativeError([0, -4, 2], [0, -4, 3]), 0.25);
  assert.ok(Number.isNaN(relativeError([1, 2], [Number.NaN, 2])));
  assert.equal(relativeError([1], [1, 2]), Infinity);
});

test('a net becomes channels last, with activations fused', () => {
  const { inputs, outputs, values, steps } = graphOf(smallNet());
  const said = steps.map(({ op, act }) => (act && act !== 'none' ? `${op}+${act}` : op));
  assert.deepEqual(said, [
    'conv+relu',
    'depthwise+relu6',
    'hard_swish',
    'max_pool',
    'mean',
    'reshape',
    'fully_connected',
  ]);
  assert.deepEqual([inputs, outputs], [['image'], ['y']]);
  assert.deepEqual(values.get('image')?.dims, [1, 9, 9, 3]);
  assert.deepEqual(values.get(steps[0].output)?.dims, [1, 5, 5, 8]);
  // ceil_mode: 5 -> 3 needs a column and a row that are not there
  assert.deepEqual(steps[3].pads, [0, 0, 1, 1]);
  // ONNX [out, in, h, w]: the second of the weights is one to the right
  const [, weights] = steps[0].inputs.map((name) => values.get(name));
  assert.deepEqual(weights?.dims, [8, 3, 3, 3]);
  assert.equal(weights?.data?.[3], Math.fround(smallNet.weight(1)));
});

test('weights for tfjs are [h, w, in, out] and [in, out]', () => {
  const { json, weights } = writeTfjs(graphOf(smallNet()));
  const graph = JSON.parse(String(json));
  const { dims, offset } = graph.weights[graph.steps[0].inputs[1]];
  assert.deepEqual(dims, [3, 3, 3, 8]);
  const first = new Float32Array(weights.buffer.slice(weights.byteOffset + offset), 0, 2);
  assert.equal(first[1], Math.fround(smallNet.weight(27))); // the same place of the next output
  assert.deepEqual(graph.weights[graph.steps.at(-1).inputs[1]].dims, [8, 5]);
});

test('what has no equivalent graph is refused by name', () => {
  const net = onnxFile({
    nodes: [['Tan', ['x'], ['y'], 'tangent']],
    inputs: [['x', FLOAT, [1]]],
    outputs: [['y', FLOAT, [1]]],
  });
  assert.throws(() => graphOf(net), {
    code: 'UNSUPPORTED',
    message: /^Tan tangent: .*npm run bench -- nets/,
  });
  assert.equal(graphOf(addRelu(2)).steps.length, 1);
});

test('a peer that is not installed is said with what to install', () => {
  assert.throws(() => checkPackages({ 'no-such-peer': '1.2.3' }), {
    code: 'STATE',
    message: /npm install --no-save no-such-peer@1\.2\.3/,
  });
});

test('bad input ends before a browser starts, in one line', async () => {
  const rows = [
    [['a.wai', '--against', 'tfjs'], /a\.wai: .*give the \.onnx file/],
    [
      ['a.onnx', '--against', 'tensorflow'],
      /--against tensorflow: .*known: onnxruntime-web, tfjs, litert/,
    ],
    [['a.onnx', '--against', 'litrt'], /did you mean litert\?/],
    [['a.wai', '--browser', 'opera'], /must be one of chromium, firefox, webkit, not "opera"/],
    [['a.wai', '--threads', '1,x'], /--threads: must be a whole number 1 to 64, not "x"/],
  ];
  for (const [argv, why] of /** @type {any[]} */ (rows)) {
    const { code, out, err } = await cli('bench', ...argv);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /^error: ARGUMENT: [^\n]+\n$/);
    assert.match(err, why);
  }
});
