// If and Loop whose conditions only the run knows, on the shipped wasm and by the command line.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile } from '../../harness/index.mjs';
import { load, Tensor } from '../../web/wasmai.js';
import { cli, folderFor, noCompiler } from './cli_support.mjs';
import { doubleWhile, onnxWithGraphs } from './onnx_graphs.mjs';

const skip = noCompiler;
const f = (...numbers) => new Float32Array(numbers);

test('a loop runs as often as its condition says, run by run', { skip }, async () => {
  for (const optimize of [false, true]) {
    const { bytes, report } = await compile(doubleWhile(), { optimize });
    assert.deepEqual(report.loops, [{ name: 'repeat', iterations: 32 }]);
    assert.equal(report.fuelPerInference, null);
    assert.match(report.fuelNote, /which branches and iterations/);
    const session = await load(bytes);
    /** @type {[number, number, number[]][]} */
    const rows = [
      [10, 3, [8, 4]],
      [1, 1, [2, 1]],
      [100, 7, [128, 64]],
      [-1, 1, [-1, -0.5]],
      [25, 5, [32, 16]],
    ];
    for (const [limit, count, wanted] of rows) {
      const { y, all } = await session.run({ x: f(1, 0.5), limit: f(limit) });
      assert.deepEqual([...y.data], wanted);
      assert.deepEqual(all.dims, [count, 2]);
      const doubled = Array.from({ length: count }, (_, i) => [2 ** (i + 1), 2 ** i]);
      assert.deepEqual([...all.data], doubled.flat());
    }
    await session.close();
  }
});

test('dims that stay open, and counts inside a branch, go with conditions', { skip }, async () => {
  const { bytes } = await compile(doubleWhile('n'), { optimize: true, dims: { n: '1..8' } });
  const session = await load(bytes);
  for (const [n, limit, count] of [
    [4, 25, 3],
    [1, 25, 5],
    [8, -1, 1],
    [2, 25, 4],
    [2, -1, 1],
    [3, 100, 6],
  ]) {
    const { y, all } = await session.run({
      x: new Tensor('float32', new Float32Array(n).fill(1), [n]),
      limit: f(limit),
    });
    assert.deepEqual([...y.data], new Array(n).fill(limit < 0 ? -1 : 2 ** count));
    assert.deepEqual(all.dims, [count, n]);
    assert.equal(all.data.at(-1), 2 ** count);
  }
  await session.close();

  // Then: the sum of the places of what is not zero; how many only the branch knows.
  const places = onnxWithGraphs({
    inputs: [
      ['x', 'float32', ['n']],
      ['go', 'bool', []],
    ],
    outputs: [['y', 'int64', []]],
    weights: [['seven', 'int64', [], new BigInt64Array([7n])]],
    nodes: [
      [
        'If',
        ['go'],
        ['y'],
        'choose',
        {
          then_branch: {
            outputs: [['sum', 'int64', []]],
            nodes: [
              ['NonZero', ['x'], ['at'], 'places'],
              ['Mul', ['at', 'seven'], ['seven_at'], 'times'],
              ['ReduceSum', ['seven_at'], ['sum'], 'sum', { keepdims: 0 }],
            ],
          },
          else_branch: {
            outputs: [['m', 'int64', []]],
            nodes: [['Neg', ['seven'], ['m'], 'minus']],
          },
        },
      ],
    ],
  });
  for (const n of [6, '1..6']) {
    const counting = await load((await compile(places, { optimize: true, dims: { n } })).bytes);
    /** @type {[number[], number, bigint][]} */
    const rows = [
      [[1, 0, 1, 1, 0, 1], 1, 70n],
      [[1, 1, 1, 1, 1, 1], 0, -7n],
      [[0, 0, 0, 0, 0, 0], 1, 0n],
      [[0, 1, 0, 0, 0, 0], 0, -7n],
      [[0, 0, 0, 0, 1, 0], 1, 28n],
    ];
    for (const [x, go, wanted] of rows) {
      const { y } = await counting.run({
        x: new Tensor('float32', f(...x), [6]),
        go: new Uint8Array([go]),
      });
      assert.equal(y.data[0], wanted, `${n}: ${x} ${go}`);
    }
    await counting.close();
  }
});

