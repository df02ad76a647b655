// A model for the comparison: the package, inputs, and what is right if somebody knows.
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readCertificate } from '../../web/certificate.js';
import { load } from '../../web/wasmai.js';
import { casesOf } from '../cases.mjs';
import { bytesOf, elementCount } from '../dtypes.mjs';
import { readBytes, safeName } from '../files.mjs';
import { compile } from '../index.mjs';
import { random } from '../readers/index.mjs';
import { isNet, makeNet, readCase } from './nets.mjs';

/**
 * @typedef {object} Prepared
 * @property {string} name
 * @property {Uint8Array | null} onnx   null: only the package is known
 * @property {Uint8Array} pack
 * @property {number} mflop
 * @property {number} packageBytes
 * @property {number} peakBytes
 * @property {number} arenaBytes
 * @property {Record<string, import('../dtypes.mjs').HostTensor>} inputs
 * @property {string} inputsFrom
 * @property {Record<string, Float32Array> | null} reference  the right outputs
 */

/** A net of the benchmark by its name, with PyTorch's answers. @param {string} name @returns {Promise<Prepared>} */
export async function prepareNet(name) {
  const folder = await makeNet(name);
  const { inputs, outputs } = readCase(folder);
  const onnx = new Uint8Array(readFileSync(join(folder, 'model.onnx')));
  return {
    ...(await compiled(name, onnx)),
    inputs,
    inputsFrom: 'PyTorch',
    reference: numbersOf(outputs),
  };
}

/**
 * A file: ONNX, or a package.
 * @param {string} path @param {Record<string, number | string>} [dims]  of symbolic dims
 * @returns {Promise<Prepared>}
 */
export async function prepareFile(path, dims = {}) {
  const bytes = await readBytes(path);
  const file = basename(path).replace(/\.(onnx|wai)$/i, '');
  const name = safeName(file === 'model' ? basename(dirname(path)) : file);
  if (!/\.onnx$/i.test(path)) return withRandomInputs(facts(name, null, bytes));
  const given = Object.keys(dims).length > 0;
  const [first] = file === 'model' && !given ? casesOf(dirname(path)) : [];
  const model = await compiled(name, bytes, first?.dims ?? dims);
  if (!first) return withRandomInputs(model);
  const reference = numbersOf(first.readOutputs());
  return { ...model, inputs: first.readInputs(), inputsFrom: `case ${first.name}`, reference };
}

const numbersOf = (tensors) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { data }]) => [name, Float32Array.from(data, Number)]),
  );

/**
 * Inputs as files for pages (page/inputs.js): what there is, and the bytes of each.
 * @param {string} name @param {Prepared['inputs']} inputs @returns {[path: string, bytes: Uint8Array][]}
 */
export function inputFiles(name, inputs) {
  const slots = Object.entries(inputs).map(([slot, { dtype, dims, data }], i) => ({
    path: `models/${name}.${i}.bin`,
    bytes: bytesOf(data),
    slot: { name: slot, dtype, dims, file: `./models/${name}.${i}.bin` },
  }));
  const list = JSON.stringify(slots.map(({ slot }) => slot));
  return [
    [`models/${name}.inputs.json`, Buffer.from(list)],
    ...slots.map(({ path, bytes }) => /** @type {[string, Uint8Array]} */ ([path, bytes])),
  ];
}

/** Either. @param {string} what */
export const prepare = (what) => (isNet(what) ? prepareNet(what) : prepareFile(what));

async function compiled(name, onnx, dims) {
  const { bytes } = await compile(onnx, { optimize: true, dims });
  return facts(name, onnx, bytes);
}

function facts(name, onnx, pack) {
  const { flopCount, packageSize, peakSize, arenaSize } = readCertificate(pack, name);
  const sizes = { packageBytes: packageSize, peakBytes: peakSize, arenaBytes: arenaSize };
  return { name, onnx, pack, mflop: flopCount / 1e6, ...sizes };
}

async function withRandomInputs(model) {
  const session = await load(model.pack);
  const inputs = Object.fromEntries(
    session.inputs.map(({ name, dtype, dims }, i) => [
      name,
      random({ name, dtype, dims: [...dims], count: elementCount(dims) }, i + 1),
    ]),
  );
  await session.close();
  return { ...model, inputs, inputsFrom: 'seeded random', reference: null };
}
