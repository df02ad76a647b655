/**
 * Two ways to run one model, behind one shape: in a locked worker, or here in
 * this process (Node and tests). A runner is used for one run at a time.
 */

import { aboutOf, readCertificate } from './certificate.js';
import { sha384Of } from './chunks.js';
import { openEncrypted } from './encryption.js';
import { openEngine } from './engine.js';
import { BROWSER_MEMORY, errorFromData, WasmAIError } from './errors.js';
import { nodeHelpers, startHelpers } from './helpers.js';
import { checkProfile } from './profile.js';
import { reserve } from './reserve.js';
import { checkSlots } from './tensors.js';
import { threadsOf } from './threads.js';
import { letOthersRun } from './turns.js';

/** @typedef {import('./wasmai.d.ts').Slot} Slot */
/** @typedef {import('./engine.js').Bytes} Bytes */
/** @typedef {import('./wasmai.d.ts').Certificate} Certificate */
/** @typedef {import('./rpc.js').WorkerClient} WorkerClient */

/** @typedef {Omit<ReturnType<typeof import('./certificate.js').aboutOf>, 'header'> & { certificate: import('./wasmai.d.ts').Certificate }} About */

/**
 * What a runner is made from, kept for making the next one.
 * @typedef {object} Parts
 * @property {import('./variants.js').RuntimeName} variant  of the runtime
 * @property {Promise<Uint8Array<ArrayBuffer>>} runtime
 * @property {ArrayBuffer | null} pack  as it came; null while it is with the worker that opens it, or not kept
 * @property {((client: WorkerClient, helpers: Helpers) => Promise<import('./pouring.js').AboutBytes | null>) | null} pour
 *   into a worker, unless it is there already; null in the end: it is kept, and not there
 * @property {CryptoKey | null} key     of an encrypted package
 * @property {About | null} about       known once a runner is there
 * @property {number} capMB
 * @property {import('./threads.js').Allowed} allowed
 * @property {import('./threads.js').Threads} threads  as the runner has them, once it is there
 * @property {string} where
 * @property {import('./places.js').Place | null} place  null: no worker
 * @property {import('./engine.js').Hardening | null} hardening
 */

/** `carried`: of each input what was carried to it before the run, if that was to be shown. `steps`: if they were.
 * @typedef {{ outputs: Bytes[], carried: (Bytes | null)[], ms: number, fuel: number | null, memoryBytes: number,
 *   steps: readonly import('./wasmai.d.ts').ProfileStep[] | null }} Answer */

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

/** A figure that a worker states: shown to people, so it must be one. @param {unknown} value @param {string} where */
function figure(value, where) {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw new WasmAIError('INTERNAL', where, 'the worker stated a time or a size that is none');
}

/** What was started besides the worker. @typedef {{ stop(): void }} Helpers */
/** @typedef {(parts: Parts, signal?: AbortSignal, started?: Promise<WorkerClient>, helpers?: Helpers) => Promise<Runner>} StartRunner */

/** @type {StartRunner} */
export async function startWorkerRunner(parts, signal, started, helpers = { stop() {} }) {
  const { where, variant, runtime } = parts;
  const place = /** @type {import('./places.js').Place} */ (parts.place);
  const client = await (started ?? reserve.take({ place, variant, runtime }, signal));
  const opened = await client
    .during(signal, where, async () => {
      const answer = await openPatiently(client, parts, helpers);
      const inputs = checkSlots(answer.inputs, where);
      return { ...answer, inputs, outputs: checkSlots(answer.outputs, where) };
    })
    .catch((error) => {
      helpers.stop();
      throw error;
    });
  return {
    inputs: opened.inputs,
    outputs: opened.outputs,
    metered: opened.metered === true,
    memoryBytes: figure(opened.memoryBytes, where),
    run: async (request) => {
      const given = request.feeds.flatMap((feed) => (feed === null ? [] : [feed.data]));
      const answer = await client.request('run', request, given);
      const { outputs, carried } = answer;
      const [ms, memoryBytes] = [answer.ms, answer.memoryBytes].map((value) =>
        figure(value, where),
      );
      const fuel = answer.fuel === null ? null : figure(answer.fuel, where);
      const steps = request.profile ? checkProfile(answer.steps, where) : null;
      return { outputs, carried, ms, fuel, memoryBytes, steps };
    },
    stop: (error) => {
      client.stop(error);
      helpers.stop();
    },
    alive: () => client.failure === null,
  };
}

/** The memory of workers that have ended comes back when the browser gets to it. */
const MEMORY_WAITS_MS = [50, 250];

