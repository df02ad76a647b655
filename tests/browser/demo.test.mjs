// The demo as visitors get it: real model, real runtime, both page policies, https.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildDist } from '../../harness/dist.mjs';
import { compile } from '../../harness/index.mjs';
import { serveFolder } from '../../harness/server/app.mjs';
import { localCertificate, spkiOf } from '../../harness/server/certificate.mjs';
import { launch } from './browser.mjs';

const DIGITS = new URL('../../models/digits/', import.meta.url);
const digit = (/** @type {string} */ name) => new URL(`samples/${name}.png`, DIGITS).pathname;
let folder;
let model;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-demo-'));
  model = join(folder, 'digits.wai');
  const { bytes } = await compile(readFileSync(new URL('digits.onnx', DIGITS)), { optimize: true });
  writeFileSync(model, bytes);
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** @param {{ secure: boolean, https?: boolean, context?: import('playwright-core').BrowserContextOptions }} how */
async function withDemo({ secure, https = false, context = {} }, body) {
  const out = join(folder, secure ? 'secure' : 'plain');
  await buildDist({ out, models: [model], secure, demo: true });
  const pair = https ? await localCertificate(join(folder, 'cache')) : {};
  const server = await serveFolder({ folder: out, port: 0, ...pair });
  const browser = await launch(
    https ? [`--ignore-certificate-errors-spki-list=${await spkiOf(pair.cert)}`] : [],
  );
  try {
    const page = await (await browser.newContext(context)).newPage();
    const complaints = [];
    const requests = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (asked) => requests.push(asked.url()));
    await page.addInitScript(() => {
      window.violations = [];
      document.addEventListener('securitypolicyviolation', (event) =>
        window.violations.push(event.violatedDirective),
      );
    });
    await page.goto(server.url);
    await page.waitForFunction(() => document.getElementById('load')?.hidden);
    await body(page);
    assert.deepEqual(complaints, [], 'no console error');
    assert.deepEqual(await page.evaluate(() => window.violations), [], 'no violation');
    assert.deepEqual(
      requests.filter((url) => !url.startsWith(server.url)),
      [],
      'no request to others',
    );
  } finally {
    await browser.close();
    await server.close();
  }
}

/** Wait until the demo is sure of `label`. */
const answers = (page, label) =>
  page.waitForFunction(
    (wanted) => document.getElementById('best')?.textContent === wanted,
    String(label),
    { timeout: 5000 },
  );

for (const secure of [false, true]) {
  test(`${secure ? 'strict' : 'literal'} policy: every sample, a dropped drawing, a model of one's own`, async () => {
    await withDemo({ secure }, async (page) => {
      const buttons = page.locator('#samples button');
      assert.equal(await buttons.count(), 10);
      for (let label = 0; label < 10; label++) {
        await buttons.nth(label).click();
        await answers(page, label);
      }
      for (const label of [2, 5, 8]) {
        await page.setInputFiles('#file', digit(`drawn-${label}`));
        await answers(page, label);
      }
      await page.waitForFunction(() =>
        /percent/.test(document.getElementById('spoken')?.textContent ?? ''),
      );
      for (const file of [model, new URL('digits.onnx', DIGITS).pathname]) {
        await page.setInputFiles('#own-file', file);
        await page.waitForFunction(
          (name) => document.getElementById('own-status')?.textContent?.startsWith(`${name}: `),
          file.replace(/.*\//, ''),
          { timeout: 15000 },
        );
        assert.equal(await page.locator('#own-result td', { hasText: 'logits' }).count(), 1);
      }
      writeFileSync(
        join(folder, 'bad.onnx'),
        readFileSync(new URL('digits.onnx', DIGITS)).subarray(0, 5000),
      );
      await page.setInputFiles('#own-file', join(folder, 'bad.onnx'));
      await page.waitForFunction(() =>
        document.getElementById('own-status')?.classList.contains('bad'),
      );
      await buttons.nth(3).click();
      await answers(page, 3);
      const why = secure ? 'instruction limits' : '\\d+ cores|\\d million operations are too few';
      assert.match((await page.textContent('#facts')) ?? '', new RegExp(`threads1: .*(${why})`));
    });
  });
}

test('https with the self-signed certificate; drawn with the mouse and with the keyboard', async () => {
  await withDemo({ secure: true, https: true }, async (page) => {
    const box = await page.locator('#pad').boundingBox();
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.8, { steps: 12 });
    await page.mouse.up();
    await answers(page, 1);
    await page.focus('#pad');
    await page.keyboard.press('Delete');
    await answers(page, '–');
    // a seven: to the right, then down
    for (let i = 0; i < 6; i++) await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Space');
    for (let i = 0; i < 12; i++) await page.keyboard.press('ArrowRight');
    for (let i = 0; i < 18; i++) {
      await page.keyboard.press('ArrowDown');
      if (i % 3 === 0) await page.keyboard.press('ArrowLeft');
    }
    await answers(page, 7);
    await page.click('#measure');
    await page.waitForFunction(() => Number(document.getElementById('runs')?.textContent) > 100);
    assert.match(await page.locator('#p99').innerText(), / ms$/);
  });
});

test('a phone: nothing is wider than the screen, buttons are large enough', async () => {
  await withDemo(
    { secure: false, context: { viewport: { width: 360, height: 740 } } },
    async (page) => {
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
      for (const id of ['clear', 'pick', 'measure', 'own-pick']) {
        assert.ok((await page.locator(`#${id}`).boundingBox()).height >= 40, id);
      }
    },
  );
});
