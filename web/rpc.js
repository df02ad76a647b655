/**
 * The page's end of the worker: start it, ask it, end it. The worker answers in
 * any order by id; when it dies, all that was asked is rejected.
 */
import { errorFromData, WasmAIError } from './errors.js';

const START_TIMEOUT_MS = 30000;

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

/** @typedef {{ resolve: (answer: any) => void, reject: (error: WasmAIError) => void }} Pending */

export class WorkerClient {
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  #nextId = 1;
  /** @type {Worker} */
  #worker;
  /** @type {WasmAIError | null} why nothing can be asked any more */
  failure = null;

  /** @param {Worker} worker */
  constructor(worker) {
    this.#worker = worker;
  }

  /**
   * A worker that has proved its policy and locked itself down.
   * @param {URL} url @param {AbortSignal} [signal] @param {string} [policyName] @returns {Promise<WorkerClient>}
   */
  static async start(url, signal, policyName = 'wasm-ai') {
    let worker;
    try {
      worker = new Worker(trusted(url, policyName), { name: 'wasm-ai' });
    } catch (cause) {
      throw new WasmAIError(
        'CSP',
        url.href,
        "the page's policy does not let the worker start: it needs `worker-src` (or script-src) " +
          `with this address, and "trusted-types ${policyName}" where Trusted Types are required`,
        { cause },
      );
    }
    const client = new WorkerClient(worker);
    const ready = /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        client.#pending.set(0, { resolve, reject });
      })
    );
    const where = url.href;
    worker.addEventListener('error', (event) => {
      event.preventDefault?.();
      client.stop(
        new WasmAIError(
          'INTERNAL',
          where,
          event.message
            ? `the worker failed: ${event.message}`
            : "the worker did not start: check that this file is served as JavaScript, that the page's worker-src allows it, " +
                'and that it has Cross-Origin-Embedder-Policy when the page has',
        ),
      );
    });
    worker.addEventListener('messageerror', () => {
      client.stop(new WasmAIError('INTERNAL', where, 'a message of the worker could not be read'));
    });
    worker.addEventListener('message', ({ data }) => client.#receive(data));
    const timer = setTimeout(
      () =>
        client.stop(
          new WasmAIError(
            'INTERNAL',
            where,
            `the worker said nothing for ${START_TIMEOUT_MS / 1000} s`,
          ),
        ),
      START_TIMEOUT_MS,
    );
    const abort = () => client.stop(abortedError(where));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await ready;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
    return client;
  }

  /** @param {string} op @param {object} body @param {Transferable[]} [transfer] @returns {Promise<any>} */
  request(op, body, transfer = []) {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ ...body, id, op }, transfer);
    });
  }

  /** End the worker at once, whatever it does. @param {WasmAIError} error for all that is pending */
  stop(error) {
    if (this.failure) return;
    this.failure = error;
    this.#worker.terminate();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
  }

  /** @param {any} data */
  #receive(data) {
    const id = data?.id ?? 0; // the first message has none
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    if (data.error) {
      const error = errorFromData(data.error);
      if (id === 0) this.stop(error); // refused to start
      pending.reject(error);
    } else {
      pending.resolve(data);
    }
  }
}

/** @param {string} where */
export function abortedError(where) {
  return new WasmAIError('ABORTED', where, 'stopped by the signal that was given');
}
