// Encrypted packages: RFC 8188 by its own examples, what a wrong key or a changed record does, and
// the command. That plain bytes stay out of the page is tests/browser/encryption.test.mjs's.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { buildDist } from '../../harness/dist.mjs';
import { encryptionKeyId, encryptRecords } from '../../harness/encryption.mjs';
import { decryptPackage, encryptPackage, signPackage } from '../../harness/index.mjs';
import { makeKeys } from '../../harness/signing.mjs';
import { RECORD_SIZE } from '../../web/certificate.js';
import { AES256GCM, ascii, decryptRecords } from '../../web/records.js';
import { addRelu, cli, filesOf, folderFor, noCompiler } from './cli_support.mjs';
import { countCompiled, seal, stubPackage, writeStubRuntime } from './stub.mjs';

const HEADER = 45;
const key = randomBytes(32);
/** Four records, the last one short. */
const plain = stubPackage({ extra: 3 * RECORD_SIZE + 5000, peakSize: 4 << 20 });
const encrypted = encryptPackage(plain, key);
const recordAt = (i) => HEADER + i * RECORD_SIZE;

let folder;
/** @type {typeof import('../../web/wasmai.d.ts')} */
let wasmai;
/** @type {CryptoKey} */
let decryptionKey;
const compiled = countCompiled();

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-encryption-'));
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  await buildDist({ out: join(folder, 'dist'), runtime });
  wasmai = await import(pathToFileURL(join(folder, 'dist/wasmai.js')).href);
  decryptionKey = await wasmai.importDecryptionKey(key);
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** @param {any} source @param {any} [options] @param {any} [api] */
async function attempt(source, options = { decryptionKey }, api = wasmai) {
  compiled();
  try {
    const session = await api.load(source, options);
    const { y } = await session.run({ x: new Float32Array([1, 2, 3, 4]) });
    const { certificate } = session.info;
    await session.close();
    return { y: [...y.data], certificate, compiled: compiled(), code: null, message: '' };
  } catch (error) {
    assert.ok(error instanceof api.WasmAIError, `not a WasmAIError: ${error?.stack}`);
    return {
      y: null,
      certificate: null,
      compiled: compiled(),
      code: error.code,
      message: error.message,
    };
  }
}

async function refused(source, options, code, message, api = wasmai) {
  const seen = await attempt(source, options, api);
  assert.equal(seen.code, code, seen.message || 'it was opened');
  assert.match(seen.message, message);
  assert.equal(seen.compiled, 0, 'nothing was compiled');
}

test('the examples of RFC 8188, section 3, with its aes128gcm', async () => {
  const AES128GCM = { info: 'Content-Encoding: aes128gcm\0', bits: 128 };
  const rows = [
    [
      'yqdlZ-tYemfogSmv7Ws5PQ',
      '',
      4096,
      'I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg',
    ],
    [
      'BO3ZVPxUlnLORbVGMpbT1Q',
      'a1',
      25,
      'uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA',
    ],
  ];
  for (const [ikm, keyId, recordSize, text] of /** @type {[string, string, number, string][]} */ (
    rows
  )) {
    const bytes = new Uint8Array(Buffer.from(text, 'base64url'));
    const secret = new Uint8Array(Buffer.from(ikm, 'base64url'));
    const usages = /** @type {KeyUsage[]} */ (['deriveKey', 'deriveBits']);
    const imported = await crypto.subtle.importKey('raw', secret, 'HKDF', false, usages);
    const opened = await decryptRecords(bytes, imported, AES128GCM, 'example');
    assert.equal(Buffer.from(opened).toString(), 'I am the walrus');
    const how = { coding: AES128GCM, salt: bytes.subarray(0, 16), recordSize, keyId };
    if (recordSize > 25)
      // the second example pads its first record, which ours does not
      assert.deepEqual(
        encryptRecords(Buffer.from('I am the walrus'), secret, how),
        Buffer.from(bytes),
      );
    await assert.rejects(decryptRecords(bytes, imported, AES256GCM, 'example'), {
      code: 'INTEGRITY',
    });
  }
});

