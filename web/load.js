/**
 * load(): from a URL, a Response, a stream or bytes to an open session. Lets nothing be
 * compiled before signature, hashes and the memory that the package asks for were checked.
 */

import { assets } from './assets.js';
import { sha384Of } from './chunks.js';
import { decryptionKeyOf } from './encryption.js';
import { WasmAIError } from './errors.js';
import { inFrame } from './framed.js';
import { inPage } from './places.js';
import { receivePackage } from './receive.js';
import { reserve } from './reserve.js';
import { abortedError } from './rpc.js';
import { pourInto, startDirectRunner, startWorkerRunner } from './runners.js';
import { checkNames, checkSignal, Session } from './session.js';
import { readProof, signatureInfo, trustOf } from './signature.js';
import { describeSource, inNode, openUrl } from './sources.js';
import { allowedThreads, checkThreads } from './threads.js';
import { chooseVariant, withThreads } from './variants.js';

/** @typedef {import('./wasmai.d.ts').LoadOptions} LoadOptions */

const OPTIONS = [
  'isolation',
  'deterministic',
  'threads',
  'maxHeapMB',
  'hardened',
  'integrityEvery',
  'sha384',
  'publicKey',
  'minVersion',
  'signature',
  'packageName',
  'signal',
  'onProgress',
  'decryptionKey',
  'keepPackage',
];

/** @param {unknown} source @param {LoadOptions} [options] @returns {Promise<Session>} */
export async function load(source, options = {}) {
  const wanted = checkOptions(options);
  const { signal, onProgress, trust, keepPackage } = wanted;
  const { variant, ...chosen } = chooseRuntime(wanted);
  const origin = describeSource(source, wanted.sha384, trust !== null);
  if (signal?.aborted) throw abortedError(origin.where);

  // All at once: package and signature come in, the worker starts and compiles the runtime.
  const parts = newParts(wanted, chosen, origin.where);
  const started = parts.place ? reserve.take(needsOf(parts), signal) : undefined;
  started?.catch(() => {});
  const proofComing = trust && readProof(trust, origin);
  proofComing?.catch(() => {});
  const helpers = { stop() {} };
  try {
    const receiving = { signal, onProgress, proof: proofComing };
    const how = { ...receiving, keepPackage, started, helpers };
    const { size: total, proof } = await takePackage(parts, origin, how);
    await parts.runtime;
    if (signal?.aborted) throw abortedError(origin.where);
    onProgress({ loaded: total, total, phase: 'open' });
    const start = parts.place ? startWorkerRunner : startDirectRunner;
    const runner = await start(parts, signal, started, helpers);
    const session = newSession({ runner, start, parts, wanted, variant, proof });
    onProgress({ loaded: total, total, phase: 'ready' });
    return session;
  } catch (cause) {
    const error =
      cause instanceof WasmAIError
        ? cause
        : signal?.aborted
          ? abortedError(origin.where)
          : new WasmAIError('INTERNAL', origin.where, String(cause), { cause });
    helpers.stop();
    started?.then(
      (client) => client.stop(error),
      () => {},
    );
    throw error;
  }
}

/** @typedef {ReturnType<typeof checkOptions>} Wanted */
/** @typedef {import('./runners.js').Parts} Parts */

/** The variant, and the build of it that has as many threads as may be. @param {Wanted} wanted */
function chooseRuntime({ hardening, deterministic, threads, isolation, key }) {
  const variant = chooseVariant(assets.runtimes, { deterministic, hardened: hardening !== null });
  const parallel = withThreads(variant.name);
  const allowed = allowedThreads({
    threads,
    isolation,
    encrypted: key !== null,
    built: assets.runtimes[parallel] !== undefined,
    secure: assets.secure,
  });
  return { variant, allowed, built: allowed.most > 1 ? parallel : variant.name };
}

/**
 * What is known before there is a package; the runtime begins to come.
 * @param {Wanted} wanted @param {Omit<ReturnType<typeof chooseRuntime>, 'variant'>} chosen @param {string} where
 * @returns {Parts}
 */
function newParts({ isolation, key, capMB, hardening }, { allowed, built }, where) {
  const runtime = fetchOnce(/** @type {import('./assets.js').Asset} */ (assets.runtimes[built]));
  runtime.catch(() => {});
  return {
    variant: built,
    runtime,
    pack: null,
    pour: null,
    key,
    about: null,
    capMB,
    allowed,
    threads: { count: 1, why: '' },
    where,
    place: placeFor(isolation),
    hardening,
  };
}

