/** Where a package comes from: a URL, a Response, a stream or bytes; and its parts one by one. */
import { assets } from './assets.js';
import { WasmAIError } from './errors.js';
import { signedName } from './jws.js';

/** @typedef {{ stream: ReadableStream<Uint8Array> } | { bytes: Uint8Array }} Opened */
/** One part after the other, null at the end. @typedef {{ next(): Promise<Uint8Array | null>, cancel(): void }} Parts */
/**
 * @typedef {object} Source
 * @property {string} where
 * @property {string | null} sha384  of the whole file
 * @property {string | null} head    the digest of its head
 * @property {URL | null} url      its real address, null where it has none
 * @property {string | null} name  its plain file name, which its signature must be for
 * @property {() => Promise<Opened>} open
 * @property {boolean} again  it can be opened as often as one likes
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
  /** @typedef {import('./assets.js').Pin} Pin */
  const pins = (/** @type {string} */ where, /** @type {Pin | null} */ pin) => {
    if (assets.secure && !sha384 && !pin && !signed) {
      throw new WasmAIError(
        'INTEGRITY',
        where,
        'this loader was built with --secure and takes only packages that it was built with ' +
          '(wasm-ai build --model), whose signature is by a given publicKey, or whose digest the ' +
          'caller gives as sha384',
      );
    }
    // The head is enough, and checked as bytes come in; encrypted packages show none.
    return {
      sha384: sha384 ?? (pin?.head ? null : (pin?.sha384 ?? null)),
      head: pin?.head ?? null,
    };
  };
  const unnamed = (
    /** @type {string} */ where,
    /** @type {() => Promise<Opened>} */ open,
    again = false,
  ) => ({ where, ...pins(where, null), url: null, name: null, open, again });
  if (typeof source === 'string' || source instanceof URL) {
    const asked = resolve(source);
    const { url, pin } = pinOf(asked);
    return {
      where: asked.href,
      ...pins(asked.href, pin),
      url,
      name: nameOf(asked),
      open: () => openUrl(url, asked.href),
      again: true,
    };
  }
  if (typeof Response === 'function' && source instanceof Response) {
    const where = source.url || 'Response';
    const open = async () => streamOf(source, where);
    if (!source.url) return unnamed(where, open);
    const { url, pin } = pinOf(new URL(source.url));
    return { where, ...pins(where, pin), url, name: nameOf(url), open, again: false };
  }
  if (typeof ReadableStream === 'function' && source instanceof ReadableStream)
    return unnamed('stream', async () => ({ stream: source }));
  if (ArrayBuffer.isView(source)) {
    const view = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    return unnamed('bytes', async () => ({ bytes: view }), true);
  }
  if (source instanceof ArrayBuffer)
    return unnamed('bytes', async () => ({ bytes: new Uint8Array(source) }), true);
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
  for (const [name, pin] of Object.entries(assets.packages)) {
    const url = new URL(pin.file, assets.base);
    if (plain.href === new URL(name, assets.base).href || plain.href === url.href)
      return { url, pin };
  }
  return { url: asked, pin: null };
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

/** @param {Opened} opened @param {string} where @returns {Parts} */
export function partsOf(opened, where) {
  return 'bytes' in opened ? once(opened.bytes) : streamed(opened.stream, where);
}

const MOST_PART = 1 << 20; // so that nobody waits for long beside it

/** @param {Uint8Array} bytes */
function once(bytes) {
  let at = 0;
  return {
    next: async () => {
      const part = bytes.subarray(at, at + MOST_PART);
      at += part.length;
      return part.length > 0 ? part : null;
    },
    cancel() {},
  };
}

/** @param {ReadableStream<Uint8Array>} stream @param {string} where */
function streamed(stream, where) {
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
        throw new WasmAIError('ARGUMENT', where, 'the stream must give Uint8Arrays');
      return part.value;
    },
    cancel() {
      reader.cancel().catch(() => {});
    },
  };
}