test('contents of every length round a record come back', async () => {
  const imported = await wasmai.importDecryptionKey(key);
  const how = { coding: AES256GCM, salt: randomBytes(16), recordSize: 40, keyId: '' };
  for (const length of [0, 1, 22, 23, 24, 45, 46, 47, 68, 69, 70, 1000]) {
    const content = randomBytes(length);
    const bytes = new Uint8Array(encryptRecords(content, key, how));
    const opened = await decryptRecords(bytes, imported, AES256GCM, 'content');
    assert.deepEqual(Buffer.from(opened), content, `${length} bytes`);
    for (let cut = 21; cut < bytes.length; cut += length < 100 ? 3 : 40)
      await assert.rejects(decryptRecords(bytes.slice(0, cut), imported, AES256GCM, 'content'), {
        code: 'INTEGRITY',
      });
  }
});

test('an encrypted package opens with its key: bytes, stream, Response and file', async () => {
  const file = join(folder, 'm.wai');
  writeFileSync(file, encrypted);
  const stream = new ReadableStream({
    start(controller) {
      for (let at = 0; at < encrypted.length; at += 1000)
        controller.enqueue(new Uint8Array(encrypted.subarray(at, at + 1000)));
      controller.close();
    },
  });
  for (const source of [
    encrypted,
    stream,
    new Response(new Uint8Array(encrypted)),
    pathToFileURL(file),
  ]) {
    const { y, certificate, message } = await attempt(source);
    assert.deepEqual(y, [2, 4, 6, 8], message);
    assert.equal(certificate?.packageSize, plain.length);
    assert.equal(certificate?.paramCount, 1234);
  }
  assert.deepEqual(Buffer.from(await decryptPackage(encrypted, key, 'm')), plain);
});

test('nothing of the package is to be seen in the file, and no two files are alike', () => {
  const again = encryptPackage(plain, key);
  assert.equal(encrypted.length, HEADER + plain.length + 4 * 17);
  assert.ok(!encrypted.subarray(HEADER).equals(again.subarray(HEADER)));
  for (let at = 0; at + 16 <= plain.length; at += 4096)
    assert.equal(encrypted.indexOf(plain.subarray(at + 64, at + 80)), -1);
  assert.ok(!encrypted.includes(key));
});

test('a trap throws the instance away, and the next run decrypts again', async () => {
  const session = await wasmai.load(encrypted, { decryptionKey });
  await assert.rejects(session.run({ x: new Float32Array([-1, 0, 0, 0]) }), { code: 'TRAP' });
  const { y } = await session.run({ x: new Float32Array([1, 2, 3, 4]) });
  assert.deepEqual([...y.data], [2, 4, 6, 8]);
  await session.close();
});

test('no key, another key, no encryption: each is refused in words', async () => {
  const other = await wasmai.importDecryptionKey(randomBytes(32));
  await refused(
    encrypted,
    {},
    'ARGUMENT',
    /this package is encrypted, for key wasm-ai:[0-9a-f]{16}: give that key/,
  );
  await refused(
    encrypted,
    { decryptionKey: other },
    'INTEGRITY',
    /it is for key wasm-ai:\w+, and wasm-ai:\w+ was given/,
  );
  await refused(
    plain,
    { decryptionKey },
    'INTEGRITY',
    /this is not an encrypted package, and a decryptionKey was given/,
  );
  await refused(randomBytes(500), { decryptionKey }, 'INTEGRITY', /not an encrypted package/);
  await refused(new Uint8Array(0), { decryptionKey }, 'INTEGRITY', /not an encrypted package/);
});

test('a salt may be any bytes, also those that a package begins with', async () => {
  const salt = Buffer.concat([plain.subarray(0, 4), randomBytes(12)]);
  const keyId = encryptionKeyId(key);
  const how = { coding: AES256GCM, salt, recordSize: RECORD_SIZE, keyId };
  assert.equal((await attempt(encryptRecords(plain, key, how))).message, '');
});

