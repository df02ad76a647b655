/// <reference path="../browser/globals.d.ts" />
// The header files that `build` writes, on the servers that they are for: each file of a built
// folder is asked for over HTTPS and must come with the headers of the policy table, no more, no less.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { gunzipSync } from 'node:zlib';
import expressServer from 'express';
import { audit } from '../../harness/audit/index.mjs';
import { buildDist } from '../../harness/dist.mjs';
import { compile } from '../../harness/index.mjs';
import { localCertificate, spkiOf } from '../../harness/server/certificate.mjs';
import { HOSTS } from '../../harness/server/hosts.mjs';
import { headersOf, strictPolicy, WORKER_POLICY } from '../../harness/server/policies.mjs';
import { freePort } from '../../harness/server/port.mjs';
import { findChromium } from '../../harness/toolchain/chromium.mjs';
import { launch } from '../browser/browser.mjs';
import { findServer, SERVERS, startServer } from './servers.mjs';

const DIGITS = new URL('../../models/digits/', import.meta.url);

let folder;
let site;
let manifest;
let policies;
let pair;
const running = new Map();
const missing = new Map();

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-hosts-'));
  chmodSync(folder, 0o755); // Apache reads as www-data
  const model = join(folder, 'digits.wai');
  const onnx = readFileSync(new URL('digits.onnx', DIGITS));
  writeFileSync(model, (await compile(onnx, { optimize: true })).bytes);
  site = join(folder, 'dist');
  const { privateKey } = generateKeyPairSync('ed25519');
  const sign = { key: privateKey };
  manifest = await buildDist({ out: site, models: [model], secure: true, demo: true, sign });
  policies = {
    workers: manifest.workers,
    frame: manifest.frame,
    pagePolicy: strictPolicy({ trustedTypes: manifest.trustedTypes }),
    hsts: true,
  };
  // What somebody adds, and what must not be seen.
  mkdirSync(join(site, 'more'));
  mkdirSync(join(site, '.git'));
  for (const [path, text] of Object.entries({
    'more/index.html': '<!doctype html><title>more</title>',
    'mine.html': '<!doctype html><title>mine</title>',
    'mine.js': 'export {};',
    'MINE.JS': 'export {};',
    noending: 'x',
    'weights.bin': 'x',
    '.secret': 'hidden',
    '.git/config': 'hidden',
  }))
    writeFileSync(join(site, path), text);
  pair = await localCertificate(join(folder, 'certificate'));
  const [key, cert] = ['localhost-key.pem', 'localhost-cert.pem'].map((name) =>
    join(folder, 'certificate', name),
  );
  for (const name of Object.keys(SERVERS)) {
    const { toolchain, missing: reason } = await findServer(name);
    if (!toolchain) missing.set(name, reason);
    else {
      const place = { site, work: join(folder, name), key, cert };
      running.set(name, await startServer(name, toolchain, place).catch((error) => ({ error })));
    }
  }
});

after(async () => {
  for (const server of running.values()) await server.close?.();
  rmSync(folder, { recursive: true, force: true });
});

/** The path goes out as it is. @param {number} port @param {string} path */
function get(port, path, options = {}) {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: 'localhost', port, path, ca: pair.cert, agent: false, ...options },
      (response) => {
        /** @type {Buffer[]} */
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

/** What a server may say of its own accord. */
const TRANSPORT = new Set([
  ...['date', 'server', 'etag', 'last-modified', 'accept-ranges', 'content-length', 'connection'],
  ...['keep-alive', 'vary', 'alt-svc', 'transfer-encoding'],
]);

const lower = (headers) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.toLowerCase()]),
  );
/** nginx writes charset=utf-8 as it is told, Apache may not put a blank: case and blanks say nothing. */
const seen = (headers) =>
  lower(
    Object.fromEntries(
      Object.entries(headers)
        .filter(([name]) => !TRANSPORT.has(name))
        .map(([name, value]) => [name, String(value).replace(/;charset/, '; charset')]),
    ),
  );

