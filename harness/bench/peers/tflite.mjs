// A peer graph as a .tflite file, the way TensorFlow's converter would write it. Numbers of fields, operators
// and options are those of TensorFlow Lite's schema.fbs.
import { Builder } from 'flatbuffers';

/** @typedef {import('./graph.mjs').PeerGraph} PeerGraph @typedef {import('./graph.mjs').Step} Step */

const SCHEMA_VERSION = 3;
const TYPES = { float32: 0, int32: 2 };
const ACTIVATIONS = { none: 0, relu: 1, relu6: 3 };
const [SAME, VALID] = [0, 1];

const float = (at, value) => ({ at, add: 'addFieldFloat32', value });
const int = (at, value) => ({ at, add: 'addFieldInt32', value });
const byte = (at, value) => ({ at, add: 'addFieldInt8', value });
const activation = (at, name) => byte(at, ACTIVATIONS[name ?? 'none']);

/** BuiltinOperator, the type of its BuiltinOptions, and their fields. */
const OPERATORS = {
  add: { code: 0, options: 11, fields: ({ act }) => [activation(0, act)] },
  concat: { code: 2, options: 10, fields: ({ axis }) => [int(0, axis)] },
  conv: {
    code: 3,
    options: 1,
    fields: ({ padding, strides, act }) => [
      byte(0, padding),
      int(1, strides[1]),
      int(2, strides[0]),
      activation(3, act),
      int(4, 1),
      int(5, 1),
    ],
  },
  depthwise: {
    code: 4,
    options: 2,
    fields: ({ padding, strides, act }) => [
      byte(0, padding),
      int(1, strides[1]),
      int(2, strides[0]),
      int(3, 1),
      activation(4, act),
      int(5, 1),
      int(6, 1),
    ],
  },
  // keep_num_dims: encoders multiply a batch of sequences
  fully_connected: { code: 9, options: 8, fields: ({ act }) => [activation(0, act), byte(2, 1)] },
  sigmoid: { code: 14 },
  max_pool: {
    code: 17,
    options: 5,
    fields: ({ padding, strides, kernel }) => [
      byte(0, padding),
      int(1, strides[1]),
      int(2, strides[0]),
      int(3, kernel[1]),
      int(4, kernel[0]),
    ],
  },
  mul: { code: 18, options: 21, fields: ({ act }) => [activation(0, act)] },
  relu: { code: 19 },
  relu6: { code: 21 },
  reshape: { code: 22 },
  softmax: { code: 25, options: 9, fields: () => [float(0, 1)] },
  pad: { code: 34 },
  gather: { code: 36, options: 23, fields: () => [int(0, 0)] },
  transpose: { code: 39 },
  mean: { code: 40, options: 27, fields: () => [byte(0, 1)] },
  sub: { code: 41, options: 28, fields: ({ act }) => [activation(0, act)] },
  cast: { code: 53, options: 37, fields: () => [byte(0, TYPES.int32), byte(1, TYPES.float32)] },
  rsqrt: { code: 76 },
  squared_difference: { code: 99 },
  hard_swish: { code: 117 },
  batch_matmul: { code: 126, options: 101, fields: () => [byte(0, 0), byte(1, 0)] },
  gelu: { code: 150 },
};

/** Steps with other inputs, or as several, because TensorFlow Lite says it that way. */
const EXPAND = {
  conv: padded,
  depthwise: padded,
  max_pool: padded,
  mean: (w, step) => w.put({ ...step, inputs: [...step.inputs, w.ints(step.axes)] }),
  reshape: (w, step) => w.put({ ...step, inputs: [...step.inputs, w.ints(w.dimsOf(step.output))] }),
  transpose: (w, step) => w.put({ ...step, inputs: [...step.inputs, w.ints(step.perm)] }),
  hard_sigmoid(w, { inputs: [x], output }) {
    const sum = w.like(output, 'add');
    w.put({ op: 'add', inputs: [x, w.floats([3])], output: sum, act: 'relu6' });
    w.put({ op: 'mul', inputs: [sum, w.floats([1 / 6])], output });
  },
  layer_norm(w, { inputs: [x, scale, bias], output, epsilon }) {
    const dims = w.dimsOf(x);
    const one = [...dims.slice(0, -1), 1];
    const axes = w.ints([dims.length - 1]);
    const step = (op, inputs, shape, result = w.temporary(shape)) => {
      w.put({ op, inputs, output: result });
      return result;
    };
    const mean = step('mean', [x, axes], one);
    const variance = step('mean', [step('squared_difference', [x, mean], dims), axes], one);
    const inverse = step('rsqrt', [step('add', [variance, w.floats([epsilon])], one)], one);
    const normal = step('mul', [step('sub', [x, mean], dims), inverse], dims);
    step('add', [step('mul', [normal, scale], dims), bias], dims, output);
  },
};

/** SAME where that is what it means, else a PAD in front, which XNNPACK folds into a convolution. */
function padded(w, step) {
  const [x, ...rest] = step.inputs;
  const [top, left, bottom, right] = step.pads;
  const dims = w.dimsOf(x);
  if (top + left + bottom + right === 0) return w.put({ ...step, padding: VALID });
  if (isSame(dims, step)) return w.put({ ...step, padding: SAME });
  const [n, height, width, c] = dims;
  const wide = w.temporary([n, height + top + bottom, width + left + right, c]);
  const around = w.ints([0, 0, top, bottom, left, right, 0, 0], [4, 2]);
  w.put({ op: 'pad', inputs: [x, around], output: wide });
  w.put({ ...step, inputs: [wide, ...rest], padding: VALID });
}

