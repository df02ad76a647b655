// .pb, one ONNX TensorProto: what the ONNX test suites store inputs in.
import { WasmAIError } from '../../web/errors.js';
import { arrayFromBytes, dtypeByOnnx, elementCount } from '../dtypes.mjs';
import { Tensor } from './onnx_schema.mjs';

// Where a tensor's elements are when they are not in rawData.
const FIELDS = {
  float32: 'floatData',
  float64: 'doubleData',
  int64: 'int64Data',
  uint64: 'uint64Data',
  uint32: 'uint64Data',
};

/**
 * @param {Uint8Array} bytes @param {string} where
 * @returns {import('../dtypes.mjs').HostTensor & {name: string}}
 */
export function readTensorProto(bytes, where) {
  const refuse = (why) => new WasmAIError('MALFORMED', where, why);
  let proto;
  try {
    proto = Tensor.decode(bytes);
  } catch (error) {
    throw refuse(`is not an ONNX TensorProto: ${error.message}`);
  }
  if (!proto.dataType) throw refuse('is not an ONNX TensorProto: it has no element type');
  const row = dtypeByOnnx(proto.dataType);
  if (row === undefined) {
    throw new WasmAIError('UNSUPPORTED', where, `elements of ONNX type ${proto.dataType}`);
  }
  if (proto.dataLocation === 1) {
    throw new WasmAIError('UNSUPPORTED', where, 'its data is in another file (external data)');
  }
  const dims = proto.dims.map(Number);
  if (dims.some((dim) => dim < 0 || !Number.isSafeInteger(dim))) throw refuse('has a bad shape');
  const count = elementCount(dims);
  if (row.name === 'int4' || row.name === 'uint4') {
    return { name: proto.name, dtype: row.name, dims, data: fromHalves(row, proto, count, refuse) };
  }
  const data = proto.rawData?.length
    ? fromRaw(row, proto.rawData, count, refuse)
    : fromField(row, proto[FIELDS[row.name] ?? 'int32Data'], count, refuse);
  return { name: proto.name, dtype: row.name, dims, data };
}

function fromRaw(row, raw, count, refuse) {
  const want = count * row.array.BYTES_PER_ELEMENT;
  if (raw.length !== want) throw refuse(`the shape needs ${want} bytes, it has ${raw.length}`);
  return arrayFromBytes(row, raw);
}

// Two elements in a byte, the first in its lower half.
function fromHalves(row, { rawData, int32Data }, count, refuse) {
  const bytes = rawData?.length ? rawData : int32Data;
  const want = Math.ceil(count / 2);
  if (bytes.length !== want) throw refuse(`the shape needs ${want} bytes, it has ${bytes.length}`);
  const halves = Array.from({ length: count }, (_, i) => (bytes[i >> 1] >> (4 * (i & 1))) & 15);
  return new row.array(row.name === 'int4' ? halves.map((half) => (half ^ 8) - 8) : halves);
}

function fromField(row, values, count, refuse) {
  if (values.length !== count) {
    throw refuse(`the shape needs ${count} elements, it has ${values.length}`);
  }
  const data = new row.array(count);
  const big = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (let i = 0; i < count; i++) data[i] = big ? BigInt(String(values[i])) : Number(values[i]);
  return data;
}
