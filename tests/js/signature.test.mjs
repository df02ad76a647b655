// load with publicKey, in Node: what a trusted key signed opens, and nothing else is compiled.
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { buildDist } from '../../harness/dist.mjs';
import { signPackage } from '../../harness/index.mjs';
import { keyIdOf } from '../../harness/signing.mjs';
import { seal, stubPackage, writeStubRuntime } from './stub.mjs';

let folder;
/** @type {typeof import('../../web/wasmai.d.ts')} */
let wasmai;
/** The same, built with --secure. @type {typeof import('../../web/wasmai.d.ts')} */
let strict;
let runtime;

/** A publisher: a private key in PEM, and the CryptoKey that a page trusts. */
async function signer() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = String(publicKey.export({ type: 'spki', format: 'pem' }));
  return {
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    privateKey,
    keyId: keyIdOf(publicKey),
    pem,
    publicKey: await wasmai.importPublicKey(pem),
  };
}
/** @type {Awaited<ReturnType<typeof signer>>} */
let ours;
/** @type {Awaited<ReturnType<typeof signer>>} */
let theirs;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-signature-'));
  runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  await buildDist({ out: join(folder, 'dist'), runtime });
  await buildDist({ out: join(folder, 'secure'), runtime, secure: true });
  wasmai = await import(pathToFileURL(join(folder, 'dist/wasmai.js')).href);
  strict = await import(pathToFileURL(join(folder, 'secure/wasmai.js')).href);
  ours = await signer();
  theirs = await signer();
});

