// Which runtime a page gets: that of relaxed SIMD where the browser has it and nothing asked for the same
// bits everywhere. Detection works under the strict page policy, and one page can have sessions of both.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compile } from '../../harness/index.mjs';
import { variants } from '../../web/variants.js';
import { makeSite, onEngines, openPage } from './browser.mjs';

const DIGITS = fileURLToPath(new URL('../../models/digits/digits.onnx', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'wasm-ai-variants-'));
let site;

before(async () => {
  const file = join(folder, 'digits.wai');
  const { bytes } = await compile(readFileSync(DIGITS), { optimize: true });
  writeFileSync(file, bytes);
  site = await makeSite({ models: [file] });
});
after(async () => {
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** In the page: sessions of each kind, two at a time, and what they answer. */
async function sessions(probe) {
  const image = Float32Array.from({ length: 784 }, (_, i) => ((i * 37) % 255) / 255);
  const open = (options) => wasmai.load('./models/digits.wai', options);
  const told = async (session) => {
    const output = session.outputs[0].name;
    const answer = await session.run({ [session.inputs[0].name]: image });
    return { info: session.info, answer: [...answer[output].data] };
  };
  const pair = await Promise.all([open(), open({ deterministic: true })]);
  const first = [await told(pair[0]), await told(pair[1])];
  for (const session of pair) await session.close();
  const again = await open({ deterministic: true }); // may take the worker in reserve
  const second = await told(again);
  await again.close();
  return {
    can: WebAssembly.validate(new Uint8Array(probe)),
    any: first[0],
    exact: [first[1], second],
  };
}

onEngines('the fastest runtime that may be taken is taken', async ({ engine, browser }) => {
  const { page, complaints, violations, close } = await openPage(browser, site);
  const { can, any, exact } = await page.evaluate(sessions, [...variants.relaxed.probe]);
  assert.equal(any.info.variant, can ? 'relaxed' : 'simd');
  assert.equal(any.info.deterministic, !can);
  assert.match(any.info.variantReason, can ? /relaxed SIMD is here/ : /no relaxed SIMD here/);
  if (engine === 'chromium') assert.ok(can, 'Chromium has relaxed SIMD');
  for (const { info, answer } of exact) {
    assert.equal(info.variant, 'simd');
    assert.equal(info.deterministic, true);
    assert.deepEqual(answer, exact[0].answer);
  }
  const largest = Math.max(...exact[0].answer.map(Math.abs));
  for (const [i, value] of any.answer.entries())
    assert.ok(Math.abs(value - exact[0].answer[i]) <= 1e-5 * largest, `${value} of class ${i}`);
  assert.deepEqual(await violations(), []);
  assert.deepEqual(complaints, []);
  await close();
});