test('a key of another kind switches nothing off', async () => {
  const { subtle } = crypto;
  const aes = await subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['decrypt']);
  const half = await subtle.importKey('raw', new Uint8Array(key), 'HKDF', false, ['deriveBits']);
  for (const wrong of [undefined, null, 'text', key, {}, aes, half]) {
    await refused(
      encrypted,
      { decryptionKey: wrong },
      'ARGUMENT',
      /decryptionKey: must be a CryptoKey for HKDF/,
    );
    await refused(plain, { decryptionKey: wrong }, 'ARGUMENT', /decryptionKey: must be/);
  }
});

test('a key tells its bytes to nobody', async () => {
  assert.equal(decryptionKey.extractable, false);
  for (const format of /** @type {const} */ (['raw', 'jwk']))
    await assert.rejects(crypto.subtle.exportKey(/** @type {any} */ (format), decryptionKey));
  for (const bad of ['', '{}', 'text', '{"kty":"oct","k":"AAAA"}', new Uint8Array(31), null, 7])
    await assert.rejects(wasmai.importDecryptionKey(/** @type {any} */ (bad)), {
      code: 'ARGUMENT',
    });
});

test('any byte of the header changed is refused', async () => {
  const short = encryptPackage(stubPackage(), key); // one record, which has no neighbours to collide with
  assert.equal((await attempt(short)).code, null);
  for (const file of [encrypted, short]) {
    for (let at = 0; at < HEADER; at++) {
      for (const mask of [0x01, 0x80]) {
        const changed = Buffer.from(file);
        changed[at] ^= mask;
        await refused(changed, undefined, 'INTEGRITY', /fetch it again|deploy the encrypted one/);
      }
    }
  }
});

test('records changed, cut, swapped, repeated, left out, added or of another file are refused', async () => {
  const records = [0, 1, 2, 3].map((i) => encrypted.subarray(recordAt(i), recordAt(i + 1)));
  const foreign = encryptPackage(plain, key);
  const of = (...list) => Buffer.concat([encrypted.subarray(0, HEADER), ...list]);
  const [a, b, c, d] = records;
  const flipped = (at) => {
    const copy = Buffer.from(encrypted);
    copy[at] ^= 4;
    return copy;
  };
  /** @type {[string, Buffer][]} */
  const rows = [
    ...records.map((_, i) => [`record ${i} changed`, flipped(recordAt(i) + 77)]),
    ['its last byte changed', flipped(encrypted.length - 1)],
    ['cut by a byte', encrypted.subarray(0, -1)],
    ['cut in the first record', encrypted.subarray(0, 500)],
    ['nothing but the header', encrypted.subarray(0, HEADER)],
    ['the last record left out', of(a, b, c)],
    ['the first left out', of(b, c, d)],
    ['one in the middle left out', of(a, c, d)],
    ['two swapped', of(b, a, c, d)],
    ['one twice', of(a, b, b, d)],
    ['more behind the last', of(a, b, c, d, d)],
    ['bytes behind the last', Buffer.concat([encrypted, Buffer.alloc(20)])],
    ['one of another file', of(a, foreign.subarray(recordAt(1), recordAt(2)), c, d)],
    ['all of another file', of(foreign.subarray(HEADER))],
  ].map((row) => /** @type {any} */ (row));
  for (const [name, bytes] of rows) {
    assert.deepEqual(
      await attempt(bytes).then(({ code, y }) => [code, y]),
      ['INTEGRITY', null],
      name,
    );
    await refused(bytes, undefined, 'INTEGRITY', /fetch it again|deploy the encrypted/);
  }
});

test('a package that is damaged inside its records is refused, whoever encrypted it', async () => {
  for (const at of [56, 300, plain.length - 1]) {
    const changed = Buffer.from(plain);
    changed[at] ^= 1;
    await refused(
      encryptPackage(changed, key),
      undefined,
      'INTEGRITY',
      /differ from their SHA-384/,
    );
  }
  const greedy = encryptPackage(stubPackage({ peakSize: 64 << 20 }), key);
  await refused(greedy, { decryptionKey, maxHeapMB: 16 }, 'LIMIT', /64 MiB .* 16 MiB/);
});

