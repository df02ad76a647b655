// From an ONNX file to an answer, through the command line and the module.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile, WasmAIError } from '../../harness/index.mjs';
import { readNpy } from '../../harness/readers/npy.mjs';
import { openRunner } from '../../harness/runners/index.mjs';
import { writeNpy } from '../../harness/writers/npy.mjs';
import {
  ALL_RUNNERS,
  addRelu,
  cli,
  FLOAT,
  filesOf,
  folderFor,
  noCompiler,
  onnxFile,
} from './cli_support.mjs';

const ONE_LINE = /^error: [A-Z]+: [^\n]+: [^\n]+\n$/;
const skip = noCompiler;

/** A folder with m.onnx. */
function modelFolder(t, bytes = addRelu()) {
  const folder = folderFor(t);
  writeFileSync(join(folder, 'm.onnx'), bytes);
  return { folder, model: join(folder, 'm.onnx'), out: join(folder, 'm.wai') };
}

test('compile prints what it made and writes only that', { skip }, async (t) => {
  const { folder, model, out } = modelFolder(t);
  const { code, out: text, err } = await cli('compile', model, '-o', out, '--optimize', '--quiet');
  assert.equal(code, 0, err);
  assert.equal(err, '');
  for (const part of [
    /params +4\b/,
    /MFLOP/,
    /package/,
    /peak memory/,
    /fuel +\d+ per inference/,
  ]) {
    assert.match(text, part);
  }
  assert.deepEqual(filesOf(folder), ['m.onnx', 'm.wai']);
});

test('compile --json tells the same as one value', { skip }, async (t) => {
  const { model, out } = modelFolder(t);
  const { code, out: text } = await cli('compile', model, '-o', out, '--json');
  assert.equal(code, 0);
  const report = JSON.parse(text);
  const bytes = readFileSync(out);
  assert.equal(report.packageBytes, bytes.length);
  assert.equal(report.params, 4);
  assert.ok(report.fuelPerInference > 100);
  assert.equal(
    report.certificate.sourceDigest,
    createHash('sha384').update(addRelu()).digest('hex'),
  );
  assert.ok(report.ops.length > 0 && report.ops.every(({ op, count }) => op && count > 0));
  assert.ok(report.peakBytes >= report.packageBytes);
});

test('the module gives the same bytes as the command, every time', { skip }, async (t) => {
  const { model, out } = modelFolder(t);
  await cli('compile', model, '-o', out, '--optimize');
  const first = await compile(addRelu(), { optimize: true });
  const second = await compile(new Uint8Array(addRelu()).buffer, { optimize: true, secure: true });
  assert.deepEqual(Buffer.from(first.bytes), readFileSync(out));
  assert.deepEqual(first.bytes, second.bytes);
});

test('the module throws the error that the command prints', { skip }, async (t) => {
  const bad = onnxFile({
    nodes: [['Frobnicate', ['x'], ['y'], 'odd one']],
    inputs: [['x', FLOAT, [2]]],
    outputs: [['y', FLOAT, [2]]],
  });
  /** @type {any} */
  const error = await compile(bad).then(
    () => null,
    (caught) => caught,
  );
  assert.ok(error instanceof WasmAIError);
  assert.equal(error.code, 'UNSUPPORTED');
  assert.match(error.message, /Frobnicate/);
  assert.match(error.where, /odd one/);
  const { folder, model, out } = modelFolder(t, bad);
  const { code, err } = await cli('compile', model, '-o', out);
  assert.equal(code, 1);
  assert.equal(err, `error: UNSUPPORTED: ${error.message}\n`);
  assert.deepEqual(filesOf(folder), ['m.onnx']);
});

test('options of the module that are not known are refused', async () => {
  /** @type {any[]} */
  const rows = [
    [{ optimise: true }, /did you mean optimize\?/],
    [{ quantize: 'int8' }, /quantize: int8 is not in this version/],
    [{ quantize: 'fp16' }, /quantize: must be f16/],
    [{ dims: { batch: '8..1' } }, /range such as/],
    [{ dims: { batch: 1.5 } }, /must be a whole number/],
    [{ maxHeapMB: -1 }, /maxHeapMB: must be whole MiB/],
    [null, /must be an object/],
  ];
  for (const [options, message] of rows) {
    await assert.rejects(compile(addRelu(), options), message);
  }
  await assert.rejects(compile(/** @type {any} */ ('model.onnx')), /as bytes/);
});

