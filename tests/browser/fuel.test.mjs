// Fuel on every engine: the counts are Node's, and a run that is out of fuel does no harm.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';
import { compile } from '../../harness/index.mjs';
import { meter } from '../../harness/toolchain/meter/index.mjs';
import { endlessLoops } from '../js/meter_loops.mjs';
import { makeSite, onEngines, openPage } from './browser.mjs';

const onnx = readFileSync(
  fileURLToPath(new URL('../../models/digits/digits.onnx', import.meta.url)),
);
let folder;
let site;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-fuel-'));
  const { bytes } = await compile(onnx, { optimize: true });
  writeFileSync(join(folder, 'digits.wai'), bytes);
  site = await makeSite({ secure: true, models: [join(folder, 'digits.wai')] });
});

after(async () => {
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

onEngines(
  'an inference uses what the certificate, written in Node, states; FUEL comes out of the worker',
  async ({ browser }) => {
    const opened = await openPage(browser, site);
    const seen = await opened.page.evaluate(async () => {
      const session = await wasmai.load('./models/digits.wai');
      const [{ name, dims }] = session.inputs;
      const feeds = () => ({ [name]: new wasmai.Tensor('float32', new Float32Array(784), dims) });
      await session.run(feeds());
      const first = session.info.fuel;
      const error = await session.run(feeds(), { maxFuel: 1000 }).catch((failure) => failure);
      await session.run(feeds());
      const { metered, fuel, certificate } = session.info;
      await session.close();
      const { code, used, allowed } = error;
      return { first, metered, fuel, stated: certificate.fuel, code, used, allowed };
    });
    assert.equal(seen.metered, true);
    assert.ok(seen.stated > 1e6);
    assert.deepEqual([seen.first, seen.fuel], [seen.stated, seen.stated]);
    assert.deepEqual([seen.code, seen.allowed], ['FUEL', 1000]);
    assert.ok(seen.used > 1000);
    assert.deepEqual(await opened.violations(), []);
    assert.deepEqual(opened.complaints, []);
    await opened.close();
  },
);

/** Runs in Node and, as text, in a page. @param {[string, string][]} modules name and bytes @param {string[]} budgets */
function counts(modules, budgets) {
  return modules.map(([name, text]) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const wasm = /** @type {any} */ (
      new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports
    );
    return budgets.map((budget) => {
      wasm.wai_fuel_set(BigInt(budget));
      try {
        wasm.f();
        return `${name} ended`;
      } catch {
        return `${name} ${wasm.wai_fuel_get()}`;
      }
    });
  });
}

onEngines('endless loops of every form stop at the same count as in Node', async ({ browser }) => {
  const tools = await wabt();
  const modules = Object.entries(endlessLoops).map(([name, text]) => {
    const { buffer } = tools.parseWat('test.wat', text, { bulk_memory: true }).toBinary({});
    const { bytes } = meter(new Uint8Array(buffer));
    return /** @type {[string, string]} */ ([name, Buffer.from(bytes).toString('base64')]);
  });
  const budgets = ['0', '1', '1000', '123457'];
  const { page, close } = await browser.newPage();
  const there = await page.evaluate(
    ([source, ...args]) => new Function(`return (${source})(...arguments)`)(...args),
    [String(counts), modules, budgets],
  );
  await close();
  const here = counts(modules, budgets);
  assert.deepEqual(there, here);
  assert.ok(
    here.flat().every((text) => / -\d+$/.test(text)),
    'all were stopped',
  );
});
