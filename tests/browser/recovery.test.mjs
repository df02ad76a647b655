// After a run that was lost: the worker in reserve, what it never shares, and that none of it needs the network.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { busiestWorkerThread, renderers } from '../../harness/bench/threads.mjs';
import { stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { launch, onEngines } from './browser.mjs';
import { watched } from './watched.mjs';

const folder = join(tmpdir(), `wasm-ai-recovery-${process.pid}`);
let runtime;

before(async () => {
  mkdirSync(folder, { recursive: true });
  runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The page of watched.mjs with the stub, and what these tests ask of it. @param {any} t @param {any} browser */
async function withStub(t, browser, options = {}) {
  const given = { runtime, models: [join(folder, 'stub.wai')], ...options };
  const seen = await watched(t, browser, given);
  await seen.page.evaluate(() => {
    window.x = (...four) => ({ x: new Float32Array(four) });
    /** One is in reserve, and ready. */
    window.reserved = () =>
      until(() => {
        const last = workers.at(-1);
        return last?.asked.join() === 'prepare' && !last.ended;
      });
  });
  return seen;
}

onEngines('the next run comes from the reserve, and no worker sees two models', async (given) => {
  const { page, violations, complaints } = await withStub(given.t, given.browser, { secure: true });
  const seen = await page.evaluate(async () => {
    const session = await wasmai.load('./models/stub.wai');
    const answers = [];
    for (const lost of [-1, -2, -3, -4]) {
      await session.run(x(1, 0, 0, 0));
      await reserved();
      const known = workers.length;
      const stop = new AbortController();
      const options = { signal: stop.signal, maxFuel: lost === -4 ? 10 : 2 ** 40 };
      const run = caught(session.run(x(lost, 1, 0, 0), options));
      if (lost === -2) setTimeout(() => stop.abort(), 100);
      const { code } = await run;
      const { y } = await session.run(x(4, 0, 0, 0));
      const took = workers[known - 1].asked.join();
      answers.push([code, y.data[0], took, workers[known - 2].ended]);
    }
    const other = await wasmai.load('./models/stub.wai');
    await session.close();
    await other.close();
    return { answers, asked: workers.map(({ asked }) => asked) };
  });
  const row = (code) => [code, 8, 'prepare,open,run', true];
  assert.deepEqual(seen.answers, ['TRAP', 'ABORTED', 'INTERNAL', 'FUEL'].map(row));
  for (const asked of seen.asked) assert.ok(asked.filter((op) => op === 'open').length <= 1);
  assert.deepEqual(await violations(), []);
  assert.deepEqual(complaints, []);
});

onEngines('recovery needs no network: the server is gone after load', async (given) => {
  const { site, page } = await withStub(given.t, given.browser);
  await page.evaluate(async () => {
    window.session = await wasmai.load('./models/stub.wai');
    await window.session.run(x(1, 0, 0, 0));
    await reserved();
  });
  await site.close();
  const answers = await page.evaluate(async () => {
    const found = [];
    for (let i = 1; i <= 4; i++) {
      const { code } = await caught(window.session.run(x(-2, 0, 0, 0), { deadlineMs: 50 }));
      found.push(code, (await window.session.run(x(i, 0, 0, 0))).y.data[0]);
    }
    return found;
  });
  const lost = 'DEADLINE';
  assert.deepEqual(answers, [lost, 2, lost, 4, lost, 6, lost, 8]);
});

onEngines('two that need a worker at once get two', async (given) => {
  const { page } = await withStub(given.t, given.browser);
  const seen = await page.evaluate(async () => {
    const session = await wasmai.load('./models/stub.wai');
    await session.run(x(1, 0, 0, 0));
    await reserved();
    const answer = async (i) => {
      const other = await wasmai.load('./models/stub.wai');
      return (await other.run(x(i, 0, 0, 0))).y.data[0];
    };
    const answers = [answer(1), answer(2)].map((one) => one.catch(({ code }) => code));
    const opened = await Promise.all(answers);
    const opens = workers.map(({ asked }) => asked.filter((op) => op === 'open').length);
    return { opened, most: Math.max(...opens) };
  });
  assert.deepEqual(seen, { opened: [2, 4], most: 1 });
});

onEngines('nothing outlives the last session for long, and two keep one reserve', async (given) => {
  const { page } = await withStub(given.t, given.browser);
  const seen = await page.evaluate(async () => {
    const alive = () => workers.filter(({ ended }) => !ended).length;
    const sessions = [];
    for (let i = 0; i < 3; i++) sessions.push(await wasmai.load('./models/stub.wai'));
    for (const session of sessions) await session.run(x(1, 0, 0, 0));
    await reserved();
    const open = alive();
    for (const session of sessions) await session.close();
    const closed = alive();
    await until(() => alive() === 0).catch(() => {});
    return { open, closed, left: alive() };
  });
  assert.deepEqual(seen, { open: 4, closed: 1, left: 0 });
});

onEngines('a worker that cannot open gives the package back for the next try', async (given) => {
  const { page } = await withStub(given.t, given.browser);
  const seen = await page.evaluate(async () => {
    const session = await wasmai.load('./models/stub.wai');
    await caught(session.run(x(-1, 0, 0, 0)));
    await session.run(x(1, 0, 0, 0));
    // As when the browser has no memory left for it.
    window.onAsk = (message) => {
      if (message.op === 'open') message.pages = 2 ** 20;
    };
    await caught(session.run(x(-1, 0, 0, 0)));
    const without = await caught(session.run(x(2, 0, 0, 0)));
    window.onAsk = undefined;
    const { y } = await session.run(x(3, 0, 0, 0));
    return [without?.code ?? 'well', y.data[0]];
  });
  assert.deepEqual(seen, ['MEMORY', 6]);
});

onEngines('memory that the browser has not got back yet is waited for', async (given) => {
  const { page } = await withStub(given.t, given.browser);
  const seen = await page.evaluate(async () => {
    window.onAsk = (message) => {
      if (message.op !== 'begin' && message.op !== 'open') return;
      message.pages = 2 ** 20; // more than there is
      if (message.op === 'open') window.onAsk = undefined;
    };
    const session = await wasmai.load('./models/stub.wai');
    const { y } = await session.run(x(3, 0, 0, 0));
    await session.close();
    return { y: y.data[0], asked: workers[0].asked.join() };
  });
  assert.deepEqual(seen, { y: 6, asked: 'prepare,begin,open,open,run' });
});

test('a stopped worker is gone with its thread', {
  skip: !existsSync('/proc/self/task'),
}, async (t) => {
  const browser = await launch();
  t.after(() => browser.close());
  const { page } = await withStub(t, browser);
  await page.evaluate(async () => {
    const session = await wasmai.load('./models/stub.wai');
    window.stopper = new AbortController();
    window.running = caught(session.run(x(-2, 0, 0, 0), { signal: window.stopper.signal }));
    await new Promise((resolve) => setTimeout(resolve, 300));
  });
  const thread = busiestWorkerThread(await renderers(browser));
  assert.ok(existsSync(thread));
  const error = await page.evaluate(() => {
    window.stopper.abort();
    return window.running;
  });
  assert.equal(error.code, 'ABORTED');
  for (let i = 0; existsSync(thread); i++) {
    assert.ok(i < 500, 'it runs on');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});
