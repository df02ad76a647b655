// float16 and 64-bit integers in a real page, on the real runtime.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../../harness/index.mjs';
import { FLOAT16, INT64, onnxFile } from '../js/cli_support.mjs';
import { makeSite, onEngines, openPage } from './browser.mjs';

onEngines('float16 as Float16Array and as bits, int64 above 2^53', async ({ browser, t }) => {
  const { bytes } = await compile(
    onnxFile({
      nodes: [
        ['Add', ['h', 'h'], ['twice']],
        ['Add', ['i', 'i'], ['sum']],
      ],
      inputs: [
        ['h', FLOAT16, [2]],
        ['i', INT64, [2]],
      ],
      outputs: [
        ['twice', FLOAT16, [2]],
        ['sum', INT64, [2]],
      ],
    }),
  );
  const folder = mkdtempSync(join(tmpdir(), 'wasm-ai-numbers-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'm.wai'), bytes);
  const site = await makeSite({ models: [join(folder, 'm.wai')] });
  t.after(() => site.close());
  const { page } = await openPage(browser, site);
  const seen = await page.evaluate(async () => {
    const session = await wasmai.load('./models/m.wai');
    const Float16 = /** @type {any} */ (globalThis).Float16Array;
    const i = new BigInt64Array([2n ** 61n + 1n, -(2n ** 53n) - 1n]);
    const feeds = [new Uint16Array([0x3e00, 0xbc00])]; // 1.5, -1
    if (Float16) feeds.push(new Float16([1.5, -1]));
    const answers = [];
    for (const h of feeds) {
      for (const given of [h, new wasmai.Tensor('float16', h)]) {
        const { twice, sum } = await session.run({ h: given, i });
        answers.push({
          kind: twice.data.constructor.name,
          bits: [...new Uint16Array(twice.data.buffer)],
          sum: [...sum.data].map(String),
        });
      }
    }
    const wrong = await caught(session.run({ h: new Float32Array(2), i }));
    await session.close();
    return { answers, wrong, has: Boolean(Float16) };
  });
  assert.ok(seen.answers.length >= 2);
  for (const { kind, bits, sum } of seen.answers) {
    assert.equal(kind, seen.has ? 'Float16Array' : 'Uint16Array');
    assert.deepEqual(bits, [0x4200, 0xc000]); // 3, -2
    assert.deepEqual(sum, [`${2n ** 62n + 2n}`, `${-(2n ** 54n) - 2n}`]);
  }
  assert.equal(seen.wrong.code, 'ARGUMENT');
  assert.match(seen.wrong.message, /expected float16 \[2\], got Float32Array/);
});
