// Three folders that are weak on purpose: the audit names what is wrong with each, all of it and nothing else.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import wabt from 'wabt';
import { audit } from '../../harness/audit/index.mjs';
import { buildDist } from '../../harness/dist.mjs';
import { serveFolder } from '../../harness/server/app.mjs';
import { localCertificate } from '../../harness/server/certificate.mjs';
import { headersOf, pagePolicyOf } from '../../harness/server/policies.mjs';
import { folderFor } from './cli_support.mjs';
import { stubPackage, writeStubRuntime } from './stub.mjs';

/** A folder of files, with a `_headers` file that gives each what `headersFor` says. */
function folderOf(t, files, headersFor) {
  const site = folderFor(t);
  for (const [path, content] of Object.entries(files)) writeFileSync(join(site, path), content);
  const rules = Object.keys(files).flatMap((path) => [
    `/${path}`,
    ...Object.entries(headersFor(path)).map(([name, value]) => `  ${name}: ${value}`),
  ]);
  writeFileSync(join(site, '_headers'), rules.join('\n'));
  return site;
}

/** @param {string} target @param {object} [options] */
const found = async (target, options) =>
  (await audit(target, options)).findings.map(({ id }) => id).sort();

const PAGE = '<!doctype html><script type="module" src="./page.js"></script>';
const strict = (path, workers) =>
  headersOf(path, { workers, pagePolicy: pagePolicyOf({ policy: 'strict' }), hsts: true });

test("a page that allows 'unsafe-eval' and blob:, and makes code of text", async (t) => {
  const files = {
    'index.html': `${PAGE}<script>start()</script>`,
    'page.js':
      'new Worker(URL.createObjectURL(new Blob(["postMessage(1)"]))); document.body.innerHTML = eval("1");',
  };
  const CSP = "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:";
  const site = folderOf(t, files, (path) =>
    path.endsWith('.html') ? { ...strict(path), 'Content-Security-Policy': CSP } : strict(path),
  );
  assert.deepEqual(await found(site), [
    'csp-base-uri',
    'csp-blob',
    'csp-form-action',
    'csp-unsafe-eval',
    'csp-unsafe-inline',
    'html-inline-script',
    'script-blob',
    'script-eval',
    'script-html-sink',
    'trusted-types-missing',
  ]);
});

test('a worker without a policy, and a loader whose pins are gone, live and with a key to trust', async (t) => {
  const home = folderFor(t);
  const runtime = await writeStubRuntime(join(home, 'runtime.wasm'));
  const model = join(home, 'model.wai');
  writeFileSync(model, stubPackage());
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const out = join(home, 'dist');
  const options = { out, runtime, models: [model], secure: true };
  const manifest = await buildDist({ ...options, sign: { key: privateKey } });
  writeFileSync(join(out, 'index.html'), PAGE);
  writeFileSync(join(out, 'page.js'), 'import { load } from "./wasmai.js"; load;');
  const pair = await localCertificate(join(home, 'certificate'));
  const server = await serveFolder({ folder: out, port: 0, ...pair });
  t.after(() => server.close());
  const trusting = { ca: pair.cert, keys: [publicKey] };
  assert.deepEqual(await found(out, trusting), []);
  assert.deepEqual(await found(server.url, trusting), []);

  const spoiled = { ...manifest, workers: [] };
  writeFileSync(join(out, 'manifest.json'), JSON.stringify(spoiled));
  const loader = join(out, 'wasmai.js');
  const unpinned = readFileSync(loader, 'utf8').replace(/[0-9a-f]{96}/g, '');
  writeFileSync(loader, unpinned);
  const stranger = generateKeyPairSync('ed25519').publicKey;
  const wanted = [
    'integrity-mismatch',
    'integrity-unpinned',
    'signature-mismatch',
    'signature-untrusted',
  ];
  // The worker is served as any script: with a policy in which no wasm runs, so it is not found weak, but dead.
  assert.deepEqual(await found(server.url, { ca: pair.cert, keys: [stranger] }), wanted);
  const bare = folderOf(
    t,
    { 'index.html': PAGE, 'page.js': '', 'worker.js': 'onmessage = () => {};' },
    (path) => {
      const { 'Content-Security-Policy': policy, ...rest } = strict(path, ['worker.js']);
      return path === 'worker.js' ? rest : { ...rest, 'Content-Security-Policy': policy };
    },
  );
  assert.deepEqual(await found(bare), ['worker-no-policy']);
});

test('a runtime of the usual kind from somewhere else, over http, that nobody vouches for', async (t) => {
  const tools = await wabt();
  const module = `(module (import "env" "emscripten_run_script" (func (param i32)))
    (memory (export "memory") 1) (table (export "table") 1 funcref) (func $main) (start $main))`;
  const files = {
    'index.html': '<!doctype html><script src="http://files.example.org/runtime.js"></script>',
    'page.js':
      'import("https://cdn.example.org/npm/tensors@1.2.3/dist.js"); fetch("https://count.example.org/");',
    'runtime.wasm': Buffer.from(tools.parseWat('x.wat', module).toBinary({}).buffer),
    'model.wai': stubPackage(),
  };
  const site = folderOf(t, files, () => ({ 'X-Powered-By': 'Express' }));
  assert.deepEqual(await found(site, { keys: [generateKeyPairSync('ed25519').publicKey] }), [
    'coep-missing',
    'coop-missing',
    'corp-missing',
    'csp-framing',
    'csp-missing',
    'hsts-missing',
    'html-no-integrity',
    'http-address',
    'integrity-no-manifest',
    'nosniff-missing',
    'permissions-missing',
    'referrer-missing',
    'script-absolute-url',
    'script-cdn',
    'script-no-policy',
    'signature-missing',
    'version-told',
    'wasm-eval-import',
    'wasm-function-imports',
    'wasm-memory-unbounded',
    'wasm-not-metered',
    'wasm-start',
    'wasm-table-exposed',
  ]);
});
