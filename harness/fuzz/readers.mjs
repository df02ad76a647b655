// Target `readers`: what the command line reads besides models: .npy, .pb, .png, .jpg, the summary
// of an ONNX file, signatures and keys. The first byte of an input says which.

import { generateKeyPairSync } from 'node:crypto';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { parseJws } from '../../web/jws.js';
import { DTYPES, elementCount } from '../dtypes.mjs';
import { readImage } from '../readers/image.mjs';
import { readNpy } from '../readers/npy.mjs';
import { readOnnxSummary } from '../readers/onnx.mjs';
import { Tensor } from '../readers/onnx_schema.mjs';
import { readTensorProto } from '../readers/pb.mjs';
import { privateKeyOf, signFile } from '../signing.mjs';
import { writeNpy } from '../writers/npy.mjs';
import { mutate } from './random.mjs';
import { operatorModels } from './seeds.mjs';

/** An answer holds as many elements as its dims say. */
function whole({ dtype, dims, data }) {
  if (elementCount(dims) !== data.length)
    throw new Error(`${dtype} [${dims}] came with ${data.length} elements`);
  return dtype;
}

const slot = { name: 'x', dtype: 'float32', dims: [1, 3, 16, 16] };
const text = (/** @type {Uint8Array} */ bytes) => new TextDecoder().decode(bytes);

/** @type {((bytes: Uint8Array) => any)[]} */
const READERS = [
  (bytes) => whole(readNpy(bytes, 'x.npy')),
  (bytes) => whole(readTensorProto(bytes, 'x.pb')),
  (bytes) => whole(readImage(bytes, 'x.png', slot)),
  (bytes) => whole(readImage(bytes, 'x.jpg', slot)),
  (bytes) => JSON.stringify(readOnnxSummary(bytes, 'x.onnx')).length && 'summary',
  (bytes) => parseJws(text(bytes), 'x.jws') && 'jws',
  (bytes) => privateKeyOf(text(bytes), 'x.pem') && 'key',
];

const of = (/** @type {number} */ reader, /** @type {Uint8Array} */ bytes) =>
  Buffer.concat([Uint8Array.of(reader), bytes]);

function tensors() {
  return DTYPES.map(({ name, array }, i) => {
    const dims = [[2, 3], [], [0], [1, 2, 1, 3], [6]][i % 5];
    return { dtype: name, dims, data: new array(elementCount(dims)) };
  });
}

function pictures() {
  const [width, height] = [5, 3];
  const data = Buffer.from(Array.from({ length: width * height * 4 }, (_, i) => (i * 37) & 255));
  const png = [0, 2, 4, 6].flatMap((colorType) =>
    [8, 16].map((bitDepth) => {
      const image = new PNG({ width, height });
      data.copy(image.data);
      return PNG.sync.write(image, /** @type {any} */ ({ colorType, bitDepth }));
    }),
  );
  return {
    png,
    jpg: [30, 90].map((quality) => jpeg.encode({ width, height, data }, quality).data),
  };
}

function seeds() {
  const { privateKey } = generateKeyPairSync('ed25519');
  const key = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const facts = { kind: /** @type {const} */ ('manifest'), name: 'manifest.json', version: 3 };
  const signed = signFile(Buffer.from('{}'), { ...facts, key: privateKey });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const { png, jpg } = pictures();
  const protos = tensors().map(({ dims, data }, i) =>
    Tensor.encode({
      dims,
      dataType: DTYPES[i].onnx,
      ...(i % 2
        ? { rawData: new Uint8Array(data.buffer) }
        : { floatData: [1, 2], int32Data: [1], int64Data: [5] }),
    }).finish(),
  );
  return [
    ...tensors().map((tensor) => of(0, writeNpy(tensor))),
    ...protos.map((bytes) => of(1, bytes)),
    ...png.map((bytes) => of(2, bytes)),
    ...jpg.map((bytes) => of(3, bytes)),
    ...operatorModels()
      .filter((_, i) => i % 50 === 0)
      .map((bytes) => of(4, bytes)),
    of(5, Buffer.from(signed.text)),
    of(6, Buffer.from(key)),
    of(6, Buffer.from(String(rsa.privateKey.export({ type: 'pkcs8', format: 'pem' })))),
  ];
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** A decoder stops at the first wrong checksum, so they are made right. @param {Buffer} bytes */
function fixPng(bytes) {
  for (let at = 9; at + 12 <= bytes.length; ) {
    const size = bytes.readUInt32BE(at);
    if (size > bytes.length - at - 12) return bytes;
    let crc = 0xffffffff;
    for (let i = at + 4; i < at + 8 + size; i++) crc = CRC[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
    bytes.writeUInt32BE((crc ^ 0xffffffff) >>> 0, at + 8 + size);
    at += 12 + size;
  }
  return bytes;
}

const WORDS = [
  ...[
    "'shape': (4294967296, 4294967296)",
    "'descr': '>f8'",
    'True',
    '(,)',
    '1e9',
    '99999999999999999999',
  ],
  ...[
    'IHDR',
    'PLTE',
    'tRNS',
    'IDAT',
    'IEND',
    'gAMA',
    '\xff\xd8',
    '\xff\xc0',
    '\xff\xc4',
    '\xff\xdb',
  ],
  ...[
    '\xff\xdd\x00\x04\xff\xff',
    '\xff\xda',
    '\xff\xe1',
    '-----BEGIN PRIVATE KEY-----',
    'eyJ',
    '.',
  ],
].map((word) => Buffer.from(word, 'latin1'));

/** @type {import('./javascript.mjs').Target} */
export const readers = {
  name: 'readers',
  seeds,
  run: (input) => READERS[(input[0] ?? 0) % READERS.length](new Uint8Array(input.subarray(1))),
  change(random, input, donors) {
    const same = donors.filter((donor) => donor[0] === input[0]).map((donor) => donor.subarray(1));
    const body = mutate(random, input.subarray(1), { words: WORDS, donors: same });
    const changed = of(input[0], body);
    return input[0] === 2 && !random.once(4) ? fixPng(changed) : changed;
  },
};
