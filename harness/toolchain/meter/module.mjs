// A wasm module as sections: what the meter needs of it, and the module again with more entries.
// New types, functions, globals and locals come last, so no index of the old code changes.
import { MeterError, Reader, Writer } from './bytes.mjs';

const NAMES =
  'custom type import function table memory global export start element code data datacount';
const [CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, , GLOBAL, EXPORT, START, ELEMENT, CODE] = NAMES.split(
  ' ',
).map((_, i) => i);
const MEMORY_IMPORT = 2;
const MAX_LOCALS = 10000; // each is followed through the function

/**
 * @typedef {{ params: number[], results: number[] }} Type
 * @typedef {{ type: number, at: number, end: number, locals: number, groups: [number, number][] }} Func
 *   at: its first instruction; locals: how many, params included; groups: count and type
 * @typedef {object} Module
 * @property {Uint8Array} bytes
 * @property {Map<number, { at: number, end: number }>} sections
 * @property {Type[]} types
 * @property {Func[]} functions
 * @property {number} globals
 * @property {boolean} shared  its memory is
 * @property {boolean} starts  it has a start function
 * @property {Set<string>} exports
 * @property {Set<number>} entries  functions that the host can call
 * @property {Set<number>} listed  functions that call_indirect can reach
 */

/** @param {Uint8Array} bytes @returns {Module} */
export function readModule(bytes) {
  if (!WebAssembly.validate(/** @type {BufferSource} */ (bytes)))
    throw new MeterError('the module does not validate');
  const sections = new Map();
  const reader = new Reader(bytes, 8);
  while (!reader.done) {
    const id = reader.byte();
    const size = reader.u32();
    const at = reader.at;
    reader.skip(size);
    if (id === CUSTOM)
      throw new MeterError(`custom section "${new Reader(bytes, at).name()}": strip it before`);
    if (!NAMES.split(' ')[id]) throw new MeterError(`section ${id} is not known`);
    sections.set(id, { at, end: at + size });
  }
  /** @template T @param {number} id @param {(reader: Reader, index: number) => T} one @returns {T[]} */
  const list = (id, one) => {
    const section = sections.get(id);
    if (!section) return [];
    const inside = new Reader(bytes, section.at, section.end);
    return Array.from({ length: inside.u32() }, (_, i) => one(inside, i));
  };
  let shared = false;
  list(IMPORT, (r) => {
    const name = `${r.name()}.${r.name()}`;
    if (r.byte() !== MEMORY_IMPORT)
      throw new MeterError(`import ${name}: a metered module imports its memory only`);
    const limits = r.byte();
    shared = (limits & 2) !== 0;
    if (limits & 1) r.u32();
    r.u32();
  });
  const types = list(TYPE, readType);
  const typeOf = list(FUNCTION, (r) => r.u32());
  list(TABLE, (r) => {
    if (r.byte() !== 0x70) throw new MeterError('a table of another type than funcref');
    if (r.byte() & 1) r.u32();
    r.u32();
  });
  const functions = list(CODE, (r, i) => readCode(r, typeOf[i], types));
  const exported = list(EXPORT, readExport);
  const start = sections.get(START);
  const starting = start ? [{ index: new Reader(bytes, start.at, start.end).u32() }] : [];
  return {
    bytes,
    sections,
    types,
    functions,
    shared,
    globals: list(GLOBAL, readGlobal).length,
    starts: sections.has(START),
    exports: new Set(exported.map(({ name }) => name)),
    entries: new Set([...exported, ...starting].map(({ index }) => index)),
    listed: new Set(list(ELEMENT, readElements).flat()),
  };
}

/** @param {Reader} r @returns {Type} */
function readType(r) {
  const form = r.byte();
  if (form !== 0x60) throw new MeterError(`type form 0x${form.toString(16)} is not known`);
  const values = () => Array.from({ length: r.u32() }, () => r.byte());
  return { params: values(), results: values() };
}

