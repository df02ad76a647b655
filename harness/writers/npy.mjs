// .npy version 1, as numpy.save writes it.
import { bytesOf, dtypeByName } from '../dtypes.mjs';

/** @param {import('../dtypes.mjs').HostTensor} tensor @returns {Uint8Array} */
export function writeNpy({ dtype, dims, data }) {
  const row = dtypeByName(dtype);
  const order = row.array.BYTES_PER_ELEMENT === 1 ? '|' : '<';
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(', ')})`;
  const dict = `{'descr': '${order}${row.npy}', 'fortran_order': False, 'shape': ${shape}, }`;
  const size = Math.ceil((10 + dict.length + 1) / 64) * 64;
  const header = Buffer.alloc(size, ' ');
  header.write('\x93NUMPY\x01\x00', 'latin1');
  header.writeUInt16LE(size - 10, 8);
  header.write(dict, 10, 'latin1');
  header[size - 1] = 0x0a;
  return Buffer.concat([header, bytesOf(data)]);
}
