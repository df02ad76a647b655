// `build --optimize`: a runtime that holds what the packages use, the same bits, and nothing else.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { realModelsFolder } from '../../harness/cases.mjs';
import { RUNTIME } from '../../harness/dist.mjs';
import { usesOf } from '../../harness/graph_text.mjs';
import { compile } from '../../harness/index.mjs';
import { linkModelRuntime } from '../../harness/toolchain/link_runtime.mjs';
import { PAGE_SIZE, readCertificate } from '../../web/certificate.js';
import { openEngine } from '../../web/engine.js';
import { cli, FLOAT, filesOf, folderFor, noCompiler, onnxFile } from './cli_support.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const lines = (file) => readFileSync(join(ROOT, file), 'utf8').split('\n').filter(Boolean).sort();
const skip = noCompiler || (!existsSync(RUNTIME) && 'build/wasm/runtime-simd.wasm is not built');
const full = skip ? new Uint8Array() : readFileSync(RUNTIME);

const MODELS = [
  ['digits', join(ROOT, 'models/digits/digits.onnx')],
  ['squeezenet', join(realModelsFolder(), 'squeezenet1.0-fp32-derived/model.onnx')],
  ['yolox', join(realModelsFolder(), 'yolox-nano/model.onnx')],
];

/** y = each function in turn of x, [2, 3] */
const chainOf = (...ops) =>
  onnxFile({
    nodes: ops.map((op, i) => [op, [`v${i}`], [`v${i + 1}`], `the ${op}`]),
    inputs: [['v0', FLOAT, [2, 3]]],
    outputs: [[`v${ops.length}`, FLOAT, [2, 3]]],
  });

async function packageIn(folder, name, onnx) {
  const { bytes } = await compile(onnx, { optimize: true });
  const file = join(folder, `${name}.wai`);
  writeFileSync(file, bytes);
  return { file, bytes };
}

/** The runtime of a folder built for these packages, and what the command said. */
async function build(folder, ...files) {
  const out = join(folder, 'dist');
  const models = files.flatMap((file) => ['--model', file]);
  const answer = await cli('build', '--optimize', ...models, '-o', out, '--json');
  assert.equal(answer.code, 0, answer.err);
  const manifest = JSON.parse(answer.out);
  return { manifest, err: answer.err, runtime: readFileSync(join(out, manifest.runtimes.simd)) };
}

function open(runtime, pack) {
  const pages = Math.ceil(readCertificate(pack, 'package').peakSize / PAGE_SIZE);
  return openEngine({ runtime, pack, pages });
}

/** Numbers in -1..1 from a seed, the same every time. */
function randomBytes(size, seed = 1) {
  const data = new Float32Array(size / 4);
  let state = seed;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 31 - 1;
  }
  return data.buffer;
}

function answers(runtime, pack) {
  const engine = open(runtime, pack);
  const feeds = engine.inputs.map((slot) => {
    assert.equal(slot.dtype, 'float32');
    const { buffer } = new Uint8Array(randomBytes(slot.dims.reduce((a, b) => a * b, 4)));
    return { dims: slot.dims, data: buffer };
  });
  const wanted = engine.outputs.map((_, i) => i);
  return engine
    .run({ feeds, wanted, carry: [], fuel: 2 ** 40 })
    .map(({ data }) => Buffer.from(data));
}

for (const [name, model] of MODELS) {
  const missing = !existsSync(model) && `${name}: the real models are not there`;
  test(`${name}: the linked runtime is smaller and gives the same bits`, {
    skip: skip || missing,
  }, async (t) => {
    const folder = folderFor(t);
    const { file, bytes } = await packageIn(folder, name, readFileSync(model));
    const { manifest, err, runtime } = await build(folder, file);
    assert.doesNotMatch(err, /^note:/m);
    const module = new WebAssembly.Module(runtime);
    const imports = WebAssembly.Module.imports(module).map((row) => `${row.module}.${row.name}`);
    assert.deepEqual(imports, ['env.memory']);
    const exports = WebAssembly.Module.exports(module).map((row) => row.name);
    assert.deepEqual(exports.sort(), lines('core/wasm/exports.txt'));
    const [small, large] = [runtime, full].map((wasm) => gzipSync(wasm, { level: 9 }).length);
    assert.ok(small < large * 0.7, `${small} of ${large} bytes`);
    assert.ok(manifest.operators.some((/** @type {string} */ op) => /^(conv2d|stem)$/.test(op)));
    assert.ok(!manifest.operators.includes('lrn'));
    const [got, expected] = [answers(runtime, bytes), answers(full, bytes)];
    assert.ok(expected[0].some((byte) => byte !== 0));
    assert.deepEqual(got, expected);
  });
}

