/// <reference path="./globals.d.ts" />
// Hostile code in the frame's window (window_attacks.js), which is more than a model can be: what its policy,
// its opaque origin and the page's policy stop, and what they do not: the reason why nothing runs there.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { framePage } from '../../harness/frame_page.mjs';
import { stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { elsewhere, makeSite, onEngines, openPage, otherSite } from './browser.mjs';

let site;
let other;
/** What arrives by WebRTC. */
const stun = { packets: 0, port: 0, socket: createSocket('udp4') };

before(async () => {
  const folder = join(tmpdir(), `wasm-ai-escape-frame-${process.pid}`);
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
  site = await makeSite({ runtime, models: [join(folder, 'stub.wai')], secure: true });
  const { manifest, root } = site;
  const attacks = readFileSync(new URL('./window_attacks.js', import.meta.url), 'utf8');
  const { html, script } = framePage(attacks);
  manifest.frame.script = script;
  writeFileSync(join(root, manifest.frame.file), html);
  writeFileSync(join(root, 'manifest.json'), JSON.stringify(manifest));
  other = await otherSite();
  stun.socket.on('message', () => {
    stun.packets += 1;
  });
  await new Promise((resolve) => stun.socket.bind(0, '127.0.0.1', () => resolve(undefined)));
  stun.port = stun.socket.address().port;
});

after(async () => {
  await site?.close();
  await other?.close();
  stun.socket.close();
});

/** What gets through in every engine where no policy is. */
const MUCH =
  'background beacon eval eventSource fetchOther fetchOwn font image inlineScript markup module policy ' +
  'preload script selfOther style text video webSocket xhr';

/** Names of what got through. */
async function attackFrom(browser, server, requests) {
  const { page, close } = await openPage(browser, server);
  other.hits.length = 0;
  stun.packets = 0;
  const address = server.url + site.manifest.frame.file;
  const given = { own: `${server.url}hit/`, other: other.url, stunPort: stun.port };
  const tried = await page.evaluate(
    async ([frameAddress, at]) => {
      let heard = false;
      new BroadcastChannel('attack').onmessage = () => {
        heard = true;
      };
      const frame = document.createElement('iframe');
      frame.setAttribute('sandbox', 'allow-scripts');
      frame.src = frameAddress;
      const told = (name) =>
        new Promise((resolve) => {
          const listen = ({ source, data }) =>
            source === frame.contentWindow && name in data && resolve(data[name]);
          window.addEventListener('message', listen);
          setTimeout(() => resolve(null), 3000);
        });
      frame.addEventListener('load', () => frame.contentWindow?.postMessage({ attack: at }, '*'), {
        once: true,
      });
      document.documentElement.append(frame);
      const found = await told('tried');
      await told('left'); // or it has left
      return [...(found ?? []), ['broadcast', heard]];
    },
    [address, given],
  );
  await close();
  const urls = [...requests, ...other.hits].filter((url) => url.includes('/hit/'));
  const names = [
    ...tried.filter(([, got]) => got).map(([name]) => name),
    ...urls.map((url) => url.split('/').at(-1)),
    ...(stun.packets ? ['rtc'] : []),
  ];
  return { open: [...new Set(names)].sort(), count: tried.length };
}

onEngines("nothing but WebRTC leads out of the frame's window", async ({ browser, engine }) => {
  site.requests.length = 0;
  const { open, count } = await attackFrom(browser, site, site.requests);
  assert.ok(count > 35);
  assert.deepEqual(
    open,
    engine === 'chromium' ? ['rtc'] : [],
    'others send no packets to this machine',
  );
});

onEngines("without policies much leads out of the frame's window", async ({ browser }) => {
  const requests = [];
  const how = {
    onRequest: (url) => requests.push(url),
    change: (path, bytes) =>
      path === site.manifest.frame.file
        ? String(bytes).replace(/<meta http-equiv[^>]*>/, '')
        : bytes,
  };
  await elsewhere(site, how, async (server) => {
    const { open } = await attackFrom(browser, server, requests);
    assert.deepEqual(
      MUCH.split(' ').filter((name) => !open.includes(name)),
      [],
    );
  });
});
