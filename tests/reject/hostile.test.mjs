// Models that ask for too much: each is answered or refused by name within a bound on processor time
// and memory, measured from outside: by `wasm-ai compile --optimize`, `wasm-ai check`, and the native
// command. The bounds are far above what an answer takes (a second, 150 MB) and far below what the
// models ask for.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Model } from '../../harness/readers/onnx_schema.mjs';
import { addRelu, FLOAT, folderFor, INT64, onnxFile } from '../js/cli_support.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const MOST_SECONDS = 20;
const MOST_MB = 900;
/** MAX_HEAP_SIZE: what a model may need, which the compiler takes to measure it. */
const MOST_HEAP = 320;

// ---- models ----

const one = ['x', FLOAT, [1]];
const square = ['x', FLOAT, [1, 1, 4, 4]];

/** Nodes over x, with whole numbers as constants. @param {any[]} nodes @param {Record<string, number[]>} [numbers] */
function graph(nodes, numbers = {}, inputs = [one]) {
  const model = Model.toObject(
    Model.decode(onnxFile({ nodes, inputs, outputs: [['y', FLOAT, []]] })),
    { longs: Number },
  );
  delete model.graph.output[0].type.tensorType.shape;
  model.graph.initializer = Object.entries(numbers).map(([name, int64Data]) => ({
    name,
    dims: [int64Data.length],
    dataType: INT64,
    int64Data,
  }));
  return Model.encode(Model.fromObject(model)).finish();
}

/** @param {number | bigint} value @returns {number[]} */
function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}
const field = (/** @type {number} */ number, /** @type {Uint8Array | string} */ body) => {
  const bytes = Buffer.from(body);
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes]);
};
const number = (/** @type {number} */ field, /** @type {number | bigint} */ value) =>
  Buffer.from([...varint(field * 8), ...varint(value)]);

function ints(/** @type {string} */ name, /** @type {number[]} */ list) {
  const raw = Buffer.from(BigInt64Array.from(list.map(BigInt)).buffer);
  return Buffer.concat([number(1, list.length), number(2, INT64), field(8, name), field(9, raw)]);
}

/** A whole model of which we write the graph ourselves. @param {Buffer[]} parts */
const model = (...parts) =>
  Buffer.concat([
    number(1, 8),
    field(7, Buffer.concat(parts)),
    field(8, Buffer.concat([field(1, ''), number(2, 17)])),
  ]);

const slot = (
  /** @type {string} */ name,
  /** @type {Buffer} */ shape = field(2, field(1, number(1, 1))),
) => Buffer.concat([field(1, name), field(2, field(1, Buffer.concat([number(1, FLOAT), shape])))]);
const input = (/** @type {string} */ name) => field(11, slot(name));
const output = (/** @type {string} */ name) => field(12, slot(name, Buffer.alloc(0)));

/** @param {string} op @param {string[]} ins @param {string[]} outs @param {Buffer[]} attributes */
const node = (op, ins, outs, ...attributes) =>
  field(
    1,
    Buffer.concat([
      ...ins.map((name) => field(1, name)),
      ...outs.map((name) => field(2, name)),
      field(4, op),
      ...attributes.map((attribute) => field(5, attribute)),
    ]),
  );
const body = (/** @type {string} */ name, /** @type {Buffer} */ graph) =>
  Buffer.concat([field(1, name), field(6, graph), number(20, 5)]);

/** If in If, `depth` deep, both branches alike. @param {number} depth @returns {Buffer} */
function ifs(depth) {
  if (depth === 0) return Buffer.concat([node('Relu', ['x'], ['r0']), output('r0')]);
  const inner = ifs(depth - 1);
  const both = [body('then_branch', inner), body('else_branch', inner)];
  return Buffer.concat([node('If', ['c'], [`r${depth}`], ...both), output(`r${depth}`)]);
}

/** Loop in Loop, each of `count` turns. @param {number} depth @returns {Buffer} */
function loops(depth) {
  const inner =
    depth === 0
      ? node('Add', [`v${depth}`, 'x'], [`w${depth}`])
      : node('Loop', ['many', '', `v${depth}`], [`w${depth}`], body('body', loops(depth - 1)));
  const io = [field(11, slot('i')), field(11, slot('c')), field(11, slot(`v${depth}`))];
  const kept = [node('Identity', ['c'], [`k${depth}`]), inner];
  return Buffer.concat([...io, ...kept, output(`k${depth}`), output(`w${depth}`)]);
}

const list = (/** @type {number} */ count, /** @type {(i: number) => any} */ make) =>
  Array.from({ length: count }, (_, i) => make(i));
const chain = (/** @type {number} */ count, op = 'Relu') =>
  list(count, (i) => [op, [i ? `t${i - 1}` : 'x'], [i === count - 1 ? 'y' : `t${i}`]]);

const HUGE = 2 ** 31 - 1;