test('a download without end is ended, at what may fit', async () => {
  let sent = 0;
  let cancelled = false;
  const stream = new ReadableStream({
    pull: (controller) => {
      const piece = sent === 0 ? encrypted : new Uint8Array(1 << 20);
      sent += piece.length;
      controller.enqueue(new Uint8Array(piece));
    },
    cancel: () => {
      cancelled = true;
    },
  });
  await refused(stream, { decryptionKey, maxHeapMB: 8 }, 'LIMIT', /raise maxHeapMB/);
  assert.ok(cancelled && sent < 12 << 20, `${sent}`);
});

test('signatures and digests are of the encrypted file', async () => {
  const { privateFile, publicFile } = await makeKeys(join(folder, 'signer'));
  const publicKey = await wasmai.importPublicKey(readFileSync(publicFile, 'utf8'));
  const pem = readFileSync(privateFile, 'utf8');
  const signature = signPackage(encrypted, { key: pem, name: 'm.wai' });
  const options = { decryptionKey, publicKey, signature };
  assert.deepEqual((await attempt(encrypted, options)).y, [2, 4, 6, 8]);
  // Another of the same key's, whole in itself.
  const other = encryptPackage(seal(Buffer.from(plain).fill(1, 60, 61)), key);
  assert.equal((await attempt(other)).code, null);
  await refused(other, options, 'SIGNATURE', /not the file that was signed/);
  await refused(
    Buffer.concat([encrypted, Buffer.alloc(9)]),
    options,
    'SIGNATURE',
    /more than the \d+ bytes/,
  );
  const digest = await crypto.subtle.digest('SHA-384', new Uint8Array(encrypted));
  const sha384 = Buffer.from(digest).toString('hex');
  assert.deepEqual((await attempt(encrypted, { decryptionKey, sha384 })).y, [2, 4, 6, 8]);
  await refused(other, { decryptionKey, sha384 }, 'INTEGRITY', /not the package that was pinned/);
});

test('a folder with encrypted packages pins the file, and opens with the key', async () => {
  const runtime = join(folder, 'runtime.wasm');
  const model = join(folder, 'secret.wai');
  for (const bytes of [plain, encrypted]) {
    writeFileSync(model, bytes);
    const out = join(folder, 'sealed');
    const { packages } = await buildDist({
      out,
      runtime,
      models: [model],
      secure: true,
      encrypt: key,
    });
    const pin = packages['models/secret.wai'];
    const shipped = readFileSync(join(out, pin.file));
    assert.equal(pin.head, null);
    if (bytes === encrypted)
      assert.deepEqual(shipped, encrypted, 'what is encrypted stays as it is');
    assert.equal(shipped.indexOf(plain.subarray(0, 16)), -1);
    const built = await import(
      `${pathToFileURL(join(out, 'wasmai.js')).href}?${shipped.length}${bytes[0]}`
    );
    const url = pathToFileURL(join(out, 'models/secret.wai'));
    const options = { decryptionKey: await built.importDecryptionKey(key) };
    assert.deepEqual((await attempt(url, options, built)).y, [2, 4, 6, 8]);
    writeFileSync(join(out, pin.file), encryptPackage(plain, key));
    await refused(url, options, 'INTEGRITY', /not the package that was pinned/, built);
  }
  const build = (encrypt) =>
    buildDist({ out: join(folder, 'none'), runtime, models: [model], encrypt });
  await assert.rejects(build(null), { code: 'ARGUMENT', message: /build: --encrypt/ });
  await assert.rejects(build(randomBytes(32)), { code: 'INTEGRITY' });
});