/** @param {WorkerClient} client @param {Parts} parts @param {Helpers} helpers */
async function openPatiently(client, parts, helpers) {
  for (const ms of MEMORY_WAITS_MS) {
    try {
      return await openIn(client, parts, helpers);
    } catch (error) {
      // What the runtime lacks in its memory, no wait gives it.
      if (/** @type {WasmAIError} */ (error).where !== BROWSER_MEMORY) throw error;
    }
    helpers.stop();
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
  return openIn(client, parts, helpers);
}

/**
 * The package goes into the worker and comes back, or is poured into it.
 * @param {WorkerClient} client @param {Parts} parts @param {Helpers} helpers
 */
async function openIn(client, parts, helpers) {
  const poured = await parts.pour?.(client, helpers);
  if (poured) {
    know(parts, poured);
    return whole(await client.request('open', { pack: null }));
  }
  const { pack, key, hardening, where } = parts;
  if (!pack)
    throw new WasmAIError('STATE', where, 'the package was lost with its worker: load it again');
  const lend = async (
    /** @type {string} */ op,
    /** @type {object} */ body,
    /** @type {MessagePort[]} */ ports = [],
  ) => {
    parts.pack = null;
    const answer = await client
      .request(op, { ...body, pack, ports }, [pack, ...ports])
      .finally(() => {
        if (pack.byteLength > 0) parts.pack = pack; // it never left
      });
    if (!(answer.pack instanceof ArrayBuffer))
      throw new WasmAIError('INTERNAL', where, 'the worker kept the package');
    parts.pack = answer.pack;
    return whole(answer);
  };
  if (!key) {
    const pages = learn(parts, aboutOf(new Uint8Array(pack)));
    return lend('open', { pages, hardening }, startThreads(client, parts, helpers));
  }
  const { about } = await lend('decrypt', { key, where });
  return whole(await client.request('open', { pack: null, pages: learn(parts, about), hardening }));
}

/**
 * Room in a worker for a package that comes in pieces, and its threads. The worker hashes them as well: in
 * Chromium crypto.subtle would hold up the page. In a frame it has none; nothing of a model ran in it yet.
 * @param {WorkerClient} client @param {Certificate} certificate @param {Parts} parts @param {Helpers} helpers
 * @returns {Promise<import('./pouring.js').Sink>}
 */
export async function pourInto(client, certificate, parts, helpers) {
  const { hardening, where } = parts;
  const place = /** @type {import('./places.js').Place} */ (parts.place);
  const pages = chooseThreads(parts, certificate);
  const ports = startThreads(client, parts, helpers);
  const size = certificate.packageSize;
  await client.request('begin', { size, pages, hardening, ports }, ports).catch((error) => {
    helpers.stop();
    throw error;
  });
  return async (at, bytes) => {
    const own = place.hashes ? null : await sha384Of(bytes, where);
    const { buffer } = bytes;
    const answer = await client.request('pour', { at, bytes: buffer, hash: !own }, [buffer]);
    const spare = answer.spare instanceof ArrayBuffer ? answer.spare : null;
    const said = typeof answer.digest === 'string' ? answer.digest : '';
    return { digest: own ?? said, spare };
  };
}

/** Threads besides the worker. @param {WorkerClient} client @param {Parts} parts @param {Helpers} helpers */
function startThreads(client, parts, helpers) {
  const { threads } = parts;
  const place = /** @type {import('./places.js').Place} */ (parts.place);
  const { ports, stop } = startHelpers(place, threads.count - 1, {
    absent: (error) => {
      parts.threads.count -= 1;
      parts.threads.why = `one did not start: ${error.message}`;
    },
    lost: (error) => {
      client.stop(error);
      helpers.stop();
    },
  });
  helpers.stop = stop;
  return ports;
}

/** @param {any} answer */
function whole(answer) {
  if (answer.failed) throw errorFromData(answer.failed);
  return answer;
}

/**
 * What the package says of itself, checked against the cap before there is any memory.
 * @param {Parts} parts @param {ReturnType<typeof aboutOf>} about @returns {number} pages
 */
function learn(parts, about) {
  return chooseThreads(parts, know(parts, about));
}

/** @param {Parts} parts @param {import('./pouring.js').AboutBytes} about */
function know(parts, { header, head, golden }) {
  const certificate = readCertificate(header, parts.where);
  parts.about = { certificate, head, golden };
  return certificate;
}

/** @param {Parts} parts @param {Certificate} certificate @returns {number} pages of memory, theirs included */
function chooseThreads(parts, certificate) {
  const { count, why, pages } = threadsOf(parts.allowed, certificate, parts.capMB, parts.where);
  parts.threads = { count, why };
  return pages;
}

/** @type {StartRunner} */
export async function startDirectRunner(parts) {
  const { pack, key, hardening } = parts;
  if (!pack) throw new WasmAIError('STATE', parts.where, 'the package was lost: load it again');
  const given = new Uint8Array(pack);
  const plain = key ? (await openEncrypted(given, key, parts.where)).plain : given;
  const pages = learn(parts, aboutOf(plain));
  /** @type {WasmAIError | null} */
  let failure = null;
  const { helpers, stop } = await nodeHelpers(parts.threads.count - 1, (error) => {
    failure ??= error;
  });
  const runtime = await parts.runtime;
  const engine = openEngine({ runtime, pack: plain, pages, hardening, helpers });
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
      const [fuel, memoryBytes, steps] = [engine.fuel(), engine.memoryBytes(), engine.steps()];
      return { outputs, carried, ms, fuel, memoryBytes, steps };
    },
    turn: letOthersRun, // timers, signals and servers would wait for all of them
    stop: (error) => {
      failure ??= error;
      stop();
      engine.close();
    },
    alive: () => failure === null,
  };
}
