/**
 * The page's end of the worker: start it, ask it, end it, wherever it lives. The worker
 * answers in any order by id; when it dies, all that was asked is rejected.
 */
import { errorFromData, WasmAIError } from './errors.js';

const START_TIMEOUT_MS = 30000;

/** @typedef {{ resolve: (answer: any) => void, reject: (error: WasmAIError) => void }} Pending */

export class WorkerClient {
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  #nextId = 1;
  #link;
  /** @type {WasmAIError | null} why nothing can be asked any more */
  failure = null;

  /** @param {import('./places.js').Place} place */
  constructor(place) {
    this.#link = place.open({
      received: (data) => this.#receive(data),
      failed: (error) => this.stop(error),
    });
  }

  /**
   * A worker that has proved its policy and locked itself down.
   * @param {import('./places.js').Place} place @param {AbortSignal} [signal] @returns {Promise<WorkerClient>}
   */
  static async start(place, signal) {
    const client = new WorkerClient(place);
    const { where } = place;
    const ready = /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        client.#pending.set(0, { resolve, reject });
      })
    );
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
    try {
      await client.during(signal, where, () => ready);
    } finally {
      clearTimeout(timer);
    }
    return client;
  }

  /**
   * Await `work`; the worker ends when that fails or the signal says so.
   * @template T @param {AbortSignal | undefined} signal @param {string} where
   * @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async during(signal, where, work) {
    const abort = () => this.stop(abortedError(where));
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    try {
      return await work();
    } catch (error) {
      this.stop(/** @type {WasmAIError} */ (error));
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** @param {string} op @param {object} body @param {Transferable[]} [transfer] @returns {Promise<any>} */
  request(op, body, transfer = []) {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      this.#link.send({ ...body, id, op }, transfer);
    });
  }

  /** End the worker at once, whatever it does. @param {WasmAIError} [error] for all that is pending */
  stop(error = abortedError('worker')) {
    if (this.failure) return;
    this.failure = error;
    this.#link.end();
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
