/// <reference path="./globals.d.ts" />
// Packages that the page does not keep: poured into the worker chunk by chunk, asked for again when the
// worker is lost, and then they must be the same.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { realModelsFolder } from '../../harness/cases.mjs';
import { compile } from '../../harness/index.mjs';
import { CHUNK, seal, stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { makeSite, onEngines, openPage } from './browser.mjs';

const folder = join(tmpdir(), `wasm-ai-pour-${process.pid}`);
const large = stubPackage({ extra: 5 * CHUNK + 100, peakSize: 4 << 20 });
const poor = stubPackage({ mode: 10 });
const head = Number(large.readBigUInt64LE(136));
let site;
let real;

before(async () => {
  mkdirSync(folder, { recursive: true });
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  site = await makeSite({ runtime, files: { 'large.wai': large, 'poor.wai': poor } });
  const onnx = readFileSync(join(realModelsFolder(), 'squeezenet1.0-fp32-derived/model.onnx'));
  const path = join(folder, 'squeezenet.wai');
  writeFileSync(path, (await compile(onnx, { optimize: true })).bytes);
  real = await makeSite({ models: [path], secure: true });
});

after(async () => {
  await site?.close();
  await real?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What the page asks workers, with the bytes that it pours. */
function watchPouring() {
  window.poured = [];
  for (const { prototype } of [Worker, MessagePort]) {
    const { postMessage } = prototype;
    prototype.postMessage = function (...args) {
      const { op, at, bytes } = args[0] ?? {};
      if (op) window.poured.push({ op, at, bytes: bytes && new Uint8Array(bytes.slice(0)) });
      return Reflect.apply(postMessage, this, args);
    };
  }
}

onEngines(
  'its chunks go into the worker as they are, each once, and none stays',
  async ({ browser }) => {
    const { page, violations, close } = await openPage(browser, site);
    await page.evaluate(watchPouring);
    const { ops, pieces, y } = await page.evaluate(async () => {
      const session = await wasmai.load('./large.wai', { keepPackage: false });
      const { y } = await session.run({ x: new Float32Array([1, 2, 3, 4]) });
      await session.close();
      const pieces = window.poured.filter(({ op }) => op === 'pour');
      return {
        ops: window.poured.map(({ op }) => op),
        pieces: pieces.map(({ at, bytes }) => ({ at, bytes: [...bytes] })),
        y: [...y.data],
      };
    });
    assert.deepEqual(y, [2, 4, 6, 8]);
    assert.deepEqual(ops, ['prepare', 'begin', ...Array(7).fill('pour'), 'open', 'run']);
    const whole = Buffer.alloc(large.length);
    for (const { at, bytes } of pieces) Buffer.from(bytes).copy(whole, at);
    assert.ok(whole.equals(large));
    assert.ok(
      pieces.slice(1).every(({ at, bytes }) => (at - head) % CHUNK === 0 && bytes.length <= CHUNK),
    );
    assert.deepEqual(await violations(), []);
    await close();
  },
);

onEngines('a lost worker: it is asked for again, and must be the same', async ({ browser }) => {
  const { page, close } = await openPage(browser, site);
  const file = join(site.root, 'large.wai');
  site.requests.length = 0;
  const run = async (/** @type {number} */ first) => {
    const feeds = { x: new Float32Array([first, 0, 0, 0]) };
    const { code } = (await caught(window.session.run(feeds))) ?? {};
    return code ?? 'well';
  };
  await page.evaluate(async () => {
    window.session = await wasmai.load('./large.wai', { keepPackage: false });
  });
  const asked = () => site.requests.filter((path) => path.includes('large.wai')).length;
  const codes = [];
  for (const first of [1, -1, 2]) codes.push(await page.evaluate(run, first)); // -1 traps
  assert.deepEqual(codes, ['well', 'TRAP', 'well']);
  assert.equal(asked(), 2);

  const other = Buffer.from(large);
  other[head + CHUNK + 1] ^= 1;
  writeFileSync(file, seal(other)); // whole in itself
  try {
    assert.equal(await page.evaluate(run, -1), 'TRAP');
    assert.equal(await page.evaluate(run, 3), 'INTEGRITY');
  } finally {
    writeFileSync(file, large);
  }
  assert.equal(await page.evaluate(run, 4), 'well');
  await close();
});

onEngines('a stream cannot be asked again: the next run says so', async ({ browser }) => {
  const { page, close } = await openPage(browser, site);
  const seen = await page.evaluate(async () => {
    const streamed = async () => /** @type {ReadableStream} */ ((await fetch('./large.wai')).body);
    const session = await wasmai.load(await streamed(), { keepPackage: false });
    const run = (/** @type {number} */ first) =>
      caught(session.run({ x: new Float32Array([first, 0, 0, 0]) }));
    const errors = [await run(1), await run(-1), await run(2)];
    await session.close();
    // Kept, as by default.
    const kept = await wasmai.load(await streamed());
    const { code } = await caught(kept.run({ x: new Float32Array([-1, 0, 0, 0]) }));
    const { y } = await kept.run({ x: new Float32Array([5, 0, 0, 0]) });
    await kept.close();
    return { errors, code, y: y.data[0] };
  });
  assert.equal(seen.errors[0], null);
  assert.equal(seen.errors[1].code, 'TRAP');
  assert.equal(seen.errors[2].code, 'STATE');
  assert.match(seen.errors[2].message, /was not kept: load it again/);
  assert.deepEqual([seen.code, seen.y], ['TRAP', 10]);
  await close();
});

onEngines('a bad chunk ends the download before the model is opened', async ({ browser }) => {
  const bad = Buffer.from(large);
  bad[head + 2 * CHUNK + 7] ^= 1;
  writeFileSync(join(site.root, 'bad.wai'), bad);
  const { page, close } = await openPage(browser, site);
  await page.evaluate(watchPouring);
  const { error, ops } = await page.evaluate(async () => {
    const error = await caught(wasmai.load('./bad.wai', { keepPackage: false }));
    return { error, ops: window.poured.map(({ op, at }) => [op, at]) };
  });
  assert.equal(error.code, 'INTEGRITY');
  const from = head + 2 * CHUNK;
  assert.match(error.message, new RegExp(`bytes ${from} to ${from + CHUNK - 1} differ`));
  assert.deepEqual(ops.at(-1), ['pour', from]);
  assert.ok(ops.every(([op]) => op !== 'open'));
  await close();
});

onEngines('what a model lacks in its memory is said at once, poured or not', async (given) => {
  const { page, close } = await openPage(given.browser, site);
  await page.evaluate(watchPouring);
  for (const keepPackage of [true, false]) {
    const { error, opened } = await page.evaluate(async (keepPackage) => {
      window.poured = [];
      const error = await caught(wasmai.load('./poor.wai', { keepPackage }));
      return { error, opened: window.poured.filter(({ op }) => op === 'open').length };
    }, keepPackage);
    assert.deepEqual([error.code, error.where, opened], ['MEMORY', 'stub node', 1]);
  }
  await close();
});

onEngines('a real model of a --secure folder is golden when it was poured', async ({ browser }) => {
  const { page, violations, complaints, close } = await openPage(browser, real);
  const tests = await page.evaluate(async () => {
    const session = await wasmai.load('./models/squeezenet.wai', { keepPackage: false });
    const tests = [await session.selfTest()];
    await session.close();
    return tests.map(({ passed, cases }) => [passed, cases.length]);
  });
  assert.deepEqual(tests, [[true, 1]]);
  assert.deepEqual(await violations(), []);
  assert.deepEqual(complaints, []);
  await close();
});
