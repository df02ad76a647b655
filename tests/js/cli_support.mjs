// For the tests of the command line: run it in this process, make folders that
// vanish, build small ONNX files.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../harness/cli.mjs';
import { COMPILER_WASM } from '../../harness/compiler.mjs';
import { Model } from '../../harness/readers/onnx_schema.mjs';
import { NATIVE_COMMAND } from '../../harness/runners/native.mjs';
import { BROWSER_NAMES, browserMissing } from '../../harness/toolchain/browsers.mjs';

/** Skip reason of tests that compile. */
/** @type {Record<string, false | string>} every runner, and why it is not here */
export const ALL_RUNNERS = {
  node: false,
  native: !existsSync(NATIVE_COMMAND) && 'build/native/wai is not built',
  ...Object.fromEntries(BROWSER_NAMES.map((name) => [name, browserMissing(name)])),
};
const { node, native, chromium } = ALL_RUNNERS;
/** What most tests take: a browser starts for each run, Firefox in 5 s. */
export const RUNNERS = { node, native, chromium };
export const noCompiler = !existsSync(COMPILER_WASM) && 'build/wasm/compiler.wasm is not built';

class Sink {
  text = '';
  isTTY = false;
  write(chunk) {
    this.text += chunk;
    return true;
  }
}

/** @param {...string} argv @returns {Promise<{code: number, out: string, err: string}>} */
export async function cli(...argv) {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const code = await main(argv, { stdout, stderr });
  return { code, out: stdout.text, err: stderr.text };
}

/** A fresh folder, removed after the test. */
export function folderFor(t) {
  const folder = mkdtempSync(join(tmpdir(), 'wasm-ai-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** All files of a folder, so that a test can say that nothing was written. */
export const filesOf = (folder) => readdirSync(folder, { recursive: true }).map(String).sort();

export const FLOAT = 1;
export const INT64 = 7;
export const FLOAT16 = 10;
export const UINT64 = 13;

const slot = ([name, elemType, dims]) => ({
  name,
  type: {
    tensorType: {
      elemType,
      shape: {
        dim: dims.map((dim) => (typeof dim === 'number' ? { dimValue: dim } : { dimParam: dim })),
      },
    },
  },
});

/** An attribute: one int, or a list of them; the types are ONNX's numbers for that. */
const attribute = ([name, value]) =>
  Array.isArray(value) ? { name, intValues: value, type: 7 } : { name, intValue: value, type: 2 };

/**
 * An ONNX file: `nodes` are [opType, inputs, outputs, name, { attribute: int or ints }],
 * slots are [name, element type, dims], weights are [name, dims, numbers].
 */
export function onnxFile({
  nodes,
  inputs,
  outputs,
  weights = /** @type {any[]} */ ([]),
  opset = 17,
}) {
  return Model.encode({
    irVersion: 8,
    producerName: 'wasm-ai tests',
    opsetImport: [{ domain: '', version: opset }],
    graph: {
      name: 'test',
      node: nodes.map(([opType, input, output, name = '', attributes = {}]) => ({
        opType,
        input,
        output,
        name,
        attribute: Object.entries(attributes).map(attribute),
      })),
      input: inputs.map(slot),
      output: outputs.map(slot),
      initializer: weights.map(([name, dims, floatData]) => ({
        name,
        dims,
        dataType: FLOAT,
        floatData,
      })),
    },
  }).finish();
}

/** y = relu(x + w), x and y [batch, 4] @param {number | string} batch */
export const addRelu = (batch = 2) =>
  onnxFile({
    nodes: [
      ['Add', ['x', 'w'], ['sum'], 'add'],
      ['Relu', ['sum'], ['y:0'], 'relu'],
    ],
    inputs: [['x', FLOAT, [batch, 4]]],
    outputs: [['y:0', FLOAT, [batch, 4]]],
    weights: [['w', [4], [1, -1, 2, -2]]],
  });
