// keygen, sign, verify, and --sign of compile and build, as the command line has them.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { compile, signPackage } from '../../harness/index.mjs';
import { addRelu, cli, filesOf, folderFor, noCompiler } from './cli_support.mjs';
import { stubPackage, writeStubRuntime } from './stub.mjs';

const ONE_LINE = /^error: [A-Z]+: [^\n]+: [^\n]+\n$/;

/** A folder with keys, as keygen makes them, and m.wai. */
async function shop(t) {
  const folder = folderFor(t);
  const at = (name) => join(folder, name);
  for (const name of ['ours', 'theirs'])
    assert.equal((await cli('keygen', '-o', at(name), '--quiet')).code, 0);
  writeFileSync(at('m.wai'), stubPackage());
  const sign = (target, ...more) => cli('sign', at(target), '--key', at('ours.pem'), ...more);
  const verify = (target, ...more) =>
    cli('verify', at(target), '--key', at('ours.pub.pem'), ...more);
  return { folder, at, sign, verify };
}

async function fails(promise, code, message) {
  const { code: exit, out, err } = await promise;
  assert.equal(exit, 1, err || out);
  assert.equal(out, '');
  assert.match(err, ONE_LINE);
  assert.match(err, new RegExp(`^error: ${code}: `));
  assert.match(err, message);
}

test('keygen makes a pair that its owner alone can read, and never overwrites one', async (t) => {
  const folder = folderFor(t);
  const name = join(folder, 'release');
  const { code, out, err } = await cli('keygen', '-o', name, '--json');
  assert.equal(code, 0, err);
  const { privateFile, publicFile, keyId } = JSON.parse(out);
  assert.deepEqual([privateFile, publicFile], [`${name}.pem`, `${name}.pub.pem`]);
  assert.match(keyId, /^[\w-]{43}$/);
  assert.equal(statSync(privateFile).mode & 0o777, 0o600);
  const before = [privateFile, publicFile].map((file) => readFileSync(file, 'latin1'));
  assert.match(before[0], /^-----BEGIN PRIVATE KEY-----/);
  assert.match(before[1], /^-----BEGIN PUBLIC KEY-----/);
  for (const given of [name, privateFile, publicFile])
    await fails(
      cli('keygen', '-o', given),
      'ARGUMENT',
      /release\.pem: is there already, and a key is never/,
    );
  assert.deepEqual(
    [privateFile, publicFile].map((file) => readFileSync(file, 'latin1')),
    before,
  );
  // Nor one half of a pair, and then the other half is not left behind.
  rmSync(privateFile);
  await fails(cli('keygen', '-o', name), 'ARGUMENT', /release\.pub\.pem: is there already/);
  assert.deepEqual(filesOf(folder), ['release.pub.pem']);
  await fails(
    cli('keygen', '-o', join(folder, 'no/release')),
    'ARGUMENT',
    /there is no such folder/,
  );
});

test('sign and verify a package: what they print, as text and as JSON', async (t) => {
  const { at, folder, sign, verify } = await shop(t);
  await fails(
    verify('m.wai'),
    'SIGNATURE',
    /m\.wai\.jws: there is no signature here: make it with `wasm-ai sign`/,
  );
  const signed = await sign('m.wai', '--signed-version', '7', '--json');
  assert.equal(signed.code, 0, signed.err);
  const [{ file, kind, name, size, version, keyId }] = JSON.parse(signed.out).signatures;
  assert.deepEqual(
    [file, kind, name, size, version],
    [at('m.wai.jws'), 'package', 'm.wai', 320, 7],
  );
  assert.deepEqual(filesOf(folder), [
    'm.wai',
    'm.wai.jws',
    'ours.pem',
    'ours.pub.pem',
    'theirs.pem',
    'theirs.pub.pem',
  ]);
  const seen = await verify('m.wai', '--min-version', '7');
  assert.equal(seen.code, 0, seen.err);
  assert.match(seen.out, new RegExp(`m\\.wai +version 7 +2\\d{3}-.*Z +key ${keyId}`));
  const [proof] = JSON.parse((await verify('m.wai', '--json')).out).signatures;
  assert.deepEqual([proof.name, proof.version, proof.keyId], ['m.wai', 7, keyId]);
  // Without a version the time is it, higher than any that people count.
  assert.match((await sign('m.wai')).out, /version 2\d{13}\n/);
  // Under the name that it is deployed with.
  assert.equal((await sign('m.wai', '--name', 'other.wai')).code, 0);
  await fails(verify('m.wai'), 'SIGNATURE', /signature of "other\.wai", not of "m\.wai"/);
  assert.equal((await verify('m.wai', '--name', 'other.wai')).code, 0);
  renameSync(at('m.wai.jws'), at('elsewhere'));
  const there = ['--signature', at('elsewhere')];
  assert.equal((await verify('m.wai', '--name', 'other.wai', ...there)).code, 0);
});

