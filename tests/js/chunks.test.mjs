// Chunk hashes: every change of a package is found, where it is, before anything is compiled, and
// what comes after a bad chunk is not asked for.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { buildDist } from '../../harness/dist.mjs';
import { signPackage } from '../../harness/index.mjs';
import { makeKeys, readPrivateKey } from '../../harness/signing.mjs';
import { cli } from './cli_support.mjs';
import { CHUNK, countCompiled, seal, stubPackage, writeStubRuntime } from './stub.mjs';

const CHUNKS = 6;
/** Five whole chunks and a short one. */
const good = stubPackage({ extra: (CHUNKS - 1) * CHUNK + 1000, peakSize: 4 << 20 });
const head = Number(good.readBigUInt64LE(136));
const chunkAt = (i) => head + i * CHUNK;

let folder;
/** Built with the package, so that its head is pinned. @type {typeof import('../../web/wasmai.d.ts')} */
let pinned;
/** @type {typeof import('../../web/wasmai.d.ts')} */
let plain;
const compiled = countCompiled();
let place = ''; // of the pinned package
let key = '';
/** @type {CryptoKey} */
let publicKey;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-chunks-'));
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  const model = join(folder, 'm.wai');
  writeFileSync(model, good);
  const { packages } = await buildDist({ out: join(folder, 'pinned'), runtime, models: [model] });
  place = join(folder, 'pinned', packages['models/m.wai'].file);
  await buildDist({ out: join(folder, 'plain'), runtime });
  pinned = await import(pathToFileURL(join(folder, 'pinned/wasmai.js')).href);
  plain = await import(pathToFileURL(join(folder, 'plain/wasmai.js')).href);
  const { privateFile, publicFile } = await makeKeys(join(folder, 'key'));
  key = String((await readPrivateKey(privateFile)).export({ type: 'pkcs8', format: 'pem' }));
  const { readFileSync } = await import('node:fs');
  publicKey = await plain.importPublicKey(readFileSync(publicFile, 'utf8'));
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** @param {Promise<any>} loading */
async function outcome(loading) {
  compiled();
  try {
    const session = await loading;
    await session.close();
    return { code: null, message: '', compiled: compiled() };
  } catch (error) {
    return { code: error.code, message: error.message, compiled: compiled() };
  }
}

const changed = (at, bytes = good) => {
  const copy = Buffer.from(bytes);
  copy[at] ^= 1;
  return copy;
};
const swapped = (a, b) => {
  const copy = Buffer.from(good);
  good.copy(copy, chunkAt(a), chunkAt(b), chunkAt(b + 1));
  good.copy(copy, chunkAt(b), chunkAt(a), chunkAt(a + 1));
  return copy;
};
const sized = (bytes) => {
  bytes.writeBigUInt64LE(BigInt(bytes.length), 16);
  return bytes;
};
const body = (...parts) => Buffer.concat([good.subarray(0, head), ...parts]);

