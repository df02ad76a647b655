/**
 * One worker in reserve, for all sessions of the page: it has proved its policy,
 * is locked down and has compiled the runtime, and it never saw a model. Whoever
 * needs a worker takes it for good; when the page is idle, another one is made.
 *
 * It has no wasm memory. What it holds besides itself is the compiled runtime,
 * which a browser shares within the page, with all that got faster by being run.
 */
import { WorkerClient } from './rpc.js';

/** @typedef {import('./places.js').Place} Place */
/** @typedef {Uint8Array<ArrayBuffer>} Runtime */
/** The runtime is that of a variant. @typedef {{ place: Place, variant: string, runtime: Promise<Runtime> }} Needs */
/** What a session has of it; `fill` when it is at rest. @typedef {{ fill(): void, leave(): void }} Member */

/** After the last session: as long as it takes to open the next model, and no longer. */
const LINGER_MS = 3000;
/** A first run may want all cores; where none comes, this is late enough. */
const SETTLE_MS = 1000;

/** @param {Needs} needs @param {AbortSignal} [signal] @returns {Promise<WorkerClient>} */
async function startPrepared({ place, runtime }, signal) {
  const client = await WorkerClient.start(place, signal);
  await client.during(signal, place.where, async () =>
    client.request('prepare', { runtime: await runtime }),
  );
  return client;
}

/** @param {Needs} needs */
const keyOf = ({ place, variant }) => `${variant} ${place.where}`;

/** @param {() => void} work */
function whenIdle(work) {
  if ('requestIdleCallback' in globalThis) requestIdleCallback(work, { timeout: SETTLE_MS });
  else setTimeout(work, SETTLE_MS / 5);
}

export class Reserve {
  /** @type {{ for: string, stop: AbortController, coming: Promise<WorkerClient> } | null} */
  #kept = null;
  #planned = false;
  #sessions = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #linger;

  /** A session was opened. @param {Needs} needs @returns {Member} */
  join(needs) {
    this.#sessions += 1;
    clearTimeout(this.#linger);
    this.#linger = undefined;
    const fill = () => this.#fill(needs);
    setTimeout(fill, SETTLE_MS);
    return { fill, leave: () => this.#leave() };
  }

  /** Nothing outlives the last session for long. */
  #leave() {
    this.#sessions -= 1;
    if (this.#sessions > 0) return;
    this.#linger = setTimeout(() => {
      this.#linger = undefined;
      this.#kept?.stop.abort();
      this.#kept?.coming.then(
        (client) => client.stop(),
        () => {},
      );
      this.#kept = null;
    }, LINGER_MS);
  }

  /** Make one when the page is idle, unless there is one. @param {Needs} needs */
  #fill(needs) {
    if (this.#planned || !this.#wanted()) return;
    this.#planned = true;
    whenIdle(() => {
      this.#planned = false;
      if (!this.#wanted()) return;
      const stop = new AbortController();
      const coming = startPrepared(needs, stop.signal);
      this.#kept = { for: keyOf(needs), stop, coming };
      coming.catch(() => {}); // whoever takes it finds out
    });
  }

  #wanted() {
    return !this.#kept && (this.#sessions > 0 || this.#linger !== undefined);
  }

  /** The one in reserve, or a new one. @param {Needs} needs @param {AbortSignal} [signal] */
  async take(needs, signal) {
    const kept = this.#kept;
    if (kept?.for !== keyOf(needs)) return startPrepared(needs, signal);
    this.#kept = null;
    const abort = () => kept.stop.abort();
    signal?.addEventListener('abort', abort, { once: true });
    const client = await kept.coming.catch(() => null);
    signal?.removeEventListener('abort', abort);
    return client && !client.failure ? client : startPrepared(needs, signal);
  }
}

/** Of this page. */
export const reserve = new Reserve();
