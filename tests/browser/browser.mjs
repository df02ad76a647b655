/// <reference path="./globals.d.ts" />
// The three engines, and sites to point them at. A site is a built folder, served as `wasm-ai serve`
// serves it, with a page of the test's own that offers the loader as `wasmai`.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, test } from 'node:test';
import * as chromium from '../../harness/browsers/chromium.mjs';
import { watchComplaints } from '../../harness/browsers/in_page.mjs';
import { launchBrowser } from '../../harness/browsers/index.mjs';
import { buildDist } from '../../harness/dist.mjs';
import { serveFolder } from '../../harness/server/app.mjs';
import { headersOf, strictPolicy } from '../../harness/server/policies.mjs';
import { BROWSER_NAMES, browserMissing } from '../../harness/toolchain/browsers.mjs';

/** Playwright's own Chromium, for what only Chromium shows or Playwright can do. */
export function launch(args = []) {
  return chromium.launchChromium(chromium.chromiumPath(), args);
}

/** Of all sessions that do not ask for another: some tests run again in the sandboxed frame. */
export const isolation = process.env.WASM_AI_TEST_ISOLATION ?? 'worker';
/** @type {{ webkit?: string }} what no test can do there */
const CANNOT =
  isolation === 'frame'
    ? { webkit: 'no worker starts in a sandboxed frame of a page with COEP, which our pages have' }
    : {};

/** @typedef {import('../../harness/toolchain/browsers.mjs').BrowserName} Engine */
/** @type {Map<Engine, ReturnType<typeof launchBrowser>>} started when a test first wants them, one per file */
const browsers = new Map();

/**
 * One test per engine, `NAME (firefox)` and so on; an engine that is not installed is a skip.
 * @param {string} name
 * @param {(given: { engine: Engine, browser: import('../../harness/browsers/index.mjs').Browser,
 *   t: import('node:test').TestContext }) => unknown} body
 * @param {{ cannot?: Partial<Record<Engine, string>> }} [options]  cannot: why an engine is not able to
 */
export function onEngines(name, body, { cannot = {} } = {}) {
  for (const engine of BROWSER_NAMES) {
    const skip = cannot[engine] ?? CANNOT[engine] ?? browserMissing(engine);
    test(`${name} (${engine})`, { skip }, async (t) => {
      const attempt = async () => {
        const browser = browsers.get(engine) ?? launchBrowser(engine);
        browsers.set(engine, browser);
        await inTime(engine, Promise.resolve(body({ engine, browser: await browser, t })));
      };
      await attempt().catch((error) => {
        if (!(error instanceof Silent)) throw error;
        t.diagnostic(`${engine} did not answer at all any more: once more in a new one`);
        return attempt();
      });
    });
  }
}

/** Far above what any takes on a busy machine: whoever waits longer waits for ever. */
const MOST_MS = 150_000;
const ANSWER_MS = 15_000;

/** The browser itself is stuck, whatever it was asked. */
class Silent extends Error {}

/** @template T @param {Promise<T>} work @param {number} ms @param {T} late */
async function within(work, ms, late) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const end = new Promise((resolve) => {
    timer = setTimeout(() => resolve(late), ms);
  });
  return Promise.race([work, end]).finally(() => clearTimeout(timer));
}

/** Whether it opens a page and answers there. @param {import('../../harness/browsers/index.mjs').Browser} browser */
async function answers(browser) {
  const { page, close } = await browser.newPage();
  const two = await page.evaluate(() => 1 + 1);
  await close();
  return two === 2;
}

/** A browser that does not answer costs one test and not all that follow. @param {Engine} engine @param {Promise<unknown>} work */
async function inTime(engine, work) {
  const late = Symbol('late');
  if ((await within(work, MOST_MS, late)) !== late) return;
  const stuck = /** @type {Promise<import('../../harness/browsers/index.mjs').Browser>} */ (
    browsers.get(engine)
  );
  const alive = await within(stuck.then(answers), ANSWER_MS, false).catch(() => false);
  browsers.delete(engine);
  stuck.then((browser) => browser.close()).catch(() => {});
  if (alive) throw new Error(`no end after ${MOST_MS} ms, in a browser that answers`);
  throw new Silent(`no end after ${MOST_MS} ms, and the browser does not answer`);
}

after(async () => {
  for (const browser of browsers.values()) await (await browser.catch(() => null))?.close();
});

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>test</title>
<script type="module" src="./page.js"></script></head><body><h1>test</h1></body></html>\n`;
const SCRIPT = `import * as wasmai from './wasmai.js';
(${watchComplaints})();
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(event.violatedDirective + ' ' + event.blockedURI);
});
/** The level of isolation is the page's address's: ?isolation=frame */
const isolation = new URLSearchParams(location.search).get('isolation') ?? undefined;
const load = (source, options) => wasmai.load(source, { isolation, ...options });
window.wasmai = { ...wasmai, load };
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

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };

/**
 * The folder of a site from another server: with no header but the type, or as `headers` says, and its
 * files as they are, or as `change` makes them.
 * @param {{ root: string, manifest: any }} site
 * @param {{ headers?: (path: string) => Record<string, string>, change?: (path: string, bytes: Buffer) => Buffer | string,
 *   onRequest?: (path: string) => void }} how
 * @param {(server: { url: string }) => Promise<void>} body
 */
export async function elsewhere({ root, manifest }, how, body) {
  const { headers = () => ({}), change = (_, bytes) => bytes, onRequest = () => {} } = how;
  const server = createServer((request, response) => {
    const asked = String(request.url).slice(1).replace(/\?.*/, '');
    onRequest(String(request.url));
    const path = manifest.packages[asked]?.file ?? asked;
    try {
      const bytes = change(path, readFileSync(join(root, path)));
      const type = { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream' };
      response.writeHead(200, { ...type, ...headers(path) }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, 'localhost', () => resolve(undefined)));
  try {
    await body({ url: `http://localhost:${/** @type {any} */ (server.address()).port}/` });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/**
 * Headers for `elsewhere`: those of a folder built with --secure. WebKit starts no worker in a sandboxed
 * frame of a page with COEP, so there it goes without.
 * @param {Engine} engine @param {string} level of isolation @param {{ manifest: any }} site
 */
export function headersFor(engine, level, { manifest }, pagePolicy = strictPolicy()) {
  return (path) => {
    const headers = headersOf(path, { ...manifest, pagePolicy });
    if (engine === 'webkit' && level === 'frame') {
      delete headers['Cross-Origin-Embedder-Policy'];
      delete headers['Cross-Origin-Opener-Policy'];
    }
    return headers;
  };
}

/** A site of somebody else: whatever arrives there is a hit, and that is all that it is for. */
export async function otherSite() {
  /** @type {string[]} */
  const hits = [];
  const server = createServer(({ url }, response) => {
    hits.push(String(url));
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end();
  });
  server.on('upgrade', ({ url }, socket) => {
    hits.push(String(url));
    socket.destroy();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  return {
    url: `http://127.0.0.1:${/** @type {any} */ (server.address()).port}/hit/`,
    hits,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * A page of the site with the loader in it, and all that it complained about.
 * @param {import('../../harness/browsers/index.mjs').Browser | import('playwright-core').Browser} browser
 */
export async function openPage(browser, site, path = `page.html?isolation=${isolation}`) {
  const { page, complaints, close } = await ('newContext' in browser
    ? chromium.newPage(browser)
    : browser.newPage());
  await page.goto(site.url + path);
  await page.waitForFunction(() => 'wasmai' in window);
  const violations = () => page.evaluate(() => window.violations);
  return { page: /** @type {any} */ (page), complaints, violations, close };
}
