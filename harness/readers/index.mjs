// What `run --input` takes: a table of file endings, and two generators.
import { extname } from 'node:path';
import { closestName, WasmAIError } from '../../web/errors.js';
import { slotText } from '../dims.mjs';
import { dtypeByName, elementCount, numberToHalf, typeText } from '../dtypes.mjs';
import { readBytes } from '../files.mjs';
import { readImage } from './image.mjs';
import { readNpy } from './npy.mjs';
import { readTensorProto } from './pb.mjs';

/** @typedef {import('../../web/wasmai.d.ts').Slot} Slot */

const READERS = {
  '.npy': (bytes, path) => readNpy(bytes, path),
  '.pb': (bytes, path) => readTensorProto(bytes, path),
  '.png': readImage,
  '.jpg': readImage,
  '.jpeg': readImage,
};

/**
 * `[name=]SOURCE` texts -> one tensor per input of the model.
 * @param {string[]} texts @param {readonly Slot[]} slots
 * @param {import('./image.mjs').ImageOptions} options
 * @param {Record<string, number>} [dims]  of symbolic dims, for what has no dims of its own
 * @returns {Promise<Record<string, import('../dtypes.mjs').HostTensor>>}
 */
export async function readInputs(texts, slots, options, dims = {}) {
  const sources = assignSources(texts, slots);
  checkSymbols(slots, dims);
  const feeds = {};
  for (const slot of slots) {
    const wanted = { ...slot, dims: slot.dims.map((dim, i) => dimOf(slot, i, dims) ?? dim) };
    const tensor = await readSource(sources.get(slot.name), wanted, options);
    checkFeed(tensor, slot, sources.get(slot.name));
    feeds[slot.name] = tensor;
  }
  return feeds;
}

/** What --dim says of an axis. @param {Slot} slot @param {number} axis @param {Record<string, number>} dims */
function dimOf({ symbols }, axis, dims) {
  const symbol = symbols?.[axis];
  return symbol ? dims[symbol.name] : undefined;
}

/** @param {readonly Slot[]} slots @param {Record<string, number>} dims */
function checkSymbols(slots, dims) {
  const known = new Map();
  for (const { symbols = [] } of slots)
    for (const symbol of symbols) if (symbol) known.set(symbol.name, symbol);
  for (const [name, value] of Object.entries(dims)) {
    const symbol = known.get(name);
    const close = closestName(name, [...known.keys()]);
    const wrong = (why) => new WasmAIError('ARGUMENT', `--dim ${name}`, why);
    if (!symbol) {
      throw wrong(
        close
          ? `the package has no such dim; did you mean ${close}?`
          : known.size > 0
            ? `the package has no such dim; it has ${[...known.keys()].join(', ')}`
            : 'all dims of the package are fixed; give a range to `wasm-ai compile`',
      );
    }
    if (!(value >= symbol.min && value <= symbol.max))
      throw wrong(`must be ${symbol.min} to ${symbol.max}, not ${value}`);
  }
}

// A tensor's name may hold "=" and ":", so the model's own names are tried first.
function assignSources(texts, slots) {
  const sources = new Map();
  const nameless = [];
  for (const text of texts) {
    const slot = slots
      .filter(({ name }) => text.startsWith(`${name}=`))
      .sort((a, b) => b.name.length - a.name.length)
      .at(0);
    if (slot === undefined) nameless.push(text);
    else if (sources.has(slot.name)) throw argument(text, `${slot.name} is given twice`);
    else sources.set(slot.name, text.slice(slot.name.length + 1));
  }
  const free = slots.filter(({ name }) => !sources.has(name));
  for (const text of nameless) {
    if (free.length === 1 && nameless.length === 1 && !unknownName(text)) {
      sources.set(free[0].name, text);
      continue;
    }
    const names = slots.map(({ name }) => name);
    const given = unknownName(text) ?? text;
    const close = closestName(given, names);
    throw argument(
      text,
      close
        ? `the model has no input "${given}"; did you mean "${close}"?`
        : `name the input, as NAME=FILE; the model has ${names.map((n) => `"${n}"`).join(', ')}`,
    );
  }
  for (const slot of slots) {
    if (sources.has(slot.name)) continue;
    throw argument(
      slot.name,
      `this input (${typeText(slot)}) has no value; give --input ${slot.name}=FILE, zeros or random:1`,
    );
  }
  return sources;
}

const argument = (text, why) => new WasmAIError('ARGUMENT', `--input ${text}`, why);

// "name" of "name=file.npy" when the part before "=" looks like a name, not a path.
function unknownName(text) {
  return /^([^/\\]+)=/.exec(text)?.[1];
}

async function readSource(source, slot, options) {
  if (source === 'zeros') return zeros(slot);
  const seed = /^random(?::(\d+))?$/.exec(source);
  if (seed) return random(slot, Number(seed[1] ?? 0));
  const reader = READERS[extname(source).toLowerCase()];
  if (reader === undefined) {
    const known = `${Object.keys(READERS).join(', ')}, zeros, random:SEED`;
    throw argument(source, `this kind of input is not known; known: ${known}`);
  }
  return reader(await readBytes(source), source, slot, options);
}

function checkFeed(tensor, slot, source) {
  const least = (i) => slot.symbols?.[i]?.min ?? slot.dims[i];
  const same =
    tensor.dims.length === slot.dims.length &&
    tensor.dims.every((d, i) => d >= least(i) && d <= slot.dims[i]);
  // .npy has no bfloat16 and no 8-bit floats: their bits come as uint16 and uint8.
  if (dtypeByName(tensor.dtype).npy === dtypeByName(slot.dtype).npy) tensor.dtype = slot.dtype;
  if (tensor.dtype === slot.dtype && same) return;
  const convert = tensor.dtype === slot.dtype ? '' : `; convert it with x.astype('${slot.dtype}')`;
  throw new WasmAIError(
    'ARGUMENT',
    source,
    `input "${slot.name}" takes ${slotText(slot)}, the file has ${typeText(tensor)}${convert}`,
  );
}

function zeros({ dtype, dims }) {
  const data = new (dtypeByName(dtype).array)(elementCount(dims));
  return { dtype, dims: [...dims], data };
}

/** Uniform: floats in -1..1, integers in 0..9, bool 0 or 1. The same on every machine. */
export function random(slot, seed) {
  const tensor = zeros(slot);
  const next = mulberry32(seed);
  const make = GENERATORS[slot.dtype] ?? ((unit) => Math.floor(unit * 10));
  for (let i = 0; i < tensor.data.length; i++) tensor.data[i] = make(next());
  return tensor;
}

const GENERATORS = {
  float32: (unit) => unit * 2 - 1,
  float64: (unit) => unit * 2 - 1,
  float16: (unit) => numberToHalf(unit * 2 - 1),
  int64: (unit) => BigInt(Math.floor(unit * 10)),
  uint64: (unit) => BigInt(Math.floor(unit * 10)),
  bool: (unit) => (unit < 0.5 ? 0 : 1),
};

// Tommy Ettinger's mulberry32: 32 bits of state, good enough for test data.
function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
