// `wasm-ai audit`: each finding is provoked by something that has just this weakness; what has none is clean.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { generate } from 'selfsigned';
import wabt from 'wabt';
import { FINDINGS, HOST_WORDS, SEVERITIES } from '../../harness/audit/findings.mjs';
import { audit } from '../../harness/audit/index.mjs';
import { buildDist } from '../../harness/dist.mjs';
import { compile, signPackage } from '../../harness/index.mjs';
import { serveFolder } from '../../harness/server/app.mjs';
import { localCertificate } from '../../harness/server/certificate.mjs';
import { headersOf, strictPolicy, WORKER_POLICY } from '../../harness/server/policies.mjs';
import { cli, folderFor, noCompiler } from './cli_support.mjs';
import { stubPackage } from './stub.mjs';

const DIGITS = new URL('../../models/digits/digits.onnx', import.meta.url);
const provoked = new Set();
let folder;
let tools;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-audit-'));
  tools = await wabt();
});
after(() => rmSync(folder, { recursive: true, force: true }));

const wasm = (text) => Buffer.from(tools.parseWat('x.wat', `(module ${text})`).toBinary({}).buffer);
const idsOf = ({ findings }) => findings.map(({ id }) => id);
/** Notes what was found, for the last test. @param {{ findings: { id: string }[] }} report */
function seen(report) {
  for (const id of idsOf(report)) provoked.add(id);
  return report;
}

/** Files that have nothing wrong. */
const GOOD = {
  'index.html': '<!doctype html><script type="module" src="./page.js"></script>',
  'page.js': 'document.title = "x";',
  'worker.js': 'self.onmessage = () => {};',
};
const SITE = { workers: ['worker.js'], pagePolicy: strictPolicy(), hsts: true };

/** A folder with a `_headers` file; `change` may spoil the headers of each file. */
function makeSite(t, files = {}, change = (_path, headers) => headers) {
  const site = folderFor(t);
  /** @type {Record<string, string>} */
  const all = { ...GOOD, ...files };
  const rules = Object.keys(all).map((path) => {
    const headers = change(path, headersOf(path, SITE));
    return [`/${path}`, ...Object.entries(headers).map(([name, value]) => `  ${name}: ${value}`)];
  });
  all._headers = rules.flat().join('\n');
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(site, path)), { recursive: true });
    writeFileSync(join(site, path), text);
  }
  return site;
}

test('a folder without weakness has no finding', async (t) => {
  assert.deepEqual(idsOf(await audit(makeSite(t))), []);
});

/** Finding -> files that have it, in a site that has nothing else. @type {Record<string, Record<string, string>>} */
const FILES = {
  'script-blob': { 'page.js': 'new Worker(URL.createObjectURL(new Blob(["x"])));' },
  'script-cdn': {
    'page.js': 'import("https://other.example.org/ort.js"); x = "https://b.example/x@1.2/";',
  },
  'script-absolute-url': { 'page.js': 'navigator.sendBeacon("https://count.example.org/x");' },
  'http-address': { 'page.js': 'import("http://other.example.org/x.js");' },
  'script-module-worker': { 'page.js': 'new Worker("./w.js", { type: "module" });' },
  'html-inline-script': { 'index.html': '<!doctype html><script>alert(1)</script>' },
  'html-no-integrity': { 'index.html': '<script src="https://other.example/x.js"></script>' },
  'exposed-key': { 'server.key': 'x' },
  'exposed-hidden': { '.git/config': 'x' },
  'exposed-map': { 'page.js.map': '{}' },
};
for (const [id, files] of Object.entries(FILES))
  test(`files: ${id}`, async (t) => {
    assert.deepEqual(idsOf(seen(await audit(makeSite(t, files)))), [id]);
  });

test('files: an event handler in the markup, comments and dead text', async (t) => {
  const handler = { 'index.html': '<!doctype html><body onload="go()">' };
  assert.deepEqual(idsOf(await audit(makeSite(t, handler))), ['html-inline-script']);
  const harmless = {
    'page.js': '// eval("x"); https://cdn.example.org/x.js\nconst evaluate = 1; x.eval;',
    'index.html': '<!-- <script>alert(1)</script> --><title>x</title>',
  };
  assert.deepEqual(idsOf(await audit(makeSite(t, harmless))), []);
});

