// Chunk hashes and encrypted packages in a real page: what is asked for, what reaches the worker,
// and what the page gets to see of what was encrypted.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { encryptPackage } from '../../harness/index.mjs';
import { CHUNK, seal, stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { elsewhere, makeSite, onEngines, openPage } from './browser.mjs';

const folder = join(tmpdir(), `wasm-ai-integrity-${process.pid}`);
const key = randomBytes(32);
/** Stands in the package, and must never be in the page. */
const marker = randomBytes(16);
/** Several records; the marker behind the header that the page may see. */
const secret = stubPackage({ extra: 200000, peakSize: 4 << 20 });
marker.copy(secret, 5000);
seal(secret);
const large = stubPackage({ extra: 5 * CHUNK, peakSize: 4 << 20 });
const head = Number(large.readBigUInt64LE(136));
let site;

before(async () => {
  mkdirSync(folder, { recursive: true });
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  const models = ['secret', 'large'].map((name) => join(folder, `${name}.wai`));
  writeFileSync(models[0], encryptPackage(secret, key));
  writeFileSync(models[1], large);
  site = await makeSite({
    runtime,
    models: [models[1]],
    files: { 'secret.wai': encryptPackage(secret, key), 'plain.wai': secret },
  });
});

after(async () => {
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Everything that goes to workers, also in the frame, and comes from them: requests, and the buffers in both directions. */
function watchWorkers() {
  /** @type {Window['seen']} */
  const seen = { asked: [], sent: [], received: [] };
  const buffersOf = (value, found = new Set()) => {
    if (value instanceof ArrayBuffer) found.add(value);
    else if (ArrayBuffer.isView(value)) found.add(value.buffer);
    else if (value && typeof value === 'object')
      for (const part of Object.values(value)) buffersOf(part, found);
    return found;
  };
  const copies = (value) => [...buffersOf(value)].map((buffer) => new Uint8Array(buffer.slice(0)));
  for (const { prototype } of [Worker, MessagePort]) {
    const { postMessage } = prototype;
    prototype.postMessage = function (...args) {
      const { op, at } = args[0] ?? {};
      if (op) seen.asked.push(at === undefined ? op : `${op} ${at}`);
      seen.sent.push(...copies(args[0]));
      return Reflect.apply(postMessage, this, args);
    };
  }
  const Native = Worker;
  window.Worker = class extends Native {
    constructor(...args) {
      super(.../** @type {[any]} */ (args));
      this.addEventListener('message', ({ data }) => seen.received.push(...copies(data)));
    }
  };
  const { set } = /** @type {any} */ (
    Object.getOwnPropertyDescriptor(MessagePort.prototype, 'onmessage')
  );
  Object.defineProperty(MessagePort.prototype, 'onmessage', {
    set(handler) {
      const watching = (event) => {
        seen.received.push(...copies(event.data));
        handler.call(this, event);
      };
      set.call(this, watching);
    },
  });
  window.seen = seen;
}

onEngines(
  'a bad chunk ends the download, and the worker gets nothing behind it and opens nothing',
  async ({ browser }) => {
    const { page, violations, close } = await openPage(browser, site);
    try {
      await page.evaluate(watchWorkers);
      const bad = Buffer.from(large);
      bad[head + 2 * CHUNK + 7] ^= 1;
      writeFileSync(join(site.root, 'bad.wai'), bad);
      const seen = await page.evaluate(async (chunk) => {
        const whole = await fetch('./bad.wai').then((response) => response.arrayBuffer());
        let pulled = 0;
        const stream = new ReadableStream(
          {
            pull(controller) {
              controller.enqueue(new Uint8Array(whole.slice(pulled, pulled + chunk / 4)));
              pulled += chunk / 4;
              if (pulled >= whole.byteLength) controller.close();
            },
          },
          { highWaterMark: 0 },
        );
        const error = await caught(wasmai.load(stream));
        const url = await caught(wasmai.load('./bad.wai'));
        return { error, url, asked: window.seen.asked };
      }, CHUNK);
      const range = new RegExp(`bytes ${head + 2 * CHUNK} to ${head + 3 * CHUNK - 1} differ`);
      for (const error of [seen.error, seen.url]) {
        assert.equal(error.code, 'INTEGRITY');
        assert.match(error.message, range);
      }
      const pours = [0, head, head + CHUNK, head + 2 * CHUNK].map((at) => `pour ${at}`);
      const once = ['prepare', 'begin', ...pours];
      assert.deepEqual(seen.asked, [...once, ...once]);
      assert.deepEqual(await violations(), []);
    } finally {
      await close();
    }
  },
);

/**
 * In WebKit no worker starts in a frame of a page that has COEP, as ours have: there the folder is
 * served without headers, and the frame brings its policy along.
 * @param {{ browser: any, engine: string }} given @param {'worker' | 'frame'} isolation
 * @param {(opened: Awaited<ReturnType<typeof openPage>> & { requests: string[] }) => Promise<void>} body
 */
async function visit({ browser, engine }, isolation, body) {
  const at = async (/** @type {{ url: string }} */ server, /** @type {string[]} */ requests) => {
    const opened = await openPage(browser, server);
    await body({ ...opened, requests }).finally(() => opened.close());
  };
  if (isolation === 'worker' || engine !== 'webkit') return at(site, site.requests);
  /** @type {string[]} */
  const requests = [];
  const onRequest = (/** @type {string} */ path) => requests.push(path);
  return elsewhere(site, { onRequest }, (server) => at(server, requests));
}

for (const isolation of /** @type {const} */ (['worker', 'frame'])) {
  onEngines(
    `isolation '${isolation}': an encrypted package runs, and the page sees nothing of it`,
    async (given) =>
      visit(given, isolation, async ({ page, violations, requests }) => {
        await page.evaluate(watchWorkers);
        const before = requests.length;
        const seen = await page.evaluate(
          async ({ key, marker, header, isolation }) => {
            const decryptionKey = await wasmai.importDecryptionKey(new Uint8Array(key));
            const session = await wasmai.load('./secret.wai', { decryptionKey, isolation });
            const run = (value) => session.run({ x: new Float32Array([value, 2, 3, 4]) });
            const first = [...(await run(1)).y.data];
            const { fetch } = window;
            window.fetch = () => Promise.reject(new Error('no network'));
            const trapped = await caught(run(-1));
            const again = [...(await run(1)).y.data]; // in a new worker, from what the page has
            window.fetch = fetch;
            const { certificate } = session.info;
            await session.close();
            const has = (bytes) =>
              bytes.some((_, at) => marker.every((value, i) => bytes[at + i] === value));
            const [sent, received] = [[...window.seen.sent], [...window.seen.received]];
            await (await wasmai.load('./plain.wai', { isolation })).close(); // of this one it is to be seen
            const exported = await crypto.subtle.exportKey('raw', decryptionKey).then(
              () => 'given away',
              (error) => error.name,
            );
            return {
              first,
              again,
              trapped,
              certificate,
              exported,
              sealed: sent.filter((bytes) => bytes.length > 200000).length,
              marked: [...sent, ...received].filter(has).length,
              plainly: window.seen.sent.filter(has).length,
              headers: received.filter((bytes) => bytes.length === header).length,
              other: received.filter((bytes) => bytes.length > header && bytes.length < 200000)
                .length,
            };
          },
          { key: [...key], marker: [...marker], header: 152, isolation },
        );
        assert.deepEqual(seen.first, [2, 4, 6, 8]);
        assert.equal(seen.trapped.code, 'TRAP');
        assert.deepEqual(seen.again, [2, 4, 6, 8]);
        assert.equal(seen.certificate.packageSize, secret.length);
        assert.match(seen.exported, /Error$/);
        assert.equal(seen.sealed, 2, 'both workers got the encrypted file');
        assert.equal(seen.headers, 2, 'and the page the certificate of each');
        assert.equal(seen.marked, 0, 'what was encrypted was in no message');
        assert.ok(seen.plainly > 0, 'and would have been found');
        assert.equal(seen.other, 0);
        const asked = requests.slice(before).filter((path) => path.endsWith('secret.wai'));
        assert.equal(asked.length, 1);
        assert.deepEqual(await violations(), []);
      }),
  );

  onEngines(
    `isolation '${isolation}': a wrong key, a changed record, too much memory, and nothing is opened`,
    async (given) =>
      visit(given, isolation, async ({ page, violations }) => {
        await page.evaluate(watchWorkers);
        const changed = encryptPackage(secret, key);
        changed[100000] ^= 1;
        const files = { changed, good: encryptPackage(secret, key) };
        for (const [name, bytes] of Object.entries(files))
          writeFileSync(join(site.root, `${name}.wai`), bytes);
        writeFileSync(
          join(site.root, 'greedy.wai'),
          encryptPackage(stubPackage({ peakSize: 64 << 20 }), key),
        );
        const { errors, asked } = await page.evaluate(
          async ({ key, other, isolation }) => {
            const [right, wrong] = await Promise.all(
              [key, other].map((bytes) => wasmai.importDecryptionKey(new Uint8Array(bytes))),
            );
            const errors = [];
            for (const [file, options] of [
              ['changed', { decryptionKey: right }],
              ['good', { decryptionKey: wrong }],
              ['good', {}],
              ['greedy', { decryptionKey: right, maxHeapMB: 16 }],
            ])
              errors.push(
                await caught(
                  wasmai.load(`./${file}.wai`, { isolation, .../** @type {any} */ (options) }),
                ),
              );
            return { errors, asked: window.seen.asked };
          },
          { key: [...key], other: [...randomBytes(32)], isolation },
        );
        assert.deepEqual(
          errors.map(({ code }) => code),
          ['INTEGRITY', 'INTEGRITY', 'ARGUMENT', 'LIMIT'],
        );
        assert.match(errors[0].message, /changed\.wai: bytes \d+ to \d+ cannot be decrypted/);
        assert.match(errors[1].message, /it is for key wasm-ai:\w+, and wasm-ai:\w+ was given/);
        assert.match(errors[3].message, /64 MiB .* 16 MiB/);
        assert.deepEqual(
          asked.filter((op) => op === 'decrypt' || op === 'open'),
          Array(3).fill('decrypt'),
        );
        assert.deepEqual(await violations(), []);
      }),
  );
}