/** TensorFlow's SAME: as many outputs as ceil(size / stride), what is missing at the end first. */
function isSame([, ...extent], { kernel, strides, pads: [top, left, bottom, right] }) {
  return [
    [top, bottom],
    [left, right],
  ].every(([begin, end], i) => {
    const count = Math.ceil(extent[i] / strides[i]);
    const total = Math.max(0, (count - 1) * strides[i] + kernel[i] - extent[i]);
    return begin === Math.floor(total / 2) && end === total - begin;
  });
}

/** Values and steps in the order of the file. */
class Writer {
  /** @param {PeerGraph} graph */
  constructor({ values, steps }) {
    this.values = new Map(values);
    /** @type {(Step & { padding?: number })[]} */
    this.steps = [];
    for (const step of steps) (EXPAND[step.op] ?? ((w, one) => w.put(one)))(this, step);
  }

  put(step) {
    this.steps.push(step);
  }

  dimsOf(name) {
    return /** @type {number[]} */ (this.values.get(name)?.dims);
  }

  /** @param {number[]} dims @param {'float32' | 'int32'} [dtype] @param {Float32Array | Int32Array} [data] */
  temporary(dims, dtype = 'float32', data) {
    const name = `tmp${this.values.size}`;
    this.values.set(name, { dtype, dims, ...(data ? { data } : {}) });
    return name;
  }

  like(name) {
    return this.temporary(this.dimsOf(name));
  }

  ints(list, dims = [list.length]) {
    return this.temporary(dims, 'int32', Int32Array.from(list));
  }

  floats(list) {
    return this.temporary([list.length], 'float32', Float32Array.from(list));
  }
}

/** @param {PeerGraph} graph @returns {Uint8Array} */
export function writeTflite(graph) {
  const { values, steps } = new Writer(graph);
  const bytes = [...values.values()].reduce((sum, { data }) => sum + (data?.byteLength ?? 0), 0);
  const builder = new Builder(bytes + 65536 + values.size * 256);
  const names = [...values.keys()];
  const index = new Map(names.map((name, i) => [name, i]));
  const indices = (list) =>
    intVector(
      builder,
      list.map((name) => index.get(name)),
    );

  const buffers = [table(builder, 1, [])];
  const tensors = [];
  for (const [name, { dtype, dims, data }] of values) {
    const text = builder.createString(name);
    const shape = intVector(builder, dims);
    if (data) buffers.push(table(builder, 1, [ref(0, dataVector(builder, data))]));
    const where = int(2, data ? buffers.length - 1 : 0);
    tensors.push(table(builder, 4, [ref(0, shape), byte(1, TYPES[dtype]), where, ref(3, text)]));
  }
  const kinds = [...new Set(steps.map(({ op }) => op))];
  const operators = steps.map((step) => {
    const { options, fields } = OPERATORS[step.op];
    const inputs = indices(step.inputs);
    const outputs = indices([step.output]);
    const how = options ? table(builder, 8, fields(step)) : null;
    return table(builder, 5, [
      int(0, kinds.indexOf(step.op)),
      ref(1, inputs),
      ref(2, outputs),
      ...(how === null ? [] : [byte(3, options), ref(4, how)]),
    ]);
  });
  const subgraph = table(builder, 5, [
    ref(0, offsets(builder, tensors)),
    ref(1, indices(graph.inputs)),
    ref(2, indices(graph.outputs)),
    ref(3, offsets(builder, operators)),
  ]);
  const codes = kinds.map((op) => {
    const { code } = OPERATORS[op];
    return table(builder, 4, [byte(0, Math.min(code, 127)), int(2, 1), int(3, code)]);
  });
  const model = table(builder, 5, [
    int(0, SCHEMA_VERSION),
    ref(1, offsets(builder, codes)),
    ref(2, offsets(builder, [subgraph])),
    ref(4, offsets(builder, buffers)),
  ]);
  builder.finish(model, 'TFL3');
  return builder.asUint8Array();
}

const ref = (at, offset) => ({ at, add: 'addFieldOffset', value: offset });

/** Defaults are written out, so none has to be known here. */
function table(builder, count, fields) {
  builder.startObject(count);
  builder.forceDefaults(true);
  for (const { at, add, value } of fields) builder[add](at, value, 0);
  return builder.endObject();
}

function offsets(builder, list) {
  builder.startVector(4, list.length, 4);
  for (const offset of [...list].reverse()) builder.addOffset(offset);
  return builder.endVector();
}

function intVector(builder, list) {
  builder.startVector(4, list.length, 4);
  for (const value of [...list].reverse()) builder.addInt32(value);
  return builder.endVector();
}

/** Where the schema says force_align: 16. */
function dataVector(builder, { buffer, byteOffset, byteLength }) {
  builder.startVector(1, byteLength, 16);
  builder.space -= byteLength;
  builder.bb.bytes().set(new Uint8Array(buffer, byteOffset, byteLength), builder.space);
  return builder.endVector();
}