test('what is not linked is refused, naming the step', { skip }, async (t) => {
  const folder = folderFor(t);
  const { file, bytes } = await packageIn(folder, 'abs', chainOf('Abs'));
  const { runtime } = await build(folder, file);
  assert.equal(answers(runtime, bytes).length, 1);
  for (const [op, message] of [
    ['Softmax', /the Softmax: an operator that this runtime does not have/],
    ['Tanh', /the Tanh: unary tanh is not in this runtime/],
  ]) {
    const { bytes: other } = await compile(chainOf('Abs', String(op)), { optimize: true });
    assert.throws(() => open(runtime, other), { code: 'UNSUPPORTED', message });
    assert.equal(answers(full, other).length, 1);
  }
});

/** y = a convolution of x [1, channels, 6, 6] to as many, then `reduction` of all of it */
const convThen = (reduction, channels) =>
  onnxFile({
    nodes: [
      ['Conv', ['x', 'w'], ['c'], 'the Conv'],
      [reduction, ['c'], ['y'], `the ${reduction}`],
    ],
    inputs: [['x', FLOAT, [1, channels, 6, 6]]],
    outputs: [['y', FLOAT, [1, 1, 1, 1]]],
    weights: [
      ['w', [channels, channels, 3, 3], Array.from({ length: 9 * channels ** 2 }, (_, i) => i % 5)],
    ],
  });

test('kinds of reduce, raw weights and depthwise kernels are there for who needs them', {
  skip,
}, async (t) => {
  const folder = folderFor(t);
  const { bytes } = await packageIn(folder, 'dense', convThen('ReduceMean', 8));
  const linked = await linkModelRuntime({
    operators: ['conv2d', 'reduce', 'reshape', 'transpose'],
    functions: [],
    reductions: ['mean', 'f32'],
    parts: [],
  });
  assert.ok(linked, 'the toolchain is there');
  const runtime = readFileSync(linked);
  assert.deepEqual(answers(runtime, bytes), answers(full, bytes));
  for (const [name, onnx, optimize, message] of /** @type {const} */ ([
    ['max', convThen('ReduceMax', 8), true, /the ReduceMax: reduce max of f32 is not in this/],
    ['raw', convThen('ReduceMean', 8), false, /the Conv: conv2d of raw weights is not in this/],
    ['one', convThen('ReduceMean', 1), true, /the Conv: depthwise convolution is not in this/],
  ])) {
    const { bytes: other } = await compile(onnx, { optimize });
    assert.throws(() => open(runtime, other), { code: 'UNSUPPORTED', message });
    const its = join(folder, `${name}.wai`);
    writeFileSync(its, other);
    const { runtime: fitting } = await build(folder, its);
    assert.deepEqual(answers(fitting, other), answers(full, other));
  }
});

test('dims that change are there for who needs them', { skip }, async (t) => {
  const folder = folderFor(t);
  const chain = onnxFile({
    nodes: [['Softmax', ['x'], ['y'], 'softmax']],
    inputs: [['x', FLOAT, ['n', 4]]],
    outputs: [['y', FLOAT, ['n', 4]]],
  });
  const { bytes } = await compile(chain, { optimize: true, dims: { n: '1..8' } });
  const file = join(folder, 'open.wai');
  writeFileSync(file, bytes);
  const { runtime } = await build(folder, file);
  assert.deepEqual(answers(runtime, bytes), answers(full, bytes));
  const linked = await linkModelRuntime({
    operators: ['softmax'],
    functions: [],
    reductions: [],
    parts: [],
  });
  assert.ok(linked, 'the toolchain is there');
  assert.throws(() => open(readFileSync(linked), bytes), {
    code: 'UNSUPPORTED',
    message: /dims that change from run to run/,
  });
});

test('two models get one runtime for both', { skip }, async (t) => {
  const folder = folderFor(t);
  const a = await packageIn(folder, 'a', chainOf('Tanh'));
  const b = await packageIn(folder, 'b', chainOf('Softmax', 'Exp'));
  const { manifest, runtime } = await build(folder, a.file, b.file);
  assert.deepEqual(manifest.operators, ['softmax', 'unary']);
  for (const { bytes } of [a, b]) assert.deepEqual(answers(runtime, bytes), answers(full, bytes));
});

test('a runtime is linked once', { skip }, async () => {
  const uses = { operators: ['softmax'], functions: [], reductions: [], parts: [] };
  const first = await linkModelRuntime(uses);
  assert.ok(first, 'the toolchain is there');
  const before = readdirSync(dirname(dirname(first))).length;
  const started = performance.now();
  assert.equal(await linkModelRuntime(uses), first);
  assert.ok(performance.now() - started < 1000);
  assert.equal(readdirSync(dirname(dirname(first))).length, before);
});