test('dims: by name, by input[axis], unknown ones refused', { skip }, async (t) => {
  const { folder, model, out } = modelFolder(t, addRelu('batch'));
  const made = await cli('compile', model, '-o', out, '--dim', 'batch=3', '--json');
  assert.equal(made.code, 0, made.err);
  assert.deepEqual(JSON.parse(made.out).dims, [{ name: 'batch', value: 3, bound: true }]);
  const seen = JSON.parse((await cli('inspect', out, '--json')).out);
  assert.deepEqual(seen.inputs, [{ name: 'x', dtype: 'float32', dims: [3, 4] }]);
  const free = await cli('compile', model, '-o', out);
  assert.match(free.err, /note: dim batch is not given and is 1/);
  const before = readFileSync(out);
  const wrong = await cli('compile', model, '-o', out, '--dim', 'bach=3');
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /dim bach: the model has no such dim; did you mean batch\?/);
  assert.deepEqual(readFileSync(out), before);
  assert.deepEqual(filesOf(folder), ['m.onnx', 'm.wai']);
});

test('a dim may be 0, such as the length of an empty cache', { skip }, async () => {
  const { bytes } = await compile(addRelu('past'), { dims: { past: 0 }, optimize: true });
  const runner = await openRunner('node', bytes);
  try {
    const x = { dtype: 'float32', dims: [0, 4], data: new Float32Array(0) };
    const { outputs } = await runner.run({ x });
    const [y] = Object.values(outputs);
    assert.deepEqual([y.dims, y.data.length], [[0, 4], 0]);
  } finally {
    await runner.close();
  }
});

test('a model above the memory limit is refused, naming both numbers', { skip }, async (t) => {
  const { folder, model, out } = modelFolder(t, addRelu(1 << 20));
  const { code, err } = await cli('compile', model, '-o', out, '--max-heap', '8');
  assert.equal(code, 1);
  assert.match(err, /^error: LIMIT: [^\n]+\n$/);
  assert.match(err, /8388608|8 MiB/);
  assert.deepEqual(filesOf(folder), ['m.onnx']);
});

/** A model of one Add with these nodes or tensors wrong. */
const broken = (change) => ({
  nodes: [['Add', ['x', 'w'], ['y'], 'adder']],
  inputs: [['x', FLOAT, [2, 4]]],
  outputs: [['y', FLOAT, [2, 4]]],
  weights: [['w', [4], [1, 2, 3, 4]]],
  ...change,
});

test('a model with a fault is refused, naming the place', { skip }, async (t) => {
  /** @type {any[]} */
  const rows = [
    [{ nodes: [['Add', ['x', 'lost'], ['y'], 'adder']] }, /MALFORMED: adder: .*lost/],
    [{ nodes: [['Add', ['x', 'y'], ['y'], 'adder']] }, /MALFORMED: adder: .*y/],
    [
      {
        nodes: [
          ['Add', ['x', 'b'], ['a'], 'one'],
          ['Relu', ['a'], ['b'], 'two'],
          ['Relu', ['b'], ['y'], 'three'],
        ],
      },
      /MALFORMED: one: .*b/,
    ],
    [{ weights: [['w', [3], [1, 2, 3]]] }, /MALFORMED: adder: .*3/],
    [{ weights: [['w', [4], [1, 2, 3]]] }, /MALFORMED: w: /],
    [{ inputs: [['x', FLOAT, [2147483648, 4]]] }, /(LIMIT|UNSUPPORTED|MALFORMED): x: .*2147483648/],
    [{ inputs: [['x', FLOAT, [65536, 65536]]] }, /(LIMIT|UNSUPPORTED|MALFORMED): x: /],
    [{ inputs: [['x', 8, [2, 4]]] }, /UNSUPPORTED: x: /],
    [{ opset: 99 }, /UNSUPPORTED: .*99/],
    [{ outputs: [['z', FLOAT, [2, 4]]] }, /MALFORMED: .*z/],
  ];
  const { folder, model, out } = modelFolder(t);
  for (const [change, message] of rows) {
    writeFileSync(model, onnxFile(broken(change)));
    const { code, err } = await cli('compile', model, '-o', out);
    assert.equal(code, 1, JSON.stringify(change));
    assert.match(err, ONE_LINE);
    assert.match(err, message);
    assert.deepEqual(filesOf(folder), ['m.onnx']);
  }
});

