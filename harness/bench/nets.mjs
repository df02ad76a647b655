// The benchmark's nets: seven that everybody knows, with seeded random weights, exported by the distribution's
// PyTorch (harness/exports), kept in the cache by the content that makes them. What a name says: exports/nets.py.
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WasmAIError } from '../../web/errors.js';
import { exported } from '../exports/exporter.mjs';
import { readNpy } from '../readers/npy.mjs';

/** Where the ONNX files are to be found: links into the cache. */
export const NETS_FOLDER = fileURLToPath(new URL('../../build/bench/nets/', import.meta.url));

export const NETS = [
  'mobilenet_v2',
  'mobilenet_v3_small',
  'efficientnet_b0',
  'resnet18',
  'resnet50',
  'squeezenet1_1',
  'encoder',
];

const NAME = /^([a-z0-9_]+)((?:-[slbw][1-9][0-9]*)*)$/;

/** Is this the name of a net of ours, with its sizes if it has any? @param {string} name */
export const isNet = (name) => NETS.includes(NAME.exec(name)?.[1] ?? '');

/**
 * The folder of a net: model.onnx, and PyTorch's own answers. Made if it is not there; NETS_FOLDER gets NAME.onnx.
 * @param {string} name
 */
export async function makeNet(name) {
  if (!isNet(name)) {
    const why = `is no net of the benchmark: take one of ${NETS.join(', ')}, with sizes as in resnet50-s160-b4`;
    throw new WasmAIError('ARGUMENT', name, why);
  }
  const folder = await exported('nets', name);
  mkdirSync(NETS_FOLDER, { recursive: true });
  const link = join(NETS_FOLDER, `${name}.onnx`);
  rmSync(link, { force: true });
  symlinkSync(join(folder, 'model.onnx'), link);
  return folder;
}

/** Inputs of a net and what PyTorch answers to them. @param {string} folder */
export function readCase(folder) {
  const [first] = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')).cases;
  const tensors = (slots) =>
    Object.fromEntries(
      Object.entries(slots).map(([slot, { file }]) => [
        slot,
        readNpy(new Uint8Array(readFileSync(join(folder, file))), file),
      ]),
    );
  return { inputs: tensors(first.inputs), outputs: tensors(first.outputs) };
}