test('without a toolchain the prebuilt runtime is taken, and that is said', { skip }, async (t) => {
  const folder = folderFor(t);
  const { file } = await packageIn(folder, 'abs', chainOf('Abs'));
  const argv = ['build', '--optimize', '--model', file, '-o', join(folder, 'dist')];
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'harness/cli.mjs'), ...argv],
    // An empty cache and no compilers on the PATH.
    { encoding: 'utf8', env: { PATH: folder, WASM_AI_CACHE: join(folder, 'cache') } },
  );
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /^note: this machine has no toolchain .*; the runtime holds all operators$/m,
  );
  const { runtimes, operators } = JSON.parse(
    readFileSync(join(folder, 'dist/manifest.json'), 'utf8'),
  );
  assert.equal(operators, 'all');
  assert.deepEqual(readFileSync(join(folder, 'dist', runtimes.simd)), full);
  assert.ok(!filesOf(join(folder, 'cache')).some((name) => name.startsWith('env-')));
});

test('--optimize takes all operators where others may be needed', { skip }, async (t) => {
  const folder = folderFor(t);
  const { file } = await packageIn(folder, 'abs', chainOf('Abs'));
  const out = join(folder, 'dist');
  const demo = await cli('build', '--optimize', '--demo', '--model', file, '-o', out);
  assert.match(demo.err, /^note: visitors of the demo .*; the runtime holds all operators$/m);
  const none = await cli('build', '--optimize', '-o', out);
  assert.match(none.err, /^note: --optimize without --model .*; the runtime holds all operators$/m);
});

test('the names in dumps are the names in the tables', () => {
  const source = (file) => readFileSync(join(ROOT, 'core/ops', file), 'utf8');
  const rows = (file) => [...source(file).matchAll(/^WAI_\w+\((\w+), (\w+)\)$/gm)];
  const kinds = [...source('unary.c').matchAll(/\[WAI_UNARY_(\w+)\] = "(\w+)"/g)];
  const elsewhere = ['IS_NAN', 'IS_INF', 'NOT']; // not functions of floats to floats
  assert.deepEqual(
    rows('unary.def').map(([, kind, name]) => `${kind} ${name}`),
    kinds
      .filter(([, kind]) => !elsewhere.includes(kind))
      .map(([, kind, name]) => `${kind} ${name}`),
  );
  const reductions = [...source('reduce.c').matchAll(/\[WAI_REDUCE_(\w+)\] = "(\w+)"/g)];
  assert.deepEqual(
    rows('reduce.def').map(([, kind, name]) => `${kind} ${name}`),
    [...reductions.map(([, kind, name]) => `${kind} ${name}`), 'F32 f32', 'F64 f64', 'WHOLE whole'],
  );
  const files = readdirSync(join(ROOT, 'core/ops')).filter((file) => file.endsWith('.c'));
  const text = files.map(source).join('');
  for (const [, , symbol] of rows('ops.def')) {
    const name = new RegExp(`const wai_op wai_op_${symbol} = \\{\\s*\\.name = "(\\w+)"`).exec(
      text,
    )?.[1];
    assert.equal(name, symbol);
  }
});

test("a graph's text says what it uses, whatever its names say", () => {
  const text = `input %0 f32[2] "x"
%1 f32[2] = unary(%0) {kind=tanh alpha=0 beta=0} "a = lrn(b) {kind=exp"
%2 f32[1], %3 i64[1] = split(%1, none, %0:const) "%9 = pad("
output %2 f32[1] "y"`;
  const { operators, functions, parts } = usesOf(text);
  assert.deepEqual([...operators], ['unary', 'split']);
  assert.deepEqual([...functions], ['tanh']);
  assert.deepEqual([...parts], []);
  const partsOf = (op, params) => [...usesOf(`%1 f32[2] = ${op}(%0) {${params}} ""`).parts];
  assert.deepEqual(partsOf('conv2d', 'groups=4 group_in=2 group_out=1 packed=1'), []);
  assert.deepEqual(partsOf('conv2d', 'groups=4 group_in=1 group_out=1 packed=1'), ['depthwise']);
  assert.deepEqual(partsOf('fully_connected', 'packed=0'), ['raw_weights', 'packing']);
  assert.deepEqual(partsOf('deconv2d', 'packed=1'), ['packing']);
  assert.deepEqual(partsOf('matmul', ''), ['packing']);
  assert.deepEqual(partsOf('unique', 'limit=0 axis=0 sorted=1'), ['live']);
  assert.deepEqual([...usesOf(`${text}\nrange %0[0] = "n" 1..8\n`).parts], ['live']);
});