/** @param {Parts} parts @returns {import('./reserve.js').Needs} */
const needsOf = ({ place, variant, runtime }) => ({
  place: /** @type {import('./places.js').Place} */ (place),
  variant,
  runtime,
});

/**
 * @param {{ runner: import('./runners.js').Runner, start: import('./runners.js').StartRunner, parts: Parts, wanted: Wanted,
 *   variant: ReturnType<typeof chooseVariant>, proof: import('./signature.js').Proof | null }} opened
 */
function newSession({ runner, start, parts, wanted, variant, proof }) {
  const { certificate, head, golden } = /** @type {import('./runners.js').About} */ (parts.about);
  const facts = {
    variant: variant.name,
    variantReason: variant.why,
    deterministic: variant.exact,
    isolation: wanted.isolation,
    hardened: wanted.hardening !== null,
    certificate,
    signature: signatureInfo(proof),
  };
  const member = parts.place && reserve.join(needsOf(parts));
  return new Session({ runner, start, parts, facts, golden, head, reserve: member });
}

/**
 * The package, to be kept; or poured into the worker that was started, with its threads.
 * @param {Parts} parts @param {import('./sources.js').Source} origin
 * @param {Pick<import('./receive.js').Receiving, 'signal' | 'onProgress' | 'proof'> & { keepPackage: boolean | undefined,
 *   started: Promise<import('./rpc.js').WorkerClient> | undefined, helpers: import('./runners.js').Helpers }} how
 */
async function takePackage(parts, origin, { keepPackage, started, helpers, ...receiving }) {
  const received = await receivePackage(origin, {
    ...receiving,
    capMB: parts.capMB,
    encrypted: parts.key !== null,
    pour: (certificate) => {
      const sink = started?.then((client) => pourInto(client, certificate, parts, helpers));
      const kept = keepPackage ?? (certificate.packageSize <= MOST_KEPT || !origin.again);
      if (!kept && sink) return { kept, sink };
      return { kept: true, sink: sink?.catch(orLater) ?? null };
    },
  });
  const { bytes, about } = received;
  parts.pack = bytes?.buffer ?? null;
  parts.pour = about && pouring(origin, parts, { about, client: await started });
  return received;
}

/** Where there is no memory now: it is asked for again when the package is opened. @param {WasmAIError} error */
function orLater(error) {
  if (error.code !== 'MEMORY') throw error;
  return null;
}

/** Bytes of a package that the page keeps, for the next worker. */
const MOST_KEPT = 64 << 20;

/**
 * What is done for a worker before it opens the package: nothing for the one into which it was poured as it
 * came in, and for those that follow where it is kept; else it is fetched again, and must be the same.
 * @param {import('./sources.js').Source} origin @param {Parts} parts
 * @param {{ about: import('./pouring.js').AboutBytes, client: import('./rpc.js').WorkerClient | undefined }} first
 * @returns {Parts['pour']}
 */
function pouring(origin, parts, { about, client: first }) {
  let there = true;
  return async (client, helpers) => {
    if (client === first && there) {
      there = false;
      return about;
    }
    if (parts.pack) return null;
    if (!origin.again) {
      const why = 'the worker was lost, and the package was not kept: load it again';
      throw new WasmAIError('STATE', parts.where, why);
    }
    const same = { ...origin, head: about.head };
    const { about: poured } = await receivePackage(same, {
      capMB: parts.capMB,
      signal: undefined,
      onProgress: () => {},
      proof: null,
      encrypted: false,
      pour: (certificate) => ({
        kept: false,
        sink: pourInto(client, certificate, parts, helpers),
      }),
    });
    return poured ?? about;
  };
}

/** @param {LoadOptions} options */
function checkOptions(options) {
  if (options === null || typeof options !== 'object')
    throw new WasmAIError('ARGUMENT', 'load', 'options must be an object');
  checkNames(options, OPTIONS, 'load');
  const {
    isolation = inNode ? 'none' : 'worker',
    deterministic,
    threads = 'auto',
    maxHeapMB,
    signal,
    onProgress,
    sha384,
    keepPackage,
  } = options;
  checkIsolation(isolation);
  if (keepPackage !== undefined && typeof keepPackage !== 'boolean')
    throw new WasmAIError('ARGUMENT', 'keepPackage', 'must be true or false');
  if (deterministic !== undefined && typeof deterministic !== 'boolean')
    throw new WasmAIError('ARGUMENT', 'deterministic', 'must be true or false');
  checkThreads(threads);
  if (maxHeapMB !== undefined && !(typeof maxHeapMB === 'number' && maxHeapMB > 0)) {
    throw new WasmAIError('ARGUMENT', 'maxHeapMB', 'must be a positive number of MiB');
  }
  if (sha384 !== undefined && !/^[0-9a-f]{96}$/i.test(sha384)) {
    throw new WasmAIError(
      'ARGUMENT',
      'sha384',
      'must be the 96 hexadecimal digits that `sha384sum` prints',
    );
  }
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new WasmAIError('ARGUMENT', 'onProgress', 'must be a function');
  checkSignal(signal);
  /** @type {(progress: import('./wasmai.d.ts').Progress) => void} */
  const report = (progress) => {
    try {
      onProgress?.(progress);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      }); // the caller's bug, not a reason to stop loading
    }
  };
  return {
    isolation,
    signal,
    capMB: Math.min(maxHeapMB ?? Infinity, assets.maxHeapMB),
    hardening: checkHardening(options),
    threads,
    deterministic,
    onProgress: report,
    sha384: sha384?.toLowerCase() ?? null,
    trust: trustOf(options),
    key: decryptionKeyOf(options),
    keepPackage,
  };
}

