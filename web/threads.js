/**
 * How many threads a session gets, and why not more: what page and options allow is known at once, what is
 * worth it and fits into memory when the package has said what it is.
 */
import { PAGE_SIZE, pagesOf } from './certificate.js';
import { canShareMemory } from './engine.js';
import { WasmAIError } from './errors.js';
import { inNode } from './sources.js';

/** WAI_MAX_THREADS of core/runtime/threads.h. */
export const MAX_THREADS = 16;
/** 'auto': beyond these, and for models below that, too little is gained (harness/bench/LOG.md). */
const AUTO_THREADS = 4;
const AUTO_FLOPS = 1e8;
/** Of a WebAssembly memory. */
const MOST_PAGES = 65536;

/** @typedef {{ most: number, auto: boolean, why: string }} Allowed */
/** @typedef {{ count: number, why: string }} Threads */

/** @param {unknown} threads the option */
export function checkThreads(threads) {
  if (threads === 'auto') return;
  if (!Number.isSafeInteger(threads) || /** @type {number} */ (threads) < 1)
    throw new WasmAIError('ARGUMENT', 'threads', "must be 'auto' or a whole number from 1");
  if (/** @type {number} */ (threads) > MAX_THREADS)
    throw new WasmAIError('ARGUMENT', 'threads', `at most ${MAX_THREADS}, not ${threads}`);
}

/**
 * @param {{ threads: 'auto' | number, isolation: string, encrypted: boolean, built: boolean, secure: boolean }} session
 *   built: the loader has a runtime with threads
 * @returns {Allowed}
 */
export function allowedThreads({ threads, isolation, encrypted, built, secure }) {
  const auto = threads === 'auto';
  const one = (/** @type {string} */ why) => ({ most: 1, auto, why });
  if (threads === 1) return one('one was asked for');
  // A counter of fuel belongs to an instance, and which thread does what is the system's choice.
  if (secure) return one('instruction limits count what one thread does');
  if (encrypted) return one('an encrypted package stays in one worker');
  if (!built) return one('this loader was built without a runtime for threads');
  if (isolation === 'frame') return one("isolation 'frame' has one worker for each model");
  if (isolation === 'none' && !inNode)
    return one("with isolation 'none' a page cannot wait for threads: use 'worker'");
  if (inNode && auto) return one('in Node they are for the asking: threads: 2 or more');
  if (!inNode && globalThis.crossOriginIsolated !== true)
    return one(
      'the page is not cross-origin isolated: serve it with Cross-Origin-Opener-Policy: same-origin ' +
        'and Cross-Origin-Embedder-Policy: require-corp',
    );
  if (!inNode && !canShareMemory())
    return one('in this browser no worker can give another its memory by a port');
  if (!auto) return { most: threads, auto, why: 'as asked for' };
  const cores = globalThis.navigator?.hardwareConcurrency ?? 1;
  return { most: Math.min(cores, AUTO_THREADS), auto, why: `this machine has ${cores} cores` };
}

/**
 * Of those, what this package gets. Each thread but the first takes a page of memory more.
 * @param {Allowed} allowed @param {import('./certificate.js').Certificate} certificate
 * @param {number} capMB @param {string} where @returns {Threads & { pages: number }}
 */
export function threadsOf(allowed, certificate, capMB, where) {
  const pages = pagesOf(certificate, capMB, where);
  const { most, auto, why } = allowed;
  const { flopCount } = certificate;
  if (most > 1 && auto && flopCount < AUTO_FLOPS) {
    const small = `${(flopCount / 1e6).toFixed(1)} million operations are too few to share`;
    return { count: 1, why: small, pages };
  }
  const room = Math.min(MOST_PAGES, Math.floor((capMB * 1048576) / PAGE_SIZE)) - pages;
  if (room + 1 < most)
    return {
      count: room + 1,
      why: 'there is no memory for more below maxHeapMB and 4 GiB',
      pages: pages + room,
    };
  return { count: most, why, pages: pages + most - 1 };
}

/** Bytes that `count` threads need. @param {import('./certificate.js').Certificate} certificate @param {number} count */
export function peakBytes(certificate, count) {
  return certificate.peakSize + (count - 1) * PAGE_SIZE;
}
