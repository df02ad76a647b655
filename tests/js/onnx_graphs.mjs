// ONNX files with graphs inside nodes (If, Loop), for tests. Field numbers: onnx.proto.
const text = (value) => new TextEncoder().encode(value);

function varint(value) {
  const bytes = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    if (rest <= 0x7fn) return bytes;
  }
}

const number = (field, value) => [...varint(field << 3), ...varint(value)];
const bytes = (field, value) => [...varint((field << 3) | 2), ...varint(value.length), ...value];
const string = (field, value) => bytes(field, text(value));

const BOOL = 9;
const TYPES = { float32: 1, int64: 7, bool: BOOL };

/** [name, dtype, dims]; dims undefined: no shape. */
function slot([name, dtype, dims]) {
  const shape = (dims ?? []).flatMap((dim) =>
    bytes(1, typeof dim === 'string' ? string(2, dim) : number(1, dim)),
  );
  const tensor = [...number(1, TYPES[dtype]), ...(dims ? bytes(2, shape) : [])];
  return [...string(1, name), ...bytes(2, bytes(1, tensor))];
}

/** [name, dtype, dims, typed array] */
function tensor([name, dtype, dims, data]) {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [
    ...dims.flatMap((dim) => number(1, dim)),
    ...number(2, TYPES[dtype]),
    ...string(8, name),
    ...bytes(9, raw),
  ];
}

function attribute([name, value]) {
  const isGraph = typeof value === 'object';
  const body = isGraph ? bytes(6, graph(value)) : number(3, value);
  return [...string(1, name), ...body, ...number(20, isGraph ? 5 : 2)];
}

/** [opType, inputs, outputs, name, { attribute: whole number or graph }] */
function node([opType, inputs, outputs, name = '', attributes = {}]) {
  return [
    ...inputs.flatMap((input) => string(1, input)),
    ...outputs.flatMap((output) => string(2, output)),
    ...string(3, name),
    ...string(4, opType),
    ...Object.entries(attributes).flatMap((entry) => bytes(5, attribute(entry))),
  ];
}

/** @param {{nodes: any[], inputs?: any[], outputs: any[], weights?: any[]}} graph */
function graph({ nodes, inputs = [], outputs, weights = [] }) {
  return [
    ...nodes.flatMap((one) => bytes(1, node(one))),
    ...string(2, 'test'),
    ...weights.flatMap((one) => bytes(5, tensor(one))),
    ...inputs.flatMap((one) => bytes(11, slot(one))),
    ...outputs.flatMap((one) => bytes(12, slot(one))),
  ];
}

/** @param {{nodes: any[], inputs: any[], outputs: any[], weights?: any[]}} main */
export function onnxWithGraphs(main, opset = 17) {
  const set = [...string(1, ''), ...number(2, opset)];
  return new Uint8Array([...number(1, 8), ...bytes(7, graph(main)), ...bytes(8, set)]);
}

/** y doubles x while its sum is below `limit`, at least once; all: every y. A negative limit
 * takes the other branch, with y = -x. */
export const doubleWhile = (/** @type {number | string} */ n = 2) =>
  onnxWithGraphs({
    inputs: [
      ['x', 'float32', [n]],
      ['limit', 'float32', []],
    ],
    outputs: [
      ['y', 'float32', [n]],
      ['all', 'float32', undefined],
    ],
    weights: [['zero', 'float32', [], new Float32Array([0])]],
    nodes: [
      ['Less', ['limit', 'zero'], ['negative'], 'negative'],
      [
        'Loop',
        ['', '', 'x'],
        ['doubled', 'all'],
        'repeat',
        {
          body: {
            inputs: [
              ['i', 'int64', []],
              ['go', 'bool', []],
              ['s', 'float32', [n]],
            ],
            outputs: [
              ['on', 'bool', []],
              ['s2', 'float32', [n]],
              ['s2', 'float32', [n]],
            ],
            nodes: [
              ['Add', ['s', 's'], ['s2'], 'double'],
              ['ReduceSum', ['s2'], ['sum'], 'sum', { keepdims: 0 }],
              ['Less', ['sum', 'limit'], ['on'], 'below'],
            ],
          },
        },
      ],
      [
        'If',
        ['negative'],
        ['y'],
        'choose',
        {
          then_branch: { outputs: [['n', 'float32', [n]]], nodes: [['Neg', ['x'], ['n'], 'neg']] },
          else_branch: {
            outputs: [['d', 'float32', [n]]],
            nodes: [['Identity', ['doubled'], ['d'], 'same']],
          },
        },
      ],
    ],
  });
