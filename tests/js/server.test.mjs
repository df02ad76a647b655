// The server and the built folder: headers by file, what is refused, what a rebuild keeps.
import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildDist } from '../../harness/dist.mjs';
import { createRedirect, serveFolder } from '../../harness/server/app.mjs';
import { localCertificate } from '../../harness/server/certificate.mjs';
import { LITERAL_POLICY, WORKER_POLICY } from '../../harness/server/policies.mjs';
import { stubPackage, writeStubRuntime } from './stub.mjs';

let folder;
let dist;
let manifest;
let server;
let options;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-server-'));
  dist = join(folder, 'dist');
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
  options = { out: dist, runtime, models: [join(folder, 'stub.wai')] };
  manifest = await buildDist(options);
  writeFileSync(join(dist, 'index.html'), '<!doctype html><title>mine</title>');
  writeFileSync(join(dist, 'mine.js'), 'export {};');
  writeFileSync(join(dist, '.secret'), 'hidden');
  mkdirSync(join(dist, '.git'));
  writeFileSync(join(dist, '.git/config'), 'hidden');
  writeFileSync(join(folder, 'outside.txt'), 'outside');
  symlinkSync(join(folder, 'outside.txt'), join(dist, 'link.txt'));
  server = await serveFolder({ folder: dist, port: 0 });
});