/** Path to ask for -> path below the folder that the table knows. */
function pathsToAsk() {
  const added = ['mine.html', 'mine.js', 'MINE.JS', 'noending', 'weights.bin', 'more/index.html'];
  const [{ file }] = Object.values(manifest.packages);
  const signatures = ['manifest.json.jws', `${file}.jws`];
  const all = [...Object.keys(manifest.files), 'manifest.json', ...signatures, ...added];
  /** @type {[string, string][]} */
  const asked = [
    ['/', 'index.html'],
    ['/more/', 'more/index.html'],
    ...all
      .filter((path) => !path.startsWith('headers/'))
      .map((path) => /** @type {[string, string]} */ ([`/${path}`, path])),
  ];
  return new Map(asked);
}

/** The server, or null: then the test is skipped with the reason. */
function serverFor(t, name) {
  const server = running.get(name);
  if (server?.error) throw server.error;
  if (!server) t.skip(String(missing.get(name)));
  return server ?? null;
}

for (const name of Object.keys(SERVERS)) {
  test(`${name}: every file has the headers of the table and its own bytes`, async (t) => {
    const server = serverFor(t, name);
    if (!server) return;
    for (const [path, file] of pathsToAsk()) {
      const { status, headers, body } = await get(server.port, path);
      assert.equal(status, 200, path);
      assert.deepEqual(seen(headers), lower(headersOf(file, policies)), path);
      const known = manifest.files[file]?.sha384;
      if (known) assert.equal(createHash('sha384').update(body).digest('hex'), known, path);
    }
    const worker = await get(server.port, `/${manifest.workers[0]}`);
    assert.equal(worker.headers['content-security-policy'], WORKER_POLICY);
    assert.match(worker.headers['cache-control'], /immutable/);
  });

  test(`${name}: scripts and wasm go out compressed, with the same headers; packages do not`, async (t) => {
    const server = serverFor(t, name);
    if (!server) return;
    const [runtime] = Object.keys(manifest.files).filter((path) => /^runtime.*wasm$/.test(path));
    const [{ file: pack }] = Object.values(manifest.packages);
    const ask = { headers: { 'Accept-Encoding': 'gzip' } };
    for (const file of [runtime, manifest.workers[0], 'wasmai.js', 'manifest.json', 'index.html']) {
      const { headers, body } = await get(server.port, `/${file}`, ask);
      assert.equal(headers['content-encoding'], 'gzip', file);
      assert.match(headers.vary, /accept-encoding/i);
      assert.deepEqual(gunzipSync(body), readFileSync(join(site, file)));
      const { 'content-encoding': _, ...rest } = headers;
      assert.deepEqual(seen(rest), lower(headersOf(file, policies)), file);
    }
    const { headers } = await get(server.port, `/${pack}`, ask);
    assert.equal(headers['content-encoding'], undefined);
  });

  test(`${name}: nothing hidden, nothing outside, no list of files, no old TLS`, async (t) => {
    const server = serverFor(t, name);
    if (!server) return;
    const bad = ['/.secret', '/.git/config', '/%2egit/config', '/models/', '/.htaccess'];
    for (const path of [...bad, '/../certificate/localhost-key.pem', '/nothing.js']) {
      const { status, body } = await get(server.port, path);
      assert.ok(status >= 400 && status < 500, `${path} gave ${status}`);
      assert.ok(!/hidden|PRIVATE KEY|digits/.test(body.toString()), path);
    }
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
    await assert.rejects(get(server.port, '/', old), /protocol|alert|version/i);
    const { headers } = await get(server.port, '/');
    assert.ok(!/\d/.test(headers.server ?? ''), 'no version of the server');
  });
}

