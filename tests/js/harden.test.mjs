// Memory hardening in the shipped wasm: bytes changed from outside in every region are found, unless
// it is switched off; tensors are gone behind a run; and nothing outside holds a view of memory.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildDist } from '../../harness/dist.mjs';
import { compile } from '../../harness/index.mjs';
import { toolchainAtHand } from '../../harness/toolchain/setup.mjs';
import { PAGE_SIZE } from '../../web/certificate.js';
import { load } from '../../web/wasmai.js';
import { FLOAT, onnxFile, noCompiler as skip } from './cli_support.mjs';

const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const ALIGN = 64;
let folder;
/** @type {Uint8Array} */
let pack;
/** Digits: the one input, and the answer that is right. */
const feeds = { image: new Float32Array(784).map((_, i) => (i % 11) / 11) };
/** @type {number[]} */
let right;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-harden-'));
  if (skip) return;
  pack = (await compile(readFileSync(file('models/digits/digits.onnx')), { optimize: true })).bytes;
  writeFileSync(join(folder, 'digits.wai'), pack);
  const session = await load(pack);
  right = [...(await session.run(feeds)).logits.data];
  await session.close();
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The memories that are made while `work` runs: the engine gives none away. */
async function watching(work) {
  const { Memory } = WebAssembly;
  /** @type {WebAssembly.Memory[]} */
  const memories = [];
  WebAssembly.Memory = /** @type {any} */ (
    function make(/** @type {any} */ how) {
      const memory = new Memory(how);
      memories.push(memory);
      return memory;
    }
  );
  try {
    return await work(memories);
  } finally {
    WebAssembly.Memory = Memory;
  }
}

/** @param {Uint8Array} bytes @param {Uint8Array} part */
const find = (bytes, part) => Buffer.from(bytes.buffer).indexOf(Buffer.from(part));

/** Where things lie, by their bytes. @param {Uint8Array} bytes of all memory, when the input has been written */
function places(bytes) {
  const package_ = find(bytes, pack.subarray(0, 128));
  const data = new DataView(pack.buffer, pack.byteOffset);
  const arenaSize = Number(data.getBigUint64(24, true));
  const section = (kind) => Number(data.getBigUint64(128 + (kind - 1) * 24 + 8, true));
  const values = section(2);
  const weights = section(5);
  // The first constant: 12 words, of which 10 is storage and 11 the offset.
  let at = values;
  while (data.getUint32(at + 40, true) !== 1) at += 48;
  const rank = data.getUint32(at + 4, true);
  let size = data.getUint32(at, true) === 1 ? 4 : 1;
  for (let i = 0; i < rank; i++) size *= data.getUint32(at + 8 + 4 * i, true);
  return {
    package: package_,
    arenaSize,
    weights: package_ + weights + data.getUint32(at + 44, true),
    weightsSize: size,
    input: data.getUint32(values + 44, true),
  };
}

/**
 * One run, a change, another run: its error.
 * @param {(bytes: Uint8Array, where: ReturnType<typeof places> & { arena: number }) => void} change
 * @param {import('../../web/wasmai.d.ts').LoadOptions} options
 */
function poked(change, options) {
  return watching(async (memories) => {
    const session = await load(pack, options);
    const bytes = new Uint8Array(memories[0].buffer);
    const where = places(bytes);
    const arena = await findArena(session, memories[0]);
    change(bytes, { ...where, arena });
    const error = await session.run(feeds).then(
      ({ logits }) => ({ code: null, message: '', logits: [...logits.data] }),
      (failure) => failure,
    );
    const next = await session.run(feeds);
    assert.deepEqual([...next.logits.data], right, 'the run after it');
    const count = memories.length;
    await session.close();
    return { error, count };
  });
}

/** Address of the arena: that of the output, which the engine copies from memory, less its offset in the plan. */
async function findArena(session, memory) {
  const { slice } = ArrayBuffer.prototype;
  let output = -1;
  ArrayBuffer.prototype.slice = function spy(from, to) {
    if (this === memory.buffer) output = from ?? 0;
    return slice.call(this, from, to);
  };
  try {
    await session.run(feeds);
  } finally {
    ArrayBuffer.prototype.slice = slice;
  }
  const data = new DataView(pack.buffer, pack.byteOffset);
  const io = Number(data.getBigUint64(128 + 3 * 24 + 8, true));
  const values = Number(data.getBigUint64(128 + 24 + 8, true));
  const value = data.getUint32(io + 8 + 8 + 4, true);
  return output - data.getUint32(values + value * 48 + 44, true);
}

