// Hostile and foreign ONNX files through `wasm-ai compile`, `check` and `inspect`: one line that
// names node and reason, exit code 1, nothing written, and the next good model compiles.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Compiler } from '../../harness/compiler.mjs';
import { compile } from '../../harness/index.mjs';
import { Model } from '../../harness/readers/onnx_schema.mjs';
import { addRelu, cli, FLOAT, filesOf, folderFor, INT64, onnxFile } from '../js/cli_support.mjs';
import { assertCliRefuses, assertRefusal, digits, loadAndRun, randomFrom } from './support.mjs';

const script = fileURLToPath(new URL('../../harness/cli.mjs', import.meta.url));

const x = ['x', FLOAT, [2, 4]];
const y = ['y', FLOAT, [2, 4]];
const node = (opType, input, output, name) => [opType, input, output, name];

/** A model with one change made to its records. @param {(model: any) => void} change */
function altered(change, bytes = addRelu()) {
  const model = Model.toObject(Model.decode(bytes), { longs: Number });
  change(model);
  return Model.encode(Model.fromObject(model)).finish();
}

/** name, bytes, what the message must hold. @type {[string, Uint8Array, RegExp][]} */
const ROWS = [
  ['empty', Buffer.alloc(0), /./],
  ['zeros', Buffer.alloc(4096), /MALFORMED/],
  ['garbage', Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 251)), /MALFORMED/],
  ['text', Buffer.from('This is not a model.\n'.repeat(50)), /MALFORMED/],
  ['page', Buffer.from('<!doctype html>\n<html><body>Not found</body></html>\n'), /MALFORMED/],
  [
    'unknown operator',
    onnxFile({ nodes: [node('Frobnicate', ['x'], ['y'], 'odd one')], inputs: [x], outputs: [y] }),
    /UNSUPPORTED: .*odd one.*Frobnicate/,
  ],
  [
    'cycle',
    onnxFile({
      nodes: [node('Add', ['x', 'b'], ['a'], 'first'), node('Relu', ['a'], ['b'], 'second')],
      inputs: [x],
      outputs: [['b', FLOAT, [2, 4]]],
    }),
    /MALFORMED: .*first.*\bb\b/,
  ],
  [
    'itself',
    onnxFile({ nodes: [node('Relu', ['y'], ['y'], 'loop')], inputs: [x], outputs: [y] }),
    /MALFORMED: .*loop.*\by\b/,
  ],
  [
    'two of one name',
    onnxFile({
      nodes: [node('Relu', ['x'], ['y'], 'one'), node('Neg', ['x'], ['y'], 'two')],
      inputs: [x],
      outputs: [y],
    }),
    /MALFORMED: .*two.*\by\b/,
  ],
  [
    'output that nobody makes',
    onnxFile({
      nodes: [node('Relu', ['x'], ['y'], 'r')],
      inputs: [x],
      outputs: [['z', FLOAT, [2, 4]]],
    }),
    /MALFORMED: .*\bz\b/,
  ],
  [
    'huge dim',
    onnxFile({
      nodes: [node('Relu', ['x'], ['y'], 'r')],
      inputs: [['x', FLOAT, [2 ** 31]]],
      outputs: [['y', FLOAT, [2 ** 31]]],
    }),
    /\bx\b.*2147483648/,
  ],
  [
    'huge product',
    onnxFile({
      nodes: [node('Relu', ['x'], ['y'], 'r')],
      inputs: [['x', FLOAT, [65536, 65536, 65536, 65536]]],
      outputs: [['y', FLOAT, [65536, 65536, 65536, 65536]]],
    }),
    /\bx\b/,
  ],
  [
    'huge broadcast',
    onnxFile({
      nodes: [node('Add', ['x', 'z'], ['y'], 'spread')],
      inputs: [
        ['x', FLOAT, [100000, 1]],
        ['z', FLOAT, [1, 100000]],
      ],
      outputs: [['y', FLOAT, [100000, 100000]]],
    }),
    /spread/,
  ],
  [
    'wrong dtype',
    onnxFile({
      nodes: [node('Conv', ['x', 'x'], ['y'], 'ints')],
      inputs: [['x', INT64, [1, 1, 4, 4]]],
      outputs: [['y', INT64, [1, 1, 1, 1]]],
    }),
    /ints/,
  ],
  [
    'shapes that do not fit',
    onnxFile({
      nodes: [node('MatMul', ['x', 'z'], ['y'], 'product')],
      inputs: [x, ['z', FLOAT, [5, 3]]],
      outputs: [['y', FLOAT, [2, 3]]],
    }),
    /product.*4.*5/,
  ],
  ['future opset', altered((model) => (model.opsetImport[0].version = 9999)), /9999/],
  ['no opset', altered((model) => (model.opsetImport = [])), /opset/i],
  ['no graph', altered((model) => delete model.graph), /graph/],
  [
    'external data',
    altered((model) => {
      const tensor = model.graph.initializer[0];
      tensor.floatData = [];
      tensor.dataLocation = 1;
      tensor.externalData = [{ key: 'location', value: '../../../../etc/passwd' }];
    }),
    /UNSUPPORTED: .*\bw\b.*(external|other file|outside)/i,
  ],
  [
    'too few weights',
    altered((model) => {
      model.graph.initializer[0].floatData = [1, 2];
    }),
    /MALFORMED: .*\bw\b/,
  ],
  [
    'weights with a huge claim',
    altered((model) => {
      model.graph.initializer[0].dims = [2 ** 40];
    }),
    /\bw\b/,
  ],
  [
    'a name full of control characters',
    onnxFile({
      nodes: [node('Frob\u001b[2Jnicate', ['x'], ['y'], 'evil\nerror: fine\u0007')],
      inputs: [x],
      outputs: [y],
    }),
    /^[\x20-\x7e]+\n$/,
  ],
];

