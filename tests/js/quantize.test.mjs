// compile --quantize f16 on the shipped wasm: what is rounded, what is not, and what it costs.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { halfToNumber, numberToHalf } from '../../harness/dtypes.mjs';
import { compile } from '../../harness/index.mjs';
import { load } from '../../web/wasmai.js';
import { cli, FLOAT, folderFor, noCompiler, onnxFile } from './cli_support.mjs';

const skip = noCompiler;
const digits = readFileSync(new URL('../../models/digits/digits.onnx', import.meta.url));
const rounded = (number) => halfToNumber(numberToHalf(number));

/** What is left of `weights` in a package: y = x + w with x = 0. */
async function kept(weights, options) {
  const model = onnxFile({
    nodes: [['Add', ['x', 'w'], ['y']]],
    inputs: [['x', FLOAT, [weights.length]]],
    outputs: [['y', FLOAT, [weights.length]]],
    weights: [['w', [weights.length], weights]],
  });
  const session = await load((await compile(model, options)).bytes);
  const { y } = await session.run({ x: new Float32Array(weights.length).fill(-0) });
  await session.close();
  return [...y.data];
}

const list = (count, make) => Array.from({ length: count }, (_, i) => Math.fround(make(i)));

test('weights are rounded to the nearest float16, with and without --optimize', {
  skip,
}, async () => {
  const weights = list(100, (i) => Math.sin(i) * 3 ** (i % 7));
  for (const optimize of [false, true]) {
    assert.deepEqual(await kept(weights, { optimize }), weights);
    assert.deepEqual(await kept(weights, { optimize, quantize: 'f16' }), weights.map(rounded));
  }
});

test('what float16 would spoil stays float32', { skip }, async () => {
  const rows = {
    'few numbers': list(63, (i) => 0.1 + i),
    'one above 65504': list(100, (i) => (i === 99 ? 65505 : 0.1 * i)),
    'all below 2^-14': list(100, (i) => i * 1e-7),
    'a mask of lowest numbers': list(100, (i) => (i % 2 ? -3.4e38 : 0.1)),
  };
  for (const [what, weights] of Object.entries(rows)) {
    assert.deepEqual(await kept(weights, { quantize: 'f16' }), weights, what);
  }
  const mask = list(100, (i) => (i % 2 ? -Infinity : 0.1));
  assert.deepEqual(await kept(mask, { quantize: 'f16' }), mask.map(rounded));
});

test('half the package, its own memory in the certificate, the same digit', { skip }, async (t) => {
  const folder = folderFor(t);
  const [plain, half] = [join(folder, 'plain.wai'), join(folder, 'half.wai')];
  const model = join(folder, 'digits.onnx');
  writeFileSync(model, digits);
  const reports = [];
  for (const [out, ...more] of [[plain], [half, '--quantize', 'f16']]) {
    const made = await cli('compile', model, '-o', out, '--optimize', '--json', ...more);
    assert.equal(made.code, 0, made.err);
    reports.push(JSON.parse(made.out));
  }
  const saved = reports[0].packageBytes - reports[1].packageBytes;
  const weights = 4 * reports[0].params;
  assert.ok(saved > 0.45 * weights && saved <= 0.55 * weights, `${saved} of ${weights}`);
  const more = reports[1].peakBytes - reports[0].peakBytes;
  assert.ok(more > 0.4 * weights && more < 0.7 * weights, `${more} of ${weights}`);
  assert.equal(reports[1].quantize, 'f16');
  const logits = [];
  for (const file of [plain, half]) {
    const session = await load(readFileSync(file));
    assert.ok(session.info.memoryBytes <= session.info.peakBytes);
    const size = session.inputs[0].dims.reduce((a, b) => a * b, 1);
    const image = Float32Array.from({ length: size }, (_, i) => (i % 28 === 14 ? 1 : 0));
    logits.push((await session.run({ image })).logits.data);
    await session.close();
  }
  const range = Math.max(...logits[0]) - Math.min(...logits[0]);
  const worst = Math.max(...logits[0].map((value, i) => Math.abs(value - logits[1][i])));
  assert.ok(worst > 0 && worst < 2e-3 * range, `${worst} of ${range}`);
});

test('other types are refused', { skip }, async (t) => {
  const folder = folderFor(t);
  const model = join(folder, 'digits.onnx');
  writeFileSync(model, digits);
  for (const [type, message] of /** @type {[string, RegExp][]} */ ([
    ['int8', /UNSUPPORTED: quantize: int8 is not in this version; use f16/],
    ['fp16', /ARGUMENT: quantize: must be f16, not "fp16"/],
  ])) {
    const { code, err } = await cli('compile', model, '--quantize', type);
    assert.equal(code, 1);
    assert.match(err, message);
  }
});
