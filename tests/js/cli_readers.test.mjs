// What `run --input` reads, and that bad files are refused by name.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { DTYPES, dtypeByNpy, halfToNumber, numberToHalf } from '../../harness/dtypes.mjs';
import { readImage } from '../../harness/readers/image.mjs';
import { random, readInputs } from '../../harness/readers/index.mjs';
import { readNpy } from '../../harness/readers/npy.mjs';
import { Tensor } from '../../harness/readers/onnx_schema.mjs';
import { readTensorProto } from '../../harness/readers/pb.mjs';
import { writeNpy } from '../../harness/writers/npy.mjs';
import { folderFor } from './cli_support.mjs';

test('.npy: every element type comes back as it was written', () => {
  for (const { name, array, npy } of DTYPES) {
    if (dtypeByNpy(npy)?.name !== name) continue; // its bits are those of another type
    for (const dims of [[], [3], [2, 3], [1, 0, 2]]) {
      const count = dims.reduce((product, dim) => product * dim, 1);
      const data = new array(count);
      for (let i = 0; i < count; i++) data[i] = typeof data[0] === 'bigint' ? BigInt(i) : i % 2;
      assert.deepEqual(readNpy(writeNpy({ dtype: name, dims, data }), 'x'), {
        dtype: name,
        dims,
        data,
      });
    }
  }
});

test('.npy: a file cut anywhere is refused', () => {
  const whole = writeNpy({ dtype: 'float32', dims: [4], data: new Float32Array(4) });
  for (let size = 0; size < whole.length; size++) {
    assert.throws(
      () => readNpy(whole.subarray(0, size), 'cut.npy'),
      { code: 'MALFORMED' },
      `${size}`,
    );
  }
  assert.throws(() => readNpy(Buffer.concat([whole, Buffer.alloc(1)]), 'x'), /the file has 17/);
});

/** A version 1 file with this header. */
function npyWith(header, size = 16) {
  const start = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  start.writeUInt16LE(header.length, 8);
  return Buffer.concat([start, Buffer.from(header, 'latin1'), Buffer.alloc(size)]);
}

