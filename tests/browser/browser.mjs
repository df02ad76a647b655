/// <reference path="./globals.d.ts" />
// Chromium, and sites to point it at. A site is a built folder, served as `wasm-ai serve`
// serves it, with a page of the test's own that offers the loader as `wasmai`.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDist } from '../../harness/dist.mjs';
import { chromiumPath, launch as launchChromium } from '../../harness/runners/chromium.mjs';
import { serveFolder } from '../../harness/server/app.mjs';

export function launch(args = []) {
  return launchChromium(chromiumPath(), args);
}

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>test</title>
<script type="module" src="./page.js"></script></head><body><h1>test</h1></body></html>\n`;
const SCRIPT = `import * as wasmai from './wasmai.js';
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(event.violatedDirective + ' ' + event.blockedURI);
});
window.wasmai = wasmai;
/** What a test gets to see of an error. */
window.caught = (promise) => promise.then(() => null, (error) => ({
  isOurs: error instanceof wasmai.WasmAIError, code: error.code, where: error.where, message: error.message }));
`;

/** @param {Partial<import('../../harness/dist.mjs').DistOptions> & { files?: Record<string, string | Uint8Array> }} options */
export async function makeSite({ files = {}, ...options }) {
  const folder = mkdtempSync(join(tmpdir(), 'wasm-ai-site-'));
  const manifest = await buildDist({ out: join(folder, 'dist'), ...options });
  const root = join(folder, 'dist');
  for (const [path, content] of Object.entries({
    'page.html': PAGE,
    'page.js': SCRIPT,
    'favicon.ico': '',
    ...files,
  })) {
    writeFileSync(join(root, path), content);
  }
  const requests = [];
  const server = await serveFolder({
    folder: root,
    port: 0,
    onRequest: (path) => requests.push(path),
  });
  return {
    root,
    manifest,
    requests,
    url: server.url,
    async close() {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A page of the site with the loader in it, and all that it complained about. */
export async function openPage(browser, site, path = 'page.html') {
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(site.url + path);
  await page.waitForFunction(() => 'wasmai' in window);
  return {
    page,
    complaints,
    violations: () => page.evaluate(() => window.violations),
    close: () => context.close(),
  };
}