/** What an attacker or a bad disk makes of a package: name, bytes, code, words. @type {[string, Buffer, string, RegExp][]} */
const DAMAGE = [
  ...Array.from({ length: CHUNKS }, (_, i) => {
    const end = Math.min(chunkAt(i + 1), good.length) - 1;
    return ['first', 'last'].map((which) => [
      `${which} byte of chunk ${i}`,
      changed(which === 'first' ? chunkAt(i) : end),
      'INTEGRITY',
      new RegExp(`bytes ${chunkAt(i)} to ${end} differ from their SHA-384`),
    ]);
  }).flat(),
  ['the certificate', changed(56), 'INTEGRITY', /bytes 0 to \d+ differ/],
  ['a hash of a chunk', changed(head - 60), 'INTEGRITY', /bytes 0 to \d+ differ/],
  ["the head's digest", changed(head - 1), 'INTEGRITY', /bytes 0 to \d+ differ/],
  ['two chunks swapped', swapped(1, 3), 'INTEGRITY', new RegExp(`bytes ${chunkAt(1)} to`)],
  [
    'a chunk twice',
    body(
      good.subarray(head, chunkAt(2)),
      good.subarray(chunkAt(1), chunkAt(2)),
      good.subarray(chunkAt(3)),
    ),
    'INTEGRITY',
    new RegExp(`bytes ${chunkAt(2)} to`),
  ],
  [
    'a chunk left out',
    body(good.subarray(chunkAt(1))),
    'INTEGRITY',
    new RegExp(`bytes ${head} to`),
  ],
  ['the last chunk left out', good.subarray(0, chunkAt(5)), 'MALFORMED', /truncated/],
  ['one byte less', good.subarray(0, good.length - 1), 'MALFORMED', /truncated/],
  ['one byte more', Buffer.concat([good, Buffer.alloc(1)]), 'MALFORMED', /there are more/],
  [
    'one byte less, and says so',
    sized(Buffer.from(good.subarray(0, -1))),
    'INTEGRITY',
    /bytes 0 to/,
  ],
  [
    'one more, and says so',
    sized(Buffer.concat([good, Buffer.alloc(1)])),
    'INTEGRITY',
    /bytes 0 to/,
  ],
  [
    'a chunk less, and says so',
    sized(Buffer.from(good.subarray(0, chunkAt(5)))),
    'INTEGRITY',
    /bytes 0 to/,
  ],
  ['half the head', good.subarray(0, head - 100), 'MALFORMED', /truncated/],
].map((row) => /** @type {any} */ (row));

/** The same by somebody who makes all hashes right again. @type {[string, Buffer][]} */
const FORGERIES = [
  ...Array.from({ length: CHUNKS }, (_, i) => [`chunk ${i}`, seal(changed(chunkAt(i) + 9))]),
  ['two chunks swapped', seal(swapped(1, 3))],
  ['a certificate', seal(changed(56))],
].map((row) => /** @type {any} */ (row));

test('the package itself opens: pinned, signed, with its SHA-384, and bare', async () => {
  const signature = signPackage(good, { key, name: 'm.wai' });
  const digest = await crypto.subtle.digest('SHA-384', new Uint8Array(good));
  const sha384 = Buffer.from(digest).toString('hex');
  for (const loading of [
    () => plain.load(good),
    () => plain.load(good, { sha384 }),
    () => plain.load(good, { publicKey, signature }),
    () => pinned.load(pathToFileURL(place)),
  ])
    assert.deepEqual(await outcome(loading()), { code: null, message: '', compiled: 1 });
});

test('damage is found without pin or signature, and nothing is compiled', async () => {
  for (const [name, bytes, code, message] of DAMAGE) {
    const seen = await outcome(plain.load(bytes));
    assert.equal(seen.code, code, `${name}: ${seen.message}`);
    assert.match(seen.message, message, name);
    assert.equal(seen.compiled, 0, name);
  }
});

test('damage and forgery are found with a pin', async () => {
  for (const [name, bytes, code] of [...DAMAGE, ...FORGERIES]) {
    writeFileSync(place, bytes);
    const seen = await outcome(pinned.load(pathToFileURL(place)));
    assert.equal(seen.code, code ?? 'INTEGRITY', `${name}: ${seen.message}`);
    if (!code) assert.match(seen.message, /not the package that was pinned/, name);
    assert.equal(seen.compiled, 0, name);
    if (!code) assert.equal((await outcome(plain.load(bytes))).code, null, `${name}: consistent`);
  }
  writeFileSync(place, good);
});

test('damage and forgery are found with a signature', async () => {
  const signature = signPackage(good, { key, name: 'm.wai' });
  for (const [name, bytes, code] of [...DAMAGE, ...FORGERIES]) {
    const seen = await outcome(plain.load(bytes, { publicKey, signature }));
    const said = bytes.readBigUInt64LE(16) === BigInt(good.length) ? code : 'INTEGRITY';
    assert.equal(seen.code, code ? said : 'SIGNATURE', `${name}: ${seen.message}`);
    assert.equal(seen.compiled, 0, name);
  }
});

