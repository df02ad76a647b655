// Budgets of fuel from the certificate to the loader, in Node, on a `--secure` folder.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Compiler } from '../../harness/compiler.mjs';
import { buildDist } from '../../harness/dist.mjs';
import { compile } from '../../harness/index.mjs';
import { readCertificate } from '../../web/certificate.js';
import { FUEL_HEADROOM } from '../../web/fuel.js';
import { FLOAT, onnxFile } from './cli_support.mjs';
import { stubPackage, writeStubRuntime } from './stub.mjs';

const onnx = readFileSync(
  fileURLToPath(new URL('../../models/digits/digits.onnx', import.meta.url)),
);
let folder;
/** @type {Uint8Array} */
let digits;
/** @type {typeof import('../../web/wasmai.d.ts')} */
let real;
/** @type {typeof import('../../web/wasmai.d.ts')} */
let stub;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-fuel-'));
  digits = (await compile(onnx, { optimize: true })).bytes;
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  const dist = async (name, options) => {
    await buildDist({ out: join(folder, name), secure: true, ...options });
    return import(pathToFileURL(join(folder, name, 'wasmai.js')).href);
  };
  // Only pinned packages open: what a test changes, it pins by `sha384`.
  writeFileSync(join(folder, 'digits.wai'), digits);
  real = await dist('real', { models: [join(folder, 'digits.wai')] });
  stub = await dist('stub', { runtime });
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** @param {Uint8Array} bytes */
async function pin(bytes) {
  const digest = await crypto.subtle.digest('SHA-384', /** @type {BufferSource} */ (bytes));
  return { sha384: Buffer.from(digest).toString('hex') };
}

const image = () => new real.Tensor('float32', new Float32Array(784), [1, 1, 28, 28]);
const load = async (/** @type {Uint8Array} */ bytes) => real.load(bytes, await pin(bytes));
const loadStub = async (/** @type {Buffer} */ bytes) => stub.load(bytes, await pin(bytes));

test('the certificate states the fuel of one inference, exactly, and the session what it used', async () => {
  const { fuel } = readCertificate(digits, 'digits');
  assert.ok(fuel > 1e6);
  const session = await load(digits);
  assert.equal(session.info.metered, true);
  assert.equal(session.info.fuel, null);
  for (let i = 0; i < 3; i++) {
    await session.run({ [session.inputs[0].name]: image() });
    assert.equal(session.info.fuel, fuel);
  }
  await session.close();
});

test('a run past maxFuel is stopped with FUEL, used and allowed, and the next run works', async () => {
  const session = await load(digits);
  const feeds = { [session.inputs[0].name]: image() };
  const { fuel } = session.info.certificate;
  for (const maxFuel of [1, 1000, fuel - 1]) {
    const error = await session.run(feeds, { maxFuel }).catch((failure) => failure);
    assert.ok(error instanceof real.WasmAIError);
    assert.equal(error.code, 'FUEL');
    assert.equal(error.allowed, maxFuel);
    assert.ok(Number(error.used) > maxFuel && Number(error.used) <= fuel, `${error.used}`);
    assert.match(error.message, new RegExp(`${maxFuel} units`));
    await session.run(feeds, { maxFuel: fuel });
    assert.equal(session.info.fuel, fuel);
  }
  for (const maxFuel of [0, -1, 1.5, 2 ** 60, '5'])
    await assert.rejects(session.run(feeds, { maxFuel: /** @type {any} */ (maxFuel) }), {
      code: 'ARGUMENT',
    });
  await session.close();
});

test('without maxFuel the budget is what the certificate states, times the headroom', async () => {
  const compiler = await Compiler.create();
  const { fuel } = readCertificate(digits, 'digits');
  const little = compiler.stateFuel(digits, 1000);
  assert.equal(readCertificate(little, 'package').fuel, 1000);
  const session = await load(little);
  const feeds = { [session.inputs[0].name]: image() };
  await assert.rejects(session.run(feeds), { code: 'FUEL', allowed: 1000 * FUEL_HEADROOM });
  await session.run(feeds, { maxFuel: fuel });
  await session.close();
  const enough = await load(compiler.stateFuel(digits, Math.ceil(fuel / FUEL_HEADROOM)));
  await enough.run({ [enough.inputs[0].name]: image() });
  await enough.close();
  const none = await load(compiler.stateFuel(digits, 0));
  await none.run({ [none.inputs[0].name]: image() });
  assert.equal(none.info.fuel, fuel);
  await none.close();
});

test('a runtime that loops for ever, in a run or at open, ends by FUEL', async () => {
  const session = await loadStub(stubPackage());
  const run = (first) => session.run({ x: new Float32Array([first, 2, 3, 4]) });
  await assert.rejects(session.run({ x: new Float32Array([-2, 0, 0, 0]) }, { maxFuel: 1e6 }), {
    code: 'FUEL',
    allowed: 1e6,
  });
  assert.deepEqual([...(await run(1)).y.data], [2, 4, 6, 8]);
  await assert.rejects(run(-1), { code: 'TRAP' });
  assert.deepEqual([...(await run(1)).y.data], [2, 4, 6, 8]);
  await session.close();
  await assert.rejects(loadStub(stubPackage({ mode: 3 })), { code: 'FUEL' });
});

test('a package that computes for long, and says that it does not, ends by FUEL at once', async () => {
  const dims = [1024, 1024];
  const last = 400; // 2^31 operations each: half a minute and more
  const compiler = await Compiler.create();
  const { bytes, error } = compiler.compile(
    onnxFile({
      nodes: Array.from({ length: last }, (_, i) => [
        'MatMul',
        [i ? `t${i}` : 'x', 'x'],
        [`t${i + 1}`],
        `m${i}`,
      ]),
      inputs: [['x', FLOAT, dims]],
      outputs: [[`t${last}`, FLOAT, dims]],
    }),
  );
  assert.equal(error, null);
  const session = await load(compiler.stateFuel(/** @type {Uint8Array} */ (bytes), 10 ** 6));
  const feeds = { x: new real.Tensor('float32', new Float32Array(1024 * 1024), dims) };
  const start = performance.now();
  for (const options of [{}, { maxFuel: 10 ** 8 }])
    await assert.rejects(session.run(feeds, options), { code: 'FUEL' });
  assert.ok(performance.now() - start < 10000, 'it was stopped early');
  await session.close();
});

test('a package that states more fuel than there is, is refused', async () => {
  const compiler = await Compiler.create();
  const bytes = compiler.stateFuel(digits, 2 ** 60);
  await assert.rejects(load(bytes), { code: 'MALFORMED', message: /fuel in the header/ });
});

test('stating fuel changes eight bytes and the digest of the head', async () => {
  const compiler = await Compiler.create();
  const other = compiler.stateFuel(digits, 0x0102030405);
  const changed = [...other.keys()].filter((i) => other[i] !== digits[i]);
  const { headSize } = readCertificate(digits, 'digits');
  const inDigest = (i) => i >= headSize - 48 && i < headSize;
  assert.ok(changed.every((i) => (i >= 120 && i < 128) || inDigest(i)));
  assert.deepEqual([...other.subarray(120, 128)], [5, 4, 3, 2, 1, 0, 0, 0]);
  assert.throws(() => compiler.stateFuel(digits.subarray(0, 100), 1), { code: 'MALFORMED' });
  assert.throws(() => compiler.stateFuel(digits.subarray(0, digits.length - 1), 1), {
    code: 'MALFORMED',
  });
});