for (const [name, bytes, message] of ROWS) {
  test(`compile and check refuse: ${name}`, async (t) => {
    const folder = folderFor(t);
    const model = join(folder, 'm.onnx');
    writeFileSync(model, bytes);
    for (const optimize of [[], ['--optimize']])
      await assertCliRefuses(
        folder,
        ['compile', model, '-o', join(folder, 'm.wai'), ...optimize],
        message,
      );
    const check = await cli('check', model);
    assert.equal(check.code, 1, check.out);
    assert.doesNotMatch(check.out + check.err, /INTERNAL|\bat .*\.mjs:/);
    assert.ok((check.err.match(/^error: /gm) ?? []).length <= 1);
    const inspect = await cli('inspect', model);
    assert.doesNotMatch(inspect.err, /INTERNAL|\bat .*\.mjs:/, inspect.err);
    writeFileSync(model, addRelu());
    const good = await cli('compile', model, '-o', join(folder, 'm.wai'));
    assert.equal(good.code, 0, good.err);
  });
}

test('digits cut at many lengths is refused, or is whole', async () => {
  const compiler = await Compiler.create();
  for (let length = 0; length < digits.length; length += length < 400 ? 1 : 611) {
    const { error, bytes } = compiler.compile(digits.subarray(0, length), { optimize: true });
    if (error) assertRefusal(error, `cut at ${length}`);
    else assert.ok(bytes);
  }
  const whole = compiler.compile(digits, { optimize: true });
  assert.equal(whole.error, null);
  assert.equal(await loadAndRun(/** @type {Uint8Array} */ (whole.bytes)), null);
});

test('one compiler takes a thousand damaged models and then a good one', async () => {
  const compiler = await Compiler.create();
  const random = randomFrom(5);
  for (let round = 0; round < 1000; round++) {
    const hostile = new Uint8Array(digits);
    for (let count = 1 + random(4); count > 0; count--)
      hostile[random(round % 2 ? 1500 : digits.length)] = random(256);
    const { error } = compiler.compile(hostile, { optimize: true, maxMemory: 1 << 26 });
    if (error) assertRefusal(error, `round ${round}`);
  }
  const first = compiler.compile(digits, { optimize: true }).bytes;
  const fresh = (await Compiler.create()).compile(digits, { optimize: true }).bytes;
  assert.deepEqual(first, fresh, 'nothing of the refused models is left');
});

