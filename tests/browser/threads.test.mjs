// Threads in pages: the same bits in every engine, workers that are locked down like any and end with their session,
// recovery, and pages that may have one thread only.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compile } from '../../harness/index.mjs';
import { headersOf } from '../../harness/server/policies.mjs';
import { elsewhere, onEngines, openPage } from './browser.mjs';
import { watched } from './watched.mjs';

const folder = join(tmpdir(), `wasm-ai-threads-${process.pid}`);
const model = join(folder, 'digits.wai');
const onnx = fileURLToPath(new URL('../../models/digits/digits.onnx', import.meta.url));

before(async () => {
  mkdirSync(folder, { recursive: true });
  const { bytes } = await compile(readFileSync(onnx), { optimize: true });
  writeFileSync(model, bytes);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const cannot = { webkit: 'no worker gives another its memory by a port there' };

/** The page of watched.mjs with a model, and what these tests ask of it. @param {any} t @param {any} browser */
async function withModel(t, browser, options = {}) {
  const seen = await watched(t, browser, { models: [model], ...options });
  await seen.page.evaluate(() => {
    window.digit = (seed) => ({
      image: Float32Array.from({ length: 784 }, (_, i) => ((i * 31 + seed * 7) % 97) / 97),
    });
    window.answers = async (session, runs) => {
      const all = [];
      for (let i = 0; i < runs; i++) all.push(...(await session.run(digit(i))).logits.data);
      return all;
    };
    /** Threads that have begun their work. */
    window.helpers = () => workers.filter(({ asked, ended }) => asked.join() === 'help' && !ended);
  });
  return seen;
}

onEngines(
  'the same bits on 1, 2, 4 and 16 threads, hardened or not',
  async ({ browser, t }) => {
    const { page, violations, complaints } = await withModel(t, browser);
    const seen = await page.evaluate(async () => {
      const rows = [];
      for (const [
        threads,
        deterministic,
        hardened,
      ] of /** @type {[number, boolean, boolean][]} */ ([
        [1, true, false],
        [2, true, false],
        [4, true, true],
        [16, true, false],
        [1, false, false],
        [4, false, false],
      ])) {
        const options = { threads, deterministic, hardened };
        const session = await wasmai.load('./models/digits.wai', options);
        await until(() => helpers().length === threads - 1);
        const { info } = session;
        rows.push({
          threads: info.threads,
          peak: info.peakBytes,
          answers: await answers(session, 40),
        });
        await session.close();
        await until(() => helpers().length === 0);
      }
      return rows;
    });
    assert.deepEqual(
      seen.map(({ threads }) => threads),
      [1, 2, 4, 16, 1, 4],
    );
    for (const [i, { threads, peak, answers }] of seen.entries()) {
      // The last two may be of relaxed SIMD.
      assert.deepEqual(answers, seen[i < 4 ? 0 : 4].answers, `${threads} threads`);
      assert.equal(peak, seen[0].peak + (threads - 1) * 65536);
    }
    assert.deepEqual(await violations(), []);
    assert.deepEqual(complaints, []);
  },
  { cannot },
);

onEngines(
  'a run that is stopped ends every thread, and the next has new ones',
  async ({ browser, t }) => {
    const { page } = await withModel(t, browser);
    const seen = await page.evaluate(async () => {
      const session = await wasmai.load('./models/digits.wai', { threads: 3 });
      const right = await answers(session, 3);
      await until(() => helpers().length === 2);
      const rows = [];
      for (const how of ['signal', 'lost thread', 'lost at rest']) {
        const before = workers.filter(({ ended }) => !ended);
        const stop = new AbortController();
        /** @param {{ op: string }} [asked] */
        const act = (asked) => {
          if (asked && asked.op !== 'run') return;
          window.onAsked = undefined;
          if (how === 'signal') stop.abort();
          else
            helpers()
              .at(-1)
              ?.dispatchEvent(new ErrorEvent('error', { message: 'gone' }));
        };
        /** @type {Awaited<ReturnType<typeof caught>> | null} */
        let error = null;
        if (how === 'lost at rest') act();
        else {
          window.onAsked = act; // in the middle of the run
          error = await caught(session.run(digit(0), { signal: stop.signal }));
        }
        const again = await answers(session, 3);
        await until(() => helpers().filter((one) => !before.includes(one)).length === 2);
        // One may have been in reserve, and is now the session's.
        const left = before.filter(({ asked, ended }) => !ended && asked[0] !== 'prepare');
        const old = before.filter(({ asked }) => asked.includes('run'))[0];
        rows.push([
          how,
          /** @type {any} */ (error)?.code ?? null,
          again.join() === right.join(),
          left.length,
          old.ended,
        ]);
      }
      await session.close();
      await new Promise((resolve) => setTimeout(resolve));
      return [...rows, ['closed', helpers().length]];
    });
    assert.deepEqual(seen, [
      ['signal', 'ABORTED', true, 0, true],
      ['lost thread', 'INTERNAL', true, 0, true],
      ['lost at rest', null, true, 0, true],
      ['closed', 0],
    ]);
  },
  { cannot },
);

onEngines('who gets one thread is told why', async ({ browser, engine, t }) => {
  const { page, site } = await withModel(t, browser);
  const asked = async ({ page }) =>
    page.evaluate(async () => {
      const rows = [];
      for (const threads of /** @type {('auto' | number)[]} */ (['auto', 4])) {
        const session = await wasmai.load('./models/digits.wai', { threads });
        await session.run({ image: new Float32Array(784) });
        rows.push([session.info.threads, session.info.threadsReason]);
        await session.close();
      }
      return rows;
    });
  const [auto, four] = await asked({ page });
  if (engine === 'webkit') assert.match(four.join(), /1,.*no worker can give another its memory/);
  else assert.deepEqual(four, [4, 'as asked for']);
  assert.equal(auto[0], 1);
  assert.match(auto[1], /million operations are too few|has 1 cores|its memory by a port/);
  const headers = (/** @type {string} */ path) => {
    const {
      'Cross-Origin-Opener-Policy': _,
      'Cross-Origin-Embedder-Policy': __,
      ...rest
    } = headersOf(path, site.manifest);
    return rest;
  };
  await elsewhere(site, { headers }, async (server) => {
    const opened = await openPage(browser, server);
    t.after(() => opened.close());
    for (const [threads, why] of await asked(opened)) {
      assert.equal(threads, 1);
      assert.match(why, /not cross-origin isolated: serve it with Cross-Origin-Opener-Policy/);
    }
  });
  const secure = await withModel(t, browser, { secure: true });
  for (const [threads, why] of await asked(secure)) {
    assert.equal(threads, 1);
    assert.match(why, /instruction limits/);
  }
});
