// The few parts of a wasm file that the rules look at: memory limits and function names.
// https://webassembly.github.io/spec/core/binary/modules.html, appendix "Custom Sections"

const [CUSTOM, IMPORT, MEMORY] = [0, 2, 5];
const [FUNC, TABLE, MEM, GLOBAL] = [0, 1, 2, 3];
const FUNCTION_NAMES = 1;

class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  get done() {
    return this.at >= this.bytes.length;
  }
  byte() {
    return this.bytes[this.at++];
  }
  u32() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }
  take(size) {
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }
  name() {
    return new TextDecoder().decode(this.take(this.u32()));
  }
  limits() {
    const flags = this.u32();
    return { min: this.u32(), max: flags & 1 ? this.u32() : null };
  }
}

/** @param {Uint8Array} bytes */
function sections(bytes) {
  const reader = new Reader(bytes.subarray(8));
  const found = [];
  while (!reader.done) found.push({ id: reader.byte(), body: reader.take(reader.u32()) });
  return found;
}

/** Limits in pages of the one memory, imported or own. @param {Uint8Array} bytes */
export function memoryLimits(bytes) {
  for (const { id, body } of sections(bytes)) {
    const reader = new Reader(body);
    if (id === MEMORY && reader.u32() > 0) return reader.limits();
    if (id !== IMPORT) continue;
    for (let count = reader.u32(); count > 0; count--) {
      reader.name();
      reader.name();
      const kind = reader.byte();
      if (kind === MEM) return reader.limits();
      if (kind === FUNC) reader.u32();
      else if (kind === TABLE) {
        reader.byte();
        reader.limits();
      } else if (kind === GLOBAL) reader.take(2);
      else throw new Error(`import kind ${kind}`);
    }
  }
  throw new Error('the module has no memory');
}

/** Names of all functions, of a file that still has its name section. @param {Uint8Array} bytes */
export function functionNames(bytes) {
  const names = [];
  for (const { id, body } of sections(bytes)) {
    const reader = new Reader(body);
    if (id !== CUSTOM || reader.name() !== 'name') continue;
    while (!reader.done) {
      const kind = reader.byte();
      const part = new Reader(reader.take(reader.u32()));
      if (kind !== FUNCTION_NAMES) continue;
      for (let count = part.u32(); count > 0; count--) {
        part.u32();
        names.push(part.name());
      }
    }
  }
  return names;
}