after(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
/** @param {string} name @param {Uint8Array | null} bytes @param {string | Uint8Array | null} jws */
function put(name, bytes, jws) {
  const place = join(folder, `case${count++}`);
  mkdirSync(place);
  if (bytes) writeFileSync(join(place, name), bytes);
  if (jws) writeFileSync(join(place, `${name}.jws`), jws);
  return join(place, name);
}

/** Loads, and counts what is compiled. @param {any} source @param {any} options */
async function attempt(source, options, api = wasmai) {
  const Native = WebAssembly.Module;
  let compiled = 0;
  WebAssembly.Module = /** @type {any} */ (
    new Proxy(Native, {
      construct(target, args) {
        compiled++;
        return Reflect.construct(target, args);
      },
    })
  );
  try {
    const session = await api.load(source, options);
    const { y } = await session.run({ x: new Float32Array([1, 2, 3, 4]) });
    const { signature } = session.info;
    await session.close();
    return { y: [...y.data], signature, compiled, code: null, message: '', where: '' };
  } catch (error) {
    assert.ok(error instanceof api.WasmAIError, `not a WasmAIError: ${error?.stack}`);
    const { code, message, where } = error;
    return { y: null, signature: null, compiled, code, message, where };
  } finally {
    WebAssembly.Module = Native;
  }
}

async function refused(source, options, code, message, api = wasmai) {
  const seen = await attempt(source, options, api);
  assert.equal(seen.code, code, seen.message || 'it was opened');
  assert.match(seen.message, message);
  assert.equal(seen.compiled, 0, 'nothing was compiled');
  return seen;
}

test('what a trusted key signed opens, and says who signed what and when', async () => {
  const bytes = stubPackage();
  const jws = signPackage(bytes, { key: ours.key, name: 'model.wai', version: 7 });
  const { publicKey } = ours;
  const begin = Date.now();
  for (const [source, more] of /** @type {[any, any][]} */ ([
    [put('model.wai', bytes, jws), {}],
    [put('model.0123456789ab.wai', bytes, jws), {}],
    [put('renamed.wai', bytes, jws), { packageName: 'model.wai' }],
    [put('model.wai', bytes, jws.replace('\n', '\r\n')), {}],
    [bytes, { signature: jws }],
    [bytes, { signature: jws, packageName: 'model.wai' }],
    [new Response(bytes), { signature: pathToFileURL(`${put('other.wai', null, jws)}.jws`) }],
  ])) {
    const { y, signature, message } = await attempt(source, { publicKey, minVersion: 7, ...more });
    assert.deepEqual(y, [2, 4, 6, 8], message);
    assert.equal(signature?.name, 'model.wai');
    assert.equal(signature?.version, 7);
    assert.equal(signature?.keyId, ours.keyId);
    assert.ok(Math.abs(signature.signedAt.getTime() - begin) < 60000);
  }
  const { signature } = await attempt(put('model.wai', bytes, jws), {});
  assert.equal(signature, null, 'nobody asked for a signature');
});

test('without a version the time counts, so that a later signature is a higher one', async () => {
  const bytes = stubPackage();
  const jws = signPackage(bytes, { key: ours.key, name: 'model.wai' });
  const { signature } = await attempt(bytes, { publicKey: ours.publicKey, signature: jws });
  const digits = signature?.signedAt.toISOString().replace(/\D/g, '').slice(0, 14);
  assert.equal(String(signature?.version), digits);
});

test('a package with any byte changed is refused, its digest made right or not', async () => {
  const bytes = stubPackage();
  const jws = signPackage(bytes, { key: ours.key, name: 'model.wai' });
  const options = { publicKey: ours.publicKey, signature: jws };
  const codes = new Map();
  for (let at = 0; at < bytes.length; at++) {
    for (const sealed of [false, true]) {
      const changed = Buffer.from(bytes);
      changed[at] ^= 0x41;
      if (sealed && seal(changed).equals(bytes)) continue; // a hash, which was made right again
      const { code, compiled } = await attempt(changed, options);
      assert.ok(code, `byte ${at} was changed, and it was opened`);
      assert.equal(compiled, 0);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
  }
  assert.deepEqual([...codes.keys()].sort(), [
    'INTEGRITY',
    'LIMIT',
    'MALFORMED',
    'SIGNATURE',
    'UNSUPPORTED',
  ]);
  assert.ok((codes.get('SIGNATURE') ?? 0) > 150, JSON.stringify([...codes]));
});

test('a signature with any byte changed, cut or added is refused', async () => {
  const bytes = stubPackage();
  const jws = Buffer.from(signPackage(bytes, { key: ours.key, name: 'model.wai' }));
  const path = put('model.wai', bytes, jws);
  const options = { publicKey: ours.publicKey };
  assert.equal((await attempt(path, options)).code, null);
  const check = async (changed, what) => {
    writeFileSync(`${path}.jws`, changed);
    const { code, compiled } = await attempt(path, options);
    assert.equal(code, 'SIGNATURE', what);
    assert.equal(compiled, 0);
  };
  // The last letter has bits that say nothing: only one way to write them is right.
  for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
    const changed = Buffer.from(jws);
    changed[jws.length - 2] = letter.charCodeAt(0);
    if (!changed.equals(jws)) await check(changed, `the last letter ${letter}`);
  }
  for (let at = 0; at < jws.length; at++) {
    for (const mask of [0x01, 0x07, 0x20, 0x80]) {
      const changed = Buffer.from(jws);
      changed[at] ^= mask;
      await check(changed, `byte ${at} ^ ${mask}`);
    }
  }
  // All but the last cut, which takes the end of the line away and nothing else.
  for (let size = 0; size < jws.length - 1; size++)
    await check(jws.subarray(0, size), `cut at ${size}`);
  for (const more of ['\n', ' ', '.', '.AAAA', 'A', '=', '\0'])
    await check(Buffer.concat([jws, Buffer.from(more)]), JSON.stringify(more));
  await check(Buffer.alloc(5000, 65), 'too long');
});

test('a signature by somebody else, for something else or of another time is refused', async () => {
  const [one, two] = [stubPackage(), stubPackage({ extra: 128 })];
  const of = (bytes, name, who = ours, version = 7) =>
    signPackage(bytes, { key: who.key, name, version });
  const { publicKey } = ours;
  const place = put('one.wai', one, of(one, 'one.wai'));
  assert.equal((await attempt(place, { publicKey })).code, null);

  await refused(
    put('one.wai', one, of(one, 'one.wai', theirs)),
    { publicKey },
    'SIGNATURE',
    /the trusted key did not make this signature \(it names key [\w-]{43}\).*sign with a trusted key/,
  );
  await refused(
    put('one.wai', one, null),
    { publicKey },
    'SIGNATURE',
    /one\.wai\.jws: the signature cannot be read \(.*ENOENT.*make it with `wasm-ai sign`/,
  );
  // Swapped: the package alone, its signature alone, and both together, each of them ours.
  await refused(
    put('one.wai', two, of(one, 'one.wai')),
    { publicKey },
    'SIGNATURE',
    /one\.wai: this is not the file that was signed.*deploy both together/,
  );
  await refused(
    put('one.wai', one, of(two, 'one.wai')),
    { publicKey },
    'SIGNATURE',
    /not the file that was/,
  );
  await refused(
    put('one.wai', two, of(two, 'two.wai')),
    { publicKey },
    'SIGNATURE',
    /this is the signature of "two\.wai", not of "one\.wai"/,
  );
  await refused(
    two,
    { publicKey, signature: of(two, 'two.wai'), packageName: 'one.wai' },
    'SIGNATURE',
    /"two\.wai", not of "one\.wai"/,
  );
  // An old one, that was good once.
  const rollback = { publicKey, minVersion: 8 };
  await refused(
    place,
    rollback,
    'SIGNATURE',
    /version 7 was signed, but at least 8 is asked for.*deploy the current/,
  );
  await refused(one, { publicKey }, 'SIGNATURE', /no address to look beside/);
});

test('claims and headers that `wasm-ai sign` does not make are refused, even if well signed', async () => {
  const bytes = stubPackage();
  const good = signPackage(bytes, { key: ours.key, name: 'model.wai', version: 1 });
  const [head, body] = good.split('.').map((part) => {
    try {
      return JSON.parse(Buffer.from(part, 'base64url').toString());
    } catch {
      return null; // the signature
    }
  });
  const made = (header, payload) => {
    const text = [header, payload]
      .map((part) => (typeof part === 'string' ? part : JSON.stringify(part)))
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.');
    return `${text}.${sign(null, Buffer.from(text), ours.privateKey).toString('base64url')}\n`;
  };
  const options = (jws) => ({ publicKey: ours.publicKey, signature: jws });
  assert.equal(made(head, body), good, 'and this is how it makes them');
  /** @type {[any, any][]} */
  const rows = [
    [{ ...head, alg: 'none' }, body],
    [{ ...head, alg: 'HS256' }, body],
    [{ ...head, typ: 'JWT' }, body],
    [{ ...head, kid: 'x' }, body],
    [{ ...head, crit: ['b64'], b64: false }, body],
    [{ ...head, jwk: { kty: 'OKP' } }, body],
    [{ alg: 'EdDSA' }, body],
    ['[]', body],
    ['null', body],
    [head, { ...body, kind: 'manifest' }],
    [head, { ...body, kind: 'licence' }],
    [head, { ...body, size: body.size + 1 }],
    [head, { ...body, size: String(body.size) }],
    [head, { ...body, sha384: body.sha384.toUpperCase() }],
    [head, { ...body, sha384: [body.sha384] }],
    [head, { ...body, head: body.sha384 }],
    [head, { ...body, head: [body.head] }],
    [head, { ...body, head: null }],
    [head, { ...body, version: -1 }],
    [head, { ...body, version: 1.5 }],
    [head, { ...body, iat: 2 ** 53 }],
    [head, { ...body, iat: 9e12 }],
    [head, { ...body, name: '' }],
    [head, { ...body, more: 1 }],
    [head, '{'],
    [head, '"text"'],
  ];
  for (const [header, payload] of rows)
    await refused(
      bytes,
      options(made(header, payload)),
      'SIGNATURE',
      /sign the file again|this is/,
    );
  const { iat, ...short } = body;
  assert.ok(iat > 0);
  await refused(bytes, options(made(head, short)), 'SIGNATURE', /payload must have kind, name/);
});

test('several keys are trusted while keys change, and the old one is not once it is gone', async () => {
  const bytes = stubPackage();
  const old = put('m.wai', bytes, signPackage(bytes, { key: ours.key, name: 'm.wai' }));
  const fresh = put('m.wai', bytes, signPackage(bytes, { key: theirs.key, name: 'm.wai' }));
  const both = { publicKey: [ours.publicKey, theirs.publicKey] };
  assert.equal((await attempt(old, both)).signature?.keyId, ours.keyId);
  assert.equal((await attempt(fresh, both)).signature?.keyId, theirs.keyId);
  const third = await signer();
  await refused(
    old,
    { publicKey: [theirs.publicKey, third.publicKey] },
    'SIGNATURE',
    /none of the 2 trusted keys made|none of the 2 trusted keys did not make/,
  );
});

test('a key that is no key switches nothing off', async () => {
  const bytes = stubPackage();
  const { subtle } = globalThis.crypto;
  const pair = /** @type {CryptoKeyPair} */ (
    await subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify'])
  );
  const rsa = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, hash: 'SHA-256' };
  const other = await subtle.generateKey(
    { ...rsa, publicExponent: new Uint8Array([1, 0, 1]) },
    false,
    ['sign', 'verify'],
  );
  for (const publicKey of /** @type {any[]} */ ([
    undefined,
    null,
    '',
    ours.pem,
    {},
    [],
    [undefined],
    [ours.publicKey, null],
    pair.privateKey,
    other.publicKey,
    true,
  ])) {
    await refused(bytes, { publicKey }, 'ARGUMENT', /publicKey: must be an Ed25519 CryptoKey/);
  }
  const { publicKey } = ours;
  for (const [options, message] of /** @type {[any, RegExp][]} */ ([
    [{ publicKey, minVersion: -1 }, /minVersion: must be a whole number/],
    [{ publicKey, minVersion: '7' }, /minVersion: must be a whole number/],
    [{ publicKey, minVersion: Number.NaN }, /minVersion: must be a whole number/],
    [{ publicKey, signature: 7 }, /signature: must be the text/],
    [{ publicKey, packageName: '' }, /packageName: must be a name/],
    [{ minVersion: 7 }, /minVersion: has no sense without publicKey/],
    [{ signature: 'x' }, /signature: has no sense without publicKey/],
    [{ packageName: 'x' }, /packageName: has no sense without publicKey/],
    [{ publickey: publicKey }, /did you mean "publicKey"/],
  ])) {
    await refused(bytes, options, 'ARGUMENT', message);
  }
});

test('importPublicKey takes what keygen writes, and says what else it was given', async () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
  const x25519 = generateKeyPairSync('x25519').publicKey; // as long, for another use
  for (const [text, message] of /** @type {any[]} */ ([
    [ours.key, /this is a private key, which must never reach a page/],
    [rsa.export({ type: 'spki', format: 'pem' }), /not an Ed25519 public key/],
    [x25519.export({ type: 'spki', format: 'pem' }), /not an Ed25519 public key/],
    [ours.pem.replace(/\n(.{8})/, '\n'), /not an Ed25519 public key/],
    [ours.pem.replace('\n-----END', 'AAAA\n-----END'), /not an Ed25519 public key/],
    ['ssh-ed25519 AAAA', /text of a public key in PEM/],
    [undefined, /text of a public key in PEM/],
  ])) {
    await assert.rejects(wasmai.importPublicKey(text), (error) => {
      assert.ok(error instanceof wasmai.WasmAIError);
      assert.equal(error.code, 'ARGUMENT');
      assert.match(error.message, message);
      return true;
    });
  }
  assert.equal((await wasmai.importPublicKey(ours.pem.replace(/\n/g, '\r\n'))).type, 'public');
});

