/**
 * load(): from a URL, a Response, a stream or bytes to an open session. Reads,
 * checks the digest, checks the memory that the package asks for, and only then
 * lets anything be compiled.
 */

import { assets } from './assets.js';
import { DIGEST_SIZE, HEADER_SIZE, hex, pagesOf, readCertificate } from './certificate.js';
import { chooseVariant } from './engine.js';
import { WasmAIError } from './errors.js';
import { abortedError, WorkerClient } from './rpc.js';
import { startDirectRunner, startWorkerRunner } from './runners.js';
import { checkNames, checkSignal, Session } from './session.js';

/** @typedef {import('./wasmai.d.ts').LoadOptions} LoadOptions */
/** @typedef {import('./wasmai.d.ts').Certificate} Certificate */
/** @typedef {{ where: string, sha384: string | null, open: () => Promise<{ stream: ReadableStream<Uint8Array> } | { bytes: Uint8Array }> }} Source */

const inNode =
  typeof globalThis.process === 'object' && typeof globalThis.process?.versions?.node === 'string';

/** Options that this release refuses, each with its reason: never ignored.
 * @type {Record<string, string>} */
const LATER = {
  publicKey:
    'signatures come with a later release; the digest in the package and pinned digests (sha384) are checked today',
  decryptionKey: 'encrypted packages come with a later release',
};

const OPTIONS = [
  'isolation',
  'deterministic',
  'threads',
  'maxHeapMB',
  'sha384',
  'signal',
  'onProgress',
  ...Object.keys(LATER),
];

/** @param {unknown} source @param {LoadOptions} [options] @returns {Promise<Session>} */
export async function load(source, options = {}) {
  const { isolation, capMB, signal, onProgress, sha384 } = checkOptions(options);
  const variant = chooseVariant();
  const origin = describeSource(source, sha384);
  if (signal?.aborted) throw abortedError(origin.where);
  const direct = isolation === 'none';

  // Three things at once: the package comes in, the worker starts, the runtime comes in.
  /** @type {Promise<WorkerClient> | undefined} */
  const started = direct ? undefined : WorkerClient.start(assets.worker, signal);
  started?.catch(() => {});
  const runtimeComing = fetchRuntime(variant);
  runtimeComing.catch(() => {});
  try {
    const { bytes, certificate } = await readPackage(origin, capMB, signal, onProgress);
    const total = certificate.packageSize;
    onProgress({ loaded: total, total, phase: 'verify' });
    await verifyPackage(bytes, origin);
    const runtime = await runtimeComing;
    if (signal?.aborted) throw abortedError(origin.where);
    onProgress({ loaded: total, total, phase: 'open' });
    const pages = pagesOf(certificate, capMB, origin.where);
    const parts = {
      runtime,
      pack: bytes.buffer,
      pages,
      where: origin.where,
      worker: assets.worker,
    };
    const start = direct ? startDirectRunner : startWorkerRunner;
    const runner = await start(parts, signal, started);
    const facts = { variant, isolation, peakBytes: certificate.peakSize, certificate };
    const session = new Session({ runner, start, parts, facts });
    onProgress({ loaded: total, total, phase: 'ready' });
    return session;
  } catch (cause) {
    const error =
      cause instanceof WasmAIError
        ? cause
        : signal?.aborted
          ? abortedError(origin.where)
          : new WasmAIError('INTERNAL', origin.where, String(cause), { cause });
    started?.then(
      (client) => client.stop(error),
      () => {},
    );
    throw error;
  }
}