test('a loop that wants more than its bound fails, and says so', { skip }, async () => {
  const { bytes } = await compile(doubleWhile(), { maxIterations: 5 });
  const session = await load(bytes);
  await session.run({ x: f(1, 0.5), limit: f(25) });
  await assert.rejects(session.run({ x: f(1, 0.5), limit: f(100) }), (/** @type {any} */ error) => {
    assert.equal(error.code, 'LIMIT');
    assert.equal(error.where, 'repeat');
    assert.match(error.message, /more than 5 iterations.*--max-iterations/);
    return true;
  });
  await session.close();
  for (const maxIterations of [0, 1025, 1.5, '8']) {
    await assert.rejects(
      compile(doubleWhile(), { maxIterations: /** @type {any} */ (maxIterations) }),
      /maxIterations/,
    );
  }
});

test('the branch that is not taken costs no time', { skip }, async () => {
  const n = 384;
  const weights = Array.from({ length: 8 }, (_, i) => `w${i}`);
  const chain = weights.map((w, i) => ['MatMul', [i ? `t${i - 1}` : 'x', w], [`t${i}`], w]);
  const model = onnxWithGraphs({
    inputs: [
      ['x', 'float32', [n, n]],
      ['slow', 'bool', []],
    ],
    outputs: [['y', 'float32', [n, n]]],
    weights: weights.map((w) => [w, 'float32', [n, n], new Float32Array(n * n).fill(1 / n)]),
    nodes: [
      [
        'If',
        ['slow'],
        ['y'],
        'choose',
        {
          then_branch: { outputs: [['t7', 'float32', [n, n]]], nodes: chain },
          else_branch: {
            outputs: [['r', 'float32', [n, n]]],
            nodes: [['Relu', ['x'], ['r'], 'relu']],
          },
        },
      ],
    ],
  });
  const { bytes } = await compile(model, { optimize: true });
  const session = await load(bytes);
  const x = new Float32Array(n * n).fill(2);
  const best = { 0: Infinity, 1: Infinity };
  for (let round = 0; round < 8; round++) {
    for (const slow of [0, 1]) {
      const start = performance.now();
      const { y } = await session.run({ x, slow: new Uint8Array([slow]) });
      best[slow] = Math.min(best[slow], performance.now() - start);
      assert.ok(Math.abs(y.data[0] - 2) < 1e-3);
    }
  }
  await session.close();
  assert.ok(best[0] < best[1] / 3, `${best[0]} ms without the branch, ${best[1]} ms with it`);
});

test('compile notes a loop that it bounds, inspect shows what runs when', { skip }, async (t) => {
  const folder = folderFor(t);
  const [onnx, wai] = [join(folder, 'm.onnx'), join(folder, 'm.wai')];
  writeFileSync(onnx, doubleWhile());
  const plain = await cli('compile', onnx, '-o', wai, '--optimize');
  assert.equal(plain.code, 0, plain.err);
  assert.match(plain.err, /note: loop repeat may run 32 times at most.*--max-iterations N/);
  const seven = await cli('compile', onnx, '-o', wai, '--max-iterations', '7', '--json');
  assert.deepEqual(JSON.parse(seven.out).loops, [{ name: 'repeat', iterations: 7 }]);
  const bad = await cli('compile', onnx, '-o', wai, '--max-iterations', '0');
  assert.equal(bad.code, 1);
  assert.match(bad.err, /--max-iterations: must be a whole number 1 to 1024/);
  for (const file of [wai, onnx]) {
    const { out } = await cli('inspect', file, '--stage', file === wai ? 'package' : 'plan');
    assert.match(out, /binary\(.*\).* if %\d+.* "double"/, out);
  }
});
