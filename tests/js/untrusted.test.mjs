// What comes out of the wasm or the worker is believed by nobody: a hostile model may have taken both over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEngine } from '../../web/engine.js';
import { errorFromData } from '../../web/errors.js';
import { answersToOutputs, checkSlots, feedsToBuffers, Tensor } from '../../web/tensors.js';
import { stubPackage, stubRuntime } from './stub.mjs';

const slot = { name: 'y', dtype: 'float32', dims: [2, 2] };

test('slots, answers and errors that a worker says are checked and made anew', () => {
  const said = [{ ...slot, dims: [2, 2], more: 'unasked' }];
  const [kept] = checkSlots(said, 'w');
  said[0].dims[0] = 9;
  assert.deepEqual(kept, slot);
  /** @type {any[]} */
  const slots = [
    null,
    {},
    { ...slot, name: 7 },
    { ...slot, dtype: 'constructor' },
    { ...slot, dims: '22' },
    { ...slot, dims: [2, -2] },
    { ...slot, dims: [2, 0.5] },
    { ...slot, dims: Array(9).fill(1) },
    { ...slot, symbols: [] },
    { ...slot, symbols: [null, { name: 'n', min: 3, max: 2 }] },
  ];
  for (const wrong of slots)
    assert.throws(() => checkSlots([wrong], 'w'), { code: 'INTERNAL' }, JSON.stringify(wrong));
  assert.throws(() => checkSlots([slot, slot], 'w'), { code: 'INTERNAL' }, 'one name twice');
  assert.throws(() => checkSlots('slots', 'w'), { code: 'INTERNAL' });

  const good = { dims: [2, 2], data: new ArrayBuffer(16) };
  assert.deepEqual([...answersToOutputs([kept], [good]).y.dims], [2, 2]);
  /** @type {any[]} */
  const answers = [
    undefined,
    { ...good, dims: [4, 1] },
    { ...good, dims: null },
    { ...good, data: new ArrayBuffer(12) },
    { ...good, data: new SharedArrayBuffer(16) },
    { ...good, data: [1, 2, 3, 4] },
  ];
  for (const wrong of answers)
    assert.throws(() => answersToOutputs([kept], [wrong]), { code: 'INTERNAL' });

  const error = errorFromData({
    code: 'EVIL',
    where: 'x'.repeat(1e6),
    message: { toString: 'no' },
    used: 'much',
  });
  assert.deepEqual([error.code, error.where.length, error.used], ['INTERNAL', 256, undefined]);
  assert.match(error.message, /unknown error$/);
  assert.equal(errorFromData(null).code, 'INTERNAL');
});

test('feeds are refused in the page, before they are copied for the worker', () => {
  const slots = checkSlots([{ ...slot, name: 'x' }], 'w');
  const four = new Float32Array(4);
  /** @type {any[]} */
  const wrong = [
    new Tensor('float32', four, [4, 1]),
    new Tensor('float32', new Float32Array(6), [2, 3]),
    new Tensor('int32', new Int32Array(4), [2, 2]),
    new Float32Array(3),
    new Float64Array(4),
    [1, 2, 3, 4],
    null,
  ];
  for (const x of wrong) {
    const error = { code: 'ARGUMENT', where: 'x', message: /expected float32 \[2, 2\]/ };
    assert.throws(() => feedsToBuffers(slots, { x }, new Set(), () => {}), error);
  }
  const [fed] = feedsToBuffers(slots, { x: four }, new Set(), () => {});
  assert.ok(fed && fed.data !== four.buffer && fed.data.byteLength === 16);
});

/** @param {number} [mode] how the stub runtime misbehaves */
const open = async (mode) =>
  openEngine({ runtime: await stubRuntime(), pack: stubPackage({ mode }), pages: 2 });
const request = { wanted: [0], carry: [], fuel: 0 };
/** @param {...number} values */
const feed = (...values) => ({ dims: [1, 4], data: new Float32Array(values).buffer });

test('a tensor that the runtime describes wrongly is not one', async () => {
  for (const mode of [7, 8, 9])
    await assert.rejects(open(mode), {
      code: 'INTERNAL',
      message: /described this tensor wrongly/,
    });
});

test('an output that the runtime makes larger than its place is not read', async () => {
  const engine = await open();
  const { dims } = engine.inputs[0];
  assert.deepEqual(dims, [1, 4]);
  assert.throws(() => engine.run({ ...request, feeds: [feed(-6, 0, 0, 0)] }), {
    code: 'INTERNAL',
    where: 'y',
    message: /larger than its place/,
  });
  assert.throws(() => engine.run({ ...request, feeds: [feed(1, 2, 3, 4)] }), { code: 'STATE' });
});

test('a request that the worker must not obey is refused by the engine itself', async () => {
  const engine = await open();
  const good = feed(1, 2, 3, 4);
  /** @type {[any, string][]} */
  const rows = [
    [{ feeds: [] }, 'ARGUMENT'],
    [{ feeds: [good, good] }, 'ARGUMENT'],
    [{ feeds: [null] }, 'STATE'],
    [{ feeds: [{ ...good, data: new ArrayBuffer(20) }] }, 'ARGUMENT'],
    [{ feeds: [{ ...good, data: new ArrayBuffer(12) }] }, 'ARGUMENT'],
    [{ feeds: [{ dims: [1, 4096], data: new ArrayBuffer(16384) }] }, 'ARGUMENT'],
    [{ feeds: [{ dims: [4], data: good.data }] }, 'ARGUMENT'],
    [{ feeds: [good], wanted: [1] }, 'ARGUMENT'],
    [{ feeds: [good], carry: [[0, 1]] }, 'ARGUMENT'],
    [{ feeds: [good], carry: [[1, 0]] }, 'ARGUMENT'],
    [{ feeds: [good], fuel: -1 }, 'ARGUMENT'],
    [{ feeds: [good], fuel: 0.5 }, 'ARGUMENT'],
  ];
  for (const [more, code] of rows)
    assert.throws(() => engine.run({ ...request, ...more }), { code }, JSON.stringify(more));
  const [{ data }] = engine.run({ ...request, feeds: [good] });
  assert.deepEqual([...new Float32Array(data)], [2, 4, 6, 8], 'and none of them did any harm');
});
