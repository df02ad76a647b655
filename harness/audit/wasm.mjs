// The parts of a wasm file that say what it can reach. Bytes from anywhere: the engine validates first.
// https://webassembly.github.io/spec/core/binary/modules.html

import { allowRelaxedSimd } from '../runtimes.mjs';

const [IMPORT, TABLE, MEMORY, START] = [2, 4, 5, 8];
const KIND = { table: 1, memory: 2, global: 3 };

class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  byte() {
    if (this.at >= this.bytes.length) throw new Error('cut');
    return this.bytes[this.at++];
  }
  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80 || shift > 63) return value;
    }
  }
  skip(size) {
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }
  limits() {
    const flags = this.number();
    return { min: this.number(), max: flags & 1 ? this.number() : null, shared: (flags & 2) !== 0 };
  }
}

/** @typedef {{ min: number, max: number | null, shared: boolean, imported: boolean }} Limits */

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {{ imports: WebAssembly.ModuleImportDescriptor[], exports: WebAssembly.ModuleExportDescriptor[],
 *   memories: Limits[], tables: number, start: boolean, metered: boolean } | null} null: not a valid module
 */
export function readWasm(bytes) {
  allowRelaxedSimd();
  if (!WebAssembly.validate(bytes)) return null;
  const module = new WebAssembly.Module(bytes);
  const exports = WebAssembly.Module.exports(module);
  const found = {
    imports: WebAssembly.Module.imports(module),
    exports,
    memories: /** @type {Limits[]} */ ([]),
    tables: 0,
    start: false,
    metered: exports.some(({ name }) => name === 'wai_fuel_get'),
  };
  const file = new Reader(bytes.subarray(8));
  while (file.at < file.bytes.length) {
    const id = file.byte();
    const body = new Reader(file.skip(file.number()));
    if (id === IMPORT) readImports(body, found);
    else if (id === MEMORY)
      for (let n = body.number(); n > 0; n--)
        found.memories.push({ ...body.limits(), imported: false });
    else if (id === TABLE) found.tables += body.number();
    else if (id === START) found.start = true;
  }
  return found;
}

/** Up to the last memory; what is behind an unknown kind is left. */
function readImports(body, found) {
  for (let n = body.number(); n > 0; n--) {
    body.skip(body.number());
    body.skip(body.number());
    const kind = body.byte();
    if (kind === 0) body.number();
    else if (kind === KIND.memory) found.memories.push({ ...body.limits(), imported: true });
    else if (kind === KIND.global) body.skip(2);
    else if (kind === KIND.table) {
      found.tables++;
      body.byte();
      body.limits();
    } else return;
  }
}
