// Under load, in short (`npm run soak` is the long one): a hostile session, a busy core beside, many cycles.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { memoryOverCycles, SESSIONS, sessionsUnderLoad } from '../../harness/soak/sessions.mjs';
import { stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { launch, makeSite, openPage } from './browser.mjs';

const PAGE = readFileSync(new URL('../../harness/soak/page.js', import.meta.url));
const HTML = '<!doctype html><title>soak</title><script type="module" src="./soak.js"></script>';
let folder;
let browser;
let site;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-load-'));
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
  writeFileSync(join(folder, 'hungry.wai'), stubPackage({ peakSize: 1 << 30 }));
  const models = ['stub.wai', 'hungry.wai'].map((name) => join(folder, name));
  const files = { 'soak.js': PAGE, 'soak.html': HTML };
  site = await makeSite({ runtime, models, secure: true, files });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** @param {any} t */
async function soakPage(t) {
  const { page, complaints, close } = await openPage(browser, site);
  t.after(close);
  await page.goto(`${site.url}soak.html`);
  await page.waitForFunction(() => 'soak' in window);
  return { page, complaints };
}

test('8 sessions, one hostile, a busy core beside: the others lose nothing and keep their order', async (t) => {
  const { page, complaints } = await soakPage(t);
  const misdeeds = ['endless', 'trap', 'memory', 'endlessFuel', 'deadline', 'abort', 'flood'];
  const how = { model: './models/stub.wai', misdeeds, queued: 200, seconds: 2, gapMs: 20 };
  const seen = await sessionsUnderLoad(page, how);
  t.diagnostic(JSON.stringify(seen));
  assert.deepEqual(seen.failures, []);
  assert.ok(seen.quiet.runs > SESSIONS && seen.loud.runs > SESSIONS);
  assert.deepEqual([seen.queue.right, seen.queue.inOrder], [200 * (SESSIONS - 1), true]);
  const done = Object.keys(Object.assign({}, ...seen.outcomes));
  for (const outcome of ['endless: DEADLINE', 'trap: TRAP', 'flood: LIMIT'])
    assert.ok(done.includes(outcome), `${outcome} in ${done}`);
  assert.deepEqual(complaints, []);
});

test('opened and closed again and again: no worker is left and memory does not grow', {
  skip: !existsSync('/proc/self/smaps_rollup'),
}, async (t) => {
  const { page } = await soakPage(t);
  const how = { model: './models/stub.wai', rounds: 3, cycles: 15 };
  const seen = await memoryOverCycles(browser, page, how);
  t.diagnostic(JSON.stringify(seen));
  assert.deepEqual(
    seen.map(({ workers }) => workers),
    [0, 0, 0],
  );
  // A worker with its memory is 1 MiB and more: 30 of them would show.
  assert.ok(seen[2].process - seen[0].process < 15 << 20, JSON.stringify(seen));
  assert.ok(seen[2].heap - seen[0].heap < 1 << 20, JSON.stringify(seen));
});