/** @param {LoadOptions} options */
function checkOptions(options) {
  if (options === null || typeof options !== 'object')
    throw new WasmAIError('ARGUMENT', 'load', 'options must be an object');
  checkNames(options, OPTIONS, 'load');
  const {
    isolation = inNode ? 'none' : 'worker',
    threads = 'auto',
    maxHeapMB,
    signal,
    onProgress,
    sha384,
  } = options;
  for (const [name, reason] of Object.entries(LATER)) {
    if (options[/** @type {keyof LoadOptions} */ (name)] !== undefined)
      throw new WasmAIError('UNSUPPORTED', name, reason);
  }
  if (isolation === 'frame') {
    throw new WasmAIError(
      'UNSUPPORTED',
      'isolation',
      "'frame' comes with a later release; 'worker' works today",
    );
  }
  if (isolation !== 'worker' && isolation !== 'none') {
    throw new WasmAIError(
      'ARGUMENT',
      'isolation',
      `must be 'worker' or 'none', not ${JSON.stringify(isolation)}`,
    );
  }
  if (isolation === 'worker' && typeof Worker !== 'function') {
    throw new WasmAIError(
      'UNSUPPORTED',
      'isolation',
      "there are no web workers here; in Node use isolation: 'none'",
    );
  }
  if (threads !== 'auto' && threads !== 1) {
    throw Number.isSafeInteger(threads) && threads > 1
      ? new WasmAIError(
          'UNSUPPORTED',
          'threads',
          "threads come with a later release; use 1 or 'auto'",
        )
      : new WasmAIError('ARGUMENT', 'threads', "must be 'auto' or a whole number from 1");
  }
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
    onProgress: report,
    sha384: sha384?.toLowerCase() ?? null,
  };
}

/**
 * Which kind of source this is, what to call it in errors, and which digest it must have.
 * @param {any} source @param {string | null} sha384 @returns {Source}
 */
function describeSource(source, sha384) {
  const required = (/** @type {string} */ where, /** @type {string | null} */ pinned) => {
    const digest = sha384 ?? pinned;
    if (assets.secure && !digest) {
      throw new WasmAIError(
        'INTEGRITY',
        where,
        'this loader was built with --secure and takes only packages that it was built with ' +
          '(wasm-ai build --model), or whose digest the caller gives as sha384',
      );
    }
    return digest;
  };
  if (typeof source === 'string' || source instanceof URL) {
    const asked = resolve(source);
    const { url, pinned } = pinOf(asked);
    return {
      where: asked.href,
      sha384: required(asked.href, pinned),
      open: () => openUrl(url, asked.href),
    };
  }
  if (typeof Response === 'function' && source instanceof Response) {
    const where = source.url || 'Response';
    const pinned = source.url ? pinOf(new URL(source.url)).pinned : null;
    return { where, sha384: required(where, pinned), open: async () => streamOf(source, where) };
  }
  if (typeof ReadableStream === 'function' && source instanceof ReadableStream) {
    return {
      where: 'stream',
      sha384: required('stream', null),
      open: async () => ({ stream: source }),
    };
  }
  if (ArrayBuffer.isView(source)) {
    const view = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    return { where: 'bytes', sha384: required('bytes', null), open: async () => ({ bytes: view }) };
  }
  if (source instanceof ArrayBuffer) {
    return {
      where: 'bytes',
      sha384: required('bytes', null),
      open: async () => ({ bytes: new Uint8Array(source) }),
    };
  }
  throw new WasmAIError(
    'ARGUMENT',
    'load',
    'give a URL, a Response, a ReadableStream, an ArrayBuffer or a typed array',
  );
}

/** @param {string | URL} source */
function resolve(source) {
  const base = inNode
    ? `file://${globalThis.process.cwd()}/`
    : (globalThis.document?.baseURI ?? globalThis.location?.href);
  try {
    return new URL(source, base);
  } catch (cause) {
    throw new WasmAIError('ARGUMENT', String(source), 'this is not a URL', { cause });
  }
}

