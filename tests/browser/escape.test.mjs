/// <reference path="./globals.d.ts" />
// Hostile code inside: the worker of both levels, with a request of the test's own in it (attacks.js), tries
// every way out that browsers have. All are shut; without the policies and the lock-down most are open.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { elsewhere, headersFor, makeSite, onEngines, openPage, otherSite } from './browser.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const sha384 = (bytes) => createHash('sha384').update(bytes).digest('hex');
const sites = {};
let other;

before(async () => {
  const folder = join(tmpdir(), `wasm-ai-escape-${process.pid}`);
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
  for (const name of ['locked', 'open']) {
    const locked = name === 'locked';
    const site = await makeSite({ runtime, models: [join(folder, 'stub.wai')], secure: locked });
    await plantAttacks(site, locked);
    sites[name] = site;
  }
  other = await otherSite();
});

after(async () => {
  for (const site of Object.values(sites)) await site.close();
  await other?.close();
});

/** The site's worker with one request more, pinned in its loader; `locked`: with canary and lock-down. */
async function plantAttacks({ root, manifest }, locked) {
  const request = `attack({ id, at }) {
      attack(at, here).then(
        (tried) => post({ id, tried, left: reachable() }),
        (error) => post({ id, tried: [{ name: 'none', got: String(error) }], left: [] }),
      );
    },`;
  const plant = {
    name: 'plant',
    setup(plugin) {
      plugin.onLoad({ filter: /[/\\]web[/\\]worker\.js$/ }, ({ path }) => ({
        contents: `import { attack, reachable } from ${JSON.stringify(here('attacks.js'))};
          const here = String(self.location);
          ${readFileSync(path, 'utf8').replace('const requests = {', `const requests = { ${request}`)}`,
      }));
      if (locked) return;
      plugin.onLoad({ filter: /[/\\]web[/\\]lockdown\.js$/ }, () => ({
        contents: `export const inFrame = () => self.origin === 'null';
          export const requirePolicy = async () => {};
          export const lockDown = () => {};`,
      }));
    },
  };
  const { outputFiles } = await build({
    entryPoints: [here('../../web/worker.js')],
    bundle: true,
    format: 'iife',
    target: ['chrome93', 'firefox92', 'safari16.4'],
    supported: { 'dynamic-import': true },
    write: false,
    logLevel: 'error',
    plugins: [plant],
  });
  const [worker] = manifest.workers;
  const loader = readFileSync(join(root, 'wasmai.js'), 'utf8');
  const before = sha384(readFileSync(join(root, worker)));
  assert.ok(loader.includes(before));
  writeFileSync(join(root, worker), outputFiles[0].contents);
  writeFileSync(
    join(root, 'wasmai.js'),
    loader.replaceAll(before, sha384(outputFiles[0].contents)),
  );
}

/** What the attacks in a page's worker gave, and what reached a server. */
async function attackFrom(browser, server, isolation, requests) {
  const { page, close, violations, complaints } = await openPage(
    browser,
    server,
    `page.html?isolation=${isolation}`,
  );
  other.hits.length = 0;
  const given = { own: `${server.url}hit/`, other: other.url };
  const { tried, left, heard } = await page.evaluate(async (at) => {
    // What the page talks to its worker on: the worker itself, or the first port that it makes.
    const links = [];
    for (const name of ['Worker', 'MessageChannel']) {
      const Native = window[name];
      window[name] = class extends Native {
        constructor(...args) {
          super(...args);
          links.push(/** @type {any} */ (this).port1 ?? this);
        }
      };
    }
    const heard = [];
    const listen = ({ data }) => heard.push(data);
    new BroadcastChannel('attack').onmessage = listen;
    window.addEventListener('message', listen);
    const session = await wasmai.load('./models/stub.wai');
    const answer = new Promise((resolve) => {
      links[0].addEventListener('message', ({ data }) => data.tried && resolve(data));
    });
    links[0].postMessage({ op: 'attack', id: 'attack', at });
    const { tried, left } = await answer;
    const { y } = await session.run({ x: new Float32Array([1, 2, 3, 4]) });
    if (y.data[3] !== 8) throw new Error('the model does not run any more');
    await session.close();
    return { tried, left, heard };
  }, given);
  const hits = [...requests, ...other.hits].filter(
    (url) => url.includes('/hit/') || /\?import/.test(url),
  );
  const seen = { violations: await violations(), complaints };
  await close();
  return { tried, left, heard, hits, ...seen };
}
/** By what a worker says and by what servers saw. */
const openOf = ({ tried, hits }) =>
  tried
    .filter(({ name, got }) => got !== null || hits.some((url) => url.split(/[/?]/).includes(name)))
    .map(({ name }) => name);

/** What the locked worker can still reach: the language, and of WebAssembly what the engine uses. */
const LEFT = `globalThis globalThis.__proto__.__proto__
  Object.prototype Object.prototype.constructor Function.prototype Symbol Symbol.prototype
  AggregateError Error Error.prototype EvalError RangeError ReferenceError SyntaxError TypeError URIError
  Boolean Boolean.prototype Number Number.prototype BigInt BigInt.prototype String String.prototype
  RegExp.prototype RegExp.prototype.constructor Math JSON Promise Promise.prototype
  Array.prototype Array.prototype.constructor ArrayIterator.prototype Iterator.prototype Iterator.prototype.constructor
  GeneratorFunction.prototype GeneratorFunction.prototype.prototype AsyncGeneratorFunction.prototype
  AsyncGeneratorFunction.prototype.prototype AsyncGeneratorFunction.prototype.prototype.__proto__
  Map Map.prototype Set Set.prototype WeakMap WeakMap.prototype
  ArrayBuffer ArrayBuffer.prototype DataView DataView.prototype TypedArray TypedArray.prototype
  Uint8Array Uint8Array.prototype Int8Array Uint8ClampedArray Uint16Array Int16Array Uint32Array Int32Array
  Float16Array Float32Array Float64Array BigInt64Array BigUint64Array
  WebAssembly WebAssembly.Module WebAssembly.Instance WebAssembly.Instance.prototype WebAssembly.Memory
  WebAssembly.Memory.prototype WebAssembly.CompileError WebAssembly.LinkError WebAssembly.RuntimeError`;

/** What does not get through without us either: no engine has it in workers (or, callSites, it is empty). */
const NOWHERE = 'beacon callSites cookies localStorage rtc sharedWorker';
/** What an engine has not. */
const ABSENT = {
  chromium: 'serviceWorker',
  firefox: 'webSocketStream',
  webkit: 'files webSocketStream webTransport',
};
/** What an opaque origin is denied by the browser. */
const DENIED = {
  chromium: 'cacheAdd cacheOpen files indexedDB locks serviceWorker webTransport worker',
  firefox: 'cacheAdd cacheOpen files indexedDB locks serviceWorker worker',
  webkit: 'files font indexedDB locks worker',
};

for (const isolation of ['worker', 'frame']) {
  onEngines(`${isolation}: nothing leads out of the locked worker`, async ({ engine, browser }) => {
    /** @type {string[]} */
    const requests = [];
    const headers = headersFor(engine, isolation, sites.locked);
    const how = { headers, onRequest: (url) => requests.push(url) };
    await elsewhere(sites.locked, how, async (server) => {
      const seen = await attackFrom(browser, server, isolation, requests);
      assert.ok(seen.tried.length > 40);
      assert.deepEqual(openOf(seen), []);
      assert.deepEqual(seen.hits, []);
      assert.deepEqual(seen.heard, []);
      assert.deepEqual(seen.violations, []);
      assert.deepEqual(seen.complaints, []);
      assert.deepEqual(seen.left, LEFT.split(/\s+/).sort(), 'what can be reached');
    });
  });

  onEngines(`${isolation}: without policy and lock-down the same get through`, async (given) => {
    /** @type {string[]} */
    const requests = [];
    const { frame } = sites.open.manifest;
    const how = {
      onRequest: (url) => requests.push(url),
      change: (path, bytes) =>
        path === frame.file ? String(bytes).replace(/<meta http-equiv[^>]*>/, '') : bytes,
    };
    await elsewhere(sites.open, how, async (server) => {
      const seen = await attackFrom(given.browser, server, isolation, requests);
      const open = openOf(seen);
      const shut = seen.tried.map(({ name }) => name).filter((name) => !open.includes(name));
      const denied = isolation === 'frame' ? DENIED[given.engine] : '';
      const expected = `${NOWHERE} ${ABSENT[given.engine]} ${denied}`.trim().split(' ');
      assert.deepEqual(shut.sort(), [...new Set(expected)].sort());
      assert.deepEqual(seen.heard, isolation === 'worker' ? ['broadcast'] : []);
    });
  });
}
