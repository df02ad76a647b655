/// <reference path="./globals.d.ts" />
// The sandboxed frame: where it runs and where it refuses, what it brings along, and how it ends.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { headersOf, strictPolicy } from '../../harness/server/policies.mjs';
import { stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { elsewhere, headersFor, makeSite, onEngines, openPage } from './browser.mjs';

const FRAME_PAGE = 'page.html?isolation=frame';
let site;

before(async () => {
  const folder = join(tmpdir(), `wasm-ai-frame-${process.pid}`);
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
  site = await makeSite({ runtime, models: [join(folder, 'stub.wai')], secure: true });
});

after(async () => {
  await site?.close();
});

/** @type {(how: Parameters<typeof elsewhere>[1], body: Parameters<typeof elsewhere>[2]) => Promise<void>} */
const onOther = (how, body) => elsewhere(site, how, body);

/** As it is served, but in WebKit without COEP, under which it starts no worker in the frame. */
const asServed = (engine, isolation, body) =>
  engine === 'webkit' && isolation === 'frame'
    ? onOther({ headers: headersFor(engine, isolation, site) }, body)
    : body(site);

/** What load() throws in a page of that server. */
async function refusal(browser, server, options = {}) {
  const { page, close } = await openPage(browser, server, FRAME_PAGE);
  const error = await page.evaluate(
    (more) => caught(wasmai.load('./models/stub.wai', more)),
    options,
  );
  assert.ok(error, 'load must fail');
  assert.equal(
    await page.evaluate(() => document.querySelectorAll('iframe').length),
    0,
    'no frame is left',
  );
  await close();
  return error;
}

for (const isolation of ['worker', 'frame'])
  onEngines(
    `${isolation}: runs under the strict policy with Trusted Types, without one violation`,
    ({ browser, engine }) =>
      asServed(engine, isolation, async (server) => {
        const opened = await openPage(browser, server, `page.html?isolation=${isolation}`);
        const seen = await opened.page.evaluate(async () => {
          const session = await wasmai.load('./models/stub.wai');
          const { y } = await session.run({ x: new Float32Array([1, 2, 3, 4]) });
          const frames = document.querySelectorAll('iframe');
          const reach = [...frames].map(({ contentDocument, sandbox }) => [
            contentDocument,
            sandbox.value,
          ]);
          await session.close();
          return { y: [...y.data], level: session.info.isolation, reach };
        });
        assert.deepEqual(seen.y, [2, 4, 6, 8]);
        assert.equal(seen.level, isolation);
        assert.deepEqual(seen.reach, isolation === 'frame' ? [[null, 'allow-scripts']] : []);
        await opened.page.waitForFunction(() => document.querySelectorAll('iframe').length === 0);
        assert.deepEqual(await opened.violations(), []);
        assert.deepEqual(opened.complaints, []);
        const other = await opened.page.evaluate(() => {
          const failures = [];
          for (const work of [
            () => new Worker('./page.js'),
            () => window.trustedTypes.createPolicy('wasm-ai-frame', {}),
            () => window.trustedTypes.createPolicy('other', {}),
            () => document.body.insertAdjacentHTML('beforeend', '<b>x</b>'),
          ]) {
            try {
              work();
            } catch (error) {
              failures.push(error.name);
            }
          }
          return failures;
        });
        assert.deepEqual(other, Array(4).fill('TypeError'), 'what the policy of the page refuses');
        await opened.close();
      }),
  );

test("our server names the worker's and the frame's very files in the policy", async () => {
  const response = await fetch(`${site.url}page.html`);
  const policy = response.headers.get('content-security-policy') ?? '';
  const { workers, frame } = site.manifest;
  assert.ok(policy.includes(`; worker-src ${site.url}${workers[0]}; `), policy);
  assert.ok(policy.includes(`; frame-src ${site.url}${frame.file}; `), policy);
  assert.ok(!policy.includes('blob:'), policy);
});

onEngines(
  'a host that sends no headers: the frame runs, the worker refuses and points to it',
  async ({ browser }) => {
    await onOther({}, async (plain) => {
      const { page, close, complaints } = await openPage(browser, plain, FRAME_PAGE);
      const y = await page.evaluate(async () => {
        const session = await wasmai.load('./models/stub.wai');
        return [...(await session.run({ x: new Float32Array([1, 2, 3, 4]) })).y.data];
      });
      assert.deepEqual(y, [2, 4, 6, 8]);
      assert.deepEqual(
        complaints.filter((text) => !text.includes('favicon')),
        [],
      );
      await close();
      const error = await refusal(browser, plain, { isolation: 'worker' });
      assert.equal(error.code, 'CSP');
      assert.match(error.message, /isolation 'frame'/);
    });
  },
);

const POLICY = /(?<=<meta http-equiv="Content-Security-Policy" content=")[^"]*/;
/** @type {Record<string, (policy: string) => string>} */
const WEAK = {
  'no policy': () => '',
  'a policy that allows eval': (policy) => policy.replace("'wasm-unsafe-eval'", "'unsafe-eval'"),
  'a policy that allows data: scripts': (policy) =>
    policy.replace('script-src', 'script-src data:'),
  'a policy that allows blob: scripts': (policy) =>
    policy.replace('script-src', 'script-src blob:'),
  'a policy that allows connections': (policy) => `${policy}; connect-src blob: *`,
};
for (const [name, weaken] of Object.entries(WEAK))
  onEngines(
    `a frame with ${name} is noticed by the worker in it, and no model is let in`,
    async ({ browser }) => {
      // Without the order for Trusted Types, which would stop most of these by itself.
      const change = (path, bytes) =>
        path === site.manifest.frame.file
          ? String(bytes).replace(POLICY, (policy) =>
              weaken(policy.replace(/; require-trusted-types-for.*/, '')),
            )
          : bytes;
      await onOther({ change }, async (weak) => {
        const error = await refusal(browser, weak);
        assert.equal(error.code, 'CSP');
        assert.match(error.message, /the frame came without the policy that its file has/);
      });
    },
  );

onEngines(
  'another worker than the one that was built is not given to the frame',
  async ({ browser }) => {
    const [worker] = site.manifest.workers;
    const change = (path, bytes) => (path === worker ? `${bytes};postMessage('mine')` : bytes);
    await onOther({ change }, async (tampered) => {
      const error = await refusal(browser, tampered);
      assert.equal(error.code, 'INTEGRITY');
      assert.ok(error.where.endsWith(worker));
    });
  },
);

onEngines('a page whose policy has no room for the frame says so at once', async ({ browser }) => {
  const pagePolicy = strictPolicy({ frames: "'none'" });
  const { workers, frame } = site.manifest;
  const headers = (path) => headersOf(path, { workers, frame, pagePolicy });
  await onOther({ headers }, async (narrow) => {
    const error = await refusal(browser, narrow);
    assert.equal(error.code, 'CSP');
    assert.match(error.message, /frame-src needs http/);
  });
});

onEngines(
  'a frame that is gone ends its runs, and the next run gets a new one',
  ({ browser, engine }) =>
    asServed(engine, 'frame', async (server) => {
      const { page, close } = await openPage(browser, server, FRAME_PAGE);
      const seen = await page.evaluate(async () => {
        const session = await wasmai.load('./models/stub.wai');
        const codes = [];
        const answers = [];
        const frame = () => document.querySelector('iframe');
        for (const spoil of [
          () => frame()?.remove(),
          () => document.body.append(/** @type {any} */ (frame())), // loads it again
        ]) {
          const endless = caught(session.run({ x: new Float32Array([-2, 0, 0, 0]) }));
          await new Promise((resolve) => setTimeout(resolve, 100));
          spoil();
          codes.push((await endless)?.code);
          answers.push((await session.run({ x: new Float32Array([3, 0, 0, 0]) })).y.data[0]);
        }
        const left = () => document.querySelectorAll('iframe').length;
        const count = left();
        await session.close();
        for (let i = 0; left() > 0 && i < 1000; i++)
          await new Promise((next) => setTimeout(next, 10));
        return { codes, answers, count, left: left() };
      });
      const { count, ...rest } = seen;
      assert.deepEqual(rest, { codes: ['INTERNAL', 'INTERNAL'], answers: [6, 6], left: 0 });
      assert.ok(count === 1 || count === 2, `${count} frames, the reserve's among them`);
      await close();
    }),
);

onEngines('the frame starts nothing for a page of another site', async ({ browser }) => {
  await onOther({}, async (plain) => {
    const { page, close } = await openPage(browser, site);
    // From a server without frame-ancestors, in a page that may frame it: another port is another origin.
    await onOther({}, async (other) => {
      await page.goto(`${other.url}page.html`);
      const answered = await page.evaluate(
        (address) =>
          new Promise((resolve) => {
            const frame = document.createElement('iframe');
            frame.setAttribute('sandbox', 'allow-scripts');
            frame.src = address;
            frame.addEventListener('load', () => {
              const ports = [0, 1].map(() => {
                const { port1, port2 } = new MessageChannel();
                port1.onmessage = ({ data }) => resolve(data);
                return port2;
              });
              const source = 'postMessage(1)';
              frame.contentWindow?.postMessage({ source }, '*', ports);
              setTimeout(() => resolve('silence'), 500);
            });
            document.body.append(frame);
          }),
        plain.url + site.manifest.frame.file,
      );
      assert.equal(answered, 'silence');
    });
    await close();
  });
});

onEngines(
  'WebKit has no worker in a sandboxed frame under COEP, and the error says what to do',
  async ({ browser, engine }) => {
    const { page, close } = await openPage(browser, site, FRAME_PAGE);
    const error = await page.evaluate(() => caught(wasmai.load('./models/stub.wai')));
    if (engine === 'webkit') assert.match(error.message, /WebKit .* without that header, or use/);
    else assert.equal(error, null);
    await close();
  },
);
