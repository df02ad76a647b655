// The metered runtime with real packages: the same answers, the same fuel every time, never less than
// what an oracle counts that charges every instruction by itself.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { realModelsFolder } from '../../harness/cases.mjs';
import { compile } from '../../harness/index.mjs';
import { meter } from '../../harness/toolchain/meter/index.mjs';
import { PAGE_SIZE, readCertificate } from '../../web/certificate.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const plain = readFileSync(join(root, 'build/wasm/runtime-simd.wasm'));
const built = readFileSync(join(root, 'build/wasm/runtime-simd.metered.wasm'));
const modules = {
  plain: new WebAssembly.Module(plain),
  metered: new WebAssembly.Module(built),
  oracle: new WebAssembly.Module(meter(plain, { oracle: true }).bytes),
};
const BUDGET = 2n ** 50n;

/** Opens and runs once with zeros. @param {WebAssembly.Module} module @param {Uint8Array} pack */
function inference(module, pack) {
  const pages = Math.ceil(readCertificate(pack, 'package').peakSize / PAGE_SIZE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const wasm = /** @type {any} */ (new WebAssembly.Instance(module, { env: { memory } }).exports);
  wasm.wai_fuel_set?.(BUDGET);
  const at = wasm.wai_glue_alloc(pack.length);
  new Uint8Array(memory.buffer, at, pack.length).set(pack);
  assert.equal(wasm.wai_glue_open(at, pack.length), 0);
  const opened = BUDGET - (wasm.wai_fuel_get?.() ?? 0n);
  const run = () => {
    wasm.wai_fuel_set?.(BUDGET);
    assert.equal(wasm.wai_glue_run(), 0);
    return BUDGET - (wasm.wai_fuel_get?.() ?? 0n);
  };
  const fuel = run();
  assert.equal(run(), fuel, 'the second run uses what the first did');
  const io = new Uint32Array(memory.buffer, wasm.wai_glue_io(), 200);
  const output = 3 + io[1] * 30;
  return {
    opened,
    fuel,
    answer: memory.buffer.slice(io[output + 12], io[output + 12] + io[output + 13]),
  };
}

test('the built metered runtime is what the meter makes of the runtime', () => {
  assert.deepEqual(new Uint8Array(built), meter(plain).bytes);
});

const models = [
  join(root, 'models/digits/digits.onnx'),
  ...['mnist-8', 'dtln-1', 'gtcrn-stream-simple', 'selfie-segmentation', 'ultraface-rfb-320'].map(
    (name) => join(realModelsFolder(), name, 'model.onnx'),
  ),
];
for (const file of models) {
  for (const optimize of [false, true]) {
    const name = `${file.split('/').slice(-2).join('/')}${optimize ? ', optimized' : ''}`;
    const skip = existsSync(file) ? false : 'this model is not on this machine';
    test(`${name}: the bound is a bound, and not a loose one`, { skip }, async (t) => {
      const { bytes } = await compile(readFileSync(file), { optimize });
      const [without, bound, exact] = Object.values(modules).map((one) => inference(one, bytes));
      assert.deepEqual(bound.answer, without.answer, 'the answer is the same to the bit');
      assert.ok(bound.fuel >= exact.fuel && bound.opened >= exact.opened);
      assert.ok(bound.fuel < (exact.fuel * 4n) / 3n, `${bound.fuel} for ${exact.fuel}`);
      assert.ok(bound.fuel > 10000n);
      t.diagnostic(`fuel ${bound.fuel}, instructions ${exact.fuel}`);
    });
  }
}