test('.npy: what is not understood is refused by name', () => {
  const header = (descr, order, shape) =>
    `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
  /** @type {any[]} */
  const rows = [
    [header("'>f4'", 'False', '(4,)'), /big-endian/],
    [header("'<f4'", 'True', '(2, 2)'), /Fortran order/],
    [header("'<c8'", 'False', '(2,)'), /elements of type '<c8'/],
    [header("'|O'", 'False', '(2,)'), /elements of type '\|O'/],
    [header("[('a', '<f4')]", 'False', '(4,)'), /structured array/],
    [header("'<f4'", 'False', '(5,)'), /needs 20 bytes of data, the file has 16/],
    [header("'<f4'", 'False', '(99999999999999999999,)'), /shape/],
    [`${header("'<f4'", 'False', '(4,)')}x`, /not what NumPy writes/],
    ['', /not what NumPy writes/],
  ];
  for (const [text, message] of rows) assert.throws(() => readNpy(npyWith(text), 'x.npy'), message);
  // One dimension has no order, so the flag does not matter.
  assert.equal(readNpy(npyWith(header("'<f4'", 'True', '(4,)')), 'x').data.length, 4);
});

test('.pb: raw and typed data of a TensorProto', () => {
  const tensor = (fields) => readTensorProto(Tensor.encode(fields).finish(), 'x.pb');
  assert.deepEqual(
    tensor({ dims: [2], dataType: 1, floatData: [1, 2] }).data,
    Float32Array.of(1, 2),
  );
  assert.deepEqual(
    tensor({ dims: [2], dataType: 7, int64Data: [-1, 2] }).data,
    BigInt64Array.of(-1n, 2n),
  );
  assert.deepEqual(
    tensor({ dims: [1], dataType: 10, int32Data: [15360] }).data,
    Uint16Array.of(15360),
  );
  assert.deepEqual(tensor({ dims: [2], dataType: 9, int32Data: [0, 1] }).data, Uint8Array.of(0, 1));
  const rawData = new Uint8Array(Float64Array.of(0.5).buffer);
  assert.deepEqual(tensor({ dims: [1], dataType: 11, rawData }).data, Float64Array.of(0.5));
  assert.throws(
    () => tensor({ dims: [3], dataType: 1, floatData: [1] }),
    /needs 3 elements, it has 1/,
  );
  assert.throws(() => tensor({ dims: [3], dataType: 1, rawData }), /needs 12 bytes, it has 8/);
  assert.throws(() => tensor({ dims: [1], dataType: 14, rawData }), /ONNX type 14/);
  assert.throws(() => tensor({ dims: [1], dataType: 1, dataLocation: 1 }), /external data/);
  assert.throws(() => tensor({ dims: [-1], dataType: 1 }), /bad shape/);
  assert.throws(() => readTensorProto(Uint8Array.of(255, 255), 'x.pb'), { code: 'MALFORMED' });
});

test('float16 converts both ways, every pattern', () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = halfToNumber(bits);
    if (!Number.isNaN(value)) assert.equal(numberToHalf(value), bits);
  }
  assert.equal(numberToHalf(65520), 0x7c00); // rounds to infinity
  assert.equal(numberToHalf(2 ** -25), 0); // tie to even
  assert.ok(Number.isNaN(halfToNumber(numberToHalf(NaN))));
});

/** A PNG whose pixel (x, y) is paint(x, y) = [r, g, b]. */
function png(width, height, paint) {
  const image = new PNG({ width, height });
  for (let i = 0; i < width * height; i++) {
    image.data.set([...paint(i % width, Math.floor(i / width)), 255], i * 4);
  }
  return new Uint8Array(PNG.sync.write(image));
}

const near = (a, b, tolerance = 1e-6) =>
  assert.ok(Math.abs(a - b) <= tolerance, `${a} is not within ${tolerance} of ${b}`);

test('images: layout, scale, mean and std', () => {
  const bytes = png(2, 1, (x) => (x === 0 ? [255, 0, 0] : [0, 255, 0]));
  const slot = (dims, dtype = 'float32') => ({ name: 'image', dtype, dims });
  const nchw = readImage(bytes, 'x.png', slot([1, 3, 1, 2]), {});
  assert.deepEqual([...nchw.data], [1, 0, 0, 1, 0, 0]);
  const nhwc = readImage(bytes, 'x.png', slot([1, 1, 2, 3]), { layout: 'nhwc' });
  assert.deepEqual([...nhwc.data], [1, 0, 0, 0, 1, 0]);
  const torch = readImage(bytes, 'x.png', slot([1, 3, 1, 2]), { mean: '0.5', std: '0.5,0.25,1' });
  assert.deepEqual([...torch.data], [1, -1, -2, 2, -0.5, -0.5]);
  const caffe = readImage(bytes, 'x.png', slot([1, 3, 1, 2]), { mean: '127.5', std: '127.5' });
  assert.deepEqual([...caffe.data], [1, -1, -1, 1, -1, -1]);
  const raw = readImage(bytes, 'x.png', slot([1, 3, 1, 2]), { scale: '1' });
  assert.deepEqual([...raw.data], [255, 0, 0, 255, 0, 0]);
  const byte = readImage(bytes, 'x.png', slot([1, 3, 1, 2], 'uint8'), {});
  assert.deepEqual(byte.data, Uint8Array.of(255, 0, 0, 255, 0, 0));
  const gray = readImage(bytes, 'x.png', slot([1, 1, 1, 2]), { scale: '1' });
  assert.deepEqual([...gray.data], [76, 150]);
});

test('images: resizing keeps a flat picture flat and averages when it shrinks', () => {
  const slot = { name: 'image', dtype: 'float32', dims: [1, 3, 5, 7] };
  const flat = readImage(
    png(16, 9, () => [51, 102, 204]),
    'x.png',
    slot,
    {},
  );
  for (const [i, value] of flat.data.entries()) near(value, [0.2, 0.4, 0.8][Math.floor(i / 35)]);
  const board = png(64, 64, (x, y) => ((x + y) % 2 ? [255, 255, 255] : [0, 0, 0]));
  const small = readImage(board, 'x.png', { name: 'i', dtype: 'float32', dims: [1, 3, 4, 4] }, {});
  for (const value of small.data) near(value, 0.5, 0.01);
  const photo = jpeg.encode({ width: 8, height: 8, data: Buffer.alloc(256, 128) }, 90).data;
  const read = readImage(photo, 'x.jpg', { name: 'i', dtype: 'float32', dims: [1, 3, 8, 8] }, {});
  for (const value of read.data) near(value, 128 / 255, 0.02);
});

test('images: what does not fit is refused', () => {
  const bytes = png(2, 2, () => [0, 0, 0]);
  const slot = { name: 'image', dtype: 'float32', dims: [1, 3, 2, 2] };
  /** @type {any[]} */
  const rows = [
    [bytes, { ...slot, dtype: 'int64' }, {}, /an image cannot feed image/],
    [bytes, { ...slot, dims: [2, 3, 2, 2] }, {}, /one image cannot feed/],
    [bytes, { ...slot, dims: [1, 10] }, {}, /one image cannot feed/],
    [bytes, { ...slot, dims: [1, 5, 2, 2] }, {}, /has 5 channels/],
    [bytes, slot, { layout: 'nwhc' }, /must be nchw or nhwc/],
    [bytes, slot, { imageSize: '4x4' }, /4x4 does not fit image, which takes 2x2/],
    [bytes, slot, { mean: '1,2' }, /--mean: needs 1 or 3 numbers, got 2/],
    [bytes, slot, { std: '0' }, /--std: must not be 0/],
    [bytes, slot, { std: 'a' }, /must be numbers/],
    [bytes.subarray(0, 40), slot, {}, /cannot be decoded/],
    [Uint8Array.of(1, 2, 3, 4), slot, {}, /neither a PNG nor a JPEG/],
  ];
  for (const [file, place, options, message] of rows) {
    assert.throws(() => readImage(file, 'x.png', place, options), message);
  }
  const huge = bytes.slice();
  new DataView(huge.buffer, huge.byteOffset).setUint32(16, 0x7fffffff);
  assert.throws(() => readImage(huge, 'x.png', slot, {}), { code: 'LIMIT' });
});

test('inputs: names may hold = and :, one input needs no name', async (t) => {
  const folder = folderFor(t);
  const file = join(folder, 'a.npy');
  writeFileSync(file, writeNpy({ dtype: 'float32', dims: [2], data: Float32Array.of(1, 2) }));
  /** @returns {import('../../web/wasmai.d.ts').Slot} */
  const slot = (name) => ({ name, dtype: 'float32', dims: [2] });
  const one = await readInputs([file], [slot('x')], {});
  assert.deepEqual(one.x.data, Float32Array.of(1, 2));
  const odd = await readInputs([`a=b:0=${file}`, 'a=zeros'], [slot('a'), slot('a=b:0')], {});
  assert.deepEqual(odd['a=b:0'].data, Float32Array.of(1, 2));
  assert.deepEqual(odd.a.data, new Float32Array(2));

  const two = [slot('image'), slot('mask')];
  /** @type {any[]} */
  const refused = [
    [['image=zeros'], two, /mask: this input \(float32 \[2\]\) has no value/],
    [['imago=zeros', 'mask=zeros'], two, /no input "imago"; did you mean "image"\?/],
    [[file, 'mask=zeros', file], two, /name the input/],
    [['image=zeros', 'image=zeros'], two, /image is given twice/],
    [['image=x.txt', 'mask=zeros'], two, /this kind of input is not known; known: .npy/],
    [[file], [{ ...slot('x'), dims: [3] }], /takes float32 \[3\], the file has float32 \[2\]/],
    [[file], [{ ...slot('x'), dtype: 'int32' }], /convert it with x.astype\('int32'\)/],
  ];
  for (const [texts, slots, message] of refused) {
    await assert.rejects(readInputs(texts, slots, {}), message);
  }
});

test('random inputs depend on the seed alone', () => {
  for (const { name: dtype } of DTYPES) {
    const slot = { name: 'x', dtype, dims: [64] };
    assert.deepEqual(random(slot, 7), random(slot, 7));
    assert.notDeepEqual(random(slot, 7).data, random(slot, 8).data);
  }
  assert.ok(
    random({ name: 'x', dtype: 'float32', dims: [1000] }, 1).data.every((v) => v >= -1 && v < 1),
  );
});
