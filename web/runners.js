/**
 * Two ways to run one model, behind one shape: in a locked worker, or here in
 * this process (Node and tests). A runner is used for one run at a time.
 */

import { openEngine } from './engine.js';
import { errorFromData, WasmAIError } from './errors.js';
import { reserve } from './reserve.js';
import { checkSlots } from './tensors.js';

/** @typedef {import('./wasmai.d.ts').Slot} Slot */
/** @typedef {import('./engine.js').Bytes} Bytes */

/**
 * What a runner is made from, kept for making the next one. While a worker opens
 * the package, its bytes are with that worker and `pack` is null.
 * @typedef {{ runtime: Uint8Array<ArrayBuffer>, pack: ArrayBuffer | null, pages: number, where: string, place: import('./places.js').Place | null,
 *   hardening: import('./engine.js').Hardening | null }} Parts
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
 * @property {() => Promise<void>} [turn]  before a run, where runs hold up everything else
 * @property {(error: WasmAIError) => void} stop   ends it, also in the middle of a run
 * @property {() => boolean} alive
 */

/** @typedef {(parts: Parts, signal?: AbortSignal, started?: Promise<import('./rpc.js').WorkerClient>) => Promise<Runner>} StartRunner */

/** @type {StartRunner} */
export async function startWorkerRunner(parts, signal, started) {
  const { where, runtime } = parts;
  const place = /** @type {import('./places.js').Place} */ (parts.place);
  const client = await (started ?? reserve.take({ place, runtime }, signal));
  const opened = await client.during(signal, where, async () => {
    const { pack, pages, hardening } = parts;
    if (!pack)
      throw new WasmAIError('STATE', where, 'the package was lost with its worker: load it again');
    parts.pack = null;
    const answer = await client.request('open', { pack, pages, hardening }, [pack]).finally(() => {
      if (pack.byteLength > 0) parts.pack = pack; // it never left
    });
    if (!(answer.pack instanceof ArrayBuffer))
      throw new WasmAIError('INTERNAL', where, 'the worker kept the package');
    parts.pack = answer.pack;
    if (answer.failed) throw errorFromData(answer.failed);
    const inputs = checkSlots(answer.inputs, where);
    return { ...answer, inputs, outputs: checkSlots(answer.outputs, where) };
  });
  return {
    inputs: opened.inputs,
    outputs: opened.outputs,
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
}

const TURN_MS = 10;
let turned = 0;

/** Runs that follow each other would keep timers, signals and servers waiting for all of them. */
async function letOthersRun() {
  if (performance.now() - turned < TURN_MS) return;
  await new Promise((resolve) => {
    if ('setImmediate' in globalThis) setImmediate(resolve);
    else setTimeout(resolve);
  });
  turned = performance.now();
}

/** @type {StartRunner} */
export async function startDirectRunner(parts) {
  const { pack, runtime, pages, hardening } = parts;
  if (!pack) throw new WasmAIError('STATE', parts.where, 'the package was lost: load it again');
  const engine = openEngine({ runtime, pack: new Uint8Array(pack), pages, hardening });
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
    turn: letOthersRun,
    stop: (error) => {
      failure ??= error;
      engine.close();
    },
    alive: () => failure === null,
  };
}
