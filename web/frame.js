/**
 * All that runs in the window of the sandboxed frame: it starts one worker and gives it the port on
 * which it and the page talk. Of their messages only encrypted packages come through here, which it
 * decrypts for the worker: it has crypto.subtle in every engine, the worker has not.
 *
 * An opaque origin may start no worker from an address, so the source comes from the page, which
 * has checked its hash, and becomes a blob: of this document. That is the only place where blob:
 * is allowed (README.md). Wasm does not run here: a window has WebRTC, which no policy stops.
 */

import { decrypted } from './encryption.js';

const scope = /** @type {any} */ (globalThis);

addEventListener('message', ({ source, origin, data, ports: [port, control] }) => {
  // Once, and only for pages of the site that this file is from.
  if (source !== parent || origin !== location.origin || !control || scope.worker) return;
  const address = URL.createObjectURL(new Blob([data.source], { type: 'text/javascript' }));
  const policy = scope.trustedTypes?.createPolicy('wasm-ai-frame', {
    createScriptURL: () => address, // and no other, whatever is asked for
  });
  try {
    const worker = new Worker(policy?.createScriptURL('') ?? address, { name: 'wasm-ai' });
    scope.worker = worker; // is not collected
    worker.onerror = (event) => {
      event.preventDefault();
      control.postMessage({ failed: String(event.message ?? '') });
    };
    worker.postMessage(null, [port]);
    control.onmessage = ({ data: { id, pack, key, where } }) => {
      decrypted(pack, key, where).then((outcome) => {
        const { plain } = outcome;
        worker.postMessage({ id, pack, ...outcome }, plain ? [pack, plain.buffer] : [pack]);
      });
    };
    control.postMessage({ started: true });
  } catch (error) {
    control.postMessage({ failed: String(error) });
  }
});