/** A package that the loader was built with has a hashed name and a pinned digest. @param {URL} asked */
function pinOf(asked) {
  const plain = new URL(asked.href.replace(/[?#].*$/s, ''));
  for (const [name, { file, sha384 }] of Object.entries(assets.packages)) {
    const url = new URL(file, assets.base);
    if (plain.href === new URL(name, assets.base).href || plain.href === url.href)
      return { url, pinned: sha384 };
  }
  return { url: asked, pinned: null };
}

/** @param {URL} url @param {string} where */
async function openUrl(url, where) {
  if (inNode && url.protocol === 'file:') return { bytes: await readNodeFile(url, where) };
  let response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new WasmAIError(
      'ARGUMENT',
      where,
      'the file could not be fetched: check the address, the connection, and that the ' +
        "page's connect-src allows it",
      { cause },
    );
  }
  return streamOf(response, where);
}

/** @param {Response} response @param {string} where */
function streamOf(response, where) {
  if (!response.ok) {
    throw new WasmAIError(
      'ARGUMENT',
      where,
      `the server answered ${response.status}${response.status === 404 ? ': there is no such file' : ''}`,
    );
  }
  if (/^text\/html\b/i.test(response.headers.get('content-type') ?? '')) {
    throw new WasmAIError(
      'MALFORMED',
      where,
      'your server returned HTML instead of the package: check the path, and that a missing ' +
        'file answers 404 instead of a page',
    );
  }
  if (response.bodyUsed || !response.body)
    throw new WasmAIError('ARGUMENT', where, 'this Response was read already');
  return { stream: response.body };
}

/** @param {URL} url @param {string} where */
async function readNodeFile(url, where) {
  const module = 'node:fs/promises'; // a variable keeps bundlers for browsers from following it
  const { readFile } = await import(/* @vite-ignore */ /* webpackIgnore: true */ module);
  try {
    return /** @type {Uint8Array} */ (await readFile(url));
  } catch (cause) {
    throw new WasmAIError(
      'ARGUMENT',
      where,
      `the file cannot be read: ${/** @type {any} */ (cause).code ?? cause}`,
      { cause },
    );
  }
}

/**
 * All bytes of the package in a buffer of our own, of the size that its header
 * says; refuses by header before the rest is read.
 * @param {Source} source @param {number} capMB @param {AbortSignal | undefined} signal
 * @param {(progress: import('./wasmai.d.ts').Progress) => void} onProgress
 */
async function readPackage({ where, open }, capMB, signal, onProgress) {
  const aborted = new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(abortedError(where)), { once: true });
  });
  aborted.catch(() => {});
  const opened = await Promise.race([open(), aborted]);
  /** @type {{ next(): Promise<Uint8Array | null>, cancel(): void }} */
  const chunks = 'bytes' in opened ? once(opened.bytes) : chunksOf(opened.stream, where);
  try {
    /** @type {Uint8Array} */
    let head = new Uint8Array(0);
    while (head.length < HEADER_SIZE + DIGEST_SIZE) {
      const chunk = await Promise.race([chunks.next(), aborted]);
      if (!chunk) break;
      head = head.length === 0 ? chunk : join(head, chunk);
    }
    const certificate = readCertificate(head, where);
    pagesOf(certificate, capMB, where);
    const size = certificate.packageSize;
    const bytes = allocate(size, where);
    let loaded = 0;
    for (
      let chunk = /** @type {Uint8Array | null} */ (head);
      chunk;
      chunk = await Promise.race([chunks.next(), aborted])
    ) {
      if (chunk.length > size - loaded) {
        throw new WasmAIError(
          'MALFORMED',
          where,
          `the header says ${size} bytes, but there are more (${loaded + chunk.length} so far)`,
        );
      }
      bytes.set(chunk, loaded);
      loaded += chunk.length;
      onProgress({ loaded, total: size, phase: 'download' });
    }
    if (loaded !== size) {
      throw new WasmAIError(
        'MALFORMED',
        where,
        `truncated: the header says ${size} bytes, but there are ${loaded}`,
      );
    }
    return { bytes, certificate: readCertificate(bytes, where) }; // of our own copy
  } catch (error) {
    chunks.cancel();
    throw error;
  }
}

