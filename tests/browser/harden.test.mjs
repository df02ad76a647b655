// Memory hardening in the locked worker of every engine: it is on in a secure folder, answers are the same,
// and an instance that found damage is thrown away with its worker.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compile } from '../../harness/index.mjs';
import { stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { makeSite, onEngines, openPage } from './browser.mjs';

const onnx = readFileSync(
  fileURLToPath(new URL('../../models/digits/digits.onnx', import.meta.url)),
);
const folder = mkdtempSync(join(tmpdir(), 'wasm-ai-harden-'));
/** @type {Record<string, Awaited<ReturnType<typeof makeSite>>>} */
const sites = {};

before(async () => {
  writeFileSync(join(folder, 'digits.wai'), (await compile(onnx, { optimize: true })).bytes);
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  const digits = [join(folder, 'digits.wai')];
  sites.secure = await makeSite({ secure: true, models: digits });
  sites.plain = await makeSite({ models: digits });
  sites.stub = await makeSite({ runtime, hardened: true, models: [join(folder, 'stub.wai')] });
});
after(async () => {
  for (const site of Object.values(sites)) await site.close();
  rmSync(folder, { recursive: true, force: true });
});

onEngines('a secure folder is hardened, and answers as another does', async ({ browser }) => {
  const answers = [];
  for (const name of ['secure', 'plain']) {
    const opened = await openPage(browser, sites[name]);
    answers.push(
      await opened.page.evaluate(async () => {
        const session = await wasmai.load('./models/digits.wai', { deterministic: true });
        const image = new Float32Array(784).map((_, i) => (i % 11) / 11);
        const seen = [];
        for (let i = 0; i < 3; i++) seen.push([...(await session.run({ image })).logits.data]);
        const { hardened } = session.info;
        await session.close();
        return { hardened, seen };
      }),
    );
    assert.deepEqual(await opened.violations(), []);
    await opened.close();
  }
  const [secure, plain] = answers;
  assert.deepEqual([secure.hardened, plain.hardened], [true, false]);
  for (const one of secure.seen) assert.deepEqual(one, plain.seen[0]);
});

onEngines('damage ends the worker, and the next run has a new one', async ({ browser }) => {
  const opened = await openPage(browser, sites.stub);
  const seen = await opened.page.evaluate(async () => {
    const session = await wasmai.load('./models/stub.wai');
    const run = async (/** @type {number} */ what) =>
      (await session.run({ x: new Float32Array([what, 0, 0, 0]) })).y.data[0];
    const before = [await run(-5), await run(-5)];
    const error = await window.caught(run(-7));
    const behind = [await run(-5), await run(-5)];
    await session.close();
    return { before, error, behind };
  });
  assert.deepEqual(seen.before, [1, 2]);
  assert.equal(seen.error?.code, 'INTEGRITY');
  assert.deepEqual(seen.behind, [1, 2], 'the count of runs began anew');
  await opened.close();
});