/** @type {Record<string, () => Uint8Array>} */
const MODELS = {
  '300 MB in 152 bytes': () => addReluOf([1, 75_000_000]),
  'the largest tensor there is': () => addReluOf([HUGE]),
  'ConstantOfShape of a gigabyte': () =>
    graph(
      [
        ['ConstantOfShape', ['s'], ['c']],
        ['Add', ['x', 'c'], ['y']],
      ],
      { s: [2 ** 28] },
    ),
  'a hundred constants of 16 MB': () =>
    graph(
      [
        ...list(100, (i) => ['ConstantOfShape', ['s'], [`c${i}`]]),
        ...list(100, (i) => ['Add', [i ? `t${i - 1}` : 'x', `c${i}`], [i === 99 ? 'y' : `t${i}`]]),
      ],
      { s: [2 ** 22] },
    ),
  'Expand of one number to two gigabytes': () =>
    graph([['Expand', ['x', 's'], ['y']]], { s: [2 ** 29 - 64] }),
  'Tile of Tile': () =>
    graph(
      [
        ['Tile', ['x', 's'], ['a']],
        ['Tile', ['a', 's'], ['y']],
      ],
      { s: [2 ** 20] },
    ),
  'Pad by a billion': () => graph([['Pad', ['x', 's'], ['y']]], { s: [2 ** 30, 2 ** 30] }),
  'Range to 2^40': () =>
    graph(
      [
        ['Range', ['a', 'b', 'c'], ['r']],
        ['Cast', ['r'], ['y'], '', { to: FLOAT }],
      ],
      { a: [0], b: [2 ** 40], c: [1] },
    ),
  'OneHot of depth 2^30': () =>
    graph([['OneHot', ['i', 'd', 'v'], ['y']]], { i: [1, 2], d: [2 ** 30], v: [0, 1] }),
  'Resize to 2^20 x 2^20': () =>
    graph([['Resize', ['x', '', '', 's'], ['y']]], { s: [1, 1, 2 ** 20, 2 ** 20] }, [square]),
  'thirty doublings': () =>
    graph(
      list(30, (i) => [
        'Concat',
        list(2, () => (i ? `t${i - 1}` : 'x')),
        [i === 29 ? 'y' : `t${i}`],
        '',
        { axis: 0 },
      ]),
    ),
  'DFT of 2^24': () =>
    graph(
      [
        ['Expand', ['x', 's'], ['a']],
        ['DFT', ['a'], ['y']],
      ],
      { s: [1, 2 ** 24, 1] },
    ),
  'kernel, dilation and pads of 2^31 - 1': () =>
    model(
      input('x'),
      output('y'),
      node(
        'MaxPool',
        ['x'],
        ['y'],
        Buffer.concat([field(1, 'kernel_shape'), number(8, HUGE), number(8, HUGE), number(20, 7)]),
      ),
    ),
  'a chain of 32,000 nodes': () => graph(chain(32_000)),
  'a chain of 32,000 names of 500 bytes': () =>
    graph(chain(32_000).map(([op, ins, outs]) => [op, ins.map(long), outs.map(long)])),
  'a chain of 100,000 nodes': () => graph(chain(100_000)),
  '30,000 equal nodes': () =>
    graph([
      ...list(30_000, (i) => ['Add', ['x', 'x'], [`a${i}`]]),
      ['Sum', list(900, (i) => `a${i * 33}`), ['y']],
    ]),
  '30,000 transposes and reshapes': () =>
    graph(
      list(30_000, (i) => [
        i % 2 ? 'Transpose' : 'Sigmoid',
        [i ? `t${i - 1}` : 'x'],
        [i === 29_999 ? 'y' : `t${i}`],
      ]),
      {},
      [square],
    ),
  'Concat of 1,024': () => graph([['Concat', list(1024, () => 'x'), ['y'], '', { axis: 0 }]]),
  'Concat of 100,000': () => graph([['Concat', list(100_000, () => 'x'), ['y'], '', { axis: 0 }]]),
  'a name of a megabyte': () => graph([['N'.repeat(1 << 20), ['x'], ['y'], 'n'.repeat(1 << 20)]]),
  '100,000 graph inputs': () =>
    model(
      Buffer.concat(list(100_000, (i) => input(`i${i}`))),
      output('y'),
      node('Relu', ['i0'], ['y']),
    ),
  '200,000 empty initializers': () =>
    model(
      input('x'),
      Buffer.concat(list(200_000, () => field(5, ''))),
      output('y'),
      node('Relu', ['x'], ['y']),
    ),
  'a tensor of 100,000 dims': () =>
    model(
      input('x'),
      field(
        5,
        Buffer.concat([...list(100_000, () => number(1, 1)), number(2, FLOAT), field(8, 'w')]),
      ),
      output('y'),
      node('Relu', ['x'], ['y']),
    ),
  'a type nested 10,000 deep': () => {
    let type = field(1, number(1, FLOAT));
    for (let i = 0; i < 10_000; i++) type = field(4, field(1, type));
    return model(
      field(11, Buffer.concat([field(1, 'x'), field(2, type)])),
      output('y'),
      node('Relu', ['x'], ['y']),
    );
  },
  'negative and overflowing dims': () =>
    model(
      input('x'),
      field(
        5,
        Buffer.concat([number(1, -1n), number(1, -(2n ** 62n)), number(2, FLOAT), field(8, 'w')]),
      ),
      output('y'),
      node('Add', ['x', 'w'], ['y']),
    ),
  'If, 12 deep, both branches': () =>
    model(input('x'), field(11, slot('c')), output('r12'), ifs(12)),
  'Loop in Loop in Loop, 1,000 turns each': () =>
    model(
      input('x'),
      field(5, ints('many', [1000])),
      node('Loop', ['many', '', 'x'], ['y'], body('body', loops(3))),
      output('y'),
    ),
  'a loop without end': () =>
    model(
      input('x'),
      field(5, ints('many', [2 ** 52])),
      node('Loop', ['many', '', 'x'], ['y'], body('body', loops(0))),
      output('y'),
    ),
  'a million strings': () =>
    model(
      input('x'),
      output('y'),
      node(
        'Relu',
        ['x'],
        ['y'],
        Buffer.concat([field(1, 's'), ...list(1_000_000, () => field(9, 'a')), number(20, 8)]),
      ),
    ),
  '1,000 functions of its own': () =>
    Buffer.concat([Buffer.from(addRelu()), ...list(1000, () => field(25, field(1, 'f')))]),
};