test('a small file cannot keep the compiler busy: folding has a budget', async () => {
  const size = 1024;
  const count = 40; // products of constants, 2^31 operations each
  const indices = Array.from({ length: count }, (_, i) => i);
  const bytes = altered(
    (model) => {
      const shape = { dims: [2], dataType: INT64, int64Data: [size, size] };
      model.graph.initializer = [
        { name: 's', ...shape },
        { name: 's2', ...shape },
      ];
    },
    onnxFile({
      nodes: [
        node('ConstantOfShape', ['s'], ['a'], 'a'),
        node('ConstantOfShape', ['s2'], ['b'], 'b'),
        ...indices.map((i) => node('MatMul', ['a', 'b'], [`m${i}`], `m${i}`)),
        ...indices.map((i) => node('Add', [i ? `t${i - 1}` : 'x', `m${i}`], [`t${i}`], `t${i}`)),
      ],
      inputs: [['x', FLOAT, [size, size]]],
      outputs: [[`t${count - 1}`, FLOAT, [size, size]]],
    }),
  );
  assert.ok(bytes.length < 4096);
  const { report } = await compile(bytes);
  const left = report.ops.find(({ op }) => op === 'matmul' || op === 'fully_connected');
  assert.ok(left && left.count > count / 2 && left.count < count, JSON.stringify(report.ops));
});

test('a model above MAX_HEAP_SIZE: flag, environment and file, each naming both numbers', (t) => {
  const folder = folderFor(t);
  writeFileSync(join(folder, 'm.onnx'), addRelu(1 << 20));
  const run = (args, env) =>
    spawnSync(process.execPath, [script, 'compile', 'm.onnx', ...args], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
  const refused = (answer, files) => {
    assert.equal(answer.status, 1, answer.stderr);
    assert.equal(answer.stdout, '');
    assert.match(answer.stderr, /^error: LIMIT: [^\n]+: [^\n]*\n$/);
    assert.match(answer.stderr, /8388608|8 MiB/, 'the limit');
    assert.match(answer.stderr, /\d{8}|\d\d(\.\d)? MiB/, 'what it needs');
    assert.deepEqual(filesOf(folder), files);
  };
  refused(run(['--max-heap', '8'], {}), ['m.onnx']);
  refused(run([], { MAX_HEAP_SIZE: '8' }), ['m.onnx']);
  writeFileSync(join(folder, 'wasm-ai.config.json'), '{"MAX_HEAP_SIZE": 8}');
  const files = ['m.onnx', 'wasm-ai.config.json'];
  refused(run([], {}), files);
  refused(run(['--max-heap', '8'], { MAX_HEAP_SIZE: '512' }), files);
  const good = run([], { MAX_HEAP_SIZE: '512' });
  assert.equal(good.status, 0, good.stderr);
  assert.deepEqual(filesOf(folder), ['m.onnx', 'm.wai', 'wasm-ai.config.json']);
  // And the same cap at load.
  const load = spawnSync(process.execPath, [script, 'run', 'm.wai', '--input', 'zeros'], {
    cwd: folder,
    encoding: 'utf8',
  });
  assert.equal(load.status, 1);
  assert.match(load.stderr, /^error: LIMIT: [^\n]+\n$/);
});

test('a run that fails names the node and the number, and the session lives on', async (t) => {
  const folder = folderFor(t);
  const model = join(folder, 'm.onnx');
  writeFileSync(
    model,
    onnxFile({
      nodes: [node('Gather', ['data', 'index'], ['y'], 'pick')],
      inputs: [
        ['data', FLOAT, [4]],
        ['index', INT64, [1]],
      ],
      outputs: [['y', FLOAT, [1]]],
    }),
  );
  const { bytes } = await compile(new Uint8Array(readFileSync(model)));
  const { load } = await import('../../web/wasmai.js');
  const session = await load(bytes, { isolation: 'none' });
  const feeds = (index) => ({
    data: new Float32Array([10, 11, 12, 13]),
    index: new BigInt64Array([index]),
  });
  for (let round = 0; round < 3; round++) {
    const error = await session.run(feeds(4n)).then(
      () => null,
      (caught) => caught,
    );
    assertRefusal(error, 'index 4 of 4');
    assert.match(`${error.where}: ${error.message}`, /pick.*4/);
    const { y: answer } = await session.run(feeds(-1n));
    assert.deepEqual([...answer.data], [13]);
  }
  await session.close();
});
