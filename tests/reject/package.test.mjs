// Hostile packages through the loader (isolation 'none') and `wasm-ai run`, on the shipped wasm.
// The same attacks run natively under the sanitizers in tests/unit/test_attack.c.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile } from '../../harness/index.mjs';
import { load, Tensor } from '../../web/wasmai.js';
import { cli, FLOAT, folderFor, onnxFile } from '../js/cli_support.mjs';
import { doubleWhile } from '../js/onnx_graphs.mjs';
import {
  assertCliRefuses,
  assertGoodRun,
  assertRefusal,
  dataOffset,
  digitsPackage,
  HEADER,
  loadAndRun,
  randomFrom,
  seal,
} from './support.mjs';

const size = digitsPackage.length;

test('the package itself runs', assertGoodRun);

test('a package cut anywhere is refused', async () => {
  for (let length = 0; length < size; length += length < 300 || length > size - 60 ? 1 : 997) {
    const cut = digitsPackage.subarray(0, length);
    assertRefusal(await loadAndRun(cut), `cut at ${length}`);
  }
  await assertGoodRun();
});

test('a package that claims its cut length, with the right digest, is refused', async () => {
  for (let length = HEADER + 24; length < size; length += length < 1200 ? 8 : 1499) {
    const cut = Buffer.from(digitsPackage.subarray(0, length));
    cut.writeBigUInt64LE(BigInt(length), 16);
    assertRefusal(await loadAndRun(seal(cut)), `cut and sealed at ${length}`);
  }
  await assertGoodRun();
});

test('one bit flipped anywhere, the weights included, is a wrong digest', async () => {
  const random = randomFrom(7);
  for (let round = 0; round < 400; round++) {
    const flipped = Buffer.from(digitsPackage);
    const at = round < 200 ? HEADER + random(size - HEADER) : random(size);
    flipped[at] ^= 1 << random(8);
    const error = await loadAndRun(flipped);
    assertRefusal(error, `bit of byte ${at}`);
    if (at >= HEADER) assert.equal(error.code, 'INTEGRITY');
  }
  await assertGoodRun();
});

test('hostile structure under a right digest never traps the wasm: every byte', async () => {
  const end = dataOffset(digitsPackage);
  assert.ok(end > 1000 && end < size);
  const random = randomFrom(3);
  let refused = 0;
  for (let at = 0; at < end; at++) {
    for (const mask of [0xff, 1 << random(8)]) {
      const hostile = Buffer.from(digitsPackage);
      hostile[at] ^= mask;
      const error = await loadAndRun(seal(hostile));
      if (!error) continue; // a name, a clamp, an unused number: another legal package
      refused++;
      assertRefusal(error, `byte ${at} ^ ${mask}`);
    }
  }
  assert.ok(refused > end / 2, `${refused} of ${2 * end}`);
  await assertGoodRun();
});

test('hostile words under a right digest never trap the wasm', async () => {
  const end = dataOffset(digitsPackage) / 4;
  const random = randomFrom(11);
  const words = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x40000000, 0x10000, 64, 0x7fc00000];
  for (let round = 0; round < 1500; round++) {
    const hostile = Buffer.from(digitsPackage);
    const changes = [];
    for (let count = 1 + random(3); count > 0; count--) {
      const at = 4 * (HEADER / 4 + random(end - HEADER / 4));
      const word = words[random(words.length)];
      changes.push([at, word]);
      hostile.writeUInt32LE(word, at);
    }
    const error = await loadAndRun(seal(hostile));
    if (error) assertRefusal(error, JSON.stringify(changes));
  }
  await assertGoodRun();
});

test('a certificate that promises too little or too much memory is refused', async () => {
  const many = [1n << 31n, 1n << 32n, 1n << 63n, (1n << 64n) - 1n];
  // An arena larger than its tensors is legal as long as it fits into the promise.
  /** @type {[string, number, bigint[]][]} */
  const rows = [
    ['arena', 24, [0n, 64n, 1n << 26n, ...many]],
    ['peak', 40, [0n, 1n, 65536n, BigInt(size), ...many]],
  ];
  for (const [name, offset, values] of rows) {
    for (const value of values) {
      const hostile = Buffer.from(digitsPackage);
      hostile.writeBigUInt64LE(value, offset);
      assertRefusal(await loadAndRun(seal(hostile)), `${name} ${value}`);
    }
  }
  await assertGoodRun();
});

test("two inputs of one name are refused as the package's fault", async () => {
  const { bytes } = await compile(
    onnxFile({
      nodes: [['Add', ['left', 'right'], ['y'], 'sum']],
      inputs: [
        ['left', FLOAT, [2]],
        ['right', FLOAT, [2]],
      ],
      outputs: [['y', FLOAT, [2]]],
    }),
  );
  const hostile = Buffer.from(bytes);
  // The io section: input count, output count, then name and value of each.
  const io = Number(hostile.readBigUInt64LE(HEADER + 3 * 24 + 8));
  hostile.writeUInt32LE(hostile.readUInt32LE(io + 8), io + 16);
  const error = await loadAndRun(seal(hostile));
  assertRefusal(error, 'one name twice');
  assert.equal(error.code, 'MALFORMED');
});

