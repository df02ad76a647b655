/**
 * All that runs in the window of the sandboxed frame: it starts and ends workers, and passes each
 * one a port on which it and the page talk. Of their messages only encrypted packages come through
 * here, which it decrypts for the worker: it has crypto.subtle in every engine, the worker has not.
 *
 * An opaque origin may start no worker from an address, so the source comes from the page, which
 * has checked its hash, and becomes a blob: of this document. That is the only place where blob:
 * is allowed (README.md). Wasm does not run here: a window has WebRTC, which no policy stops.
 */

import { decrypted } from './encryption.js';

const scope = /** @type {any} */ (globalThis);

addEventListener(
  'message',
  ({ source, origin, data, ports: [control] }) => {
    // Only for pages of the site that this file is from.
    if (source !== parent || origin !== location.origin || !control) return;
    const address = URL.createObjectURL(new Blob([data.source], { type: 'text/javascript' }));
    const policy = scope.trustedTypes?.createPolicy('wasm-ai-frame', {
      createScriptURL: () => address, // and no other, whatever is asked for
    });
    /** @type {Map<number, Worker>} */
    const workers = new Map();
    control.onmessage = ({ data: { op, id, request }, ports: [port] }) => {
      if (op === 'decrypt') {
        const { id: asked, pack, key, where } = request;
        decrypted(pack, key, where).then((outcome) => {
          const { plain } = outcome;
          const transfer = plain ? [pack, plain.buffer] : [pack];
          workers.get(id)?.postMessage({ id: asked, pack, ...outcome }, transfer);
        });
        return;
      }
      if (op === 'end') {
        workers.get(id)?.terminate();
        workers.delete(id);
        control.postMessage({ ended: id });
        return;
      }
      try {
        const worker = new Worker(policy?.createScriptURL('') ?? address, { name: 'wasm-ai' });
        workers.set(id, worker);
        worker.onerror = (event) => {
          event.preventDefault();
          control.postMessage({ failed: id, why: String(event.message ?? '') });
        };
        worker.postMessage(null, [port]);
      } catch (error) {
        control.postMessage({ failed: id, why: String(error) });
      }
    };
    control.postMessage({ ready: true });
  },
  { once: true },
);
