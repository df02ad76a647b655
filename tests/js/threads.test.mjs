// Threads: the same bits for any number of them, beside busy cores too; a thread that is lost, late or
// never comes; what keeps a session to one.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { compile } from '../../harness/index.mjs';
import { ensureLibraries } from '../../harness/toolchain/libraries.mjs';
import { ensureToolchain, run } from '../../harness/toolchain/setup.mjs';
import { PAGE_SIZE, readCertificate } from '../../web/certificate.js';
import { openEngine } from '../../web/engine.js';
import { allowedThreads, threadsOf } from '../../web/threads.js';
import { load, Tensor } from '../../web/wasmai.js';
import { FLOAT, onnxFile, noCompiler as skip } from './cli_support.mjs';

const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const RUNTIME = file('build/wasm/runtime-simd.threads.wasm');
const models = join(process.env.WASM_AI_SHARED ?? file('../shared'), 'real-models');
const threadCount = () => readdirSync('/proc/self/task').length;

/** @type {Uint8Array} */
let digits;
before(async () => {
  if (!skip)
    digits = (await compile(readFileSync(file('models/digits/digits.onnx')), { optimize: true }))
      .bytes;
});

test('the pool does every tile once, on 2, 4 and 16 threads, under ThreadSanitizer', async () => {
  const libraries = await ensureLibraries(await ensureToolchain(), 'native');
  const folder = mkdtempSync(join(file('build'), 'pool-'));
  try {
    const program = join(folder, 'pool');
    const sources = [file('tests/threads/pool.c'), file('core/runtime/threads.c')];
    const flags = ['-std=c11', '-D_POSIX_C_SOURCE=200809L', '-O1', '-g', '-fsanitize=thread'];
    const include = [`-I${file('core')}`, '-isystem', join(libraries, 'include')];
    await run('clang', [...flags, ...include, ...sources, '-o', program]);
    for (const [threads, jobs] of [
      [2, 200],
      [4, 200],
      [16, 100],
    ]) {
      // What the sanitizer says is a failed assertion, too.
      const { stdout } = await run(program, [String(threads), String(jobs)]).catch(
        ({ message }) => ({ stdout: message }),
      );
      assert.match(String(stdout), new RegExp(`^${jobs * 21} jobs on ${threads} threads`));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Answers of some inputs. @param {Awaited<ReturnType<typeof load>>} session @param {number} runs */
async function answers(session, runs) {
  const all = [];
  for (let i = 0; i < runs; i++) {
    const data = Float32Array.from({ length: 784 }, (_, at) => ((at * 31 + i * 7) % 97) / 97);
    const { logits } = await session.run({ image: new Tensor('float32', data, [1, 1, 28, 28]) });
    all.push(...logits.data);
  }
  return new Float32Array(all);
}

test('1,000 runs on 16 threads, beside busy ones: the bits of one', { skip }, async () => {
  const one = await load(digits, { isolation: 'none', threads: 1 });
  const many = await load(digits, { isolation: 'none', threads: 16 });
  assert.equal(one.info.threads, 1);
  assert.equal(many.info.threads, 16);
  assert.equal(many.info.peakBytes, one.info.peakBytes + 15 * PAGE_SIZE);
  const busy = [1, 2].map(() => new Worker('for (;;);', { eval: true }));
  try {
    const wanted = await answers(one, 50);
    for (let i = 0; i < 20; i++) assert.deepEqual(await answers(many, 50), wanted);
  } finally {
    for (const worker of busy) await worker.terminate();
    await many.close();
    await one.close();
  }
});

const real = ['squeezenet1.0-fp32-derived', 'yolox-nano', 'ultraface-rfb-320', 'deeplabv3-mnv2'];
for (const name of real) {
  const folder = join(models, name);
  const absent = skip || (!existsSync(folder) && `${folder} is not here`);
  test(`${name}: the same bits on 1, 2, 3, 4 and 16 threads`, { skip: absent }, async () => {
    const onnx = readdirSync(folder).find((entry) => entry.endsWith('.onnx'));
    const { bytes } = await compile(readFileSync(join(folder, String(onnx))), { optimize: true });
    for (const threads of [1, 2, 3, 4, 16]) {
      const session = await load(bytes, { isolation: 'none', threads });
      assert.equal(session.info.threads, threads);
      assert.equal((await session.selfTest()).passed, true, `${threads} threads`);
      await session.close();
    }
  });
}

/** @type {Record<string, [op: string, x: number[], y: number[], w: number[], attributes?: object]>} */
const OURS = {
  'products of rows': ['MatMul', [130, 500], [130, 301], [500, 301]],
  'first layers': ['Conv', [2, 3, 61, 50], [2, 20, 28, 22], [20, 3, 7, 7], { strides: [2, 2] }],
};
const product = (/** @type {number[]} */ dims) => dims.reduce((a, b) => a * b, 1);

for (const [name, [op, dims, out, w, attributes = {}]] of Object.entries(OURS)) {
  test(`${name}: the same bits on 1, 2, 3, 4 and 16 threads`, { skip }, async () => {
    const weights = Array.from({ length: product(w) }, (_, i) => Math.sin(i * 12.9898));
    const onnx = onnxFile({
      nodes: [[op, ['x', 'w'], ['y'], 'ours', attributes]],
      inputs: [['x', FLOAT, dims]],
      outputs: [['y', FLOAT, out]],
      weights: [['w', w, weights]],
    });
    const { bytes } = await compile(onnx, { optimize: true });
    const x = Float32Array.from({ length: product(dims) }, (_, i) => Math.sin(i * 7.233));
    let wanted;
    for (const threads of [1, 2, 3, 4, 16]) {
      const session = await load(bytes, { isolation: 'none', threads });
      assert.equal(session.info.threads, threads);
      const { y } = await session.run({ x: new Tensor('float32', x, dims) });
      wanted ??= y.data.slice();
      assert.deepEqual(y.data, wanted, `${threads} threads`);
      await session.close();
    }
  });
}

test('hardening looks at what threads wrote', { skip }, async () => {
  const session = await load(digits, { isolation: 'none', threads: 4, hardened: true });
  for (let i = 0; i < 20; i++) assert.equal((await session.selfTest()).passed, true);
  await session.close();
});

test('a session that is closed leaves no thread', { skip }, async () => {
  const before = threadCount();
  for (let i = 0; i < 5; i++) {
    const session = await load(digits, { isolation: 'none', threads: 4 });
    await answers(session, 1);
    await session.close();
  }
  for (let i = 0; i < 100 && threadCount() > before; i++) await delay(20);
  assert.ok(threadCount() <= before, `${threadCount()} threads, ${before} before`);
});

/** The engine, with one thread more that behaves so. @param {import('node:test').TestContext} t @param {string} how */
function openBeside(t, how) {
  const pages = Math.ceil(readCertificate(digits, 'digits').peakSize / PAGE_SIZE) + 1;
  /** @type {Worker[]} */
  const workers = [];
  /** @type {string[]} */
  const complaints = [];
  const helper = (/** @type {object} */ data) => {
    const code = new URL('./odd_thread.mjs', import.meta.url);
    const worker = new Worker(code, { workerData: { ...data, how } });
    worker.on('error', ({ message }) => complaints.push(message));
    workers.push(worker);
  };
  const engine = openEngine({
    runtime: readFileSync(RUNTIME),
    pack: digits,
    pages,
    helpers: [helper],
  });
  const request = {
    feeds: [{ dims: [1, 1, 28, 28], data: new Float32Array(784).fill(0.5).buffer }],
    wanted: [0],
    carry: /** @type {[number, number][]} */ ([]),
    fuel: 0,
  };
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  return {
    answer: () => Array.from(new Float32Array(engine.run(request)[0].data)),
    complaints,
  };
}

test('a thread that never comes is not waited for', { skip }, async (t) => {
  const { answer } = openBeside(t, 'absent');
  const first = answer();
  await delay(300);
  for (let i = 0; i < 100; i++) assert.deepEqual(answer(), first);
});

test('a thread whose stack overflows traps, and the run with it', { skip }, async (t) => {
  const well = openBeside(t, 'well');
  await delay(300);
  for (let i = 0; i < 500; i++) well.answer();
  assert.deepEqual(well.complaints, []);
  const { answer, complaints } = openBeside(t, 'near its end');
  await delay(300); // until it is there
  assert.throws(
    () => {
      for (let i = 0; i < 100000; i++) answer();
    },
    { code: 'TRAP', message: /unreachable/ },
  );
  assert.throws(answer, { code: 'STATE' });
  await delay(100);
  assert.match(complaints.join(), /a thread of the runtime stopped: unreachable/);
});

test('who gets one thread is told why', () => {
  const asked = { isolation: 'none', encrypted: false, built: true, secure: false };
  const rows = /** @type {[object, number, RegExp][]} */ ([
    [{ threads: 4 }, 4, /as asked/],
    [{ threads: 1 }, 1, /asked for/],
    [{ threads: 'auto' }, 1, /in Node/],
    [{ threads: 4, secure: true }, 1, /instruction limits/],
    [{ threads: 4, encrypted: true }, 1, /encrypted/],
    [{ threads: 4, built: false }, 1, /built without/],
    [{ threads: 4, isolation: 'frame' }, 1, /frame/],
  ]);
  for (const [options, most, why] of rows) {
    const allowed = allowedThreads(/** @type {any} */ ({ ...asked, ...options }));
    assert.equal(allowed.most, most);
    assert.match(allowed.why, why);
  }
});

test('small models and little memory get fewer threads', () => {
  const certificate = /** @type {any} */ ({ peakSize: 10 * PAGE_SIZE - 5, flopCount: 1e9 });
  const all = { most: 4, auto: true, why: '' };
  const of = (/** @type {object} */ more, /** @type {number} */ pages) =>
    threadsOf(all, { ...certificate, ...more }, (pages * PAGE_SIZE) / 1048576, 'here');
  assert.deepEqual(of({}, 100), { count: 4, why: '', pages: 13 });
  assert.equal(of({ flopCount: 1e6 }, 100).count, 1);
  assert.match(of({ flopCount: 1e6 }, 100).why, /1\.0 million operations/);
  assert.deepEqual(
    [10, 11, 12, 13].map((pages) => of({}, pages)).map(({ count, pages }) => [count, pages]),
    [
      [1, 10],
      [2, 11],
      [3, 12],
      [4, 13],
    ],
  );
  assert.throws(() => of({}, 9), { code: 'LIMIT' });
  // A memory has 65,536 pages at the most.
  const whole = { ...certificate, peakSize: 65535 * PAGE_SIZE };
  assert.deepEqual(threadsOf(all, whole, Infinity, 'here'), {
    count: 2,
    why: 'there is no memory for more below maxHeapMB and 4 GiB',
    pages: 65536,
  });
});