for (const name of Object.keys(SERVERS))
  test(`${name}: the audit over HTTPS finds what it finds in the folder: the demo's own compiler`, async (t) => {
    const server = serverFor(t, name);
    if (!server) return;
    const { findings, facts } = await audit(server.url, { ca: pair.cert });
    const told = findings.map(({ id, where }) => `${id} ${where.join()}`);
    const compiler = Object.keys(facts.wasm).find((path) => path.startsWith('compiler.'));
    assert.deepEqual(told, [`wasm-not-metered ${compiler}`]);
    assert.equal(facts.integrity.files, Object.keys(manifest.files).length);
  });

for (const name of Object.keys(SERVERS))
  test(`${name}: a --secure folder made for its address names its very files, and has no finding`, async (t) => {
    if (!serverFor(t, name)) return;
    const port = await freePort();
    const out = join(folder, `${name}-own`);
    const origin = `https://localhost:${port}/`;
    const models = [join(folder, 'digits.wai')];
    const { workers, frame } = await buildDist({ out, models, secure: true, origin });
    writeFileSync(join(out, 'index.html'), '<!doctype html><title>mine</title>');
    const { toolchain } = await findServer(name);
    assert.ok(toolchain);
    const [key, cert] = ['key', 'cert'].map((end) =>
      join(folder, `certificate/localhost-${end}.pem`),
    );
    const place = { site: out, work: join(folder, `${name}-work`), key, cert, port };
    const server = await startServer(name, toolchain, place);
    try {
      const { headers } = await get(port, '/');
      const policy = headers['content-security-policy'];
      assert.ok(policy.includes(`worker-src ${origin}${workers[0]};`), policy);
      assert.ok(policy.includes(`frame-src ${origin}${frame.file};`), policy);
      const { findings, facts } = await audit(server.url, { ca: pair.cert });
      assert.deepEqual(findings, []);
      assert.ok(Object.keys(facts.packages).length === 1 && facts.certificate.trusted);
    } finally {
      await server.close();
    }
  });

