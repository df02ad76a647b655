/**
 * Tensors on the JavaScript side: names of element types, the Tensor class, and
 * the checks that a feed passes before one byte of it is copied.
 */
import { closestName, WasmAIError } from './errors.js';

/** @typedef {import('./wasmai.d.ts').DType} DType */
/** @typedef {import('./wasmai.d.ts').Slot} Slot */
/** @typedef {import('./wasmai.d.ts').TypedArray} TypedArray */
/** @typedef {{ name: DType, size: number, array: any, accepts: any[] }} DTypeRow */

/** Of inputs or of outputs: a list of 2^32 - 1 holes would keep the page busy for minutes. */
export const MAX_SLOTS = 1024;

/** Float16Array is younger than this library's oldest browser. */
const Float16 = /** @type {any} */ (globalThis).Float16Array;

/** Index is the number of wai_dtype in wasmai.h: it is in packages, never renumbered.
 * @type {(DTypeRow | null)[]} */
const DTYPES = [
  null,
  { name: 'float32', size: 4, array: Float32Array, accepts: [] },
  { name: 'float16', size: 2, array: Float16 ?? Uint16Array, accepts: [Uint16Array] },
  { name: 'float64', size: 8, array: Float64Array, accepts: [] },
  { name: 'int8', size: 1, array: Int8Array, accepts: [] },
  { name: 'uint8', size: 1, array: Uint8Array, accepts: [Uint8ClampedArray] },
  { name: 'int16', size: 2, array: Int16Array, accepts: [] },
  { name: 'uint16', size: 2, array: Uint16Array, accepts: [] },
  { name: 'int32', size: 4, array: Int32Array, accepts: [] },
  { name: 'uint32', size: 4, array: Uint32Array, accepts: [] },
  { name: 'int64', size: 8, array: BigInt64Array, accepts: [] },
  { name: 'uint64', size: 8, array: BigUint64Array, accepts: [] },
  { name: 'bool', size: 1, array: Uint8Array, accepts: [] },
  { name: 'bfloat16', size: 2, array: Uint16Array, accepts: [] },
  { name: 'float8e4m3fn', size: 1, array: Uint8Array, accepts: [] },
  { name: 'float8e4m3fnuz', size: 1, array: Uint8Array, accepts: [] },
  { name: 'float8e5m2', size: 1, array: Uint8Array, accepts: [] },
  { name: 'float8e5m2fnuz', size: 1, array: Uint8Array, accepts: [] },
  { name: 'uint4', size: 1, array: Uint8Array, accepts: [] },
  { name: 'int4', size: 1, array: Int8Array, accepts: [] },
];

/** @type {Map<string, DTypeRow>} */
const BY_NAME = new Map();
for (const row of DTYPES) if (row) BY_NAME.set(row.name, row);

/** @param {number} number @returns {DTypeRow | null} */
export function dtypeOfNumber(number) {
  return DTYPES[number] ?? null;
}

/** @param {DType} name @returns {DTypeRow} */
export function dtypeOfName(name) {
  const row = BY_NAME.get(name);
  if (row) return row;
  const close = closestName(String(name), BY_NAME.keys());
  throw new WasmAIError(
    'ARGUMENT',
    'Tensor',
    `there is no dtype "${name}"${
      close ? `; did you mean "${close}"?` : `; use one of ${[...BY_NAME.keys()].join(', ')}`
    }`,
  );
}

/** @param {DTypeRow} row @param {unknown} data */
function arrayFits(row, data) {
  return data instanceof row.array || row.accepts.some((type) => data instanceof type);
}