/** Finding -> [file, header, the value it has instead]; null takes it away. */
const CSP = 'Content-Security-Policy';
const page = (directive, value) => [
  'index.html',
  CSP,
  strictPolicy().replace(new RegExp(`(?<=^|; )${directive} [^;]*(; )?`), value ? `${value}; ` : ''),
];
/** @type {Record<string, (string | null)[]>} */
const HEADERS = {
  'csp-missing': ['index.html', CSP, null],
  'csp-unsafe-inline': page('script-src', "script-src 'self' 'unsafe-inline'"),
  'csp-unsafe-eval': page('script-src', "script-src 'self' 'unsafe-eval'"),
  'csp-any-source': page('script-src', 'script-src https:'),
  'csp-blob': page('worker-src', "worker-src 'self' blob:"),
  'csp-wasm-on-page': page('script-src', "script-src 'self' 'wasm-unsafe-eval'"),
  'csp-connect-any': page('connect-src', 'connect-src *'),
  'csp-frame-any': page('frame-src', 'frame-src https:'),
  'csp-base-uri': page('base-uri', ''),
  'csp-form-action': page('form-action', ''),
  'trusted-types-missing': page('require-trusted-types-for', ''),
  'trusted-types-any': page('trusted-types', 'trusted-types *'),
  'script-no-policy': ['page.js', CSP, null],
  'worker-no-policy': ['worker.js', CSP, null],
  'worker-eval': [
    'worker.js',
    CSP,
    WORKER_POLICY.replace("'wasm-unsafe-eval'", "'wasm-unsafe-eval' 'unsafe-eval'"),
  ],
  'worker-nested': ['worker.js', CSP, `${WORKER_POLICY}; worker-src 'self'`],
  'worker-network': ['worker.js', CSP, `${WORKER_POLICY}; connect-src 'self'`],
  'worker-self': ['worker.js', CSP, "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"],
  'worker-blocks-wasm': ['worker.js', CSP, "default-src 'none'"],
  'coop-missing': ['index.html', 'Cross-Origin-Opener-Policy', null],
  'coep-missing': ['worker.js', 'Cross-Origin-Embedder-Policy', null],
  'corp-missing': ['page.js', 'Cross-Origin-Resource-Policy', null],
  'cors-any': ['page.js', 'Access-Control-Allow-Origin', '*'],
  'nosniff-missing': ['page.js', 'X-Content-Type-Options', null],
  'mime-wrong': ['page.js', 'Content-Type', 'text/plain'],
  'referrer-missing': ['index.html', 'Referrer-Policy', null],
  'permissions-missing': ['index.html', 'Permissions-Policy', null],
  'hsts-missing': ['index.html', 'Strict-Transport-Security', null],
  'cache-immutable': ['page.js', 'Cache-Control', 'public, max-age=31536000, immutable'],
  'version-told': ['index.html', 'Server', 'nginx/1.22.1'],
};
for (const [id, [file, name, value]] of Object.entries(HEADERS))
  test(`headers: ${id}`, async (t) => {
    const site = makeSite(t, {}, (path, headers) => {
      if (path !== file) return headers;
      const { [name ?? '']: _, ...rest } = headers;
      return value === null ? rest : { ...rest, [name ?? '']: value };
    });
    assert.deepEqual(idsOf(seen(await audit(site))), [id]);
  });

test('headers: report-only is no policy, a frame needs one, and eval counts where it is allowed', async (t) => {
  const spoil = (file, edit) => (path, headers) => (path === file ? edit(headers) : headers);
  const only = spoil('index.html', ({ [CSP]: policy, ...rest }) => ({
    ...rest,
    [`${CSP}-Report-Only`]: policy,
  }));
  assert.deepEqual(idsOf(seen(await audit(makeSite(t, {}, only)))), ['csp-report-only']);
  const framed = spoil('index.html', ({ 'X-Frame-Options': _, ...rest }) => ({
    ...rest,
    [CSP]: rest[CSP].replace("frame-ancestors 'none'; ", ''),
  }));
  assert.deepEqual(idsOf(seen(await audit(makeSite(t, {}, framed)))), ['csp-framing']);
  const evil = { 'page.js': 'eval("1"); document.body.innerHTML = "x";' };
  assert.deepEqual(idsOf(await audit(makeSite(t, evil))), [], 'stopped by the policy');
  const open = spoil('index.html', (headers) => ({
    ...headers,
    [CSP]: "default-src 'self' 'unsafe-eval'; base-uri 'none'; form-action 'none'",
  }));
  assert.deepEqual(idsOf(seen(await audit(makeSite(t, evil, open)))).sort(), [
    'csp-unsafe-eval',
    'script-eval',
    'script-html-sink',
    'trusted-types-missing',
  ]);
  const joined = spoil('index.html', (headers) => ({
    ...headers,
    [CSP]: `${headers[CSP]}, script-src * 'unsafe-eval'`,
  }));
  assert.deepEqual(idsOf(await audit(makeSite(t, {}, joined))), [], 'the stricter of two holds');
});