test('verify refuses any byte changed, other keys, old versions, swapped files', async (t) => {
  const { at, sign, verify } = await shop(t);
  await sign('m.wai', '--signed-version', '7');
  await fails(
    verify('m.wai', '--min-version', '8'),
    'SIGNATURE',
    /version 7 was signed, but at least 8/,
  );
  await fails(
    cli('verify', at('m.wai'), '--key', at('theirs.pub.pem')),
    'SIGNATURE',
    /the given key did not make this signature \(it names key [\w-]{43}; given: [\w-]{43}\)/,
  );
  assert.equal(
    (await verify('m.wai', '--key', at('theirs.pub.pem'))).code,
    0,
    'one of two will do',
  );
  for (const name of ['m.wai', 'm.wai.jws']) {
    const good = readFileSync(at(name));
    for (let i = 0; i < good.length; i++) {
      const changed = Buffer.from(good);
      changed[i] ^= 1;
      writeFileSync(at(name), changed);
      await fails(verify('m.wai'), 'SIGNATURE', /m\.wai\.jws: /);
    }
    writeFileSync(at(name), good);
  }
  assert.equal((await verify('m.wai')).code, 0);
  writeFileSync(at('n.wai'), stubPackage({ extra: 80 }));
  await sign('n.wai');
  for (const end of ['', '.jws']) copyFileSync(at(`n.wai${end}`), at(`m.wai${end}`));
  await fails(verify('m.wai'), 'SIGNATURE', /signature of "n\.wai", not of "m\.wai"/);
});