test('a model that is cut anywhere is refused in one line', { skip }, async (t) => {
  const whole = addRelu();
  const { folder, model, out } = modelFolder(t);
  for (let size = 0; size < whole.length; size++) {
    writeFileSync(model, whole.subarray(0, size));
    const { code, err, out: text } = await cli('compile', model, '-o', out);
    // A cut at the end of a field that is not needed leaves a model.
    if (code === 0) continue;
    assert.equal(code, 1);
    assert.equal(text, '');
    assert.match(err, ONE_LINE);
    assert.deepEqual(filesOf(folder), ['m.onnx']);
  }
});

for (const [runner, missing] of Object.entries(ALL_RUNNERS)) {
  test(`run on ${runner}: reads, answers, writes`, { skip: skip || missing }, async (t) => {
    const { folder, model, out } = modelFolder(t);
    await cli('compile', model, '-o', out, '--optimize');
    const data = Float32Array.of(0, 0, 0, 0, -5, 5, 1, 4);
    writeFileSync(join(folder, 'x.npy'), writeNpy({ dtype: 'float32', dims: [2, 4], data }));
    const results = join(folder, 'results');
    const argv = ['--input', `x=${join(folder, 'x.npy')}`, '--output', results, '--runner', runner];
    const { code, out: text, err } = await cli('run', out, ...argv, '--repeat', '3', '--json');
    assert.equal(code, 0, err);
    const answer = JSON.parse(text);
    assert.equal(answer.runner, runner);
    assert.equal(answer.latency.runs, 3);
    assert.ok(answer.latency.minMs >= 0 && answer.latency.p95Ms >= answer.latency.minMs);
    assert.deepEqual(answer.outputs[0].top[0], { index: [1, 1], value: 4 });
    assert.deepEqual(filesOf(results), ['y_0.npy']);
    const y = readNpy(readFileSync(join(results, 'y_0.npy')), 'y');
    assert.deepEqual(y, {
      dtype: 'float32',
      dims: [2, 4],
      data: Float32Array.of(1, 0, 2, 0, 0, 4, 3, 2),
    });
  });

  test(`run on ${runner}: a damaged package is refused`, { skip: skip || missing }, async (t) => {
    const { folder, model, out } = modelFolder(t);
    await cli('compile', model, '-o', out);
    const whole = readFileSync(out);
    const flipped = Buffer.from(whole);
    flipped[whole.length >> 1] ^= 1;
    /** @type {any[]} */
    const rows = [
      [flipped, /^error: INTEGRITY: /],
      [whole.subarray(0, whole.length - 1), /^error: (MALFORMED|INTEGRITY): /],
      [whole.subarray(0, 10), /^error: MALFORMED: /],
      [Buffer.from('hello'), /^error: MALFORMED: /],
      [Buffer.alloc(0), /^error: MALFORMED: /],
    ];
    for (const [bytes, message] of rows) {
      writeFileSync(out, bytes);
      const results = join(folder, 'results');
      const argv = ['run', out, '--input', 'zeros', '--output', results, '--runner', runner];
      const { code, err } = await cli(...argv);
      assert.equal(code, 1);
      assert.match(err, ONE_LINE);
      assert.match(err, message);
      assert.match(err, /m\.wai/);
      assert.ok(!existsSync(results));
    }
  });
}

