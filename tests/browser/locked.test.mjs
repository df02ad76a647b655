// What the worker must not be able to do, and that it refuses to start when nothing stops it.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { headersOf } from '../../harness/server/policies.mjs';
import { stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { elsewhere, makeSite, onEngines, openPage } from './browser.mjs';

let site;
let runtime;

before(async () => {
  runtime = await writeStubRuntime(join(tmpdir(), `wasm-ai-stub-${process.pid}`, 'runtime.wasm'));
  const model = join(tmpdir(), `wasm-ai-stub-${process.pid}`, 'stub.wai');
  writeFileSync(model, stubPackage());
  site = await makeSite({ runtime, models: [model] });
});

after(async () => {
  await site?.close();
});

/** The same folder from a server that gives the worker another policy. */
function withWorkerPolicy(policy, body) {
  const { workers } = site.manifest;
  const headers = (path) => {
    const { [CSP]: usual, ...rest } = headersOf(path, { workers });
    const own = workers.includes(path) ? policy : usual;
    return own ? { ...rest, [CSP]: own } : rest;
  };
  return elsewhere(site, { headers }, body);
}

const CSP = 'Content-Security-Policy';
const WEAK = {
  'no policy at all': null,
  'the literal page policy and eval': "default-src 'self'; script-src 'self' 'unsafe-eval'",
  'a policy that allows eval': "default-src 'none'; script-src 'wasm-unsafe-eval' 'unsafe-eval'",
  'a policy that allows connections':
    "default-src 'none'; script-src 'wasm-unsafe-eval'; connect-src 'self'",
  "a policy with 'self' for scripts": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'",
  'a policy with data: for scripts': "default-src 'none'; script-src data: 'wasm-unsafe-eval'",
  'report-only by mistake': '',
};

for (const [name, policy] of Object.entries(WEAK)) {
  onEngines(
    `a worker served with ${name} refuses to start and names the header`,
    async ({ browser }) => {
      await withWorkerPolicy(policy, async (weak) => {
        const { page, close } = await openPage(browser, weak);
        const error = await page.evaluate(
          (address) => caught(wasmai.load(address)),
          `./${site.manifest.packages['models/stub.wai'].file}`,
        );
        assert.ok(error, 'load must fail');
        assert.equal(error.isOurs, true);
        assert.equal(error?.code, 'CSP');
        assert.match(
          error.message,
          /Content-Security-Policy: default-src 'none'; script-src 'wasm-unsafe-eval'/,
        );
        assert.ok(error.message.includes(site.manifest.workers[0]), 'the message names the file');
        await close();
      });
    },
  );
}

onEngines(
  "under the worker's own policy no script makes a Trusted Types policy",
  async ({ browser }) => {
    // Asked by a script of ours under that header: behind the lock-down the name is not even there.
    const probe = `let got = 'no Trusted Types here';
    try { if (self.trustedTypes) { trustedTypes.createPolicy('any', {}); got = 'made'; } } catch { got = 'refused'; }
    postMessage(got);`;
    const { workers } = site.manifest;
    const how = {
      headers: (path) => headersOf(path, { workers }),
      change: (path, bytes) => (workers.includes(path) ? probe : bytes),
    };
    await elsewhere(site, how, async (probed) => {
      const { page, close } = await openPage(browser, probed);
      const ask = (address) =>
        new Promise((resolve) => {
          new Worker(address).onmessage = ({ data }) => resolve(data);
        });
      const hasThem = await page.evaluate(() => 'trustedTypes' in globalThis);
      const got = await page.evaluate(ask, `./${workers[0]}`);
      assert.equal(got, hasThem ? 'refused' : 'no Trusted Types here');
      await close();
    });
  },
);

onEngines('a browser that does not let a name go gets no model', async ({ browser }) => {
  const worker = join(site.root, site.manifest.workers[0]);
  const original = readFileSync(worker);
  const stuck = "Object.defineProperty(self, 'navigator', { value: navigator });\n";
  writeFileSync(worker, Buffer.concat([Buffer.from(stuck), original]));
  const { page, close } = await openPage(browser, site);
  try {
    const error = await page.evaluate(() => caught(wasmai.load('./models/stub.wai')));
    assert.equal(error?.code, 'INTERNAL');
    assert.match(error.message, /does not let navigator be removed/);
  } finally {
    writeFileSync(worker, original);
    await close();
  }
});

onEngines('a policy without wasm is named too', async ({ browser }) => {
  await withWorkerPolicy("default-src 'none'", async (strict) => {
    const { page, close } = await openPage(browser, strict);
    const error = await page.evaluate(
      (address) => caught(wasmai.load(address)),
      `./${site.manifest.packages['models/stub.wai'].file}`,
    );
    assert.equal(error?.code, 'CSP');
    assert.match(error.message, /wasm-unsafe-eval/);
    await close();
  });
});

onEngines('the page itself cannot compile wasm under the literal policy', async ({ browser }) => {
  const { page, close } = await openPage(browser, site);
  const error = await page.evaluate(() =>
    caught(wasmai.load('./models/stub.wai', { isolation: 'none' })),
  );
  assert.equal(error?.code, 'CSP');
  await close();
});

onEngines(
  'a strict page (Trusted Types, exact worker-src) runs, and its policy makes no other worker',
  async ({ browser }) => {
    const model = join(tmpdir(), `wasm-ai-stub-${process.pid}`, 'stub.wai');
    const strict = await makeSite({ runtime, models: [model], secure: true });
    const { page, close, complaints, violations } = await openPage(browser, strict);
    try {
      const y = await page.evaluate(async () => {
        const session = await wasmai.load('./models/stub.wai');
        return [...(await session.run({ x: new Float32Array([1, 2, 3, 4]) })).y.data];
      });
      assert.deepEqual(y, [2, 4, 6, 8]);
      assert.deepEqual(complaints, []);
      assert.deepEqual(await violations(), []);
      const other = await page.evaluate(() => {
        try {
          new Worker('./page.js');
          return 'started';
        } catch (error) {
          return error.name;
        }
      });
      assert.equal(other, 'TypeError');
      assert.match((await violations()).join(), /require-trusted-types-for/, 'violations are seen');
      const unpinned = await page.evaluate(
        (bytes) => caught(wasmai.load(new Uint8Array(bytes))),
        [...stubPackage({ extra: 128 })],
      );
      assert.equal(unpinned?.code, 'INTEGRITY');
    } finally {
      await close();
      await strict.close();
    }
  },
);

onEngines(
  "the loader's Trusted Types policy makes the address of its worker and no other",
  async ({ browser }) => {
    const model = join(tmpdir(), `wasm-ai-stub-${process.pid}`, 'stub.wai');
    const strict = await makeSite({ runtime, models: [model], secure: true });
    const { page, close } = await openPage(browser, strict);
    try {
      const worker = strict.url + strict.manifest.workers[0];
      const seen = await page.evaluate(async (address) => {
        const factory = /** @type {any} */ (window).trustedTypes;
        const { createPolicy } = factory;
        const made = [];
        Object.getPrototypeOf(factory).createPolicy = function (...args) {
          made.push(Reflect.apply(createPolicy, this, args));
          return made[made.length - 1];
        };
        await (await wasmai.load('./models/stub.wai')).close();
        const others = ['./page.js', 'https://other.example/x.js', 'blob:x', `${address}?x`, ''];
        return made.map((policy) => [
          policy.name,
          [address, ...others].map((text) => {
            try {
              return String(policy.createScriptURL(text)) === text;
            } catch {
              return 'refused';
            }
          }),
        ]);
      }, worker);
      assert.deepEqual(seen, [['wasm-ai', [true, ...Array(5).fill('refused')]]]);
    } finally {
      await close();
      await strict.close();
    }
  },
);