test('the whole file is checked against a SHA-384 that the caller gives', async () => {
  for (const [name, bytes] of FORGERIES) {
    const digest = await crypto.subtle.digest('SHA-384', new Uint8Array(good));
    const options = { sha384: Buffer.from(digest).toString('hex') };
    const seen = await outcome(plain.load(bytes, options));
    assert.equal(seen.code, 'INTEGRITY', name);
    assert.equal(seen.compiled, 0, name);
  }
});

test('a stream in any pieces gives the same package', async () => {
  for (const size of [1, 151, 152, 153, head, head + 1, CHUNK - 1, CHUNK, CHUNK + 1, good.length]) {
    const bytes = size < 100 ? stubPackage() : good;
    const stream = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size)
          controller.enqueue(new Uint8Array(bytes.subarray(at, at + size)));
        controller.close();
      },
    });
    assert.equal((await outcome(plain.load(stream))).code, null, `pieces of ${size}`);
  }
});

test('a server that sends a bad chunk is not asked for much more, and never again', async () => {
  for (const bad of [0, 2, CHUNKS - 1]) {
    const bytes = changed(chunkAt(bad) + 5);
    let pulled = 0;
    let cancelled = false;
    const stream = new ReadableStream(
      {
        pull(controller) {
          if (pulled === bytes.length) return controller.close();
          const piece = bytes.subarray(pulled, pulled + 16384);
          pulled += piece.length;
          controller.enqueue(new Uint8Array(piece));
        },
        cancel: () => {
          cancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    const seen = await outcome(plain.load(stream));
    assert.equal(seen.code, 'INTEGRITY');
    assert.match(seen.message, new RegExp(`bytes ${chunkAt(bad)} to`));
    // The chunk itself and at most the next one, which comes in while it is hashed.
    const most = Math.min(chunkAt(bad + 2) + 16384, bytes.length);
    assert.ok(pulled <= most, `chunk ${bad}: ${pulled} bytes of ${bytes.length}, at most ${most}`);
    assert.ok(cancelled || pulled === bytes.length, 'the download was cancelled');
    assert.equal(seen.compiled, 0);
  }
});

test('a server that stops after a bad chunk does not keep the loader waiting', async () => {
  const bytes = changed(chunkAt(1));
  let closed = () => {};
  const gone = new Promise((done) => {
    closed = () => done(undefined);
  });
  const server = createServer((_request, response) => {
    response.on('close', closed);
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, chunkAt(2))); // and no more
  });
  await new Promise((done) => server.listen(0, 'localhost', () => done(undefined)));
  const { port } = /** @type {any} */ (server.address());
  try {
    const seen = await outcome(plain.load(`http://localhost:${port}/m.wai`));
    assert.equal(seen.code, 'INTEGRITY', seen.message);
    await gone;
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('inspect, verify, sign, build and run check every chunk', async () => {
  const path = join(folder, 'cli.wai');
  const keys = await makeKeys(join(folder, 'cli'));
  writeFileSync(path, good);
  const verify = ['verify', path, '--key', keys.publicFile];
  assert.equal((await cli('sign', path, '--key', keys.privateFile)).code, 0);
  assert.equal((await cli(...verify)).code, 0);
  for (const [name, bytes] of DAMAGE) {
    writeFileSync(path, bytes);
    for (const argv of [
      ['inspect', path],
      ['sign', path, '--key', keys.privateFile],
      ['build', '--model', path, '-o', join(folder, 'none')],
      ['run', path, '--input', 'zeros'],
      ['audit', path, '--fail-on', 'high'],
      verify,
    ]) {
      const { code, err, out } = await cli(...argv);
      assert.equal(code, 1, `${name}: ${argv[0]}: ${err}${out}`);
      const words = /INTEGRITY|MALFORMED|SIGNATURE|package-damaged/;
      assert.match(err + out, words, `${name}: ${argv[0]}`);
    }
  }
});