function addReluOf(dims) {
  return onnxFile({
    nodes: [['Relu', ['x'], ['y']]],
    inputs: [['x', FLOAT, dims]],
    outputs: [['y', FLOAT, dims]],
  });
}

const long = (/** @type {string} */ name) => (name.length > 1 ? name.padEnd(500, '_') : name);

// ---- measuring ----

/** Processor time in seconds and the most memory in MB of a process, of Linux's /proc. @param {number} pid */
function usage(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const peak = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return { seconds: (Number(stat[11]) + Number(stat[12])) / 100, mb: peak / 1024 };
  } catch {
    return { seconds: 0, mb: 0 }; // it has ended
  }
}

/** @param {string} file @param {string[]} args @param {string} cwd */
function measured(file, args, cwd) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, MAX_HEAP_SIZE: String(MOST_HEAP) };
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [seconds, mb, text] = [0, 0, ''];
    const look = setInterval(() => {
      const now = usage(child.pid ?? 0);
      seconds = Math.max(seconds, now.seconds);
      mb = Math.max(mb, now.mb);
      if (seconds > MOST_SECONDS || mb > MOST_MB) child.kill('SIGKILL');
    }, 10);
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        text += chunk;
      });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearInterval(look);
      resolve({ code, signal, text, seconds, mb });
    });
  });
}

const cli = join(root, 'harness/cli.mjs');
/** @type {Record<string, string[]>} */
const COMMANDS = {
  compile: [process.execPath, cli, 'compile', 'm.onnx', '-o', 'm.wai', '--optimize'],
  check: [process.execPath, cli, 'check', 'm.onnx'],
  native: [
    join(root, 'build/native/wai'),
    'compile',
    'm.onnx',
    'n.wai',
    '--optimize',
    '--max-memory',
    String(MOST_HEAP << 20),
  ],
};

// The native command writes the number of its wai_status.
const REFUSED = /MALFORMED|UNSUPPORTED|LIMIT|MEMORY|^0?[3-6]\t/m;

for (const [name, make] of Object.entries(MODELS)) {
  test(`hostile: ${name}`, async (t) => {
    const folder = folderFor(t);
    writeFileSync(join(folder, 'm.onnx'), make());
    const figures = await Promise.all(
      Object.entries(COMMANDS).map(async ([command, [file, ...args]]) => {
        const { code, signal, text, seconds, mb } = await measured(file, args, folder);
        const told = `${command}: ${seconds} s, ${Math.round(mb)} MB`;
        assert.equal(signal, null, `${told}: ended by ${signal}\n${text.slice(-500)}`);
        assert.ok(code === 0 || code === 1, `${told}: exit code ${code}\n${text.slice(-500)}`);
        assert.doesNotMatch(text, /INTERNAL|TRAP|\bat .*\.mjs:\d/, told);
        if (code === 1) assert.match(text, REFUSED, told);
        return `${told}, ${code === 0 ? 'compiles' : REFUSED.exec(text)?.[0].trim()}`;
      }),
    );
    t.diagnostic(figures.join('; '));
    assert.deepEqual(
      readdirSync(folder).filter((file) => !['m.onnx', 'm.wai', 'n.wai'].includes(file)),
      [],
    );
  });
}