test('run refuses a package above MAX_HEAP_SIZE, naming both numbers', { skip }, async (t) => {
  const { model, out } = modelFolder(t, addRelu(1 << 20));
  await cli('compile', model, '-o', out);
  const { code, err } = await cli('run', out, '--input', 'zeros', '--max-heap', '8');
  assert.equal(code, 1);
  assert.match(
    err,
    /^error: LIMIT: .*m\.wai: the model needs [\d.]+ MiB of memory, more than the allowed 8 MiB/,
  );
});

test('check lists every problem with node, reason and hint', { skip }, async (t) => {
  const bytes = onnxFile({
    nodes: [
      ['Frobnicate', ['x'], ['a'], 'first'],
      ['Relu', ['x'], ['b'], 'fine'],
      ['Range', ['b', 'b', 'b'], ['c'], 'second'],
      ['Add', ['a', 'c'], ['y'], 'behind'],
    ],
    inputs: [['x', FLOAT, ['batch', 4]]],
    outputs: [['y', FLOAT, ['batch', 4]]],
  });
  const { model } = modelFolder(t, bytes);
  const { code, out: text } = await cli('check', model);
  assert.equal(code, 1);
  assert.match(text, /first.*Frobnicate/);
  assert.match(text, /second.*Range/);
  assert.match(text, /hint: make it an initializer/);
  assert.match(text, /dynamic +batch: taken as 1/);
  assert.match(text, /m\.onnx does not compile: 2 problems/);
  const { problems, ok, dims } = JSON.parse((await cli('check', model, '--json')).out);
  assert.equal(ok, false);
  assert.deepEqual(
    problems.map(({ code: what }) => what),
    ['UNSUPPORTED', 'UNSUPPORTED'],
  );
  assert.deepEqual(dims, [{ name: 'batch', value: 1, bound: false }]);
});

test('check of a model that compiles has code 0; of no model at all, an error', {
  skip,
}, async (t) => {
  const { model } = modelFolder(t);
  const good = await cli('check', model);
  assert.equal(good.code, 0);
  assert.match(good.out, /m\.onnx compiles/);
  writeFileSync(model, 'not a model');
  const bad = await cli('check', model);
  assert.equal(bad.code, 1);
  assert.match(bad.err, /^error: MALFORMED: /);
});

test('inspect shows packages, models and stages', { skip }, async (t) => {
  const { model, out } = modelFolder(t);
  await cli('compile', model, '-o', out, '--optimize');
  const onnx = await cli('inspect', model);
  assert.match(onnx.out, /opset +ai\.onnx 17/);
  assert.match(onnx.out, /input +x +float32 \[2, 4\]/);
  const packed = await cli('inspect', out);
  assert.match(packed.out, /output +y:0 +float32 \[2, 4\]/);
  assert.match(packed.out, /certificate/);
  assert.match(packed.out, new RegExp(createHash('sha384').update(addRelu()).digest('hex')));
  const integrity = createHash('sha384').update(readFileSync(out)).digest('base64');
  assert.ok(packed.out.includes(`sha384-${integrity}`));
  for (const [file, stage] of [
    [model, 'import'],
    [model, 'plan'],
    [model, 'package'],
    [out, 'package'],
  ]) {
    const { code, out: text, err } = await cli('inspect', file, '--stage', stage);
    assert.equal(code, 0, `${stage}: ${err}`);
    assert.match(text, /input %\d+ f32\[2,4\]( @0)? "x"/);
  }
  const unknown = await cli('inspect', model, '--stage', 'plans');
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /there is no such stage; known: import, .*plan, package/);
  assert.match((await cli('inspect', out, '--stage', 'import')).err, /give its ONNX file/);
  const whole = readFileSync(out);
  writeFileSync(out, whole.subarray(0, whole.length - 1));
  assert.match((await cli('inspect', out)).err, /^error: MALFORMED: .*m\.wai: truncated/);
  whole[whole.length >> 1] ^= 1;
  writeFileSync(out, whole);
  assert.match((await cli('inspect', out)).err, /^error: INTEGRITY: .*m\.wai: /);
});
