// A limit of 1e34 in a Clip: `inspect` wrote it through an integer that could not hold it.
import { compile } from '../../../harness/index.mjs';
import { FLOAT, onnxFile } from '../../js/cli_support.mjs';

export async function make() {
  const model = onnxFile({
    nodes: [['Clip', ['x', '', 'most'], ['y'], 'clip']],
    inputs: [['x', FLOAT, [2]]],
    outputs: [['y', FLOAT, [2]]],
    weights: [['most', [], [1e34]]],
  });
  return (await compile(model, { optimize: true })).bytes;
}
