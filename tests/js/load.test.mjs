// Many runs at once in one process: nothing lost, order kept, a bound with a clear error, others get their turn.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { buildDist } from '../../harness/dist.mjs';
import { Session } from '../../web/session.js';
import { Waiting } from '../../web/waiting.js';
import { stubPackage, writeStubRuntime } from './stub.mjs';

let folder;
/** @type {typeof import('../../web/wasmai.d.ts')} */
let wasmai;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-load-'));
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
  await buildDist({ out: join(folder, 'dist'), runtime, models: [join(folder, 'stub.wai')] });
  wasmai = await import(pathToFileURL(join(folder, 'dist/wasmai.js')).href);
});

after(() => rmSync(folder, { recursive: true, force: true }));

const x = (...four) => ({ x: new Float32Array(four) });

test('1,000 runs wait on one session; beyond the bound the error names it, and all are answered', async () => {
  const session = await wasmai.load(stubPackage());
  const order = [];
  const runs = [];
  for (let i = 1; i <= 1025; i++)
    runs.push(session.run(x(i, 0, 0, 0)).then(({ y }) => order.push(y.data[0] / 2)));
  await assert.rejects(session.run(x(1, 0, 0, 0)), (/** @type {any} */ error) => {
    assert.equal(error.code, 'LIMIT');
    assert.match(error.message, /^run: 1024 runs with 0\.0 MiB .* at most 1024 runs with 256 MiB/);
    return true;
  });
  await Promise.all(runs);
  assert.deepEqual(
    order,
    Array.from({ length: 1025 }, (_, i) => i + 1),
  );
  assert.equal((await session.run(x(3, 0, 0, 0))).y.data[0], 6);
  await session.close();
});

test('what waits is bounded in bytes too, but one run may wait however large', async () => {
  const count = 8 << 20; // 32 MiB
  const slot = { name: 'x', dtype: /** @type {const} */ ('float32'), dims: [count] };
  let asked = 0;
  const never = () => new Promise(() => asked++);
  /** @type {any} */
  const runner = { inputs: [slot], outputs: [], run: never, stop() {}, alive: () => true };
  const facts = /** @type {any} */ ({ isolation: 'none', certificate: { fuel: 0 } });
  const parts = /** @type {any} */ ({ where: 'test', pack: null });
  const start = () => Promise.reject(new Error('no other'));
  const given = { start, parts, facts, reserve: null, golden: null, head: '' };
  const session = new Session({ runner, ...given });
  const data = new Float32Array(count);
  const stop = new AbortController();
  const aborted = [];
  for (let i = 0; i < 9; i++)
    aborted.push(
      session.run({ x: data }, { signal: i === 4 ? stop.signal : undefined }).catch((e) => e.code),
    );
  const full = { code: 'LIMIT', message: /8 runs with 256\.0 MiB .* 1024 runs with 256 MiB/ };
  await assert.rejects(session.run({ x: data }), full);
  stop.abort(); // its place and its bytes are free
  aborted.push(session.run({ x: data }).catch((e) => e.code));
  await assert.rejects(session.run({ x: data }), full);
  await session.close();
  assert.equal(asked, 1);
  const codes = await Promise.all(aborted);
  assert.equal(codes.splice(4, 1)[0], 'ABORTED');
  assert.deepEqual(codes, Array(9).fill('STATE'));

  new Waiting().admit(2 ** 40);
});

test('queued runs in this process leave timers and signals their turn', async () => {
  const session = await wasmai.load(stubPackage());
  const work = x(-4, 4, 0, 0); // some milliseconds
  const start = performance.now();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 20);
  const runs = Array.from({ length: 60 }, () => session.run(work));
  const last = session.run(x(5, 0, 0, 0), { signal: stop.signal }).then(
    () => 'ran',
    (error) => error.code,
  );
  await Promise.all(runs);
  const ms = performance.now() - start;
  clearInterval(timer);
  assert.ok(ms > 20, `${ms} ms`);
  assert.equal(await last, 'ABORTED');
  assert.ok(ticks > 1, `${ticks} ticks in ${ms} ms`);
  assert.equal((await session.run(x(5, 0, 0, 0))).y.data[0], 10);
  await session.close();
});

test('8 sessions at once, one of them trapping and failing: the others answer in order', async () => {
  const sessions = await Promise.all(Array.from({ length: 8 }, () => wasmai.load(stubPackage())));
  const [hostile, ...honest] = sessions;
  const codes = new Set();
  const bad = Array.from({ length: 60 }, (_, i) =>
    hostile.run(x(i % 2 ? -1 : -3, 0, 0, 0)).catch(({ code }) => codes.add(code)),
  );
  const answers = await Promise.all(
    honest.map((session) =>
      Promise.all(
        Array.from({ length: 60 }, async (_, i) => (await session.run(x(i, 0, 0, 0))).y.data[0]),
      ),
    ),
  );
  await Promise.all(bad);
  const wanted = Array.from({ length: 60 }, (_, i) => 2 * i);
  for (const answer of answers) assert.deepEqual(answer, wanted);
  assert.deepEqual([...codes].sort(), ['INTERNAL', 'TRAP']);
  assert.equal((await hostile.run(x(9, 0, 0, 0))).y.data[0], 18);
  await Promise.all(sessions.map((session) => session.close()));
});