/** @type {[string, Parameters<typeof poked>[0], RegExp][]} */
const REGIONS = [
  [
    'arena, front',
    (b, { arena }) => (b[arena - 1] ^= 1),
    /memory: the arena was written past its front/,
  ],
  [
    'arena, end',
    (b, { arena, arenaSize }) => (b[arena + arenaSize] ^= 1),
    /memory: the arena was written past its end/,
  ],
  [
    'slot of the input',
    (b, { arena, input }) => (b[arena + input + 784 * 4] ^= 1),
    /image: input 0, f32\[1,1,28,28\], was written past its end before the run/,
  ],
  [
    'weights, end',
    (b, { weights, weightsSize }) => (b[weights + weightsSize] ^= 1),
    /weights: constant \d+, .* was written past its end/,
  ],
  [
    'weights, front of the package',
    (b, { package: at }) => (b[at - 1] ^= 1),
    /heap: memory below it was written/,
  ],
  [
    'weights themselves',
    (b, { weights }) => (b[weights + 4] ^= 1),
    /weights: the package in memory has changed/,
  ],
  ['stack, its deepest bytes', (b) => (b[8] ^= 1), /stack: memory below it was written/],
  [
    'operator state',
    (b, { arena, arenaSize }) => (b[arena + arenaSize + ALIGN + 20] ^= 1),
    /written past its (front|end)/,
  ],
];

for (const [name, change, message] of REGIONS) {
  test(`found: ${name}`, { skip }, async () => {
    const { error, count } = await poked(change, { hardened: true, integrityEvery: 1 });
    assert.equal(error.code, 'INTEGRITY', error.message);
    assert.match(error.message, message);
    assert.equal(count, 2, 'the instance was thrown away and a new one made');
  });

  test(`not found when it is off: ${name}`, { skip }, async () => {
    const { error, count } = await poked(change, { hardened: false });
    assert.equal(error.code, null);
    assert.equal(count, 1);
  });
}

test('n bytes over: every count of bytes behind the input, and each single one', {
  skip,
}, async () => {
  for (let n = 1; n <= ALIGN; n++) {
    for (const first of [0, n - 1]) {
      const { error } = await poked(
        (bytes, { arena, input }) => {
          const end = arena + input + 784 * 4;
          for (let i = first; i < n; i++) bytes[end + i] = ~bytes[end + i];
        },
        { hardened: true },
      );
      assert.equal(error.code, 'INTEGRITY', `${n} bytes, from ${first}`);
    }
  }
});

test('integrityEvery says after how many runs changed weights are found', { skip }, async () => {
  for (const every of [1, 2, 5]) {
    await watching(async (memories) => {
      const session = await load(pack, { hardened: true, integrityEvery: every });
      const bytes = new Uint8Array(memories[0].buffer);
      bytes[places(bytes).weights + 4] ^= 1;
      for (let run = 1; run < every; run++) await session.run(feeds);
      await assert.rejects(session.run(feeds), { code: 'INTEGRITY', where: 'weights' });
      await session.close();
    });
  }
});

test('behind a run nothing of its tensors is in memory, and at close nothing of the model', {
  skip,
}, async () => {
  await watching(async (memories) => {
    const marked = { image: new Float32Array(784).fill(Math.fround(0.123456789)) };
    const mark = new Uint8Array(Float32Array.of(0.123456789, 0.123456789).buffer);
    for (const hardened of [false, true]) {
      const session = await load(pack, { hardened });
      const bytes = new Uint8Array(/** @type {WebAssembly.Memory} */ (memories.at(-1)).buffer);
      const { logits } = await session.run(marked);
      if (hardened) assert.equal(find(bytes, mark), -1);
      assert.equal(find(bytes, new Uint8Array(logits.data.buffer)) >= 0, !hardened);
      // The last tile of columns is narrow, and computed aside.
      const last = new Uint8Array(logits.data.slice(8).buffer);
      assert.equal(find(bytes, last) >= 0, !hardened);
      await session.close();
      assert.equal(
        bytes.some((byte) => byte !== 0),
        !hardened,
      );
    }
  });
});

