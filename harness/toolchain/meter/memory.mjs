// Another maximum for the memory of a linked module: the linker's is for every use of it.
import { MeterError, Reader, Writer } from './bytes.mjs';

const MEMORY = 5;
const HAS_MAXIMUM = 1;

/** @param {Uint8Array} bytes a module with a memory of its own @param {number} pages @returns {Uint8Array<ArrayBuffer>} */
export function limitMemory(bytes, pages) {
  const out = new Writer(bytes.length + 16).copy(bytes.subarray(0, 8));
  const reader = new Reader(bytes, 8);
  let found = false;
  while (!reader.done) {
    const start = reader.at;
    const id = reader.byte();
    const size = reader.u32();
    const inside = new Reader(bytes, reader.at, reader.at + size);
    reader.skip(size);
    if (id !== MEMORY) {
      out.copy(bytes.subarray(start, reader.at));
      continue;
    }
    const [count, flags, least] = [inside.u32(), inside.byte(), inside.u32()];
    if (count !== 1 || flags > HAS_MAXIMUM || least > pages)
      throw new MeterError(`its memory cannot be limited to ${pages} pages`);
    const section = new Writer(16).u32(count).put(HAS_MAXIMUM).u32(least).u32(pages);
    out.put(id).u32(section.size).copy(section.bytes);
    found = true;
  }
  if (!found) throw new MeterError('it has no memory of its own');
  return out.bytes.slice();
}
