// Reading and writing the numbers of a wasm file.

/** What the meter does not take: the message names it. */
export class MeterError extends Error {}

export class Reader {
  /** @param {Uint8Array} bytes @param {number} [at] @param {number} [end] */
  constructor(bytes, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }
  get done() {
    return this.at >= this.end;
  }
  byte() {
    if (this.at >= this.end) throw new MeterError('the module ends in the middle of something');
    return this.bytes[this.at++];
  }
  skip(/** @type {number} */ count) {
    if (count > this.end - this.at)
      throw new MeterError('the module ends in the middle of something');
    this.at += count;
  }
  u32() {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new MeterError('a number of more than five bytes');
  }
  /** Signed, of up to 64 bits; the value of those of 32. */
  signed() {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      if (shift < 35) value |= shift < 32 ? (byte & 0x7f) << shift : 0;
      if (byte < 0x80) return byte & 0x40 && shift < 25 ? value | (-1 << (shift + 7)) : value;
    }
    throw new MeterError('a number of more than ten bytes');
  }
  name() {
    const size = this.u32();
    this.skip(size);
    return new TextDecoder().decode(this.bytes.subarray(this.at - size, this.at));
  }
}

/** A growing list of bytes. */
export class Writer {
  constructor(size = 1024) {
    this.data = new Uint8Array(size);
    this.size = 0;
  }
  get bytes() {
    return this.data.subarray(0, this.size);
  }
  room(/** @type {number} */ count) {
    if (this.size + count <= this.data.length) return;
    const data = new Uint8Array(Math.max(this.data.length * 2, this.size + count));
    data.set(this.bytes);
    this.data = data;
  }
  put(/** @type {number[]} */ ...bytes) {
    this.room(bytes.length);
    for (const byte of bytes) this.data[this.size++] = byte;
    return this;
  }
  copy(/** @type {Uint8Array} */ bytes) {
    this.room(bytes.length);
    this.data.set(bytes, this.size);
    this.size += bytes.length;
    return this;
  }
  u32(/** @type {number} */ value) {
    let rest = value >>> 0;
    for (; rest >= 0x80; rest >>>= 7) this.put((rest & 0x7f) | 0x80);
    return this.put(rest);
  }
  /** Signed LEB128. @param {number | bigint} value an integer of up to 64 bits */
  signed(value) {
    let rest = BigInt(value);
    for (;;) {
      const byte = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && byte < 0x40) || (rest === -1n && byte >= 0x40)) return this.put(byte);
      this.put(byte | 0x80);
    }
  }
  name(/** @type {string} */ text) {
    const bytes = new TextEncoder().encode(text);
    return this.u32(bytes.length).copy(bytes);
  }
}
