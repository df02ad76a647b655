/**
 * Where a package comes from: a URL, a Response, a stream or bytes; and all its
 * bytes in a buffer of our own, refused by header before the rest is read.
 */
import { assets } from './assets.js';
import { DIGEST_SIZE, HEADER_SIZE, pagesOf, readCertificate } from './certificate.js';
import { WasmAIError } from './errors.js';
import { signedName } from './jws.js';
import { abortedError } from './rpc.js';

/** @typedef {{ stream: ReadableStream<Uint8Array> } | { bytes: Uint8Array }} Opened */
/**
 * @typedef {object} Source
 * @property {string} where
 * @property {string | null} sha384
 * @property {URL | null} url      its real address, null where it has none
 * @property {string | null} name  its plain file name, which its signature must be for
 * @property {() => Promise<Opened>} open
 */

export const inNode =
  typeof globalThis.process === 'object' && typeof globalThis.process?.versions?.node === 'string';

/**
 * Which kind of source this is, what to call it in errors, and which digest it must have.
 * @param {any} source @param {string | null} sha384
 * @param {boolean} signed  a signature by a trusted key is asked for
 * @returns {Source}
 */
export function describeSource(source, sha384, signed) {
  const required = (/** @type {string} */ where, /** @type {string | null} */ pinned) => {
    const digest = sha384 ?? pinned;
    if (assets.secure && !digest && !signed) {
      throw new WasmAIError(
        'INTEGRITY',
        where,
        'this loader was built with --secure and takes only packages that it was built with ' +
          '(wasm-ai build --model), whose signature is by a given publicKey, or whose digest the ' +
          'caller gives as sha384',
      );
    }
    return digest;
  };
  const unnamed = (/** @type {string} */ where, /** @type {() => Promise<Opened>} */ open) => ({
    where,
    sha384: required(where, null),
    url: null,
    name: null,
    open,
  });
  if (typeof source === 'string' || source instanceof URL) {
    const asked = resolve(source);
    const { url, pinned } = pinOf(asked);
    return {
      where: asked.href,
      sha384: required(asked.href, pinned),
      url,
      name: nameOf(asked),
      open: () => openUrl(url, asked.href),
    };
  }
  if (typeof Response === 'function' && source instanceof Response) {
    const where = source.url || 'Response';
    const open = async () => streamOf(source, where);
    if (!source.url) return unnamed(where, open);
    const { url, pinned } = pinOf(new URL(source.url));
    return { where, sha384: required(where, pinned), url, name: nameOf(url), open };
  }
  if (typeof ReadableStream === 'function' && source instanceof ReadableStream)
    return unnamed('stream', async () => ({ stream: source }));
  if (ArrayBuffer.isView(source)) {
    const view = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    return unnamed('bytes', async () => ({ bytes: view }));
  }
  if (source instanceof ArrayBuffer)
    return unnamed('bytes', async () => ({ bytes: new Uint8Array(source) }));
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

/** What `wasm-ai sign` calls the file at this address. @param {URL} url */
function nameOf({ pathname }) {
  const last = pathname.slice(pathname.lastIndexOf('/') + 1);
  try {
    return signedName(decodeURIComponent(last));
  } catch {
    return signedName(last);
  }
}

/** @param {URL} url @param {string} where */
export async function openUrl(url, where) {
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
 * @template Proof
 * @param {Source} source @param {number} capMB @param {AbortSignal | undefined} signal
 * @param {(progress: import('./wasmai.d.ts').Progress) => void} onProgress
 * @param {Promise<Proof> | null} proof  of its signature: a bad one ends the download
 */
export async function readPackage({ where, open }, capMB, signal, onProgress, proof) {
  /** @type {Promise<never>} */
  const aborted = new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(abortedError(where)), { once: true });
  });
  aborted.catch(() => {});
  const opened = await Promise.race([open(), aborted]);
  // Only now: where package and signature are both missing, the address is wrong.
  /** @type {Promise<never>} */
  const refused = new Promise((_, reject) => {
    proof?.catch(reject);
    aborted.catch(reject);
  });
  refused.catch(() => {});
  /** @type {{ next(): Promise<Uint8Array | null>, cancel(): void }} */
  const chunks = 'bytes' in opened ? once(opened.bytes) : chunksOf(opened.stream, where);
  try {
    /** @type {Uint8Array} */
    let head = new Uint8Array(0);
    while (head.length < HEADER_SIZE + DIGEST_SIZE) {
      const chunk = await Promise.race([chunks.next(), refused]);
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
      chunk = await Promise.race([chunks.next(), refused])
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
    return {
      bytes,
      certificate: readCertificate(bytes, where), // of our own copy
      proof: await Promise.race([proof, refused]),
    };
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
