/**
 * A package on its way into the model's memory, chunk by chunk: it lies there when its last byte has come.
 * Nothing looks at it before every chunk was found good. Small ones are kept here as well, for the next
 * worker; a large one is there once, not twice, and what the page has to know of it is picked up in passing.
 */
import {
  aboutOf,
  CHUNK_SIZE,
  DIGEST_SIZE,
  GOLDEN_SECTION,
  HEADER_SIZE,
  hex,
  sectionRange,
} from './certificate.js';
import { sha384Of } from './chunks.js';

/** Takes bytes, at their place; resolves with their SHA-384 when it wants more, and with room that is free again.
 * @typedef {(at: number, bytes: Uint8Array<ArrayBuffer>) => Promise<{ digest: string, spare: ArrayBuffer | null }>} Sink */
/** @typedef {ReturnType<typeof import('./certificate.js').aboutOf>} AboutBytes */

/**
 * Where a package goes: its parts as they come, then the digest of each chunk that is whole (chunks.js).
 * @typedef {object} Room
 * @property {Uint8Array<ArrayBuffer> | null} bytes  all of it, where it is kept
 * @property {number} ahead  so many chunks may come in before the digest of one is there
 * @property {(part: Uint8Array, at: number) => void} set
 * @property {(from: number, to: number) => Promise<string>} digest
 * @property {() => Promise<AboutBytes | null>} about  once all is there: null where it lies nowhere but here
 */

/** 16 MiB: while the worker starts, the download does not wait for it. */
const AHEAD = 64;

/** Room for a chunk: what a sink gave back, or new. @param {ArrayBuffer | null} spare @param {number} size */
const roomIn = (spare, size) =>
  new Uint8Array(spare?.byteLength === size ? spare : new ArrayBuffer(size));

/** All of it stays here. @implements {Room} */
export class Keeping {
  #where;
  /** @type {ArrayBuffer | null} */
  #spare = null;
  #sink;
  bytes;

  /**
   * @param {Uint8Array<ArrayBuffer>} bytes  room for all of it, with its head @param {number} headSize
   * @param {Promise<Sink | null> | null} sink  it goes there besides; null in the end: that could not be
   * @param {string} where
   */
  constructor(bytes, headSize, sink, where) {
    this.bytes = bytes;
    this.#where = where;
    this.ahead = sink ? AHEAD : 1;
    this.#sink = sink?.then(async (take) => {
      await take?.(0, bytes.slice(0, headSize));
      return take;
    });
    this.#sink?.catch(() => {}); // whoever asks for a digest finds out
  }

  /** @param {Uint8Array} part @param {number} at */
  set(part, at) {
    this.bytes.set(part, at);
  }

  /** @param {number} from @param {number} to */
  async digest(from, to) {
    const sink = await this.#sink;
    const chunk = this.bytes.subarray(from, to);
    if (!sink) return sha384Of(chunk, this.#where);
    const copy = roomIn(this.#spare, chunk.length);
    copy.set(chunk);
    const { digest, spare } = await sink(from, copy);
    this.#spare = spare;
    return digest;
  }

  async about() {
    return (await this.#sink) ? aboutOf(this.bytes) : null;
  }
}

/** More than golden outputs ever are. */
const MOST_GOLDEN = 1 << 20;

/** Nothing stays here. @implements {Room} */
export class Pouring {
  #sink;
  #head;
  #certificate;
  /** Chunks that are not whole yet, or not asked for yet, by where they begin. @type {Map<number, Uint8Array<ArrayBuffer>>} */
  #chunks = new Map();
  /** @type {{ from: number, bytes: Uint8Array<ArrayBuffer> } | null} */
  #golden = null;
  /** @type {ArrayBuffer | null} */
  #spare = null;
  bytes = null;
  ahead = 1;

  /** @param {Sink} sink @param {Uint8Array<ArrayBuffer>} head @param {import('./wasmai.d.ts').Certificate} certificate */
  static async into(sink, head, certificate) {
    await sink(0, head.slice());
    return new Pouring(sink, head, certificate);
  }

  /** @param {Sink} sink @param {Uint8Array<ArrayBuffer>} head @param {import('./wasmai.d.ts').Certificate} certificate */
  constructor(sink, head, certificate) {
    this.#sink = sink;
    this.#head = head;
    this.#certificate = certificate;
    const [from, to] = sectionRange(head, GOLDEN_SECTION, certificate.packageSize) ?? [0, 0];
    if (to > from && to - from <= MOST_GOLDEN)
      this.#golden = { from, bytes: new Uint8Array(to - from) };
  }

  /** @param {Uint8Array} part @param {number} at */
  set(part, at) {
    const { headSize, packageSize } = this.#certificate;
    for (let done = 0; done < part.length; ) {
      const from = at + done - ((at + done - headSize) % CHUNK_SIZE);
      const chunk = this.#chunks.get(from) ?? this.#room(Math.min(CHUNK_SIZE, packageSize - from));
      this.#chunks.set(from, chunk);
      const inside = at + done - from;
      const piece = part.subarray(done, done + chunk.length - inside);
      chunk.set(piece, inside);
      done += piece.length;
    }
  }

  /** @param {number} size */
  #room(size) {
    const spare = this.#spare;
    this.#spare = null;
    return roomIn(spare, size);
  }

  /** @param {number} from */
  async digest(from) {
    const chunk = /** @type {Uint8Array<ArrayBuffer>} */ (this.#chunks.get(from));
    this.#chunks.delete(from);
    if (this.#golden) copyOverlap(this.#golden, { from, bytes: chunk });
    const { digest, spare } = await this.#sink(from, chunk);
    this.#spare = spare;
    return digest;
  }

  /** As aboutOf of the whole package. @returns {Promise<AboutBytes>} */
  async about() {
    const head = this.#head;
    return {
      header: head.slice(0, HEADER_SIZE),
      head: hex(head.subarray(head.length - DIGEST_SIZE)),
      golden: this.#golden?.bytes ?? null,
    };
  }
}

/** @typedef {{ from: number, bytes: Uint8Array }} Piece @param {Piece} to @param {Piece} source */
function copyOverlap(to, source) {
  const from = Math.max(to.from, source.from);
  const end = Math.min(to.from + to.bytes.length, source.from + source.bytes.length);
  if (from >= end) return;
  to.bytes.set(source.bytes.subarray(from - source.from, end - source.from), from - to.from);
}