test('nginx: the demo runs in Chromium, in its locked worker, and its answer is right', async (t) => {
  const server = serverFor(t, 'nginx');
  if (!server) return;
  if (!findChromium()) return t.skip('Chromium is not installed');
  const browser = await launch([
    `--ignore-certificate-errors-spki-list=${await spkiOf(pair.cert)}`,
  ]);
  try {
    const page = await browser.newPage();
    const complaints = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(server.url);
    await page.locator('#measure:not([disabled])').waitFor();
    await page.setInputFiles('#file', new URL('samples/real-3.png', DIGITS).pathname);
    await page.waitForFunction(() =>
      /^\d$/.test(document.querySelector('#best')?.textContent ?? ''),
    );
    assert.equal(await page.locator('#best').innerText(), '3');
    assert.equal(await page.evaluate(() => window.crossOriginIsolated), true);
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
});

test('CloudFront: the function gives the headers of the table', () => {
  const context = createContext({});
  runInContext(readFileSync(join(site, 'headers/cloudfront-function.js'), 'utf8'), context);
  for (const [path, file] of pathsToAsk()) {
    const event = { request: { uri: path }, response: { headers: {} } };
    const { headers } = context.handler(event);
    const plain = Object.entries(headers).map(([name, { value }]) => [name, value]);
    assert.deepEqual(lower(Object.fromEntries(plain)), lower(headersOf(file, policies)), path);
  }
  const { size } = manifest.files['headers/cloudfront-function.js'];
  assert.ok(size < 10240, 'CloudFront takes 10 KB');
});

test('express: the middleware gives the headers of the table', async () => {
  const { wasmaiHeaders, wasmaiType } = await import(
    pathToFileURL(join(site, 'headers/express.mjs')).href
  );
  const app = expressServer();
  app.disable('x-powered-by');
  app.use(wasmaiHeaders);
  app.use(expressServer.static(site, { setHeaders: wasmaiType, cacheControl: false }));
  const server = createServer(app);
  await new Promise((resolve) => server.listen(0, 'localhost', () => resolve(undefined)));
  const { port } = /** @type {any} */ (server.address());
  try {
    for (const [path, file] of pathsToAsk()) {
      const response = await fetch(`http://localhost:${port}${path}`);
      await response.arrayBuffer();
      assert.deepEqual(
        seen(Object.fromEntries(response.headers)),
        lower(headersOf(file, policies)),
        path,
      );
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

/** Netlify's and Cloudflare's own rules: a block for each path, values of all that fit are joined. */
function readNetlify(text) {
  const blocks = text
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .reduce(
      (list, line) => {
        if (!line.startsWith(' ')) list.push({ path: line, headers: [] });
        else
          list
            .at(-1)
            .headers.push([line.slice(2, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]);
        return list;
      },
      /** @type {any[]} */ ([]),
    );
  return (path) => {
    const found = {};
    for (const block of blocks) {
      if (block.path !== '/*' && block.path !== path) continue;
      for (const [name, value] of block.headers)
        found[name] = name in found ? `${found[name]}, ${value}` : value;
    }
    return found;
  };
}

/** Vercel and Firebase: the last rule that fits says a header's value. */
function readLastWins(rules, fits) {
  return (path) =>
    Object.fromEntries(
      rules
        .filter(({ source, regex }) => (regex ? new RegExp(regex).test(path) : fits(source, path)))
        .flatMap(({ headers }) => headers.map(({ key, value }) => [key, value])),
    );
}

test('Netlify, Vercel, Firebase and IIS: by their own rules each file has the headers of the table', () => {
  const read = (name) => readFileSync(join(site, 'headers', name), 'utf8');
  const firebaseGlob = (source, path) =>
    source === '**' ||
    source === path ||
    (source.startsWith('**/*') && path.toLowerCase().endsWith(source.slice(4)));
  const readers = {
    netlify: readNetlify(read('_headers')),
    vercel: readLastWins(JSON.parse(read('vercel.json')).headers, (source, path) =>
      new RegExp(`^${source.replace(/(?<!\\)\.(?!\*)/g, '\\.')}$`, 'i').test(path),
    ),
    firebase: readLastWins(JSON.parse(read('firebase.json')).hosting.headers, firebaseGlob),
  };
  const built = new Set([...Object.keys(manifest.files), 'manifest.json']);
  for (const [path, file] of pathsToAsk()) {
    for (const [host, headers] of Object.entries(readers)) {
      // On Netlify what was added needs a rule of its own, as the file says.
      if (host === 'netlify' && !built.has(file)) continue;
      assert.deepEqual(lower(headers(path)), lower(headersOf(file, policies)), `${host} ${path}`);
    }
  }
  const config = read('web.config');
  for (const file of built) {
    if (file.startsWith('headers/')) continue;
    const place = config.split(`<location path="${file}">`)[1]?.split('</location>')[0];
    const scope = place ?? config.split('<httpProtocol>')[1].split('</httpProtocol>')[0];
    const added = [...scope.matchAll(/<add name="([^"]+)" value="([^"]+)" \/>/g)].map(
      ([, name, value]) => [name, value.replaceAll('&apos;', "'")],
    );
    const { 'Content-Type': type, ...rest } = headersOf(file, policies);
    assert.deepEqual(Object.fromEntries(added), rest, `iis ${file}`);
    const ending = /\.[a-z]+$/.exec(file)?.[0];
    assert.ok(config.includes(`<mimeMap fileExtension="${ending}" mimeType="${type}" />`), file);
  }
});

test('every host has a file; GitHub Pages is told what it cannot do', () => {
  for (const name of Object.keys(HOSTS)) assert.ok(manifest.files[`headers/${name}`], name);
  const text = readFileSync(join(site, 'headers/github-pages.txt'), 'utf8');
  assert.ok(text.includes(manifest.workers[0]));
  assert.match(text, /cannot set a header/);
});
