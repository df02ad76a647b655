/**
 * A package on its way into the model's memory, chunk by chunk as they are found good: so a large one is
 * there once, not twice. What the page has to know of it is picked up in passing.
 */
import {
  CHUNK_SIZE,
  DIGEST_SIZE,
  GOLDEN_SECTION,
  HEADER_SIZE,
  hex,
  sectionRange,
} from './certificate.js';

/** Takes bytes for good, at their place; resolves when it wants more.
 * @typedef {(at: number, bytes: Uint8Array<ArrayBuffer>) => void | Promise<void>} Sink */
/** @typedef {ReturnType<typeof import('./certificate.js').aboutOf>} AboutBytes */

/** More than golden outputs ever are. */
const MOST_GOLDEN = 1 << 20;

/** In place of a buffer for all (receive.js): a Room of chunks.js. */
export class Pouring {
  #sink;
  #head;
  #certificate;
  /** Chunks that are not whole yet, or not checked yet, by where they begin. @type {Map<number, Uint8Array<ArrayBuffer>>} */
  #chunks = new Map();
  /** @type {{ from: number, bytes: Uint8Array<ArrayBuffer> } | null} */
  #golden = null;
  /** They are somewhere else. */
  bytes = null;

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
      const chunk =
        this.#chunks.get(from) ?? new Uint8Array(Math.min(CHUNK_SIZE, packageSize - from));
      this.#chunks.set(from, chunk);
      const inside = at + done - from;
      const piece = part.subarray(done, done + chunk.length - inside);
      chunk.set(piece, inside);
      done += piece.length;
    }
  }

  /** @param {number} from */
  chunk(from) {
    return /** @type {Uint8Array<ArrayBuffer>} */ (this.#chunks.get(from));
  }

  /** @param {number} from @param {Uint8Array<ArrayBuffer>} chunk */
  async good(from, chunk) {
    this.#chunks.delete(from);
    if (this.#golden) copyOverlap(this.#golden, { from, bytes: chunk });
    await this.#sink(from, chunk);
  }

  /** As aboutOf of the whole package. @returns {AboutBytes} */
  about() {
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
