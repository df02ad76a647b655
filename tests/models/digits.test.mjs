// The digit classifier of models/: its golden answers on every runner, and its
// sample pictures read as `run --input picture.png` reads them.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { largestDifference } from '../../harness/cases.mjs';
import { COMPILER_WASM } from '../../harness/compiler.mjs';
import { compile } from '../../harness/index.mjs';
import { readImage } from '../../harness/readers/image.mjs';
import { readNpy } from '../../harness/readers/npy.mjs';
import { openRunner } from '../../harness/runners/index.mjs';
import { NATIVE_COMMAND } from '../../harness/runners/native.mjs';
import { findChromium } from '../../harness/toolchain/chromium.mjs';

const HOME = new URL('../../models/digits/', import.meta.url);
const TOLERANCE = 1e-3; // logits are about 10: 1e-4 of the largest
const skip = !existsSync(COMPILER_WASM) && 'build/wasm/compiler.wasm is not built';
const bytesOf = (path) => new Uint8Array(readFileSync(new URL(path, HOME)));
const array = (path) => readNpy(bytesOf(path), path);

const MISSING = {
  node: false,
  native: !existsSync(NATIVE_COMMAND) && 'build/native/wai is not built',
  chromium: findChromium() === null && 'Chromium is not installed',
};

for (const [name, missing] of Object.entries(MISSING)) {
  test(`digits on ${name}`, { skip: skip || missing }, async (t) => {
    const { bytes } = await compile(bytesOf('digits.onnx'), { optimize: true });
    const runner = await openRunner(name, bytes, { where: 'digits.wai' });
    try {
      for (const golden of readdirSync(new URL('golden/', HOME)).sort()) {
        await t.test(`golden ${golden}`, async () => {
          const image = array(`golden/${golden}/input.npy`);
          const { outputs } = await runner.run({ image });
          const want = array(`golden/${golden}/output.npy`);
          assert.deepEqual(outputs.logits.dims, want.dims);
          assert.ok(largestDifference(want, outputs.logits).difference <= TOLERANCE);
        });
      }
      for (const picture of readdirSync(new URL('samples/', HOME)).sort()) {
        const digit = /-(\d)\.png$/.exec(picture)?.[1];
        if (digit === undefined) continue;
        await t.test(`sample ${picture}`, async () => {
          const image = readImage(bytesOf(`samples/${picture}`), picture, runner.inputs[0]);
          const { outputs } = await runner.run({ image });
          const logits = Array.from(outputs.logits.data);
          assert.equal(logits.indexOf(Math.max(...logits)), Number(digit));
        });
      }
    } finally {
      await runner.close();
    }
  });
}