test('keys and targets that will not do are refused, and nothing is written', async (t) => {
  const { at, folder, sign } = await shop(t);
  const pem = (name, key, options) =>
    writeFileSync(at(name), key.export({ format: 'pem', ...options }));
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
  pem('rsa.pem', rsa.privateKey, { type: 'pkcs8' });
  pem('rsa.pub.pem', rsa.publicKey, { type: 'spki' });
  const { privateKey } = generateKeyPairSync('ed25519');
  pem('locked.pem', privateKey, { type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' });
  writeFileSync(at('short.wai'), stubPackage().subarray(0, 300));
  writeFileSync(at('m.onnx'), addRelu());
  const before = filesOf(folder);
  const withKey = (command, key, target = 'm.wai') => cli(command, at(target), '--key', at(key));
  await fails(withKey('sign', 'absent.pem'), 'ARGUMENT', /absent\.pem: cannot read: no such file/);
  await fails(
    withKey('sign', 'ours.pub.pem'),
    'ARGUMENT',
    /this is a public key; signing needs the private/,
  );
  await fails(withKey('sign', 'rsa.pem'), 'ARGUMENT', /a key for rsa, not Ed25519/);
  await fails(withKey('sign', 'locked.pem'), 'ARGUMENT', /has a passphrase: decrypt it first/);
  await fails(
    withKey('sign', 'm.wai'),
    'ARGUMENT',
    /not a key in PEM: make one with `wasm-ai keygen`/,
  );
  await fails(
    withKey('verify', 'ours.pem'),
    'ARGUMENT',
    /this is a private key; checking needs only/,
  );
  await fails(withKey('verify', 'rsa.pub.pem'), 'ARGUMENT', /a key for rsa, not Ed25519/);
  await fails(sign('short.wai'), 'MALFORMED', /short\.wai: /);
  await fails(sign('m.onnx'), 'MALFORMED', /looks like an ONNX file/);
  await fails(sign('absent.wai'), 'ARGUMENT', /no such file/);
  await fails(sign('.'), 'ARGUMENT', /manifest\.json: cannot read: no such file/);
  await fails(
    sign('m.wai', '--signed-version', '-1'),
    'ARGUMENT',
    /--signed-version: must be a whole number/,
  );
  await fails(
    sign('m.wai', '--name', `${'n'.repeat(4000)}.wai`),
    'ARGUMENT',
    /too long to be signed/,
  );
  assert.deepEqual(filesOf(folder), before);
  for (const command of ['sign', 'verify']) {
    const { code, err } = await cli(command, at('m.wai'));
    assert.equal(code, 2);
    assert.match(err, /required option '--key <file>' not specified/);
  }
  if (process.platform === 'win32') return;
  chmodSync(at('ours.pem'), 0o644);
  assert.match((await sign('m.wai')).err, /note: other users can read .*ours\.pem; `chmod 600/);
});

test('compile --sign writes the signature too, and says which', { skip: noCompiler }, async (t) => {
  const { at, verify } = await shop(t);
  writeFileSync(at('a.onnx'), addRelu());
  const run = (...more) => cli('compile', at('a.onnx'), '-o', at('a.wai'), ...more);
  const { code, out, err } = await run('--sign', at('ours.pem'), '--signed-version', '3');
  assert.equal(code, 0, err);
  assert.match(out, /signed +version 3, key [\w-]{43}\n/);
  assert.equal((await verify('a.wai', '--min-version', '3')).code, 0);
  const { signature } = JSON.parse((await run('--sign', at('ours.pem'), '--json')).out);
  assert.ok(signature.version > 2e13);
  // The same bytes from the module.
  const { bytes } = await compile(addRelu());
  writeFileSync(at('b.wai'), bytes);
  writeFileSync(
    at('b.wai.jws'),
    signPackage(bytes, { key: readFileSync(at('ours.pem'), 'latin1'), name: 'b.wai' }),
  );
  assert.equal((await verify('b.wai')).code, 0);
  await assert.rejects(compile(addRelu(), /** @type {any} */ ({ sign: 'x' })), /signPackage/);
  // A package made anew without a key: its old signature is named, and is not good.
  const again = await run('--optimize');
  assert.match(again.err, /note: .*a\.wai\.jws is from before; `wasm-ai sign` makes it anew/);
  // A key that cannot be read stops before anything is made.
  rmSync(at('a.wai'));
  await fails(run('--sign', at('absent.pem')), 'ARGUMENT', /absent\.pem: cannot read/);
  assert.ok(!existsSync(at('a.wai')));
});

/** A built folder, its packages signed or not. */
async function site(t, ...more) {
  const made = await shop(t);
  const runtime = await writeStubRuntime(made.at('runtime.wasm'));
  const { buildDist } = await import('../../harness/dist.mjs');
  await buildDist({ out: made.at('dist'), runtime, models: [made.at('m.wai')] });
  const signed = await made.sign('dist', '--signed-version', '7', ...more);
  assert.equal(signed.code, 0, signed.err);
  const files = readdirSync(made.at('dist'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return { ...made, runtime, files };
}

test('a folder: every file changed, taken away or swapped is found', async (t) => {
  const { at, verify, files } = await site(t);
  const good = await verify('dist', '--min-version', '7', '--json');
  assert.equal(good.code, 0, good.err);
  const { signatures, unsigned } = JSON.parse(good.out);
  assert.deepEqual(
    signatures.map(({ kind, name }) => `${kind} ${name}`),
    ['manifest manifest.json', 'package m.wai'],
  );
  assert.deepEqual(unsigned, []);
  assert.ok(files.length > 10);
  for (const file of files) {
    const bytes = readFileSync(file);
    for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at] ^= 1;
      writeFileSync(file, changed);
      const { code, err } = await verify('dist');
      assert.equal(code, 1, `${file} at ${at}`);
      assert.match(err, /^error: (SIGNATURE|INTEGRITY): /);
    }
    rmSync(file);
    assert.equal((await verify('dist')).code, 1, `without ${file}`);
    writeFileSync(file, bytes);
  }
  await fails(
    verify('dist', '--min-version', '8'),
    'SIGNATURE',
    /manifest\.json\.jws: version 7 was signed/,
  );
  await fails(verify('dist', '--name', 'x'), 'ARGUMENT', /--name: is for a package/);
  const added = at('dist/page.html');
  writeFileSync(added, '<!doctype html>');
  assert.match((await verify('dist')).err, /note: .* not in the manifest: page\.html/);
});

test('a folder is signed only when it is what its manifest says', async (t) => {
  const { at, sign } = await site(t);
  const file = at('dist/manifest.json');
  const text = readFileSync(file, 'utf8');
  const { packages, files, ...rest } = JSON.parse(text);
  for (const [change, code, message] of /** @type {[any, string, RegExp][]} */ ([
    [
      { packages, files: { ...files, '../m.wai': { size: 1, sha384: '' } } },
      'MALFORMED',
      /not a path below/,
    ],
    [
      { packages, files: { ...files, '/m.wai': { size: 1, sha384: '' } } },
      'MALFORMED',
      /not a path below/,
    ],
    [{ packages, files: {} }, 'MALFORMED', /not among its files/],
    [
      { packages, files: { ...files, 'wasmai.js': { size: 1, sha384: '' } } },
      'INTEGRITY',
      /differs from the manifest/,
    ],
    [{}, 'MALFORMED', /not a manifest/],
  ])) {
    writeFileSync(file, JSON.stringify({ ...rest, ...change }));
    await fails(sign('dist'), code, message);
  }
  writeFileSync(file, '[');
  await fails(sign('dist'), 'MALFORMED', /not a manifest of `wasm-ai build`/);
});

test('built again, a folder keeps no signature of what it was', async (t) => {
  const { at, runtime, verify } = await site(t);
  const { buildDist } = await import('../../harness/dist.mjs');
  writeFileSync(at('dist/page.html'), '<!doctype html>');
  await buildDist({ out: at('dist'), runtime, models: [] });
  assert.deepEqual(
    filesOf(at('dist')).filter((file) => file.endsWith('.jws')),
    [],
  );
  assert.ok(existsSync(at('dist/page.html')));
  await fails(verify('dist'), 'SIGNATURE', /manifest\.json\.jws: there is no signature here/);
});

test('build --sign: the folder verifies, its loader takes the signatures', {
  skip: noCompiler,
}, async (t) => {
  const { at, verify } = await shop(t);
  writeFileSync(at('a.onnx'), addRelu());
  await cli('compile', at('a.onnx'), '-o', at('a.wai'));
  const { code, out, err } = await cli(
    'build',
    '--model',
    at('a.wai'),
    '-o',
    at('dist'),
    '--secure',
    '--sign',
    at('ours.pem'),
    '--signed-version',
    '9',
  );
  assert.equal(code, 0, err);
  assert.match(out, /^signed {2}version 9, key [\w-]{43}$/m);
  assert.equal((await verify('dist', '--min-version', '9')).code, 0);
  const { load, importPublicKey } = await import(pathToFileURL(at('dist/wasmai.js')).href);
  const publicKey = await importPublicKey(readFileSync(at('ours.pub.pem'), 'utf8'));
  const session = await load(pathToFileURL(at('dist/models/a.wai')), { publicKey, minVersion: 9 });
  assert.equal(session.info.signature.name, 'a.wai');
  await session.close();
});
