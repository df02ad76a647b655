/**
 * Where a worker lives, and what is said to it: in the page, from its own file (here), or in a
 * sandboxed frame (framed.js). A place is asked for a worker and gives a link to it.
 */
import { WasmAIError } from './errors.js';

/**
 * @typedef {{ received(data: any): void, failed(error: WasmAIError): void }} Listener
 * @typedef {{ send(message: any, transfer: Transferable[]): void, end(): void }} Link
 * @typedef {object} Place
 * @property {string} where
 * @property {boolean} hashes  its workers have crypto.subtle, in every engine
 * @property {(listener: Listener) => Link} open  a new worker; throws where the page forbids it
 */

/** @type {{ createScriptURL(text: string): any } | null | undefined} */
let policy;

/**
 * Under Trusted Types a worker needs a TrustedScriptURL. Our policy gives one
 * for a single address and refuses all else, so that it is no use to others.
 * @param {URL} url @param {string} policyName
 */
function trusted(url, policyName) {
  const factory = /** @type {any} */ (globalThis).trustedTypes;
  if (policy === undefined && factory) {
    try {
      policy = factory.createPolicy(policyName, {
        createScriptURL(/** @type {string} */ text) {
          if (text === url.href && url.origin === globalThis.location?.origin) return text;
          throw new TypeError(`${policyName}: not the address of its worker`);
        },
      });
    } catch {
      policy = null; // not allowed by the page; without Trusted Types enforced a plain URL still works
    }
  }
  return policy ? policy.createScriptURL(url.href) : url;
}

/** @param {string} where */
export function unreadable(where) {
  return new WasmAIError('INTERNAL', where, 'a message of the worker could not be read');
}

/**
 * A worker of the page, by the address of its file: its policy is that of its own response.
 * @param {URL} url @param {string} [policyName] @returns {Place}
 */
export function inPage(url, policyName = 'wasm-ai') {
  const where = url.href;
  return {
    where,
    hashes: true,
    open({ received, failed }) {
      let worker;
      try {
        worker = new Worker(trusted(url, policyName), { name: 'wasm-ai' });
      } catch (cause) {
        throw new WasmAIError(
          'CSP',
          where,
          "the page's policy does not let the worker start: it needs `worker-src` (or script-src) " +
            `with this address, and "trusted-types ${policyName}" where Trusted Types are required`,
          { cause },
        );
      }
      worker.addEventListener('error', (event) => {
        event.preventDefault?.();
        const why = event.message
          ? `the worker failed: ${event.message}`
          : "the worker did not start: check that this file is served as JavaScript, that the page's worker-src allows it, " +
            'and that it has Cross-Origin-Embedder-Policy when the page has';
        failed(new WasmAIError('INTERNAL', where, why));
      });
      worker.addEventListener('messageerror', () => failed(unreadable(where)));
      worker.addEventListener('message', ({ data }) => received(data));
      return {
        send: (message, transfer) => worker.postMessage(message, transfer),
        end: () => worker.terminate(),
      };
    },
  };
}
