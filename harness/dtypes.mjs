// Element types: one row each, with every name the outside world uses for it.
// `number` is wai_dtype of core/include/wasmai.h, `onnx` is TensorProto.DataType.

/**
 * @typedef {{name: string, number: number, onnx: number, npy: string, short: string, array: any}} DtypeRow
 *
 * @typedef {object} HostTensor
 * @property {string} dtype
 * @property {number[]} dims
 * @property {any} data  a typed array: int64 is BigInt64Array, float16 Uint16Array, bool Uint8Array
 */

/** @type {DtypeRow[]} */
export const DTYPES = [
  { name: 'float32', number: 1, onnx: 1, npy: 'f4', short: 'f32', array: Float32Array },
  { name: 'float16', number: 2, onnx: 10, npy: 'f2', short: 'f16', array: Uint16Array },
  { name: 'float64', number: 3, onnx: 11, npy: 'f8', short: 'f64', array: Float64Array },
  { name: 'int8', number: 4, onnx: 3, npy: 'i1', short: 'i8', array: Int8Array },
  { name: 'uint8', number: 5, onnx: 2, npy: 'u1', short: 'u8', array: Uint8Array },
  { name: 'int16', number: 6, onnx: 5, npy: 'i2', short: 'i16', array: Int16Array },
  { name: 'uint16', number: 7, onnx: 4, npy: 'u2', short: 'u16', array: Uint16Array },
  { name: 'int32', number: 8, onnx: 6, npy: 'i4', short: 'i32', array: Int32Array },
  { name: 'uint32', number: 9, onnx: 12, npy: 'u4', short: 'u32', array: Uint32Array },
  { name: 'int64', number: 10, onnx: 7, npy: 'i8', short: 'i64', array: BigInt64Array },
  { name: 'uint64', number: 11, onnx: 13, npy: 'u8', short: 'u64', array: BigUint64Array },
  { name: 'bool', number: 12, onnx: 9, npy: 'b1', short: 'bool', array: Uint8Array },
  // NumPy has none of these: .npy holds their bits as whole numbers.
  { name: 'bfloat16', number: 13, onnx: 16, npy: 'u2', short: 'bf16', array: Uint16Array },
  { name: 'float8e4m3fn', number: 14, onnx: 17, npy: 'u1', short: 'f8e4m3fn', array: Uint8Array },
  {
    name: 'float8e4m3fnuz',
    number: 15,
    onnx: 18,
    npy: 'u1',
    short: 'f8e4m3fnuz',
    array: Uint8Array,
  },
  { name: 'float8e5m2', number: 16, onnx: 19, npy: 'u1', short: 'f8e5m2', array: Uint8Array },
  {
    name: 'float8e5m2fnuz',
    number: 17,
    onnx: 20,
    npy: 'u1',
    short: 'f8e5m2fnuz',
    array: Uint8Array,
  },
  // One element per byte.
  { name: 'uint4', number: 18, onnx: 21, npy: 'u1', short: 'u4', array: Uint8Array },
  { name: 'int4', number: 19, onnx: 22, npy: 'i1', short: 'i4', array: Int8Array },
];

/** @param {'name' | 'number' | 'onnx' | 'npy' | 'short'} key @returns {Map<any, DtypeRow>} */
const index = (key) => new Map(DTYPES.toReversed().map((row) => [row[key], row])); // the first wins
const [BY_NAME, BY_NUMBER, BY_ONNX, BY_NPY, BY_SHORT] = [
  index('name'),
  index('number'),
  index('onnx'),
  index('npy'),
  index('short'),
];

/** @param {string} name  one that is known to be in the table */
export const dtypeByName = (name) => /** @type {DtypeRow} */ (BY_NAME.get(name));
export const dtypeByNumber = (number) => BY_NUMBER.get(number);
export const dtypeByOnnx = (number) => BY_ONNX.get(number);
export const dtypeByNpy = (code) => BY_NPY.get(code);
export const dtypeByShort = (name) => BY_SHORT.get(name);

/** Elements of a shape; not safe to allocate before it is compared with what is there. */
export const elementCount = (dims) => dims.reduce((product, dim) => product * dim, 1);

/** "float32 [1, 3, 224, 224]" */
export const typeText = ({ dtype, dims }) => `${dtype} [${dims.join(', ')}]`;

/**
 * Bytes (any alignment) as the typed array of `row`, copied.
 * @param {DtypeRow} row @param {Uint8Array} bytes
 */
export function arrayFromBytes(row, bytes) {
  const copy = new Uint8Array(bytes); // Buffer's slice() would share and be misaligned
  return new row.array(copy.buffer, 0, copy.byteLength / row.array.BYTES_PER_ELEMENT);
}

/** The bytes behind a typed array, not copied. */
export function bytesOf(array) {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** IEEE binary16 bits -> number @param {number} bits */
export function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const wide = new Float32Array(1);
const wideBits = new Uint32Array(wide.buffer);

/** number -> IEEE binary16 bits, rounded to nearest even @param {number} value */
export function numberToHalf(value) {
  wide[0] = value;
  const bits = wideBits[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: count of 2^-24 steps, ties to even.
    const steps = Math.abs(wide[0]) * 2 ** 24;
    const below = Math.floor(steps);
    const rest = steps - below;
    return sign | (below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0));
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13);
}

// Bits of the exponent's place, its bias, and the first code that is no number.
const FLOAT8 = {
  float8e4m3fn: { mantissa: 3, bias: 7, end: 0x7f },
  float8e4m3fnuz: { mantissa: 3, bias: 8, end: 0x80 },
  float8e5m2: { mantissa: 2, bias: 15, end: 0x7c },
  float8e5m2fnuz: { mantissa: 2, bias: 16, end: 0x80 },
};

/** The bits of an 8-bit float -> number @param {string} dtype @param {number} bits */
export function float8ToNumber(dtype, bits) {
  const { mantissa, bias, end } = FLOAT8[dtype];
  const sign = bits & 0x80 ? -1 : 1;
  const rest = bits & 0x7f;
  if (end === 0x80 && bits === 0x80) return NaN;
  if (rest >= end) return dtype === 'float8e5m2' && rest === end ? sign * Infinity : NaN;
  const exponent = rest >> mantissa;
  const fraction = (rest & (2 ** mantissa - 1)) + (exponent > 0 ? 2 ** mantissa : 0);
  return sign * fraction * 2 ** (Math.max(exponent, 1) - bias - mantissa);
}

/** @param {number} bits */
export function bfloat16ToNumber(bits) {
  wideBits[0] = bits << 16;
  return wide[0];
}

/** Element `i` of a host tensor's data as a number (an int64 may lose low bits). */
export function valueAt({ dtype, data }, i) {
  if (dtype === 'float16' && data instanceof Uint16Array) return halfToNumber(data[i]);
  if (dtype === 'bfloat16') return bfloat16ToNumber(data[i]);
  return Object.hasOwn(FLOAT8, dtype) ? float8ToNumber(dtype, data[i]) : Number(data[i]);
}
