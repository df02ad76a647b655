// Random numbers that are the same on every machine, and bytes changed by them.

// What parsers trip over, as numbers of 1, 2, 4 and 8 bytes.
const NUMBERS = [
  ...[0, 1, 2, 7, 8, 9, 16, 64, 127, 128, 255, 256, 1024, 65535, 65536],
  ...[0x7fffffff, 0x80000000, 0xffffffff],
];

export class Random {
  /** @param {number} seed */
  constructor(seed) {
    this.state = seed | 0 || 1;
    for (let i = 0; i < 8; i++) this.below(2); // seeds are near each other
  }

  /** A whole number from 0 to `limit` - 1: xorshift32. @param {number} limit */
  below(limit) {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }

  /** True once in `times`. @param {number} times */
  once(times) {
    return this.below(times) === 0;
  }

  /** @template T @param {readonly T[]} list @returns {T} */
  pick(list) {
    return list[this.below(list.length)];
  }

  /** A number that somebody may not have thought of. */
  number() {
    return this.once(3) ? this.below(2 ** 32) : this.pick(NUMBERS);
  }
}

/**
 * One to eight changes: bits, numbers, pieces cut, doubled, moved, put in from elsewhere.
 * @param {Random} random @param {Uint8Array} bytes
 * @param {{ words?: Uint8Array[], donors?: Uint8Array[], most?: number }} [from]
 * @returns {Buffer}
 */
export function mutate(random, bytes, { words = [], donors = [], most = 1 << 16 } = {}) {
  /** @type {Buffer} */
  let result = Buffer.from(bytes);
  for (let count = 1 + random.below(random.once(4) ? 8 : 2); count > 0; count--)
    result = random.pick(CHANGES)(random, result, { words, donors });
  return result.subarray(0, most);
}

/** @typedef {(random: Random, bytes: Buffer, from: { words: Uint8Array[], donors: Uint8Array[] }) => Buffer} Change */

/** @param {Random} random @param {Buffer} bytes */
function piece(random, bytes) {
  const from = random.below(bytes.length + 1);
  const size = random.below(Math.min(bytes.length - from, random.once(4) ? 4096 : 16) + 1);
  return { from, to: from + size };
}

/** @param {Random} random @param {Buffer} bytes @param {Uint8Array} other */
function insert(random, bytes, other) {
  const at = random.below(bytes.length + 1);
  const rest = random.once(2) ? at : Math.min(at + other.length, bytes.length);
  return Buffer.concat([bytes.subarray(0, at), other, bytes.subarray(rest)]);
}

/** @type {Change[]} */
const CHANGES = [
  (random, bytes) => {
    if (bytes.length) bytes[random.below(bytes.length)] ^= 1 << random.below(8);
    return bytes;
  },
  (random, bytes) => {
    if (bytes.length) bytes[random.below(bytes.length)] = random.number();
    return bytes;
  },
  (random, bytes) => {
    const number = Buffer.alloc(8);
    const size = random.pick([2, 4, 8]);
    if (random.once(2)) number.writeUInt32LE(random.number());
    else number.writeUInt32BE(random.number(), size === 2 ? 0 : size - 4);
    return insert(random, bytes, number.subarray(0, size));
  },
  (random, bytes) => {
    const { from, to } = piece(random, bytes);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  (random, bytes) => {
    const { from, to } = piece(random, bytes);
    return insert(random, bytes, Buffer.from(bytes.subarray(from, to)));
  },
  (random, bytes, { words }) => (words.length ? insert(random, bytes, random.pick(words)) : bytes),
  (random, bytes, { donors }) => {
    if (!donors.length) return bytes;
    const other = Buffer.from(random.pick(donors));
    const { from, to } = piece(random, other);
    return insert(random, bytes, other.subarray(from, to));
  },
  (random, bytes) => bytes.subarray(0, random.below(bytes.length + 1)),
];
