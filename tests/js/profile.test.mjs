// Where a run's time goes: session.profile(), `run --profile --trace`, and what a hostile worker may say.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compile } from '../../harness/index.mjs';
import { byOperator, medianSteps, traceOf } from '../../harness/profile.mjs';
import { openEngine } from '../../web/engine.js';
import { checkProfile } from '../../web/profile.js';
import { load, Tensor } from '../../web/wasmai.js';
import { cli, FLOAT, folderFor, noCompiler, onnxFile } from './cli_support.mjs';

const skip = noCompiler;
const runtimeOf = (name) => fileURLToPath(new URL(`../../build/wasm/${name}`, import.meta.url));
const model = onnxFile({
  nodes: [
    ['Add', ['x', 's'], ['sum']],
    ['Sigmoid', ['sum'], ['y']],
  ],
  inputs: ['x', 's'].map((name) => [name, FLOAT, ['n', 2]]),
  outputs: [
    ['y', FLOAT, ['n', 2]],
    ['sum', FLOAT, ['n', 2]],
  ],
});
/** @type {Uint8Array} */
let bytes;
before(async () => {
  if (!skip) ({ bytes } = await compile(model, { dims: { n: '1..4' } }));
});
const rows = (...numbers) =>
  new Tensor('float32', new Float32Array(numbers), [numbers.length / 2, 2]);

test('a profiled run gives the same answer, and its steps at the dims it had', {
  skip,
}, async () => {
  const session = await load(bytes, { hardened: true });
  const feeds = { x: rows(1, 2, 3, 4), s: rows(5, 6, 7, 8) };
  const plain = await session.run(feeds);
  const profiled = await session.run(feeds, { profile: true, carry: { s: 'sum' } });
  assert.deepEqual(profiled.y.data, plain.y.data);
  const { ms, steps } = session.profile(profiled);
  assert.deepEqual(
    steps.map(({ op, readBytes, writtenBytes }) => [op, readBytes, writtenBytes]),
    [
      ['binary', 32, 16],
      ['unary', 16, 16],
    ],
  );
  assert.ok(ms > 0 && steps.reduce((sum, step) => sum + step.ms, 0) <= ms);
  // What was carried is there, and the next run is a plain one.
  const next = await session.run({ x: rows(0, 0, 0, 0) });
  assert.deepEqual([...next.sum.data], [6, 8, 10, 12]);
  assert.throws(() => session.profile(next), { code: 'ARGUMENT', where: 'profile' });
  await assert.rejects(session.run(feeds, { profile: /** @type {any} */ (1) }), {
    code: 'ARGUMENT',
    where: 'profile',
  });
  await session.close();
});

test('the budget of a profiled run is that of a run', { skip }, () => {
  const runtime = readFileSync(runtimeOf('runtime-simd.metered.wasm'));
  const engine = openEngine({ runtime, pack: bytes, pages: 64 });
  const feed = { dims: [4, 2], data: new Float32Array(8).buffer };
  const request = { feeds: [feed, feed], wanted: [0], carry: [], fuel: 1e6 };
  engine.run(request); // settles on the dims
  engine.run(request);
  const plain = engine.fuel() ?? 0;
  engine.run({ ...request, profile: true });
  const profiled = engine.fuel() ?? 0;
  assert.ok(profiled >= plain && profiled < 2 * plain + 2000, `${profiled} beside ${plain}`);
  assert.throws(() => engine.run({ ...request, fuel: plain - 100, profile: true }), {
    code: 'FUEL',
  });
});

test('run --profile prints and --trace writes where the time went', { skip }, async (t) => {
  const folder = folderFor(t);
  const pack = join(folder, 'digits.wai');
  const trace = join(folder, 'trace.json');
  const digits = fileURLToPath(new URL('../../models/digits/digits.onnx', import.meta.url));
  assert.equal((await cli('compile', digits, '--optimize', '-o', pack)).code, 0);
  const args = ['run', pack, '--input', 'random:1', '--repeat', '3', '--trace', trace];
  const { code, out: stdout } = await cli(...args);
  assert.equal(code, 0);
  assert.match(stdout, /operator +steps +ms/);
  assert.match(stdout, /\d {2}\w+ +\/4\/Conv +\d/);
  const { traceEvents } = JSON.parse(readFileSync(trace, 'utf8'));
  const runs = traceEvents.filter(({ cat }) => cat === 'run');
  assert.deepEqual(
    runs.map(({ name }) => name),
    ['run 0', 'run 1', 'run 2'],
  );
  for (const { ph, ts, dur } of traceEvents) assert.ok(ph === 'X' && ts >= 0 && dur >= 0);
  const inside = traceEvents.filter(({ cat }) => cat !== 'run');
  assert.equal(inside.length % 3, 0);
  assert.ok(
    inside.every(({ ts, dur }) =>
      runs.some((run) => run.ts <= ts && ts + dur <= run.ts + run.dur + 1),
    ),
  );
});

test('medians of steps, sums of operators, a trace without gaps', () => {
  const step = (op, ms) => ({ name: op, op, ms, readBytes: 8, writtenBytes: 4 });
  const profiles = [
    { ms: 9, steps: [step('a', 1), step('b', 4), step('a', 1)] },
    { ms: 9, steps: [step('a', 2), step('b', 1), step('a', 2)] },
    { ms: 9, steps: [step('a', 6), step('b', 2), step('a', 0)] },
  ];
  const steps = medianSteps(profiles);
  assert.deepEqual(
    steps.map(({ ms }) => ms),
    [2, 2, 1],
  );
  assert.deepEqual(byOperator(steps), [
    { op: 'a', steps: 2, ms: 3 },
    { op: 'b', steps: 1, ms: 2 },
  ]);
  const starts = traceOf(profiles).traceEvents.filter(({ cat }) => cat === 'run');
  assert.deepEqual(
    starts.map(({ ts, dur }) => [ts, dur]),
    [
      [0, 9000],
      [9000, 9000],
      [18000, 9000],
    ],
  );
});

test('what a worker says of steps is checked', () => {
  const good = { name: 'n', op: 'o', ms: 1, readBytes: 2, writtenBytes: 3 };
  assert.deepEqual(checkProfile([{ ...good, more: 1 }], 'x'), [good]);
  const lies = [
    ...[null, 'text', { length: 2 ** 32 - 1 }, new Array(40000), [null], [[]]],
    ...[{ name: 1 }, { op: 'o'.repeat(300) }, { ms: Number.NaN }, { readBytes: -1 }].map((lie) => [
      { ...good, ...lie },
    ]),
  ];
  for (const lie of lies) assert.throws(() => checkProfile(lie, 'x'), { code: 'INTERNAL' });
});
