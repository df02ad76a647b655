// .npy, NumPy's array file, versions 1 to 3. Strict: what is not understood is
// refused by name. (The npm readers were tried: they accept big-endian and
// Fortran-ordered files as if they were not, and leave dims unchecked.)
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
import { WasmAIError } from '../../web/errors.js';
import { arrayFromBytes, dtypeByNpy, elementCount } from '../dtypes.mjs';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY
const MAX_RANK = 32;

/**
 * @param {Uint8Array} bytes @param {string} where  the file's name, for messages
 * @returns {import('../dtypes.mjs').HostTensor}
 */
export function readNpy(bytes, where) {
  const refuse = (why) => new WasmAIError('MALFORMED', where, why);
  if (bytes.length < 10 || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw refuse('is not an .npy file');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[6];
  if (version < 1 || version > 3) throw refuse(`.npy format version ${version} is not known`);
  const start = version === 1 ? 10 : 12;
  if (bytes.length < start) throw refuse('the file ends inside its header');
  const headerSize = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (headerSize > bytes.length - start) throw refuse('the file ends inside its header');
  const header = new TextDecoder('latin1').decode(bytes.subarray(start, start + headerSize));

  const { descr, fortran, dims } = parseHeader(header, refuse);
  const row = dtypeOf(descr, where);
  if (fortran && dims.filter((dim) => dim > 1).length > 1) {
    throw new WasmAIError(
      'UNSUPPORTED',
      where,
      'the array is in Fortran order; save numpy.ascontiguousarray(x)',
    );
  }
  const want = elementCount(dims) * row.array.BYTES_PER_ELEMENT;
  const have = bytes.length - start - headerSize;
  if (want !== have) throw refuse(`the shape needs ${want} bytes of data, the file has ${have}`);
  return { dtype: row.name, dims, data: arrayFromBytes(row, bytes.subarray(bytes.length - have)) };
}

// The header is a Python dict literal with exactly these three keys.
function parseHeader(header, refuse) {
  const match =
    /^\{\s*'descr':\s*'([^']*)',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([\d,\sL]*)\),?\s*\}\s*$/.exec(
      header,
    );
  if (match === null) {
    if (/'descr':\s*\[/.test(header)) throw refuse('is a structured array, not a tensor');
    throw refuse('the header is not what NumPy writes');
  }
  const dims = match[3]
    .split(',')
    .map((part) => part.trim().replace(/L$/, ''))
    .filter((part) => part !== '')
    .map(Number);
  if (dims.length > MAX_RANK || dims.some((dim) => !Number.isSafeInteger(dim))) {
    throw refuse('the shape in the header is not usable');
  }
  return { descr: match[1], fortran: match[2] === 'True', dims };
}

function dtypeOf(descr, where) {
  const match = /^([<>|=])([a-zA-Z]\d*)$/.exec(descr);
  const row = match === null ? undefined : dtypeByNpy(match[2]);
  if (match === null || row === undefined) {
    throw new WasmAIError('UNSUPPORTED', where, `elements of type '${descr}' are not supported`);
  }
  if (match[1] === '>' && row.array.BYTES_PER_ELEMENT > 1) {
    throw new WasmAIError('UNSUPPORTED', where, `big-endian elements ('${descr}')`);
  }
  return row;
}
