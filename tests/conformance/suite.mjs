// Finds and reads the tests of the ONNX project (package libonnx-testdata):
// folders with model.onnx and test_data_set_N/{input,output}_I.pb, of two versions of ONNX.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOnnxSummary } from '../../harness/readers/onnx.mjs';
import { Optional, Sequence, Tensor } from '../../harness/readers/onnx_schema.mjs';
import { readTensorProto } from '../../harness/readers/pb.mjs';

export const SUITES = ['node', 'simple', 'pytorch-operator', 'pytorch-converted'];

/** The newest version of ONNX comes with the toolchain; the names of its tests have no prefix. */
export const NEWEST = '1.17';
/** Its models are of opset 15 and older: what 1.17 has no test for any more. */
export const OLDER = '1.12';
export const VERSIONS = [NEWEST, OLDER];

const IN_PACKAGE = 'usr/share/libonnx-testdata/data';

/**
 * @typedef {object} TestData
 * @property {Record<string, string | null>} roots  by version, the folder that holds the suites
 * @property {string} olderMissing                  why the older version is not here, or ""
 */

/**
 * WASM_AI_ONNX_TESTDATA and WASM_AI_ONNX_TESTDATA_OLDER name the folders where they are not found.
 * @returns {Promise<TestData | null>} null where there is no newest version
 */
export async function findTestData() {
  const newest = await findNewest(process.env.WASM_AI_ONNX_TESTDATA);
  if (newest === null) return null;
  const given = process.env.WASM_AI_ONNX_TESTDATA_OLDER;
  if (given !== undefined) {
    const there = existsSync(join(given, 'node'));
    const olderMissing = there ? '' : 'WASM_AI_ONNX_TESTDATA_OLDER names a folder without tests';
    return { roots: { [NEWEST]: newest, [OLDER]: there ? given : null }, olderMissing };
  }
  const { ensurePackage } = await import('../../harness/toolchain/sources.mjs');
  try {
    const older = join(await ensurePackage('libonnx-testdata'), IN_PACKAGE);
    return { roots: { [NEWEST]: newest, [OLDER]: older }, olderMissing: '' };
  } catch (error) {
    return { roots: { [NEWEST]: newest, [OLDER]: null }, olderMissing: error.message };
  }
}

async function findNewest(given) {
  if (given) return existsSync(join(given, 'node')) ? given : null;
  const { environmentDir } = await import('../../harness/toolchain/environment.mjs');
  return [join(environmentDir('build'), IN_PACKAGE), `/${IN_PACKAGE}`].find(existsSync) ?? null;
}

/**
 * Names such as "node/test_abs" and "1.12/node/test_abs"; one of the older version only if a byte
 * of it differs from the newest.
 * @param {TestData} data @returns {string[]}
 */
export function listTests({ roots }) {
  const [newest, older] = VERSIONS.map((version) => roots[version]);
  if (newest === null) return [];
  const names = namesIn(newest);
  if (older === null) return names;
  const known = new Set(names);
  const more = namesIn(older).filter(
    (name) => !known.has(name) || !sameFiles(join(newest, name), join(older, name)),
  );
  return [...names, ...more.map((name) => `${OLDER}/${name}`)];
}

function namesIn(root) {
  return SUITES.flatMap((suite) =>
    readdirSync(join(root, suite))
      .filter((name) => existsSync(join(root, suite, name, 'model.onnx')))
      .sort()
      .map((name) => `${suite}/${name}`),
  );
}

function sameFiles(one, other) {
  const [files, others] = [one, other].map((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length))
      .sort(),
  );
  return (
    files.join('\n') === others.join('\n') &&
    files.every((file) => readFileSync(one + file).equals(readFileSync(other + file)))
  );
}

/** @param {string} name @returns {{ version: string, suite: string, test: string }} */
export function partsOf(name) {
  const [test, suite, version = NEWEST] = name.split('/').reverse();
  return { version, suite, test };
}

/** @param {TestData['roots']} roots @param {string} name */
export function readTest(roots, name) {
  const { version, suite, test } = partsOf(name);
  const folder = join(String(roots[version]), suite, test);
  const path = join(folder, 'model.onnx');
  const onnx = new Uint8Array(readFileSync(path));
  const model = readOnnxSummary(onnx, name);
  return { path, onnx, model, sets: readSets(folder, model) };
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