/** Finding -> wasm text. */
const METERED = '(global $f (export "wai_fuel_get") i32 (i32.const 0))';
const MODULES = {
  'wasm-function-imports': `(import "env" "f" (func)) ${METERED}`,
  'wasm-eval-import': `(import "env" "emscripten_run_script" (func (param i32))) ${METERED}`,
  'wasm-memory-unbounded': `(memory 1) ${METERED}`,
  'wasm-table-exposed': `(table (export "t") 1 funcref) ${METERED}`,
  'wasm-start': `(import "env" "f" (func $f0)) (func $s) (start $s) ${METERED}`,
  'wasm-not-metered': '(memory 1 2)',
};
for (const [id, text] of Object.entries(MODULES))
  test(`wasm: ${id}`, async () => {
    const file = join(folder, `${id}.wasm`);
    writeFileSync(file, wasm(text));
    const found = idsOf(seen(await audit(file)));
    const more = /eval|start/.test(id) ? ['wasm-function-imports'] : [];
    assert.deepEqual(found.sort(), [id, ...more].sort());
  });

test('wasm: a module without weakness, and one that is none; cut at every byte it is refused', async () => {
  const file = join(folder, 'good.wasm');
  const bytes = wasm(`(import "env" "memory" (memory 1 65536)) (func $s) (start $s) ${METERED}`);
  writeFileSync(file, bytes);
  const { findings, facts } = await audit(file);
  assert.deepEqual(findings, []);
  assert.deepEqual(facts.wasm[file].imports, ['env.memory memory']);
  assert.deepEqual(facts.wasm[file].memory, [
    { min: 1, max: 65536, shared: false, imported: true },
  ]);
  for (let size = 4; size < bytes.length; size++) {
    writeFileSync(file, bytes.subarray(0, size));
    const found = idsOf(seen(await audit(file)));
    assert.ok(found.length > 0, `${size} bytes`); // whole sections left out may still be a module
  }
  assert.ok(provoked.has('wasm-invalid'));
});

test('packages: origin, damage, memory', async () => {
  const file = join(folder, 'stub.wai');
  writeFileSync(file, stubPackage());
  assert.deepEqual(idsOf(seen(await audit(file))), ['package-unsigned']);
  writeFileSync(file, stubPackage().fill(1, 300, 301));
  assert.ok(idsOf(seen(await audit(file))).includes('package-damaged'));
  writeFileSync(file, stubPackage({ peakSize: 64 << 20 }));
  assert.ok(idsOf(seen(await audit(file, { maxHeapMB: 16 }))).includes('package-over-cap'));
});