test('guards of steps: no wrong one gets in, none makes a run read what is not there', async () => {
  const { bytes } = await compile(doubleWhile(), { optimize: true });
  const entry = HEADER + 5 * 24;
  const start = Number(Buffer.from(bytes).readBigUInt64LE(entry + 8));
  const count = Buffer.from(bytes).readUInt32LE(start + 20); // behind five empty lists
  assert.ok(count > 30, String(count));
  const guards = start + 24;
  const last = guards + 8 * (count - 1);
  const steps = Buffer.from(bytes).readUInt32LE(64);
  const values = Number(Buffer.from(bytes).readBigUInt64LE(HEADER + 24 + 16)) / 48;
  const guard = (at) => Buffer.from(bytes).readUInt32LE(at + 4);
  /** @type {[string, number, number, RegExp][]} */
  const rows = [
    ['a step that is not there', last, steps, /guard is damaged/],
    ['steps that fall', last, 0, /guard is damaged/],
    ['a step twice', guards + 8, Buffer.from(bytes).readUInt32LE(guards), /guard is damaged/],
    ['a value that is not there', guards + 4, values, /guard is damaged/],
    ['a value that is no bool', guards + 4, 0, /guard is damaged/],
    ['a value from later', guards + 4, guard(last), /before it is written/],
    ['more guards than there are', start + 20, count + 1, /guard is damaged/],
    ['fewer', start + 20, count - 1, /section is damaged/],
    ['more than steps', start + 20, steps + 1, /guard is damaged/],
    ['2^32', start + 20, 0xffffffff, /guard is damaged/],
  ];
  for (const [name, at, word, message] of rows) {
    const hostile = Buffer.from(bytes);
    hostile.writeUInt32LE(word, at);
    const error = await loadAndRun(seal(hostile));
    assertRefusal(error, name);
    assert.equal(error.code, 'MALFORMED');
    assert.match(error.message, message, name);
  }
  // Guards that are legal and wrong: other numbers come out, or the run fails in words.
  const random = randomFrom(5);
  let ran = 0;
  for (let round = 0; round < 300; round++) {
    const hostile = Buffer.from(bytes);
    const at = guards + 8 * random(count) + 4;
    hostile.writeUInt32LE(guard(guards + 8 * random(count)), at);
    const error = await loadAndRun(seal(hostile));
    if (error) assertRefusal(error, `${at}`);
    else ran++;
  }
  assert.ok(ran > 5, String(ran));
});

test('weights may be anything: numbers cannot harm', async () => {
  const start = dataOffset(digitsPackage);
  for (const fill of [0x00, 0x7f, 0xff]) {
    const odd = Buffer.from(digitsPackage);
    odd.fill(fill, start, size);
    const error = await loadAndRun(seal(odd));
    if (error) assertRefusal(error, `weights of 0x${fill.toString(16)}`);
  }
});

test('wasm-ai run and inspect refuse bad packages in one line and write nothing', async (t) => {
  const folder = folderFor(t);
  const file = join(folder, 'm.wai');
  const out = join(folder, 'out');
  const weights = Buffer.from(digitsPackage);
  weights[size - 1000] ^= 1;
  const structure = Buffer.from(digitsPackage);
  structure[HEADER + 60] ^= 0xff;
  /** @type {[string, Uint8Array, RegExp][]} */
  const rows = [
    ['empty', Buffer.alloc(0), /empty/],
    ['garbage', Buffer.from('garbage '.repeat(100)), /not a WasmAI package/],
    ['a page', Buffer.from('<!doctype html><title>404</title>'), /HTML/],
    ['cut', digitsPackage.subarray(0, size - 1), /truncated/],
    ['longer', Buffer.concat([digitsPackage, Buffer.alloc(64)]), /bytes/],
    ['weights', weights, /INTEGRITY/],
    ['structure', seal(structure), /section/],
  ];
  for (const [name, bytes, message] of rows) {
    writeFileSync(file, bytes);
    const run = ['run', file, '--input', 'zeros', '--output', out];
    assert.match(await assertCliRefuses(folder, run), message, name);
    if (name !== 'empty' && name !== 'garbage' && name !== 'a page')
      await assertCliRefuses(folder, ['inspect', file], name === 'longer' ? /says/ : undefined);
  }
  writeFileSync(file, digitsPackage);
  const good = await cli('run', file, '--input', 'zeros', '--json');
  assert.equal(good.code, 0, good.err);
});

test('feeds of a wrong name, dtype, length or shape are refused before anything runs', async () => {
  const session = await load(digitsPackage, { isolation: 'none' });
  const [{ name, dims }] = session.inputs;
  const good = new Tensor('float32', new Float32Array(784), dims);
  /** @type {[any, RegExp][]} */
  const rows = [
    [{}, /nothing/],
    [{ [`${name}s`]: good }, new RegExp(name)],
    [{ [name]: good, other: good }, /other/],
    [{ [name]: new Tensor('int32', new Int32Array(784), dims) }, /float32/],
    [{ [name]: new Float64Array(784) }, /float32/i],
    [{ [name]: new Float32Array(783) }, /78[34]/],
    [{ [name]: new Tensor('float32', new Float32Array(784), [1, 784]) }, /28/],
    [{ [name]: null }, new RegExp(name)],
    [{ [name]: 'abc' }, new RegExp(name)],
    [null, /./],
  ];
  for (const [feeds, message] of rows) {
    const error = await session.run(/** @type {any} */ (feeds)).then(
      () => null,
      (caught) => caught,
    );
    assertRefusal(error, JSON.stringify(Object.keys(feeds ?? {})));
    assert.equal(error.code, 'ARGUMENT');
    assert.match(error.message, message);
    await session.run({ [name]: good });
  }
  await session.close();
});