test('keygen, compile, inspect, run, sign, verify, audit', { skip: noCompiler }, async (t) => {
  const place = folderFor(t);
  const at = (name) => join(place, name);
  writeFileSync(at('m.onnx'), addRelu());
  const made = await cli('keygen', '--encryption', '-o', at('customer'), '--json');
  assert.equal(made.code, 0, made.err);
  const { keyFile, keyId } = JSON.parse(made.out);
  assert.equal(keyFile, at('customer.jwk'));
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  assert.match(
    (await cli('keygen', '--encryption', '-o', at('customer'))).err,
    /never overwritten/,
  );
  await makeKeys(at('signer'));
  const compile = ['compile', at('m.onnx'), '-o', at('m.wai')];
  const done = await cli(...compile, '--encrypt', keyFile, '--sign', at('signer.pem'));
  assert.equal(done.code, 0, done.err);
  assert.match(done.out, new RegExp(`encrypted +for key ${keyId}`));
  const bare = await cli('compile', at('m.onnx'), '-o', at('plain.wai'));
  assert.equal(bare.code, 0, bare.err);

  const build = ['build', '--model', at('plain.wai'), '-o', at('dist')];
  const verify = ['verify', at('m.wai'), '--key', at('signer.pub.pem')];
  for (const argv of [
    ['inspect', at('m.wai'), '--decrypt', keyFile],
    ['inspect', at('m.wai'), '--decrypt', keyFile, '--stage', 'package'],
    ['run', at('m.wai'), '--input', 'random:1', '--decrypt', keyFile],
    ['sign', at('m.wai'), '--key', at('signer.pem')],
    verify,
    [...verify, '--decrypt', keyFile],
    ['verify', at('m.wai'), '--self-test', '--decrypt', keyFile],
    [...build, '--encrypt', keyFile, '--sign', at('signer.pem')],
    ['verify', at('dist'), '--key', at('signer.pub.pem')],
    ['audit', at('dist')],
  ]) {
    const { code, err } = await cli(...argv);
    assert.equal(code, 0, `${argv.join(' ')}: ${err}`);
  }
  const audited = await cli('audit', at('m.wai'));
  assert.match(audited.out, new RegExp(`encrypted for key ${keyId}`));

  writeFileSync(at('other.key'), randomBytes(32));
  const before = filesOf(place);
  for (const [argv, message] of /** @type {[string[], RegExp][]} */ ([
    [['inspect', at('m.wai')], /ARGUMENT: .*encrypted, for key wasm-ai:\w+.*--decrypt/],
    [['run', at('m.wai'), '--input', 'zeros'], /ARGUMENT: .*encrypted, for key.*--decrypt/],
    [
      ['build', '--model', at('m.wai'), '-o', at('dist')],
      /ARGUMENT: .*encrypted, for key.*--encrypt/,
    ],
    [
      ['run', at('m.wai'), '--input', 'zeros', '--decrypt', at('other.key')],
      /INTEGRITY: .*was given/,
    ],
    [[...verify, '--decrypt', at('other.key')], /INTEGRITY: .*was given/],
    [['inspect', at('plain.wai'), '--decrypt', keyFile], /ARGUMENT: --decrypt: .*is not encrypted/],
    [['inspect', at('m.wai'), '--decrypt', at('signer.pem')], /ARGUMENT: .*not an encryption key/],
    [['compile', at('m.onnx'), '-o', at('x.wai'), '--encrypt', at('none')], /no such file/],
    [
      ['verify', place, '--key', at('signer.pub.pem'), '--decrypt', keyFile],
      /--decrypt: is for a package/,
    ],
  ])) {
    const { code, err } = await cli(...argv);
    assert.equal(code, 1, argv.join(' '));
    assert.match(err, message, argv.join(' '));
    assert.deepEqual(filesOf(place), before);
  }
});

test('a key id names a key and tells nothing of it', async () => {
  const imported = await wasmai.importDecryptionKey(key);
  const { keyIdOf } = await import('../../web/encryption.js');
  assert.equal(await keyIdOf(imported), encryptionKeyId(key));
  assert.deepEqual(ascii('A\0'), new Uint8Array([65, 0]));
});