test('signatures: a package with its own, one with another, a folder signed whole', {
  skip: noCompiler,
}, async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const key = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const file = join(folderFor(t), 'signed.wai');
  writeFileSync(file, stubPackage());
  writeFileSync(`${file}.jws`, signPackage(stubPackage(), { key, name: file, version: 7 }));
  const { findings, facts } = await audit(file);
  assert.deepEqual(findings, []);
  assert.equal(facts.packages[file].signature.version, 7);
  writeFileSync(file, stubPackage({ extra: 80 }));
  assert.deepEqual(idsOf(seen(await audit(file))), ['signature-mismatch']);

  const stranger = generateKeyPairSync('ed25519').publicKey;
  const about = async (target, ...keys) => idsOf(seen(await audit(target, { keys })));
  writeFileSync(file, stubPackage());
  assert.deepEqual(await about(file, stranger, publicKey), []);
  assert.deepEqual(await about(file, stranger), ['signature-untrusted']);
  rmSync(`${file}.jws`);
  assert.deepEqual(await about(file, publicKey), ['signature-missing']);
  writeFileSync(`${file}.jws`, signPackage(stubPackage(), { key, name: file, version: 7 }));

  const out = await secureDist(t, { key: privateKey, version: 7 });
  writeFileSync(join(out, 'us.pub.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
  const signed = await audit(out);
  assert.deepEqual(signed.findings, []);
  assert.equal(signed.facts.integrity.signature.version, 7);
  writeFileSync(join(out, 'manifest.json.jws'), readFileSync(`${file}.jws`));
  assert.deepEqual(idsOf(await audit(out)), ['signature-mismatch']);
});

/** A --secure folder with a page of somebody's own. */
async function secureDist(t, sign = /** @type {any} */ (null)) {
  const home = folderFor(t);
  const model = join(home, 'digits.wai');
  writeFileSync(model, (await compile(readFileSync(DIGITS), { optimize: true })).bytes);
  const out = join(home, 'dist');
  await buildDist({ out, models: [model], secure: true, sign });
  writeFileSync(join(out, 'index.html'), GOOD['index.html']);
  writeFileSync(join(out, 'page.js'), 'import { load } from "./wasmai.js";\nload;');
  return out;
}

test('our --secure folder has no finding, as a folder and live', {
  skip: noCompiler,
}, async (t) => {
  const out = await secureDist(t);
  const { findings, facts } = await audit(out);
  assert.deepEqual(findings, []);
  assert.equal(Object.keys(facts.wasm).length, 1);
  const pair = await localCertificate(join(folder, 'certificate'));
  const server = await serveFolder({ folder: out, port: 0, ...pair });
  try {
    const live = await audit(server.url, { ca: pair.cert });
    assert.deepEqual(live.findings, []);
    assert.deepEqual(Object.keys(live.facts.wasm), Object.keys(facts.wasm));
    const { code, out: text } = await cli('audit', out, '--fail-on', 'low');
    assert.equal(code, 0);
    assert.match(text, /nothing found/);
  } finally {
    await server.close();
  }
});

test('a built folder that somebody changed', { skip: noCompiler }, async (t) => {
  const out = await secureDist(t);
  const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
  const original = readFileSync(join(out, 'wasmai.js'), 'utf8');
  const found = async () => idsOf(seen(await audit(out)));
  writeFileSync(join(out, 'wasmai.js'), `${original}\n`);
  assert.deepEqual(await found(), ['integrity-mismatch']);
  const digest = Object.values(manifest.packages)[0].head;
  writeFileSync(join(out, 'wasmai.js'), original.replace(digest, '0'.repeat(96)));
  assert.deepEqual((await found()).sort(), ['integrity-mismatch', 'integrity-unpinned']);
  rmSync(join(out, 'wasmai.js'));
  assert.ok((await found()).includes('integrity-missing-file'));
  writeFileSync(join(out, 'wasmai.js'), original);
  writeFileSync(join(out, 'other.wasm'), wasm(METERED));
  assert.deepEqual(await found(), ['integrity-unlisted']);
  rmSync(join(out, 'other.wasm'));
  const nginx = join(out, 'headers/nginx.conf');
  writeFileSync(nginx, readFileSync(nginx, 'utf8').replace(WORKER_POLICY, 'default-src *'));
  assert.deepEqual((await found()).sort(), ['headers-stale', 'integrity-mismatch']);
});

test("a built folder whose frame has another policy, or the page's blob: beside the frame's", async (t) => {
  const out = await secureDist(t);
  const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
  const frame = join(out, manifest.frame.file);
  const original = readFileSync(frame, 'utf8');
  assert.match(original, /worker-src blob:/);
  manifest.frame.script = "sha384-x' 'self"; // so that the header says no more than the file
  writeFileSync(join(out, 'manifest.json'), JSON.stringify(manifest));
  for (const weak of ["script-src 'self'", 'script-src https:']) {
    writeFileSync(frame, original.replace(/script-src '[^']*'/, weak));
    assert.ok(idsOf(seen(await audit(out))).includes('frame-policy'), weak);
  }
  writeFileSync(frame, original);
  assert.ok(!idsOf(await audit(out)).includes('frame-policy'));
});

test('a folder of somebody else: unknown headers, wasm that nothing vouches for', async (t) => {
  const site = folderFor(t);
  writeFileSync(join(site, 'x.wasm'), wasm(METERED));
  assert.deepEqual(idsOf(seen(await audit(site))), ['integrity-no-manifest', 'headers-unknown']);
});

/** @param {{ days?: number[] }} certificate @param {object | undefined} tls @param {Function} body */
async function withServer({ days = [-1, 90] }, tls, body) {
  const date = (day) => new Date(Date.now() + day * 86400 * 1000);
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    algorithm: 'sha256',
    keyType: 'ec',
    notBeforeDate: date(days[0]),
    notAfterDate: date(days[1]),
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  });
  const answer = (request, response) => {
    const path = request.url === '/' ? 'index.html' : request.url.slice(1);
    if (!Object.hasOwn(GOOD, path)) return response.writeHead(404).end();
    return response.writeHead(200, headersOf(path, SITE)).end(GOOD[path]);
  };
  const servers = [createHttps({ key, cert, ...tls }, answer), createHttp(answer)];
  const ports = [];
  for (const server of servers) {
    await new Promise((resolve) => server.listen(0, 'localhost', () => resolve(undefined)));
    ports.push(/** @type {any} */ (server.address()).port);
  }
  try {
    await body(`https://localhost:${ports[0]}/`, cert, ports[1]);
  } finally {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  }
}