/** Runs from one look at the weights to the next: what that costs is in harness/bench/LOG.md. */
const WEIGHTS_EVERY = 16;

/** @param {LoadOptions} options @returns {import('./engine.js').Hardening | null} */
function checkHardening({ hardened = assets.hardened, integrityEvery }) {
  const wrong = (/** @type {string} */ name, /** @type {string} */ why) =>
    new WasmAIError('ARGUMENT', name, why);
  if (typeof hardened !== 'boolean') throw wrong('hardened', 'must be true or false');
  if (assets.hardened && !hardened)
    throw wrong('hardened', 'this loader was built with memory hardening, which stays on');
  if (integrityEvery === undefined) return hardened ? { weightsEvery: WEIGHTS_EVERY } : null;
  if (!hardened) throw wrong('integrityEvery', 'needs memory hardening: set hardened as well');
  if (!Number.isSafeInteger(integrityEvery) || integrityEvery < 1 || integrityEvery > 0xffffffff)
    throw wrong('integrityEvery', 'must be a whole number of runs, from 1');
  return { weightsEvery: integrityEvery };
}

/** @param {unknown} isolation */
function checkIsolation(isolation) {
  if (isolation !== 'worker' && isolation !== 'frame' && isolation !== 'none') {
    throw new WasmAIError(
      'ARGUMENT',
      'isolation',
      `must be 'worker', 'frame' or 'none', not ${JSON.stringify(isolation)}`,
    );
  }
  if (isolation === 'worker' && typeof Worker !== 'function') {
    throw new WasmAIError(
      'UNSUPPORTED',
      'isolation',
      "there are no web workers here; in Node use isolation: 'none'",
    );
  }
  if (isolation === 'frame' && !(assets.frame && globalThis.document)) {
    throw new WasmAIError(
      'UNSUPPORTED',
      'isolation',
      "'frame' needs a page and a folder made by `wasm-ai build`; in a worker use 'worker', in Node 'none'",
    );
  }
}

/** Where workers are to live; null: nowhere, the model runs here. @param {'worker' | 'frame' | 'none'} isolation */
function placeFor(isolation) {
  if (isolation === 'none') return null;
  const { frame, worker } = assets;
  if (isolation === 'worker' || !frame) return inPage(worker);
  const script = { url: worker, sha384: frame.workerSha384 };
  return inFrame(frame.url, async () => new TextDecoder().decode(await fetchOnce(script)));
}

/** Bytes of our own files are public and never written to: one copy serves all sessions.
 * @type {Map<string, Promise<Uint8Array<ArrayBuffer>>>} */
const fetched = new Map();

/** @param {import('./assets.js').Asset} asset */
function fetchOnce(asset) {
  const { href } = asset.url;
  let coming = fetched.get(href);
  if (!coming) {
    coming = fetchAsset(asset);
    fetched.set(href, coming);
    coming.catch(() => fetched.delete(href)); // the next load tries again
  }
  return coming;
}

/** @param {import('./assets.js').Asset} asset @returns {Promise<Uint8Array<ArrayBuffer>>} */
async function fetchAsset({ url, sha384 }) {
  const where = url.href;
  const opened = await openUrl(url, where);
  const bytes =
    'bytes' in opened
      ? new Uint8Array(opened.bytes)
      : new Uint8Array(await new Response(/** @type {BodyInit} */ (opened.stream)).arrayBuffer());
  if (sha384 && (await sha384Of(bytes, where)) !== sha384) {
    throw new WasmAIError(
      'INTEGRITY',
      where,
      'this file differs from the one that this loader was built with: deploy the whole folder again',
    );
  }
  return bytes;
}