test('answers are those without hardening; carried state stays', { skip }, async () => {
  const session = await load(pack, { hardened: true });
  assert.equal(session.info.hardened, true);
  for (let i = 0; i < 20; i++) assert.deepEqual([...(await session.run(feeds)).logits.data], right);
  await session.close();
  const plain = await load(pack);
  assert.equal(plain.info.hardened, false);
  assert.equal(plain.info.memoryBytes, session.info.memoryBytes, 'hardening takes no memory');
  await plain.close();
});

test('what is carried is there behind the wipe, in each way of asking', { skip }, async () => {
  const model = onnxFile({
    nodes: [
      ['Add', ['x', 's'], ['sum']],
      ['Mul', ['sum', 'sum'], ['square']],
    ],
    inputs: ['x', 's'].map((name) => [name, FLOAT, [40]]),
    outputs: ['sum', 'square'].map((name) => [name, FLOAT, [40]]),
  });
  const { bytes } = await compile(model, { optimize: true });
  const x = new Float32Array(40).map((_, i) => i);
  for (const hardened of [false, true]) {
    const session = await load(bytes, hardened ? { hardened, integrityEvery: 1 } : { hardened });
    await session.run({ x, s: new Float32Array(40) }, { carry: { s: 'sum' } });
    for (let i = 2; i < 5; i++) {
      const { sum, square } = await session.run({ x }, { carry: { s: 'sum' } });
      assert.deepEqual(
        [...sum.data],
        [...x].map((value) => i * value),
      );
      assert.equal(square.data[39], (i * 39) ** 2);
      // The self-test runs beside the state that waits.
      if (i === 3) assert.equal((await session.selfTest()).passed, true);
    }
    await session.close();
  }
});

test('what comes out is no view of memory: changing, filling or closing one does not touch the other', {
  skip,
}, async () => {
  await watching(async (memories) => {
    const session = await load(pack);
    const [memory] = memories;
    const { logits } = await session.run(feeds);
    assert.notEqual(logits.data.buffer, memory.buffer);
    assert.equal(logits.data.buffer.byteLength, logits.data.byteLength);
    new Uint8Array(memory.buffer).fill(0xff);
    assert.deepEqual([...logits.data], right);
    for (const slot of [...session.inputs, ...session.outputs]) assert.ok(Object.isFrozen(slot));
    // Nothing that a caller can reach leads to the memory.
    const seen = new Set();
    const walk = (/** @type {any} */ value) => {
      if (value === null || !['object', 'function'].includes(typeof value) || seen.has(value))
        return;
      seen.add(value);
      assert.ok(value !== memory && value !== memory.buffer && value.buffer !== memory.buffer);
      if (ArrayBuffer.isView(value)) return;
      for (const key of Reflect.ownKeys(value)) walk(value[key]);
    };
    walk({ session, info: session.info, inputs: session.inputs, logits });
    await session.close();
  });
});

test('what goes in is copied: the caller may change it at once, and the run does not change it', {
  skip,
}, async () => {
  const session = await load(pack, { hardened: true });
  const image = feeds.image.slice();
  const running = session.run({ image });
  image.fill(9);
  assert.deepEqual([...(await running).logits.data], right);
  assert.ok(image.every((value) => value === 9));
  await session.close();
});

test('memory cannot grow past what was certified', { skip }, async () => {
  await watching(async (memories) => {
    const session = await load(pack);
    const pages = Math.ceil(session.info.peakBytes / PAGE_SIZE);
    assert.equal(memories[0].buffer.byteLength, pages * PAGE_SIZE);
    assert.throws(() => memories[0].grow(1), RangeError);
    await session.close();
  });
});