/** Finding -> certificate, TLS options. @type {Record<string, [{ days?: number[] }, object?]>} */
const TRANSPORT = {
  'cert-ends-soon': [{ days: [-80, 10] }],
  'cert-too-long': [{ days: [-1, 500] }],
  'tls-old': [{}, { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }],
};
for (const [id, [certificate, tls]] of Object.entries(TRANSPORT))
  test(`transport: ${id}`, () =>
    withServer(certificate, tls, async (url, ca) => {
      assert.deepEqual(idsOf(seen(await audit(url, { ca }))), [id]);
    }));

test('transport: nothing, a stranger, an end, no redirect, plain http', async () => {
  await withServer({}, {}, async (url, ca, plainPort) => {
    assert.deepEqual(idsOf(await audit(url, { ca })), []);
    assert.deepEqual(idsOf(seen(await audit(url))), ['cert-untrusted']);
    const found = idsOf(seen(await audit(url, { ca, httpPort: plainPort })));
    assert.deepEqual(found, ['http-no-redirect']);
    assert.deepEqual(idsOf(await audit(`http://localhost:${plainPort}/`)), []);
  });
  await withServer({ days: [-80, -10] }, {}, async (url, ca) => {
    assert.deepEqual(idsOf(seen(await audit(url, { ca }))), ['cert-expired', 'cert-untrusted']);
  });
  const server = createHttp((_, response) => response.end('x'));
  await new Promise((resolve) => server.listen(0, '0.0.0.0', () => resolve(undefined)));
  const { port } = /** @type {any} */ (server.address());
  assert.ok(idsOf(seen(await audit(`http://0.0.0.0:${port}/`))).includes('http-plain'));
  server.close();
});

test('the command: table, JSON, exit codes, words for hosts', async (t) => {
  const site = makeSite(t, {}, (path, { [CSP]: policy, ...rest }) =>
    path === 'worker.js' ? rest : { ...rest, [CSP]: policy },
  );
  const plain = await cli('audit', site, '--host', 'nginx');
  assert.equal(plain.code, 1);
  assert.match(plain.out, /high {4}worker-no-policy/);
  assert.ok(plain.out.includes(`add_header ${CSP} "${WORKER_POLICY}" always;`));
  assert.match(plain.out, /1 high, 0 medium, 0 low\n$/);
  const json = await cli('audit', site, '--json');
  const { findings } = JSON.parse(json.out);
  assert.deepEqual(findings[0].where, ['worker.js']);
  assert.deepEqual(Object.keys(findings[0].hosts), Object.keys(HOST_WORDS));
  const low = makeSite(t, { 'page.js.map': '{}' });
  const codes = [];
  for (const severity of SEVERITIES)
    codes.push((await cli('audit', low, '--fail-on', severity)).code);
  assert.deepEqual(codes, [1, 0, 0]);
  for (const wrong of [
    ['audit', site, '--fail-on', 'all'],
    ['audit', site, '--host', 'tape'],
    ['audit', join(site, 'nothing')],
    ['audit', 'https://localhost:1/'],
    ['audit', join(site, 'page.js')],
  ]) {
    const { code, err } = await cli(...wrong);
    assert.equal(code, 1);
    assert.match(err, /^error: [A-Z]+: /);
  }
});

test('every finding was provoked', () => {
  const never = Object.keys(FINDINGS).filter((id) => !provoked.has(id));
  assert.deepEqual(
    noCompiler ? never.filter((id) => !/integrity|headers-stale/.test(id)) : never,
    [],
  );
});