after(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The path goes out as it is; fetch would tidy it first. */
function get(path, { method = 'GET', headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: 'localhost', port: server.port, path, method, headers },
      (response) => {
        let body = '';
        response.on('data', (chunk) => (body += chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, body }),
        );
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

test('each kind of file has its policy, its type and its caching', async () => {
  const page = await get('/');
  assert.equal(page.status, 200);
  assert.equal(page.headers['content-security-policy'], LITERAL_POLICY);
  assert.equal(page.headers['cross-origin-opener-policy'], 'same-origin');
  assert.equal(page.headers['cross-origin-embedder-policy'], 'require-corp');
  assert.equal(page.headers['cache-control'], 'no-cache');

  const worker = await get(`/${manifest.workers[0]}`);
  assert.equal(worker.headers['content-security-policy'], WORKER_POLICY);
  assert.equal(worker.headers['cross-origin-embedder-policy'], 'require-corp');
  assert.match(worker.headers['cache-control'], /immutable/);
  assert.match(worker.headers['content-type'], /^text\/javascript/);

  for (const path of ['/wasmai.js', '/mine.js']) {
    const script = await get(path);
    assert.equal(script.headers['content-security-policy'], "default-src 'none'");
    assert.equal(script.headers['cache-control'], 'no-cache');
  }
  const wasm = await get(`/${manifest.runtimes.simd}`);
  assert.equal(wasm.headers['content-type'], 'application/wasm');
  assert.match(wasm.headers['cache-control'], /immutable/);
  const named = await get('/models/stub.wai');
  assert.equal(named.status, 200);
  assert.equal(named.headers['content-type'], 'application/octet-stream');
  assert.equal(named.headers['cache-control'], 'no-cache');

  for (const { headers } of [page, worker, wasm, named, await get('/nothing')]) {
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
    assert.equal(headers['x-powered-by'], undefined);
    assert.ok(headers['content-security-policy']);
  }
});

test('nothing outside the folder, nothing hidden, nothing but reading', async () => {
  for (const path of [
    '/../outside.txt',
    '/%2e%2e/outside.txt',
    '/..%2foutside.txt',
    '/%2e%2e%2foutside.txt',
    '/models/../../outside.txt',
    '/..\\outside.txt',
    '/..%5coutside.txt',
    '//etc/passwd',
    '/%00',
    '/%',
    '/%c0%ae%c0%ae/outside.txt',
    '/link.txt',
    '/.secret',
    '/.git/config',
    '/%2egit/config',
    '/models',
    '/nothing',
    '/constructor',
    '/__proto__',
  ]) {
    const { status, body } = await get(path);
    assert.ok(status === 404 || status === 400, `${path} gave ${status}`);
    assert.ok(!/hidden|outside|root:/.test(body), path);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH']) {
    assert.equal((await get('/', { method })).status, 405, method);
  }
  assert.equal((await get('/', { method: 'HEAD' })).body, '');
});

test('an unchanged file is not sent twice', async () => {
  const { headers } = await get('/wasmai.js');
  assert.equal(
    (await get('/wasmai.js', { headers: { 'If-None-Match': headers.etag } })).status,
    304,
  );
});

test('scripts and wasm go out as brotli or gzip, packages as they are', async () => {
  const ask = async (path, encoding, more = {}) => {
    const headers = encoding ? { 'Accept-Encoding': encoding, ...more } : more;
    const response = await fetch(new URL(path, server.url), { headers });
    return { response, bytes: Buffer.from(await response.arrayBuffer()) };
  };
  const real = readFileSync(join(dist, 'wasmai.js'));
  const sizes = {};
  for (const encoding of ['gzip, deflate, br', 'gzip', 'identity']) {
    const { response, bytes } = await ask('wasmai.js', encoding);
    const used = { 'gzip, deflate, br': 'br', gzip: 'gzip', identity: null }[encoding];
    assert.equal(response.headers.get('content-encoding'), used);
    assert.equal(response.headers.get('vary'), 'Accept-Encoding');
    assert.equal(response.headers.get('content-type'), 'text/javascript; charset=utf-8');
    assert.deepEqual(bytes, real); // fetch has decoded it
    sizes[encoding] = Number(response.headers.get('content-length'));
    const same = { 'Accept-Encoding': encoding, 'If-None-Match': response.headers.get('etag') };
    assert.equal((await get('/wasmai.js', { headers: same })).status, 304);
  }
  assert.ok(sizes['gzip, deflate, br'] < sizes.gzip && sizes.gzip < sizes.identity / 2);
  const part = await ask('wasmai.js', 'br', { Range: 'bytes=0-9' });
  assert.equal(part.response.status, 206);
  assert.deepEqual(part.bytes, real.subarray(0, 10));
  const pack = await ask('models/stub.wai', 'br');
  assert.equal(pack.response.headers.get('content-encoding'), null);
  assert.equal((await ask('mine.js', 'br')).response.headers.get('content-encoding'), null); // tiny
  // A file that was replaced.
  const other = Buffer.from(`// ${'changed '.repeat(400)}`);
  writeFileSync(join(dist, 'mine.js'), other);
  assert.deepEqual((await ask('mine.js', 'br')).bytes, other);
});

test('broken requests end with an answer and the server goes on', async () => {
  const answer = await new Promise((resolve) => {
    const socket = connect(server.port, 'localhost', () => socket.write('GARBAGE\r\n\r\n'));
    let text = '';
    socket.on('data', (chunk) => (text += chunk));
    socket.on('close', () => resolve(text));
  });
  assert.match(answer, /^HTTP\/1\.1 400/);
  assert.equal((await get('/')).status, 200);
});

test('https with a certificate that is made once; http redirects to it and nowhere else', async () => {
  const cache = join(folder, 'cache');
  const first = await localCertificate(cache);
  assert.deepEqual(await localCertificate(cache), first, 'the second time it is the kept one');
  assert.equal(statSync(join(cache, 'localhost-key.pem')).mode & 0o777, 0o600);
  writeFileSync(join(cache, 'localhost-cert.pem'), 'broken');
  const second = await localCertificate(cache);
  assert.notEqual(second.cert, 'broken');
  const secure = await serveFolder({ folder: dist, port: 0, ...second });
  try {
    const status = await new Promise((resolve, reject) => {
      httpsRequest(
        { host: 'localhost', port: secure.port, path: '/', ca: second.cert },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      )
        .on('error', reject)
        .end();
    });
    assert.equal(status, 200);
  } finally {
    await secure.close();
  }
  const redirect = (host, url) => {
    let location;
    createRedirect(8443)(
      { headers: { host }, url },
      { writeHead: (_, headers) => (location = headers.Location), end() {} },
    );
    return location;
  };
  assert.equal(redirect('localhost:8444', '/a?b'), 'https://localhost:8443/a?b');
  assert.equal(redirect('evil.example/x', '/'), 'https://localhost:8443/');
  assert.equal(redirect('localhost', '//evil.example/'), 'https://localhost:8443/');
  assert.equal(redirect('localhost', '/\r\nSet-Cookie: a'), 'https://localhost:8443/');
});

test('a port that is taken is said plainly', async () => {
  const taken = createServer();
  await new Promise((resolve) => taken.listen(0, 'localhost', () => resolve(undefined)));
  const { port } = /** @type {any} */ (taken.address());
  await assert.rejects(serveFolder({ folder: dist, port }), {
    code: 'ARGUMENT',
    message: /taken by another program/,
  });
  taken.close();
});

test('the folder: hashes are true, names change with content, header files say the same as the server', async () => {
  const { createHash } = await import('node:crypto');
  for (const [path, { size, sha384 }] of Object.entries(manifest.files)) {
    const bytes = readFileSync(join(dist, path));
    assert.equal(bytes.length, size);
    assert.equal(createHash('sha384').update(bytes).digest('hex'), sha384);
  }
  for (const name of [
    'nginx.conf',
    'apache.htaccess',
    'Caddyfile',
    '_headers',
    'vercel.json',
    'firebase.json',
  ]) {
    const text = readFileSync(join(dist, 'headers', name), 'utf8');
    assert.ok(text.includes(WORKER_POLICY), name);
    assert.ok(text.includes(LITERAL_POLICY), name);
    assert.ok(
      text.includes(manifest.workers[0].replaceAll('.', name === 'apache.htaccess' ? '\\.' : '.')),
      name,
    );
  }
});

test('what is shipped has no address, no blob:, no eval but the canary', () => {
  for (const name of readdirSync(dist).filter((file) => file.endsWith('.js'))) {
    const text = readFileSync(join(dist, name), 'utf8');
    assert.ok(!/https?:\/\//.test(text), name);
    assert.ok(!/blob:/.test(text), name);
    assert.ok(!/new Function|document\.write|innerHTML/.test(text), name);
    const evals = text.match(/\beval\s*\(/g) ?? [];
    assert.equal(evals.length, name.startsWith('worker.') ? 1 : 0, name);
  }
});

test('a rebuild keeps what somebody added, and a folder of somebody else is not touched', async () => {
  await buildDist({ ...options, models: [] });
  assert.match(readFileSync(join(dist, 'index.html'), 'utf8'), /mine/);
  assert.deepEqual(
    readdirSync(dist).filter((name) => name.startsWith('models')),
    [],
  );
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('.tmp')),
    [],
  );
  const other = join(folder, 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'thesis.txt'), 'years of work');
  await assert.rejects(buildDist({ ...options, out: other }), {
    code: 'ARGUMENT',
    message: /something else/,
  });
  assert.equal(readFileSync(join(other, 'thesis.txt'), 'utf8'), 'years of work');
  await buildDist(options);
});

test('a package that the loader would refuse is refused at build, and nothing is written', async () => {
  const cases = {
    'cut.wai': [stubPackage().subarray(0, 310), {}, 'MALFORMED'],
    'changed.wai': [
      Buffer.concat([stubPackage().subarray(0, 300), stubPackage({ mode: 9 }).subarray(300)]).fill(
        1,
        301,
        302,
      ),
      {},
      'INTEGRITY',
    ],
    'big.wai': [stubPackage({ peakSize: 64 << 20 }), { maxHeapMB: 16 }, 'LIMIT'],
    'model.onnx': [Buffer.from('\x08\x07\x12\x07pytorch', 'latin1'), {}, 'MALFORMED'],
  };
  for (const [name, [bytes, more, code]] of Object.entries(cases)) {
    const model = join(folder, name);
    writeFileSync(model, bytes);
    const out = join(folder, 'refused');
    await assert.rejects(buildDist({ ...options, out, models: [model], ...more }), {
      code,
      where: model,
    });
    assert.ok(!readdirSync(folder).includes('refused'));
  }
});