test('MAX_HEAP_SIZE at compile, build and load: each names what is needed and what is allowed', {
  skip,
}, async () => {
  const modelOf = (size) =>
    onnxFile({
      nodes: [['Exp', ['x'], ['y']]],
      inputs: [['x', FLOAT, [size]]],
      outputs: [['y', FLOAT, [size]]],
    });
  const model = modelOf(1 << 20);
  const refused = async (work, ...numbers) => {
    const error = await work().then(
      () => assert.fail('not refused'),
      (failure) => failure,
    );
    assert.equal(error.code, 'LIMIT');
    for (const number of numbers) assert.ok(error.message.includes(number), error.message);
  };
  const { bytes, report } = await compile(model, {});
  const needed = `${Number(((Math.ceil(report.peakBytes / PAGE_SIZE) * PAGE_SIZE) / 1048576).toFixed(2))} MiB`;
  assert.ok(report.peakBytes > 4 << 20);
  await refused(() => compile(model, { maxHeapMB: 4 }), 'needs at least 41', 4 << 20);
  const nearly = modelOf((1 << 20) - 1024); // too much only with what is measured
  const { peakBytes } = (await compile(nearly, {})).report;
  await refused(() => compile(nearly, { maxHeapMB: 4 }), `needs ${peakBytes}`, 4 << 20);
  const large = join(folder, 'large.wai');
  writeFileSync(large, bytes);
  const out = join(folder, 'capped');
  await refused(() => buildDist({ out, models: [large], maxHeapMB: 4 }), needed, '4 MiB');
  await refused(() => load(bytes, { maxHeapMB: 4 }), needed, '4 MiB');
  // What was built in holds, whatever the page asks for.
  await buildDist({ out, maxHeapMB: 4 });
  const built = await import(pathToFileURL(join(out, 'wasmai.js')).href);
  await refused(() => built.load(bytes), needed, '4 MiB');
  await refused(() => built.load(bytes, { maxHeapMB: 4096 }), needed, '4 MiB');
  await (await load(bytes, { maxHeapMB: 8 })).close();
});

test('options: what is wrong is refused, and what was built in stays on', { skip }, async () => {
  const refused = async (options, code, message) => {
    const error = await load(pack, /** @type {any} */ (options)).then(
      () => assert.fail('loaded'),
      (failure) => failure,
    );
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
  };
  await refused({ hardened: 1 }, 'ARGUMENT', /true or false/);
  await refused({ integrityEvery: 4 }, 'ARGUMENT', /set hardened/);
  for (const integrityEvery of [0, -1, 1.5, '3', 2 ** 32])
    await refused({ hardened: true, integrityEvery }, 'ARGUMENT', /whole number of runs/);

  for (const [name, options] of [
    ['secure', { secure: true }],
    ['hardened', { hardened: true }],
  ]) {
    const out = join(folder, String(name));
    const model = join(folder, 'digits.wai');
    const manifest = await buildDist({ out, models: [model], .../** @type {object} */ (options) });
    assert.equal(manifest.hardened, true);
    const built = await import(pathToFileURL(join(out, 'wasmai.js')).href);
    const session = await built.load(join(out, 'models/digits.wai'));
    assert.equal(session.info.hardened, true);
    assert.deepEqual([...(await session.run(feeds)).logits.data], right);
    await session.close();
    await assert.rejects(built.load(join(out, 'models/digits.wai'), { hardened: false }), {
      code: 'ARGUMENT',
      message: /stays on/,
    });
  }
});

const linked =
  skip ||
  (toolchainAtHand() && existsSync(file('build/wasm/runtime-simd.link.json'))
    ? false
    : 'no toolchain');
test('a runtime linked without hardening refuses it by name; one linked for it has it', {
  skip: linked,
}, async () => {
  for (const hardened of [false, true]) {
    const out = join(folder, `linked-${hardened}`);
    await buildDist({ out, models: [join(folder, 'digits.wai')], optimize: true, hardened });
    const built = await import(pathToFileURL(join(out, 'wasmai.js')).href);
    const loading = built.load(join(out, 'models/digits.wai'), { hardened: true });
    if (!hardened) {
      await assert.rejects(loading, { code: 'UNSUPPORTED', message: /linked without it/ });
      continue;
    }
    const session = await loading;
    assert.deepEqual([...(await session.run(feeds)).logits.data], right);
    await session.close();
  }
});