/** @param {readonly number[]} dims */
function countOf(dims) {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** A copy, or null: not at most 8 whole numbers. A hole is none, which some() would pass over.
 * @param {unknown} dims @returns {number[] | null} */
function wholeDims(dims) {
  if (!Array.isArray(dims) || dims.length > 8) return null;
  const copy = [...dims];
  return copy.every((dim) => Number.isSafeInteger(dim) && dim >= 0) ? copy : null;
}

/** @param {unknown} value */
function kindOf(value) {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  return value.constructor?.name ?? 'object';
}

export class Tensor {
  /** @param {DType} dtype @param {TypedArray} data @param {readonly number[]} [dims] */
  constructor(dtype, data, dims) {
    const row = dtypeOfName(dtype);
    if (!arrayFits(row, data)) {
      throw new WasmAIError(
        'ARGUMENT',
        'Tensor',
        `${dtype} needs its data as ${row.array.name}, not ${kindOf(data)}`,
      );
    }
    const shape = dims === undefined ? [data.length] : wholeDims(dims);
    if (!shape) {
      throw new WasmAIError(
        'ARGUMENT',
        'Tensor',
        'dims must be an array of at most 8 whole numbers, none negative',
      );
    }
    if (countOf(shape) !== data.length) {
      throw new WasmAIError(
        'ARGUMENT',
        'Tensor',
        `dims [${shape.join(', ')}] hold ${countOf(shape)} ` +
          `elements, but the data has ${data.length}`,
      );
    }
    this.dtype = dtype;
    this.data = data;
    this.dims = Object.freeze(shape);
    Object.freeze(this);
  }

  /** Number of elements. */
  get size() {
    return this.data.length;
  }
}

/**
 * Check `feeds` against the model's inputs, then copy each into a buffer of its
 * own, in slot order. The caller may change its arrays at once afterwards. An input
 * that is not fed is null if it is among `carried`, else an error.
 * @param {readonly Slot[]} slots @param {Record<string, Tensor | TypedArray>} feeds
 * @param {ReadonlySet<number>} carried @param {(bytes: number) => void} admit  throws where there is no room
 * @returns {(import('./engine.js').Bytes | null)[]}
 */
export function feedsToBuffers(slots, feeds, carried, admit) {
  if (
    feeds === null ||
    typeof feeds !== 'object' ||
    feeds instanceof Tensor ||
    ArrayBuffer.isView(feeds)
  ) {
    throw new WasmAIError(
      'ARGUMENT',
      'run',
      `give the inputs as an object, { ${slots[0]?.name ?? 'name'}: tensor }, not ${kindOf(feeds)}`,
    );
  }
  for (const name of Object.keys(feeds)) indexOfSlot(slots, name, 'input');
  const arrays = slots.map((slot, i) => {
    const feed = Object.hasOwn(feeds, slot.name) ? feeds[slot.name] : undefined;
    return feed === undefined && carried.has(i) ? null : checkFeed(slot, feed);
  });
  checkSymbols(slots, arrays);
  admit(arrays.reduce((sum, given) => sum + (given?.data.byteLength ?? 0), 0));
  return arrays.map((given) => {
    if (given === null) return null;
    const { data, dims } = given;
    const copy = new Uint8Array(data.byteLength);
    copy.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return { dims: [...dims], data: copy.buffer };
  });
}

/** One symbol is one number, in whatever input it stands.
 * @param {readonly Slot[]} slots @param {({ dims: readonly number[] } | null)[]} given */
function checkSymbols(slots, given) {
  /** @type {Map<string, { dim: number, where: string }>} */
  const seen = new Map();
  for (const [i, { name, symbols }] of slots.entries()) {
    const { dims = [] } = given[i] ?? {};
    for (const [axis, dim] of dims.entries()) {
      const symbol = symbols?.[axis]?.name;
      if (symbol === undefined) continue;
      const where = `axis ${axis} of ${name}`;
      const first = seen.get(symbol) ?? { dim, where };
      seen.set(symbol, first);
      if (first.dim !== dim) {
        throw new WasmAIError(
          'ARGUMENT',
          name,
          `${symbol} is ${first.dim} on ${first.where}, but ${dim} on ${where}`,
        );
      }
    }
  }
}

/** "1, 3, n (1 to 512)" @param {Slot} slot */
function dimsText({ dims, symbols }) {
  return dims
    .map((dim, i) => {
      const symbol = symbols?.[i];
      return symbol ? `${symbol.name} (${symbol.min} to ${symbol.max})` : dim;
    })
    .join(', ');
}

/** @param {Slot} slot @param {readonly number[]} dims */
function dimsFit(slot, dims) {
  return (
    dims.length === slot.dims.length &&
    dims.every((dim, i) => dim >= (slot.symbols?.[i]?.min ?? slot.dims[i]) && dim <= slot.dims[i])
  );
}

/** @param {Slot} slot @param {Tensor | TypedArray | undefined} feed
 * @returns {{ data: TypedArray, dims: readonly number[] }} */
function checkFeed(slot, feed) {
  const expected = `expected ${slot.dtype} [${dimsText(slot)}]`;
  const wrong = (/** @type {string} */ got) =>
    new WasmAIError('ARGUMENT', slot.name, `${expected}, got ${got}`);
  if (feed === undefined || feed === null)
    throw wrong('nothing: give this input (no run before carried anything to it)');
  const row = dtypeOfName(slot.dtype);
  if (feed instanceof Tensor) {
    if (feed.dtype !== slot.dtype || !dimsFit(slot, feed.dims))
      throw wrong(`${feed.dtype} [${feed.dims.join(', ')}]`);
    // A detached buffer has length 0 by now, whatever it had in the constructor.
    if (feed.data.length !== countOf(feed.dims))
      throw wrong('a tensor whose buffer was transferred away');
    return feed;
  }
  if (!ArrayBuffer.isView(feed) || feed instanceof DataView)
    throw wrong(`${kindOf(feed)}: use a Tensor or a typed array`);
  if (!arrayFits(row, feed)) throw wrong(`${kindOf(feed)}: use ${row.array.name}`);
  if (slot.symbols) throw wrong(`${kindOf(feed)}: use a Tensor, which says its dims`);
  const count = countOf(slot.dims);
  if (feed.length !== count) throw wrong(`${feed.length} elements instead of ${count}`);
  return { data: feed, dims: slot.dims };
}

/**
 * The index of each named output; all of them when nothing was asked for.
 * @param {readonly Slot[]} slots @param {readonly string[] | undefined} names @returns {number[]}
 */
export function outputIndices(slots, names) {
  if (names === undefined) return slots.map((_, i) => i);
  if (!Array.isArray(names))
    throw new WasmAIError('ARGUMENT', 'outputs', 'must be an array of names of outputs');
  return [...new Set(names)].map((name) => indexOfSlot(slots, name, 'output'));
}

/**
 * Options' { input: output } as pairs of indices [output, input].
 * @param {readonly Slot[]} inputs @param {readonly Slot[]} outputs
 * @param {Readonly<Record<string, string>>} carry @returns {[number, number][]}
 */
export function carryIndices(inputs, outputs, carry) {
  if (carry === null || typeof carry !== 'object' || Array.isArray(carry))
    throw new WasmAIError('ARGUMENT', 'carry', 'must be an object, { input: output }');
  return Object.entries(carry).map(([to, from]) => {
    const input = indexOfSlot(inputs, to, 'input');
    const output = indexOfSlot(outputs, from, 'output');
    const [want, have] = [inputs[input], outputs[output]];
    // What varies is checked when its dims are known.
    const fits = have.varies ? have.dims.length === want.dims.length : dimsFit(want, have.dims);
    if (want.dtype !== have.dtype || !fits) {
      throw new WasmAIError(
        'ARGUMENT',
        to,
        `it is ${want.dtype} [${dimsText(want)}], but output "${from}" is ` +
          `${have.dtype} [${dimsText(have)}]: it cannot be carried`,
      );
    }
    return [output, input];
  });
}

/** @param {readonly Slot[]} slots @param {unknown} name @param {'input' | 'output'} kind */
function indexOfSlot(slots, name, kind) {
  const index = slots.findIndex((slot) => slot.name === name);
  if (index >= 0) return index;
  const names = slots.map((slot) => slot.name);
  const close = closestName(String(name), names);
  throw new WasmAIError(
    'ARGUMENT',
    String(name),
    `the model has no ${kind} of this name; ${
      close ? `did you mean "${close}"?` : `it has ${names.map((known) => `"${known}"`).join(', ')}`
    }`,
  );
}

/**
 * Outputs, in the order of their slots, as named tensors.
 * @param {readonly Slot[]} slots @param {import('./engine.js').Bytes[]} answers
 * @returns {Record<string, Tensor>}
 */
export function answersToOutputs(slots, answers) {
  /** @type {Record<string, Tensor>} */
  const outputs = Object.create(null); // a model may name an output "__proto__"
  slots.forEach((slot, i) => {
    const row = dtypeOfName(slot.dtype);
    const { data, ...answer } = answers[i] ?? {};
    const dims = wholeDims(answer.dims);
    const described =
      dims && (slot.varies ? dims.length === slot.dims.length : dimsFit(slot, dims));
    if (
      !described ||
      !(data instanceof ArrayBuffer) ||
      data.byteLength !== countOf(dims) * row.size
    ) {
      throw new WasmAIError(
        'INTERNAL',
        slot.name,
        'the runtime returned an output of another size than it declared',
      );
    }
    outputs[slot.name] = new Tensor(slot.dtype, new row.array(data), dims);
  });
  return outputs;
}

/**
 * Slots that came out of a worker or a wasm: untrusted, so checked and rebuilt.
 * @param {any} slots @param {string} where @returns {readonly Slot[]}
 */
export function checkSlots(slots, where) {
  const bad = () => new WasmAIError('INTERNAL', where, 'the runtime described its tensors wrongly');
  if (!Array.isArray(slots) || slots.length > MAX_SLOTS) throw bad();
  const names = new Set();
  return Object.freeze(
    [...slots].map((slot) => {
      const { name, dtype, symbols, varies } = slot ?? {};
      const dims = wholeDims(slot?.dims);
      if (typeof name !== 'string' || names.has(name) || !BY_NAME.has(dtype)) throw bad();
      if (!dims) throw bad();
      names.add(name);
      return Object.freeze({
        name,
        dtype,
        dims: Object.freeze(dims),
        ...(symbols !== undefined && { symbols: checkRanges(symbols, dims, bad) }),
        ...(varies !== undefined && { varies: Boolean(varies) }),
      });
    }),
  );
}

/** @param {any} symbols @param {number[]} dims @param {() => WasmAIError} bad */
function checkRanges(symbols, dims, bad) {
  if (!Array.isArray(symbols) || symbols.length !== dims.length) throw bad();
  return Object.freeze(
    [...symbols].map((symbol, i) => {
      if (symbol === null) return null;
      const { name, min, max } = symbol ?? {};
      const range = Number.isSafeInteger(min) && min >= 0 && min <= max && max === dims[i];
      if (typeof name !== 'string' || !range) throw bad();
      return Object.freeze({ name, min, max });
    }),
  );
}
