// float16 and 64-bit integers as inputs and outputs, on every runner and through .npy files.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { numberToHalf } from '../../harness/dtypes.mjs';
import { compile } from '../../harness/index.mjs';
import { readNpy } from '../../harness/readers/npy.mjs';
import { openRunner } from '../../harness/runners/index.mjs';
import { writeNpy } from '../../harness/writers/npy.mjs';
import {
  cli,
  FLOAT16,
  folderFor,
  INT64,
  noCompiler,
  onnxFile,
  RUNNERS,
  UINT64,
} from './cli_support.mjs';

const skip = noCompiler;
const model = onnxFile({
  nodes: [
    ['Add', ['h', 'h'], ['twice']],
    ['Add', ['i', 'j'], ['sum']],
    ['Neg', ['i'], ['minus']],
    ['Add', ['u', 'u'], ['wide']],
  ],
  inputs: [
    ['h', FLOAT16, [6]],
    ['i', INT64, [4]],
    ['j', INT64, [4]],
    ['u', UINT64, [2]],
  ],
  outputs: [
    ['twice', FLOAT16, [6]],
    ['sum', INT64, [4]],
    ['minus', INT64, [4]],
    ['wide', UINT64, [2]],
  ],
});

const BIG = 2n ** 53n + 1n; // no float64 has it
const MOST = 2n ** 63n - 1n;
const halves = (...numbers) => Uint16Array.from(numbers, numberToHalf);
const ints = (...numbers) => BigInt64Array.from(numbers);
const feeds = {
  h: { dtype: 'float16', dims: [6], data: halves(1.5, -0.1, 2 ** -24, 40000, -Infinity, 0) },
  i: { dtype: 'int64', dims: [4], data: ints(BIG, MOST - 1n, -MOST, -BIG) },
  j: { dtype: 'int64', dims: [4], data: ints(2n, 1n, -1n, 0n) },
  u: { dtype: 'uint64', dims: [2], data: BigUint64Array.of(2n ** 62n + 1n, BIG) },
};
const wanted = {
  // -0.1 is not a float16: twice what is nearest to it; 80000 is past the largest.
  twice: halves(3, -0.199951171875, 2 ** -23, Infinity, -Infinity, 0),
  sum: ints(BIG + 2n, MOST, -MOST - 1n, -BIG),
  minus: ints(-BIG, 1n - MOST, MOST, BIG),
  wide: BigUint64Array.of(2n ** 63n + 2n, 2n * BIG),
};

/** @type {Uint8Array} */
let bytes;
before(async () => {
  if (!skip) ({ bytes } = await compile(model, { optimize: true }));
});

for (const [name, missing] of Object.entries(RUNNERS)) {
  test(`float16 and 64-bit integers on ${name}`, { skip: skip || missing }, async (t) => {
    const runner = await openRunner(name, bytes);
    try {
      const { outputs } = await runner.run(feeds);
      for (const [output, data] of Object.entries(wanted)) {
        assert.deepEqual(outputs[output].data, data, output);
      }
    } finally {
      await runner.close();
    }

    const folder = folderFor(t);
    writeFileSync(join(folder, 'm.wai'), bytes);
    const argv = Object.entries(feeds).flatMap(([input, tensor]) => {
      writeFileSync(join(folder, `${input}.npy`), writeNpy(tensor));
      return ['--input', `${input}=${join(folder, `${input}.npy`)}`];
    });
    const out = join(folder, 'out');
    argv.push('--output', out, '--runner', name, '--json');
    const done = await cli('run', join(folder, 'm.wai'), ...argv);
    assert.equal(done.code, 0, done.err);
    for (const [output, data] of Object.entries(wanted)) {
      const path = join(out, `${output}.npy`);
      assert.deepEqual(readNpy(new Uint8Array(readFileSync(path)), path).data, data, output);
    }
    // What is shown is exact too: a string where JSON's numbers are not.
    const sum = JSON.parse(done.out).outputs.find((one) => one.name === 'sum');
    assert.deepEqual(
      sum.top.map(({ value }) => value),
      [`${MOST}`, `${BIG + 2n}`, `${-BIG}`, `${-MOST - 1n}`],
    );
  });
}
