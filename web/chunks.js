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
 * Where chunks are when they are whole, and what becomes of one that was found good.
 * @typedef {{ chunk(from: number, to: number): Uint8Array<ArrayBuffer>,
 *   good?(from: number, chunk: Uint8Array<ArrayBuffer>): void | Promise<void> }} Room
 */

/** Chunks checked as they become whole. The head was checked before. */
export class ChunkChecks {
  #head;
  #certificate;
  #where;
  #room;
  #next = 0;
  #pending = Promise.resolve();
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

  /** The first `loaded` bytes are there. One chunk is hashed while the next one comes in. @param {number} loaded */
  async advance(loaded) {
    while (this.#next < chunkCount(this.#certificate)) {
      const [, to] = this.#range(this.#next);
      if (to > loaded) return;
      await this.#pending;
      this.#pending = this.#check(this.#next++);
      this.#pending.catch(this.#fail);
    }
  }

  /** After the last byte: every chunk was found good. */
  async end() {
    await this.#pending;
    if (this.#next < chunkCount(this.#certificate))
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
    const bytes = this.#room.chunk(from, to);
    if (stated === (await sha384Of(bytes, this.#where))) return this.#room.good?.(from, bytes);
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
    chunk: (/** @type {number} */ from, /** @type {number} */ to) => own.subarray(from, to),
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