test('an engine without Ed25519 says so', async (t) => {
  const { subtle } = globalThis.crypto;
  const lacking = async () => {
    throw new DOMException('Unrecognized name.', 'NotSupportedError');
  };
  t.mock.method(subtle, 'importKey', lacking);
  await assert.rejects(wasmai.importPublicKey(ours.pem), { code: 'UNSUPPORTED' });
  t.mock.method(subtle, 'verify', lacking);
  const bytes = stubPackage();
  const signature = signPackage(bytes, { key: ours.key, name: 'm.wai' });
  const options = { publicKey: ours.publicKey, signature };
  await refused(bytes, options, 'UNSUPPORTED', /no Ed25519: it needs Chromium 137/);
});

test('a --secure loader takes a package that it was not built with when a trusted key signed it', async () => {
  const bytes = stubPackage();
  const path = put('m.wai', bytes, signPackage(bytes, { key: ours.key, name: 'm.wai' }));
  await refused(path, {}, 'INTEGRITY', /publicKey/, strict);
  const publicKey = await strict.importPublicKey(ours.pem);
  assert.deepEqual((await attempt(path, { publicKey }, strict)).y, [2, 4, 6, 8]);
  const wrong = await strict.importPublicKey(theirs.pem);
  await refused(path, { publicKey: wrong }, 'SIGNATURE', /did not make/, strict);
});

