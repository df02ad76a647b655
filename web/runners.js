/**
 * Two ways to run one model, behind one shape: in a locked worker, or here in
 * this process (Node and tests). A runner is used for one run at a time.
 */

import { openEngine } from './engine.js';
import { WasmAIError } from './errors.js';
import { WorkerClient } from './rpc.js';
import { checkSlots } from './tensors.js';

/** @typedef {import('./wasmai.d.ts').Slot} Slot */
/** @typedef {import('./engine.js').Bytes} Bytes */

/**
 * What a runner is made from, kept for making the next one. While a worker opens
 * the package, its bytes are with that worker and `pack` is null.
 * @typedef {{ runtime: Uint8Array<ArrayBuffer>, pack: ArrayBuffer | null, pages: number, where: string, worker: import('./places.js').Place | null }} Parts
 */

/** `carried`: of each input what was carried to it before the run, if that was to be shown.
 * @typedef {{ outputs: Bytes[], carried: (Bytes | null)[], ms: number, fuel: number | null, memoryBytes: number }} Answer */

/**
 * @typedef {object} Runner
 * @property {readonly Slot[]} inputs
 * @property {readonly Slot[]} outputs
 * @property {boolean} metered  runs have a budget of fuel
 * @property {number} memoryBytes
 * @property {(request: import('./engine.js').Request) => Promise<Answer>} run
 * @property {(error: WasmAIError) => void} stop   ends it, also in the middle of a run
 * @property {() => boolean} alive
 */

/** @typedef {(parts: Parts, signal?: AbortSignal, started?: Promise<WorkerClient>) => Promise<Runner>} StartRunner */

/** @type {StartRunner} */
export async function startWorkerRunner(parts, signal, started) {
  const place = /** @type {import('./places.js').Place} */ (parts.worker);
  const client = await (started ?? WorkerClient.start(place, signal));
  const { pack } = parts;
  if (!pack) {
    const lost = new WasmAIError(
      'STATE',
      parts.where,
      'the package was lost with its worker: load it again',
    );
    client.stop(lost);
    throw lost;
  }
  const abort = () =>
    client.stop(new WasmAIError('ABORTED', parts.where, 'stopped by the signal that was given'));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    parts.pack = null;
    const opened = await client.request(
      'open',
      { runtime: parts.runtime, pack, pages: parts.pages },
      [pack],
    );
    if (!(opened.pack instanceof ArrayBuffer))
      throw new WasmAIError('INTERNAL', parts.where, 'the worker kept the package');
    parts.pack = opened.pack;
    return {
      inputs: checkSlots(opened.inputs, parts.where),
      outputs: checkSlots(opened.outputs, parts.where),
      metered: opened.metered === true,
      memoryBytes: Number(opened.memoryBytes),
      run: async (request) => {
        const given = request.feeds.flatMap((feed) => (feed === null ? [] : [feed.data]));
        const answer = await client.request('run', request, given);
        const { outputs, carried, ms, fuel, memoryBytes } = answer;
        const used = typeof fuel === 'number' ? fuel : null;
        return { outputs, carried, ms: Number(ms), fuel: used, memoryBytes: Number(memoryBytes) };
      },
      stop: (error) => client.stop(error),
      alive: () => client.failure === null,
    };
  } catch (error) {
    if (pack.byteLength > 0) parts.pack = pack; // it never left
    client.stop(/** @type {WasmAIError} */ (error));
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** @type {StartRunner} */
export async function startDirectRunner(parts) {
  const { pack, runtime, pages } = parts;
  if (!pack) throw new WasmAIError('STATE', parts.where, 'the package was lost: load it again');
  const engine = openEngine({ runtime, pack: new Uint8Array(pack), pages });
  /** @type {WasmAIError | null} */
  let failure = null;
  return {
    inputs: checkSlots(engine.inputs, parts.where),
    outputs: checkSlots(engine.outputs, parts.where),
    metered: engine.metered,
    memoryBytes: engine.memoryBytes(),
    run: async (request) => {
      if (failure) throw failure;
      const carried = request.shown ? engine.carried() : [];
      const start = performance.now();
      const outputs = engine.run(request);
      const ms = performance.now() - start;
      return { outputs, carried, ms, fuel: engine.fuel(), memoryBytes: engine.memoryBytes() };
    },
    stop: (error) => {
      failure ??= error;
    },
    alive: () => failure === null,
  };
}
