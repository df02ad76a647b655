// Determinism on every engine, in the locked worker of a --secure folder: the golden outputs that Node
// wrote, one NaN, the receipt that Node makes, and a self-test that leaves what is carried alone.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compile } from '../../harness/index.mjs';
import { load, Tensor } from '../../web/wasmai.js';
import { FLOAT, FLOAT16, INT64, onnxFile } from '../js/cli_support.mjs';
import { makeSite, onEngines, openPage } from './browser.mjs';

const digits = fileURLToPath(new URL('../../models/digits/digits.onnx', import.meta.url));

/** Every way to a NaN, what it is as a float16, and where it is; a state that is carried. */
const nans = onnxFile({
  nodes: [
    ['Sqrt', ['x'], ['root']],
    ['Div', ['x', 'x'], ['ratio']],
    ['Log', ['x'], ['log']],
    ['Cast', ['root'], ['half'], 'half', { to: FLOAT16 }],
    ['ArgMax', ['ratio'], ['place'], 'place', { axis: 0, keepdims: 0 }],
    ['Add', ['x', 's'], ['sum']],
    ['Softmax', ['root'], ['share']],
  ],
  inputs: [
    ['x', FLOAT, [4]],
    ['s', FLOAT, [4]],
  ],
  outputs: [
    ...['root', 'ratio', 'log', 'share', 'sum'].map((name) => [name, FLOAT, [4]]),
    ['half', FLOAT16, [4]],
    ['place', INT64, []],
  ],
});

let folder;
let site;
/** What Node says of a run of `nans`. @type {any} */
let here;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-golden-'));
  const models = [];
  for (const [name, onnx, options] of /** @type {[string, Uint8Array, any][]} */ ([
    ['digits', readFileSync(digits), { optimize: true, secure: true }],
    ['nans', nans, {}],
  ])) {
    models.push(join(folder, `${name}.wai`));
    writeFileSync(join(folder, `${name}.wai`), (await compile(onnx, options)).bytes);
  }
  site = await makeSite({ secure: true, models });
  const session = await load(readFileSync(join(folder, 'nans.wai')));
  const tensor = (...numbers) => new Tensor('float32', new Float32Array(numbers), [4]);
  const feeds = { x: tensor(-1, 0, 4, NaN), s: tensor(1, 2, 3, 4) };
  here = session.receipt(await session.run(feeds, { receipt: true }));
  await session.close();
});

after(async () => {
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

onEngines('a profiled run is the same run, step by step', async ({ browser }) => {
  const { page, close } = await openPage(browser, site);
  const { plain, got, profile } = await page.evaluate(async () => {
    const session = await wasmai.load('./models/digits.wai');
    const [{ name, dims }] = session.inputs;
    const feeds = { [name]: new Float32Array(dims.reduce((a, b) => a * b)).fill(0.5) };
    const plain = Object.values(await session.run(feeds))[0];
    const outputs = await session.run(feeds, { profile: true });
    const profile = session.profile(outputs);
    await session.close();
    return { plain: [...plain.data], got: [...Object.values(outputs)[0].data], profile };
  });
  assert.deepEqual(got, plain);
  assert.ok(profile.steps.filter(({ name }) => /Conv/.test(name)).length >= 3);
  for (const { name, ms, readBytes } of profile.steps)
    assert.ok(name.length > 0 && ms >= 0 && readBytes > 0);
  await close();
});

onEngines("the golden outputs are Node's", async ({ browser }) => {
  const opened = await openPage(browser, site);
  const seen = await opened.page.evaluate(async () => {
    const tests = [];
    for (const name of ['digits', 'nans']) {
      const session = await wasmai.load(`./models/${name}.wai`, { deterministic: true });
      tests.push(await session.selfTest());
      const { deterministic, runs, metered } = session.info;
      tests.push({ deterministic, runs, metered });
      await session.close();
    }
    return tests;
  });
  const facts = { deterministic: true, runs: 0, metered: true };
  for (const tested of [seen[0], seen[2]]) {
    assert.equal(tested.passed, true);
    assert.equal(tested.cases.length, 1);
    assert.deepEqual(tested.cases[0].got, tested.cases[0].expected);
  }
  assert.deepEqual([seen[1], seen[3]], [facts, facts]);
  assert.deepEqual(await opened.violations(), []);
  assert.deepEqual(opened.complaints, []);
  await opened.close();
});

onEngines("one NaN, whatever the processor makes; the receipt is Node's", async ({ browser }) => {
  const opened = await openPage(browser, site);
  const seen = await opened.page.evaluate(async () => {
    const session = await wasmai.load('./models/nans.wai');
    const x = new Float32Array([-1, 0, 4, NaN]);
    const outputs = await session.run({ x, s: new Float32Array([1, 2, 3, 4]) }, { receipt: true });
    const bits = {};
    for (const [name, { data }] of Object.entries(outputs)) {
      const { buffer } = data;
      bits[name] = [...new (name === 'half' ? Uint16Array : Uint32Array)(buffer)];
    }
    const receipt = session.receipt(outputs);
    const { fuel } = session.info;
    await session.close();
    return { bits, receipt, fuel };
  });
  const nan = 0x7fc00000;
  assert.deepEqual(seen.bits.root, [nan, 0, 0x40000000, nan]);
  assert.deepEqual(seen.bits.ratio, [0x3f800000, nan, 0x3f800000, nan]);
  assert.deepEqual([seen.bits.log[0], seen.bits.log[3]], [nan, nan]);
  assert.deepEqual(seen.bits.share, [nan, nan, nan, nan]);
  assert.deepEqual(seen.bits.half, [0x7e00, 0, 0x4000, 0x7e00]);
  assert.equal(seen.bits.place[0], 1);
  const { runtime, fuel, ...rest } = seen.receipt;
  const { runtime: plain, fuel: none, ...want } = JSON.parse(JSON.stringify(here));
  assert.deepEqual(rest, want);
  assert.notEqual(runtime.sha384, plain.sha384);
  const file = String(Object.keys(site.manifest.files).find((path) => path.endsWith('.wasm')));
  const wasm = readFileSync(join(site.root, file));
  assert.equal(runtime.sha384, createHash('sha384').update(wasm).digest('hex'));
  assert.deepEqual([none, fuel], [null, seen.fuel]);
  await opened.close();
});

onEngines('a self-test in the queue leaves what is carried alone', async ({ browser }) => {
  const opened = await openPage(browser, site);
  const seen = await opened.page.evaluate(async () => {
    const session = await wasmai.load('./models/nans.wai');
    const f = (number) => new Float32Array(4).fill(number);
    const options = { carry: { s: 'sum' }, receipt: true };
    const first = session.run({ x: f(1), s: f(10) }, options);
    const [a, tested, b] = await Promise.all([
      first,
      session.selfTest(),
      session.run({ x: f(2) }, options),
    ]);
    const state = [session.receipt(a).outputs, session.receipt(b).inputs].map((list) =>
      list.find(({ name }) => name === 'sum' || name === 's'),
    );
    await session.close();
    return { passed: tested.passed, sum: b.sum.data[0], digests: state.map((one) => one?.sha384) };
  });
  assert.deepEqual([seen.passed, seen.sum], [true, 13]);
  assert.equal(seen.digests[0], seen.digests[1]);
  await opened.close();
});