/** @param {Uint8Array} a @param {Uint8Array} b */
function join(a, b) {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** @param {number} size @param {string} where @returns {Uint8Array<ArrayBuffer>} */
function allocate(size, where) {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new WasmAIError(
      'MEMORY',
      where,
      `there is no room for the ${size} bytes of the package`,
      { cause },
    );
  }
}

/** @param {Uint8Array} bytes */
function once(bytes) {
  let left = /** @type {Uint8Array | null} */ (bytes);
  return {
    next: async () => {
      const chunk = left;
      left = null;
      return chunk;
    },
    cancel() {},
  };
}

/** @param {ReadableStream<Uint8Array>} stream @param {string} where */
function chunksOf(stream, where) {
  if (stream.locked)
    throw new WasmAIError('ARGUMENT', where, 'this stream is being read by someone else');
  const reader = stream.getReader();
  return {
    async next() {
      let part;
      try {
        part = await reader.read();
      } catch (cause) {
        throw new WasmAIError('ARGUMENT', where, 'the download broke off: try again', { cause });
      }
      if (part.done) return null;
      if (!(part.value instanceof Uint8Array))
        throw new WasmAIError('ARGUMENT', where, 'the stream must give Uint8Array chunks');
      return part.value;
    },
    cancel() {
      reader.cancel().catch(() => {});
    },
  };
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {string} where */
async function digestOf(bytes, where) {
  if (!globalThis.crypto?.subtle) {
    throw new WasmAIError(
      'UNSUPPORTED',
      where,
      'the digest cannot be checked here: crypto.subtle needs a secure context (https, or localhost)',
    );
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-384', bytes));
}

/** Nothing of a package is compiled or run before this. @param {Uint8Array<ArrayBuffer>} bytes @param {Source} source */
async function verifyPackage(bytes, { where, sha384 }) {
  const end = bytes.length - DIGEST_SIZE;
  const stated = hex(bytes.subarray(end));
  const actual = hex(await digestOf(bytes.subarray(0, end), where));
  if (stated !== actual) {
    throw new WasmAIError(
      'INTEGRITY',
      where,
      'the package was changed or damaged after it was made: its SHA-384 does not match; ' +
        'fetch or compile it again',
    );
  }
  if (sha384 && sha384 !== hex(await digestOf(bytes, where))) {
    throw new WasmAIError(
      'INTEGRITY',
      where,
      'this is not the package that was pinned (its SHA-384 differs): build the site again ' +
        'or clear the cache in between',
    );
  }
}

/** The runtime's bytes are public and never written to: one copy serves all sessions.
 * @type {Map<string, Promise<Uint8Array<ArrayBuffer>>>} */
const runtimes = new Map();

/** @param {'simd'} variant */
function fetchRuntime(variant) {
  const { url, sha384 } = assets.runtimes[variant];
  let coming = runtimes.get(url.href);
  if (!coming) {
    coming = readRuntime(url, sha384);
    runtimes.set(url.href, coming);
    coming.catch(() => runtimes.delete(url.href)); // the next load tries again
  }
  return coming;
}

/** @param {URL} url @param {string | null} sha384 @returns {Promise<Uint8Array<ArrayBuffer>>} */
async function readRuntime(url, sha384) {
  const where = url.href;
  const opened = await openUrl(url, where);
  const bytes =
    'bytes' in opened
      ? new Uint8Array(opened.bytes)
      : new Uint8Array(await new Response(/** @type {BodyInit} */ (opened.stream)).arrayBuffer());
  if (sha384 && hex(await digestOf(bytes, where)) !== sha384) {
    throw new WasmAIError(
      'INTEGRITY',
      where,
      'the runtime differs from the one that this loader was built with: deploy the whole folder again',
    );
  }
  return bytes;
}
