/**
 * The hashes in a package's head (core/package/format.h): the head against its own digest, then
 * chunk after chunk against the head, as bytes come in or all at once. The loader, the worker and
 * the command check packages with this and with nothing else.
 */
import { CHUNK_SIZE, chunkCount, DIGEST_SIZE, hex, readCertificate } from './certificate.js';
import { WasmAIError } from './errors.js';
import { subtleFor } from './subtle.js';

/** @typedef {import('./wasmai.d.ts').Certificate} Certificate */

/** @param {Uint8Array<ArrayBuffer>} bytes @param {string} where */
export async function sha384Of(bytes, where) {
  const subtle = subtleFor(where, 'hashes cannot be checked');
  return hex(new Uint8Array(await subtle.digest('SHA-384', bytes)));
}

/**
 * The digest that everything hangs on, once the head agrees with it.
 * @param {Uint8Array<ArrayBuffer>} head @param {string} where
 */
export async function checkHead(head, where) {
  const end = head.length - DIGEST_SIZE;
  const digest = await sha384Of(head.subarray(0, end), where);
  if (digest !== hex(head.subarray(end))) {
    throw new WasmAIError(
      'INTEGRITY',
      where,
      'its first part was changed or damaged after it was made (bytes 0 to ' +
        `${head.length - 1} differ from their SHA-384): fetch or compile it again`,
    );
  }
  return digest;
}

/**
 * Where chunks are when they are whole: the digest of one, in hexadecimal. `ahead`: so many may come in unchecked.
 * @typedef {{ digest(from: number, to: number): Promise<string>, ahead: number }} Room
 */

/** Chunks checked as they become whole, one after the other. The head was checked before. */
export class ChunkChecks {
  #head;
  #certificate;
  #where;
  #room;
  /** Of each chunk that is whole. @type {Promise<void>[]} */
  #checks = [];
  /** @type {(error: unknown) => void} */
  #fail = () => {};
  /** Rejects as soon as a chunk is found bad, while the next bytes are still awaited.
   * @type {Promise<never>} */
  failed = new Promise((_, reject) => {
    this.#fail = reject;
  });

  /** @param {Uint8Array} head @param {Certificate} certificate @param {string} where @param {Room} room */
  constructor(head, certificate, where, room) {
    this.#head = head;
    this.#certificate = certificate;
    this.#where = where;
    this.#room = room;
    this.failed.catch(() => {});
  }

  /** The first `loaded` bytes are there; resolves when more may come. @param {number} loaded */
  async advance(loaded) {
    for (
      let chunk = this.#checks.length;
      chunk < chunkCount(this.#certificate) && this.#range(chunk)[1] <= loaded;
      chunk++
    ) {
      const check = Promise.resolve(this.#checks.at(-1)).then(() => this.#check(chunk));
      check.catch(this.#fail);
      this.#checks.push(check);
    }
    await this.#checks[this.#checks.length - 1 - this.#room.ahead];
  }

  /** After the last byte: every chunk was found good. */
  async end() {
    await Promise.all(this.#checks);
    if (this.#checks.length < chunkCount(this.#certificate))
      throw new WasmAIError('INTERNAL', this.#where, 'a chunk was not checked');
  }

  /** @param {number} chunk */
  #range(chunk) {
    const { headSize, packageSize } = this.#certificate;
    const from = headSize + chunk * CHUNK_SIZE;
    return [from, Math.min(from + CHUNK_SIZE, packageSize)];
  }

  /** @param {number} chunk */
  async #check(chunk) {
    const [from, to] = this.#range(chunk);
    const { headSize } = this.#certificate;
    const at = headSize - (chunkCount(this.#certificate) + 1 - chunk) * DIGEST_SIZE;
    const stated = hex(this.#head.subarray(at, at + DIGEST_SIZE));
    if (stated === (await this.#room.digest(from, to))) return;
    throw new WasmAIError(
      'INTEGRITY',
      this.#where,
      `bytes ${from} to ${to - 1} differ from their SHA-384: the package was changed or damaged ` +
        'after it was made; fetch or compile it again',
    );
  }
}

/**
 * A package that is there as a whole: certificate, size, head and every chunk.
 * @param {Uint8Array} bytes @param {string} where
 * @returns {Promise<{ certificate: Certificate, head: string }>} head: its digest
 */
export async function checkPackage(bytes, where) {
  const certificate = readCertificate(bytes, where);
  const { packageSize, headSize } = certificate;
  if (packageSize !== bytes.length) throw wrongSize(packageSize, bytes.length, where);
  const own = /** @type {Uint8Array<ArrayBuffer>} */ (bytes);
  const head = await checkHead(own.subarray(0, headSize), where);
  const room = {
    ahead: 1,
    digest: (/** @type {number} */ from, /** @type {number} */ to) =>
      sha384Of(own.subarray(from, to), where),
  };
  const checks = new ChunkChecks(own, certificate, where, room);
  await checks.advance(packageSize);
  await checks.end();
  return { certificate, head };
}

/** @param {number} stated @param {number} found @param {string} where */
export function wrongSize(stated, found, where) {
  const how =
    found < stated
      ? `truncated: the header says ${stated} bytes, but there are ${found}`
      : `the header says ${stated} bytes, but there are more (${found} so far)`;
  return new WasmAIError('MALFORMED', where, how);
}