test('over HTTP: the signature is looked for beside the package, query and all', async () => {
  const bytes = stubPackage();
  const jws = signPackage(bytes, { key: ours.key, name: 'm.wai' });
  const asked = [];
  const answers = {
    '/good/m.wai?v=1': bytes,
    '/good/m.wai.jws?v=1': jws,
    '/none/m.wai': bytes,
    '/page/m.wai': bytes,
    '/page/m.wai.jws': '<!doctype html>',
    '/long/m.wai': bytes,
    '/long/m.wai.jws': 'A'.repeat(1 << 20),
    '/alone/m.wai.jws': jws,
  };
  const server = createServer((request, response) => {
    const path = String(request.url);
    asked.push(path);
    const type = path.startsWith('/page/') && path.endsWith('.jws') ? 'text/html' : 'text/plain';
    response.writeHead(answers[path] ? 200 : 404, { 'content-type': type });
    response.end(answers[path] ?? 'no');
  });
  await new Promise((done) => server.listen(0, 'localhost', () => done(undefined)));
  const root = `http://localhost:${/** @type {any} */ (server.address()).port}`;
  const options = { publicKey: ours.publicKey };
  try {
    assert.deepEqual((await attempt(`${root}/good/m.wai?v=1#x`, options)).y, [2, 4, 6, 8]);
    assert.deepEqual(asked.splice(0).sort(), ['/good/m.wai.jws?v=1', '/good/m.wai?v=1']);
    const response = await fetch(`${root}/good/m.wai?v=1`);
    assert.deepEqual((await attempt(response, options)).y, [2, 4, 6, 8]);
    await refused(`${root}/none/m.wai`, options, 'SIGNATURE', /the server answered 404/);
    await refused(`${root}/page/m.wai`, options, 'SIGNATURE', /HTML/);
    await refused(`${root}/long/m.wai`, options, 'SIGNATURE', /not one compact JWS/);
    await refused(`${root}/alone/m.wai`, options, 'ARGUMENT', /m\.wai: the server answered 404/);
    await refused(`${root}/typo/m.wai`, options, 'ARGUMENT', /m\.wai: the server answered 404/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('a bad signature ends a download that has no end', async () => {
  const bytes = stubPackage({ extra: 1 << 20, peakSize: 1 << 22 });
  let cancelled = false;
  const endless = new ReadableStream({
    start: (controller) => controller.enqueue(new Uint8Array(bytes.subarray(0, 1000))),
    cancel: () => {
      cancelled = true;
    },
  });
  const signature = signPackage(bytes, { key: theirs.key, name: 'm.wai' });
  await refused(endless, { publicKey: ours.publicKey, signature }, 'SIGNATURE', /did not make/);
  assert.ok(cancelled);
});

test('a folder keeps the signature that is beside a package, if it is the one of this package', async () => {
  const bytes = stubPackage();
  const model = put('m.wai', bytes, signPackage(bytes, { key: ours.key, name: 'm.wai' }));
  const out = join(folder, 'kept');
  const { packages } = await buildDist({ out, runtime, models: [model] });
  const { file } = packages['models/m.wai'];
  assert.equal(
    readFileSync(join(out, `${file}.jws`), 'latin1'),
    readFileSync(`${model}.jws`, 'latin1'),
  );
  const built = await import(pathToFileURL(join(out, 'wasmai.js')).href);
  const publicKey = await built.importPublicKey(ours.pem);
  for (const name of ['models/m.wai', file]) {
    const seen = await attempt(pathToFileURL(join(out, name)), { publicKey }, built);
    assert.deepEqual(seen.y, [2, 4, 6, 8], seen.message);
  }
  writeFileSync(
    `${model}.jws`,
    signPackage(stubPackage({ mode: 1 }), { key: ours.key, name: 'm.wai' }),
  );
  await assert.rejects(buildDist({ out, runtime, models: [model] }), { code: 'SIGNATURE' });
});

test('the key id is the thumbprint of RFC 7638, by the example of RFC 8037', () => {
  const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
  const d = 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A';
  const jwk = { kty: 'OKP', crv: 'Ed25519', x };
  const thumbprint = 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k';
  assert.equal(keyIdOf(createPublicKey({ key: jwk, format: 'jwk' })), thumbprint);
  assert.equal(keyIdOf(createPrivateKey({ key: { ...jwk, d }, format: 'jwk' })), thumbprint);
});
