// A net of a few weights with what the peers' graphs of the benchmark are made of.
import { FLOAT, onnxFile } from './cli_support.mjs';

/** The i-th weight of every tensor. @param {number} i */
const weight = (i) => Math.sin(i * 1.7 + 0.3) * 0.5;
const weights = (name, dims) => [
  name,
  dims,
  Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, i) => weight(i)),
];

export function smallNet() {
  return onnxFile({
    nodes: [
      ['Conv', ['image', 'w1', 'b1'], ['c1'], '', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], group: 1, dilations: [1, 1] }], // biome-ignore format: a row is a node
      ['Relu', ['c1'], ['r1']],
      ['Conv', ['r1', 'w2', 'b2'], ['c2'], '', { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 8, dilations: [1, 1] }], // biome-ignore format: a row is a node
      ['Clip', ['c2', 'zero', 'six'], ['r2']],
      ['HardSwish', ['r2'], ['r3']],
      ['MaxPool', ['r3'], ['p'], '', { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0], ceil_mode: 1 }], // biome-ignore format: a row is a node
      ['GlobalAveragePool', ['p'], ['g']],
      ['Flatten', ['g'], ['f']],
      ['Gemm', ['f', 'w3', 'b3'], ['y'], '', { transB: 1 }],
    ],
    inputs: [['image', FLOAT, [1, 3, 9, 9]]],
    outputs: [['y', FLOAT, [1, 5]]],
    weights: [
      weights('w1', [8, 3, 3, 3]),
      weights('b1', [8]),
      weights('w2', [8, 1, 3, 3]),
      weights('b2', [8]),
      weights('w3', [5, 8]),
      weights('b3', [5]),
      ['zero', [], [0]],
      ['six', [], [6]],
    ],
  });
}

smallNet.weight = weight;
