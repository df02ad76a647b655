/**
 * The threads of a session besides its first: workers of the same file, locked down the same way, or threads
 * of Node. What they work on comes to them from the session's worker on a port of theirs: the page never
 * has its memory. They are of one session, and end with it.
 */
import { assets } from './assets.js';
import { WasmAIError } from './errors.js';
import { WorkerClient } from './rpc.js';

/** @typedef {import('./engine.js').Help} Help */
/**
 * @typedef {object} Lost
 * @property {(error: WasmAIError) => void} absent  one did not start: the others do its work
 * @property {(error: WasmAIError) => void} lost    one is gone, perhaps in the middle of something
 */

/**
 * Workers, which come when they come.
 * @param {import('./places.js').Place} place @param {number} count @param {Lost} tell
 * @returns {{ ports: MessagePort[], stop(): void }} the ports are for the session's worker
 */
export function startHelpers(place, count, { absent, lost }) {
  const end = new AbortController();
  /** @param {MessagePort} port */
  const join = async (port) => {
    const client = await WorkerClient.start(place, end.signal).catch((error) => {
      if (!end.signal.aborted) absent(error);
    });
    if (!client) return;
    end.signal.addEventListener('abort', () => client.stop());
    if (end.signal.aborted) client.stop();
    // It is answered only by what went wrong.
    await client.request('help', { port }, [port]).catch((error) => {
      if (!end.signal.aborted) lost(error);
    });
  };
  const ports = Array.from({ length: count }, () => {
    const { port1, port2 } = new MessageChannel();
    join(port2);
    return port1;
  });
  return { ports, stop: () => end.abort() };
}

/**
 * Threads of Node, started when the engine calls.
 * @param {number} count @param {Lost['lost']} lost
 * @returns {Promise<{ helpers: ((help: Help) => void)[], stop(): void }>}
 */
export async function nodeHelpers(count, lost) {
  if (count === 0) return { helpers: [], stop: () => {} };
  const { Worker } = await import(/* @vite-ignore */ /* webpackIgnore: true */ THREADS);
  /** @type {any[]} */
  const workers = [];
  const helpers = Array.from({ length: count }, () => (/** @type {Help} */ workerData) => {
    const worker = new Worker(assets.nodeHelper, { workerData });
    worker.unref();
    worker.on('error', (/** @type {unknown} */ cause) =>
      lost(new WasmAIError('TRAP', 'thread', `a thread stopped: ${cause}`, { cause })),
    );
    workers.push(worker);
  });
  const stop = () => {
    for (const worker of workers) worker.terminate();
  };
  return { helpers, stop };
}

const THREADS = 'node:worker_threads';
