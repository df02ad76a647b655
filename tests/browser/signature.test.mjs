// Signatures in a real page: the engine's own Ed25519, under the strict policy, and what reaches the worker.
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { signPackage } from '../../harness/index.mjs';
import { stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { makeSite, onEngines, openPage } from './browser.mjs';

const folder = join(tmpdir(), `wasm-ai-signature-${process.pid}`);
/** @param {(first: number) => boolean} wanted  of the key's first byte */
function pair(wanted) {
  for (;;) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    if (!wanted(publicKey.export({ type: 'spki', format: 'der' })[12])) continue;
    return {
      key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
      pem: String(publicKey.export({ type: 'spki', format: 'pem' })),
    };
  }
}
const ours = pair((first) => first !== 0);
const theirs = pair((first) => first === 0); // one in 256: WebKitGTK does not take all its forms
let site;

before(async () => {
  mkdirSync(folder, { recursive: true });
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
  const bytes = stubPackage({ extra: 128 });
  const files = {};
  const put = (name, content, jws) => {
    files[name] = content;
    if (jws) files[`${name}.jws`] = jws;
  };
  const sign = (name, who = ours, version = 7) =>
    signPackage(bytes, { key: who.key, name, version });
  const good = sign('changed.wai');
  const changed = good.replace(/.(?=...\n$)/, (letter) => (letter === 'A' ? 'B' : 'A'));
  put('later.wai', bytes, sign('later.wai')); // not among those that the folder was built with
  put('unsigned.wai', bytes);
  put('foreign.wai', bytes, sign('foreign.wai', theirs));
  put('swapped.wai', bytes, sign('later.wai'));
  put('other.wai', stubPackage({ extra: 64 }), sign('other.wai'));
  put('changed.wai', bytes, changed);
  site = await makeSite({
    runtime,
    models: [join(folder, 'stub.wai')],
    secure: true,
    sign: { key: createPrivateKey(ours.key), version: 7 },
    files,
  });
});

after(async () => {
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Loads in a fresh page; how many buffers reached a worker. */
async function attempt(browser, source, { pems = [ours.pem], minVersion = 0 } = {}) {
  const opened = await openPage(browser, site);
  try {
    const seen = await opened.page.evaluate(
      async ({ source, pems, minVersion }) => {
        let given = 0;
        const { postMessage } = Worker.prototype;
        Worker.prototype.postMessage = function (...args) {
          given += args[1]?.length ?? 0;
          return Reflect.apply(postMessage, this, args);
        };
        const publicKey = await Promise.all(pems.map(wasmai.importPublicKey));
        try {
          const session = await wasmai.load(source, { publicKey, minVersion });
          const { y } = await session.run({ x: new Float32Array([1, 2, 3, 4]) });
          const { signature } = session.info;
          await session.close();
          return { y: [...y.data], signature, given };
        } catch (error) {
          return { code: error.code, message: error.message, given };
        }
      },
      { source, pems, minVersion },
    );
    assert.deepEqual(await opened.violations(), []);
    return seen;
  } finally {
    await opened.close();
  }
}

onEngines(
  'a signed package opens: one of the folder by its plain name, and one that came later',
  async ({ browser }) => {
    for (const name of ['models/stub.wai', 'later.wai']) {
      const seen = await attempt(browser, `./${name}`, {
        pems: [theirs.pem, ours.pem],
        minVersion: 7,
      });
      assert.deepEqual(seen.y, [2, 4, 6, 8], seen.message);
      assert.equal(seen.signature.version, 7);
      assert.ok(seen.signature.signedAt instanceof Date);
      assert.ok(seen.given > 0);
    }
  },
);

onEngines('a key that begins with a zero byte is as good as any', async ({ browser }) => {
  const seen = await attempt(browser, './foreign.wai', { pems: [theirs.pem] });
  assert.deepEqual(seen.y, [2, 4, 6, 8], seen.message);
});

onEngines('anything else is refused before the worker gets a byte', async ({ browser }) => {
  for (const [name, message] of /** @type {[string, RegExp][]} */ ([
    ['unsigned', /unsigned\.wai\.jws: the signature cannot be read \(the server answered 404/],
    ['foreign', /the trusted key did not make this signature/],
    ['swapped', /this is the signature of "later\.wai", not of "swapped\.wai"/],
    ['other', /this is not the file that was signed/],
    ['changed', /did not make this signature/],
  ])) {
    const seen = await attempt(browser, `./${name}.wai`);
    assert.equal(seen.code, 'SIGNATURE', name);
    assert.match(seen.message, message);
    assert.equal(seen.given, 0, 'nothing reached the worker');
  }
  const old = await attempt(browser, './later.wai', { minVersion: 8 });
  assert.deepEqual([old.code, old.given], ['SIGNATURE', 0]);
  assert.match(old.message, /version 7 was signed, but at least 8/);
});

onEngines(
  'the engine without Ed25519, and the page without a secure context, say so',
  async ({ browser }) => {
    const opened = await openPage(browser, site);
    try {
      const error = await opened.page.evaluate(async (pem) => {
        SubtleCrypto.prototype.importKey = async () => {
          throw new DOMException('Algorithm: Unrecognized name', 'NotSupportedError');
        };
        return caught(wasmai.importPublicKey(pem));
      }, ours.pem);
      assert.equal(error.code, 'UNSUPPORTED');
      assert.match(error.message, /Chromium 137/);
      const insecure = await opened.page.evaluate(async (pem) => {
        Object.defineProperty(crypto, 'subtle', { value: undefined });
        return caught(wasmai.importPublicKey(pem));
      }, ours.pem);
      assert.equal(insecure.code, 'UNSUPPORTED');
      assert.match(insecure.message, /secure context/);
    } finally {
      await opened.close();
    }
  },
);
