// Bytes of an input as decisions, one after another; 0 when they have run out.

const HOSTILE = [
  ...[undefined, null, true, false, 0, -0, 1, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32],
  ...[2 ** 53, -(2 ** 53), 1e308, 10n, -(2n ** 70n), '', '0', '2', '__proto__', 'constructor'],
  ...['toString', 'x', 'y', 'float32', 'int64', 'float99', 'x'.repeat(100_000), '\0\u2028\ud800'],
];

export class Choices {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  get left() {
    return this.at < this.bytes.length;
  }

  byte() {
    return this.bytes[this.at++] ?? 0;
  }

  word() {
    return (this.byte() | (this.byte() << 8) | (this.byte() << 16) | (this.byte() << 24)) >>> 0;
  }

  /** @template T @param {readonly T[]} list @returns {T} */
  pick(list) {
    return list[this.byte() % list.length];
  }

  /** Anything that structured cloning lets through. @returns {any} */
  value(depth = 0) {
    const kind = this.byte() % 16;
    if (depth > 3 || kind < 8) return this.pick(HOSTILE);
    if (kind === 8) return this.word();
    if (kind === 9) return new ArrayBuffer(this.pick([0, 1, 4, 8, 16, 32, 1 << 20]));
    if (kind === 10) return new (this.pick([Float32Array, Uint8Array, BigInt64Array]))(this.byte());
    if (kind === 11) return sparse(this.pick([1, 100, 2 ** 20, 2 ** 32 - 1]));
    if (kind === 12) return this.pick([new Map([[1, 2]]), new Date(NaN), /x/g, new Error('e')]);
    if (kind === 13) return nested(this.pick([10, 1000, 5000]));
    const entries = Array.from({ length: this.byte() % 5 }, () => [
      this.pick(KEYS),
      this.value(depth + 1),
    ]);
    return kind === 14 ? entries.map(([, value]) => value) : Object.fromEntries(entries);
  }

  /** `base` with one to four of its parts made hostile. @param {any} base */
  spoil(base) {
    const spoiled = structuredClone(base);
    for (let count = 1 + (this.byte() & 3); count > 0; count--) {
      let at = spoiled;
      for (let depth = this.byte() & 7; depth > 0; depth--) {
        const next = at[this.pick(Object.keys(at))];
        if (typeof next !== 'object' || next === null || Object.keys(next).length === 0) break;
        at = next;
      }
      const key = this.pick([...Object.keys(at), this.pick(KEYS)]);
      if (key === '__proto__') continue;
      if (this.byte() % 8 === 0) delete at[key];
      else at[key] = this.value();
    }
    return spoiled;
  }
}

const KEYS = [
  ...['id', 'error', 'inputs', 'outputs', 'metered', 'memoryBytes', 'pack', 'ready', 'ms', 'fuel'],
  ...[
    'name',
    'dtype',
    'dims',
    'symbols',
    'varies',
    'min',
    'max',
    'data',
    'code',
    'where',
    'message',
  ],
  ...['used', 'allowed', '0', '1', 'length', '__proto__', 'toString', 'then', 'valueOf'],
];

/** @param {number} length */
function sparse(length) {
  const list = [];
  list.length = length;
  return list;
}

/** @param {number} depth */
function nested(depth) {
  let list = /** @type {any[]} */ ([]);
  for (let i = 0; i < depth; i++) list = [list];
  return list;
}