/** @param {Reader} r @param {number} type @param {Type[]} types @returns {Func} */
function readCode(r, type, types) {
  const size = r.u32();
  const end = r.at + size;
  const groups = Array.from(
    { length: r.u32() },
    () => /** @type {[number, number]} */ ([r.u32(), r.byte()]),
  );
  const locals = groups.reduce((sum, [count]) => sum + count, types[type].params.length);
  if (locals > MAX_LOCALS) throw new MeterError(`a function with ${locals} locals`);
  const at = r.at;
  r.skip(end - at);
  return { type, at, end, locals, groups };
}

/** @param {Reader} r */
function readConstant(r) {
  const op = r.byte();
  if (op === 0x41 || op === 0x42) r.signed();
  else if (op === 0x43) r.skip(4);
  else if (op === 0x44) r.skip(8);
  else if (op === 0xfd && r.u32() === 12) r.skip(16);
  else throw new MeterError(`initial value by opcode 0x${op.toString(16)}`);
  if (r.byte() !== 0x0b) throw new MeterError('an initial value of more than one instruction');
}

/** @param {Reader} r */
function readGlobal(r) {
  r.skip(2);
  readConstant(r);
}

/** @param {Reader} r */
function readExport(r) {
  const name = r.name();
  const kind = r.byte();
  if (kind === 1)
    throw new MeterError(`export "${name}": a table, whose entries the host could change`);
  if (kind === 3) throw new MeterError(`export "${name}": a global`);
  const index = r.u32();
  return { name, index: kind === 0 ? index : -1 };
}

/** @param {Reader} r */
function readElements(r) {
  const flags = r.u32();
  if (flags !== 0) throw new MeterError(`element segment of form ${flags}`);
  readConstant(r);
  return Array.from({ length: r.u32() }, () => r.u32());
}

/**
 * The module with other code and more of some things.
 * @param {Module} module
 * @param {{ types: Type[], functions: { type: number, body: Uint8Array }[], globals: Uint8Array[],
 *   exports: [string, number][] }} more  entries that come last
 * @param {Uint8Array[]} bodies  of the functions that were there
 */
export function writeModule(module, more, bodies) {
  const { bytes, sections } = module;
  const out = new Writer(bytes.length * 2).copy(bytes.subarray(0, 8));
  const section = (/** @type {number} */ id, /** @type {Writer} */ body) =>
    out.put(id).u32(body.size).copy(body.bytes);
  /** @param {number} id @param {number} count @param {(body: Writer) => void} add */
  const longer = (id, count, add) => {
    const found = sections.get(id);
    const reader = new Reader(bytes, found?.at ?? 0, found?.end ?? 0);
    const body = new Writer().u32((found ? reader.u32() : 0) + count);
    if (found) body.copy(bytes.subarray(reader.at, found.end));
    add(body);
    section(id, body);
  };
  /** @type {Record<number, () => void>} */
  const changed = {
    [TYPE]: () =>
      longer(TYPE, more.types.length, (body) => {
        for (const { params, results } of more.types)
          body
            .put(0x60)
            .u32(params.length)
            .put(...params)
            .u32(results.length)
            .put(...results);
      }),
    [FUNCTION]: () =>
      longer(FUNCTION, more.functions.length, (body) => {
        for (const { type } of more.functions) body.u32(type);
      }),
    [GLOBAL]: () =>
      longer(GLOBAL, more.globals.length, (body) => {
        for (const one of more.globals) body.copy(one);
      }),
    [EXPORT]: () =>
      longer(EXPORT, more.exports.length, (body) => {
        for (const [name, index] of more.exports) body.name(name).put(0).u32(index);
      }),
    [CODE]: () => {
      const all = [...bodies, ...more.functions.map(({ body }) => body)];
      const body = new Writer(bytes.length * 2).u32(all.length);
      for (const one of all) body.u32(one.length).copy(one);
      section(CODE, body);
    },
  };
  const DATACOUNT = 12;
  for (const id of [1, 2, 3, 4, 5, 6, 7, START, 9, DATACOUNT, 10, 11]) {
    const found = sections.get(id);
    if (changed[id]) changed[id]();
    else if (found) section(id, new Writer().copy(bytes.subarray(found.at, found.end)));
  }
  return out.bytes.slice();
}
