// Files as brotli or gzip, where the client takes them: made when first asked for, kept in memory. Brotli at
// its best takes a second for a runtime, so the first to ask get a quick one (a tenth larger) and it follows.

import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { COMPRESSED, headersOf } from './policies.mjs';

const LEAST = 1024; // below that the headers weigh more
const MOST = 16 << 20;
/** Of all that is kept. */
const MOST_KEPT = 64 << 20;

const QUICK = 5;
const BEST = 11;
const brotli = (/** @type {Buffer} */ bytes, /** @type {number} */ quality) =>
  promisify(brotliCompress)(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: quality,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });

/** Whether a file of this name has other forms, which caches must know. @param {string} path */
export const mayBeCompressed = (path) =>
  COMPRESSED.includes(headersOf(path, {})['Content-Type'].replace(/;.*/, ''));

export class Compressed {
  /** By file, time, size and encoding. @type {Map<string, Promise<Buffer>>} */
  #kept = new Map();
  #size = 0;
  #last = Promise.resolve();

  /**
   * @param {string} file @param {string | false} encoding  'br', 'gzip' or anything else: as it is
   * @returns {Promise<{ bytes: Buffer, etag: string } | null>} null: it goes out as it is
   */
  async of(file, encoding) {
    if (!mayBeCompressed(file) || (encoding !== 'br' && encoding !== 'gzip')) return null;
    const { size, mtimeMs } = await stat(file);
    if (size < LEAST || size > MOST) return null;
    const key = `${encoding} ${mtimeMs} ${size} ${file}`;
    const bytes = await (this.#kept.get(key) ?? this.#make(key, file, encoding));
    // Weak: of the file, however well it was compressed.
    const etag = `W/"${size.toString(16)}-${Math.floor(mtimeMs).toString(16)}-${encoding}"`;
    return bytes.length < size ? { bytes, etag } : null;
  }

  /** @param {string} key @param {string} file @param {'br' | 'gzip'} encoding */
  #make(key, file, encoding) {
    const bytes = readFile(file);
    const quick = bytes.then((all) =>
      encoding === 'gzip' ? promisify(gzip)(all, { level: 9 }) : brotli(all, QUICK),
    );
    this.#keep(key, quick);
    if (encoding === 'br') {
      // One at a time, beside whatever else there is to do.
      this.#last = this.#last
        .then(async () => this.#replace(key, await brotli(await bytes, BEST)))
        .catch(() => {});
    }
    return quick;
  }

  /** @param {string} key @param {Promise<Buffer>} coming */
  async #keep(key, coming) {
    this.#kept.set(key, coming);
    try {
      this.#size += (await coming).length;
    } catch {
      this.#kept.delete(key); // whoever asked is told; the next one tries again
      return;
    }
    for (const [old, bytes] of this.#kept) {
      if (this.#size <= MOST_KEPT) break;
      this.#kept.delete(old);
      this.#size -= (await bytes.catch(() => [])).length; // who asked for it is told
    }
  }

  /** @param {string} key @param {Buffer} best */
  async #replace(key, best) {
    const quick = await this.#kept.get(key);
    if (!quick || !this.#kept.has(key)) return;
    this.#size += best.length - quick.length;
    this.#kept.set(key, Promise.resolve(best));
  }
}
