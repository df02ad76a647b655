// Finds and reads the tests of the ONNX project (package libonnx-testdata):
// folders with model.onnx and test_data_set_N/{input,output}_I.pb.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOnnxSummary } from '../../harness/readers/onnx.mjs';
import { Optional, Sequence, Tensor } from '../../harness/readers/onnx_schema.mjs';
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
  const model = readOnnxSummary(onnx, name);
  return { onnx, model, sets: readSets(folder, model) };
}

/** @param {string} folder @param {{inputs: any[], outputs: any[]}} model */
function readSets(folder, model) {
  return readdirSync(folder)
    .filter((name) => name.startsWith('test_data_set_'))
    .sort()
    .map((name) => ({
      inputs: () => readNumbered(join(folder, name), 'input', model.inputs),
      outputs: () => readNumbered(join(folder, name), 'output', model.outputs),
    }));
}

// A tensor; an array of them for a sequence; null for an optional without a value.
function readNumbered(folder, kind, slots) {
  const values = [];
  for (let i = 0; existsSync(join(folder, `${kind}_${i}.pb`)); i++) {
    const bytes = new Uint8Array(readFileSync(join(folder, `${kind}_${i}.pb`)));
    values.push(readValue(bytes, `${kind}_${i}.pb`, slots[i]));
  }
  return values;
}

function readValue(bytes, where, slot) {
  const again = (type, proto) => type.encode(proto).finish();
  if (slot?.kind?.startsWith('optional')) {
    const { tensorValue, sequenceValue } = Optional.decode(bytes);
    if (sequenceValue) {
      return readValue(again(Sequence, sequenceValue), where, { ...slot, kind: 'sequence' });
    }
    return tensorValue ? readTensor(again(Tensor, tensorValue), where, slot) : null;
  }
  if (slot?.kind === 'sequence') {
    const { tensorValues } = Sequence.decode(bytes);
    return tensorValues.map((tensor) => readTensor(again(Tensor, tensor), where, slot));
  }
  return readTensor(bytes, where, slot);
}

function readTensor(bytes, where, slot) {
  const tensor = readTensorProto(bytes, where);
  // NumPy has no bfloat16, so the suite writes its bits as uint16.
  if (slot?.dtype === 'bfloat16' && tensor.dtype === 'uint16') tensor.dtype = 'bfloat16';
  return tensor;
}
