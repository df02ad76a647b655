// Finds and reads the tests of the ONNX project (package libonnx-testdata):
// folders with model.onnx and test_data_set_N/{input,output}_I.pb.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOnnxSummary } from '../../harness/readers/onnx.mjs';
import { readTensorProto } from '../../harness/readers/pb.mjs';

export const SUITES = ['node', 'simple', 'pytorch-operator', 'pytorch-converted'];

const IN_ENVIRONMENT = 'usr/share/libonnx-testdata/data';

/** @returns {Promise<string | null>} the folder that holds the suites */
export async function findTestData() {
  const given = process.env.WASM_AI_ONNX_TESTDATA;
  if (given) return existsSync(join(given, 'node')) ? given : null;
  const { environmentDir } = await import('../../harness/toolchain/environment.mjs');
  return (
    [join(environmentDir(false), IN_ENVIRONMENT), `/${IN_ENVIRONMENT}`].find(existsSync) ?? null
  );
}

/** Names such as "node/test_abs" @param {string} root @returns {string[]} */
export function listTests(root) {
  return SUITES.flatMap((suite) =>
    readdirSync(join(root, suite))
      .filter((name) => existsSync(join(root, suite, name, 'model.onnx')))
      .sort()
      .map((name) => `${suite}/${name}`),
  );
}

/** @param {string} root @param {string} name */
export function readTest(root, name) {
  const folder = join(root, name);
  const onnx = new Uint8Array(readFileSync(join(folder, 'model.onnx')));
  return { onnx, model: readOnnxSummary(onnx, name), sets: readSets(folder) };
}

function readSets(folder) {
  return readdirSync(folder)
    .filter((name) => name.startsWith('test_data_set_'))
    .sort()
    .map((name) => ({
      inputs: () => readNumbered(join(folder, name), 'input'),
      outputs: () => readNumbered(join(folder, name), 'output'),
    }));
}

function readNumbered(folder, kind) {
  const tensors = [];
  for (let i = 0; existsSync(join(folder, `${kind}_${i}.pb`)); i++) {
    const path = join(folder, `${kind}_${i}.pb`);
    tensors.push(readTensorProto(new Uint8Array(readFileSync(path)), `${kind}_${i}.pb`));
  }
  return tensors;
}
