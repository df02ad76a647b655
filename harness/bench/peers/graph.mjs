// The benchmark's nets as the peers with a layout of their own want them: channels last, activations and biases
// fused, Gelu as one step. Knows just what these nets are made of, and refuses the rest by name.
import { WasmAIError } from '../../../web/errors.js';
import { Model } from '../../readers/onnx_schema.mjs';
import { fuse } from './fuse.mjs';

/**
 * @typedef {{ dtype: 'float32' | 'int32', dims: number[], data?: Float32Array | Int32Array }} Value
 * @typedef {{ op: string, inputs: string[], output: string } & Record<string, any>} Step
 * @typedef {{ inputs: string[], outputs: string[], values: Map<string, Value>, steps: Step[] }} PeerGraph
 */

const FLOAT = 1;
const INT64 = 7;

/** @param {Uint8Array} onnx @returns {PeerGraph} */
export function graphOf(onnx) {
  const { graph } = /** @type {any} */ (Model.decode(onnx));
  const lowering = new Lowering(graph);
  for (const node of graph.node) {
    const lower = LOWER[node.opType];
    if (!lower) throw noGraph(node, 'this operator');
    const attributes = attributesOf(node);
    checkAttributes(node, attributes);
    lower(lowering, node, attributes);
  }
  return fuse({
    inputs: lowering.inputs,
    outputs: graph.output.map(({ name }) => name),
    values: lowering.values,
    steps: lowering.steps,
  });
}

/** int64 of ONNX is int32 here: ids and masks. */
function constantOf({ dims, dataType, rawData, floatData, int64Data }) {
  const shape = dims.map(Number);
  const raw = rawData?.length ? new Uint8Array(rawData).buffer : null;
  if (dataType === FLOAT)
    return value('float32', shape, raw ? new Float32Array(raw) : Float32Array.from(floatData));
  if (dataType === INT64) {
    const wide = raw ? [...new BigInt64Array(raw)] : int64Data;
    return value('int32', shape, Int32Array.from(wide, Number));
  }
  throw new WasmAIError('UNSUPPORTED', `ONNX type ${dataType}`, 'no peer graph has it');
}

const value = (dtype, dims, data) => ({ dtype, dims, ...(data ? { data } : {}) });

/** By ONNX's AttributeProto.type: a float, an int, a tensor, ints. */
function attributesOf({ attribute }) {
  return Object.fromEntries(
    attribute.map(({ name, intValue, intValues, floatValue, tensorValue, type }) => {
      const values = {
        1: floatValue,
        2: Number(intValue),
        4: tensorValue,
        7: intValues.map(Number),
      };
      return [name, values[type]];
    }),
  );
}

const noGraph = ({ opType, name }, what) =>
  new WasmAIError(
    'UNSUPPORTED',
    `${opType} ${name}`,
    `${what} has no equivalent graph for tfjs and LiteRT.js here: they run the benchmark's own nets (npm run bench -- nets)`,
  );

/** What an attribute may be where it is not used; null: anything. */
const ATTRIBUTES = {
  Conv: { kernel_shape: null, strides: null, pads: null, group: null, dilations: [1, 1] },
  MaxPool: {
    kernel_shape: null,
    strides: null,
    pads: null,
    ceil_mode: null,
    dilations: [1, 1],
    storage_order: 0,
  },
  Gemm: { transB: null, transA: 0, alpha: 1, beta: 1 },
  Softmax: { axis: -1 },
  Flatten: { axis: 1 },
  HardSigmoid: { alpha: Math.fround(1 / 6), beta: 0.5 },
  Gather: { axis: 0 },
  Reshape: { allowzero: 0 },
  LayerNormalization: { axis: -1, epsilon: null, stash_type: 1 },
  Concat: { axis: null },
  Transpose: { perm: null },
  Cast: { to: FLOAT },
  Constant: { value: null },
};

function checkAttributes(node, attributes) {
  const allowed = ATTRIBUTES[node.opType] ?? {};
  for (const [name, value] of Object.entries(attributes)) {
    const only = allowed[name];
    if (only !== null && JSON.stringify(only) !== JSON.stringify(value))
      throw noGraph(node, `attribute ${name}`);
  }
}

class Lowering {
  constructor(graph) {
    /** @type {Map<string, Value>} */
    this.values = new Map(graph.initializer.map((tensor) => [tensor.name, constantOf(tensor)]));
    /** @type {Step[]} */
    this.steps = [];
    /** Images are channels last here; in an encoder all stays as it is. */
    this.isImage = graph.node.some(({ opType }) => opType === 'Conv');
    this.inputs = [];
    for (const { name, type } of graph.input) {
      const { elemType, shape } = type.tensorType;
      const dims = shape.dim.map(({ dimValue }) => Number(dimValue));
      const dtype = elemType === FLOAT ? 'float32' : 'int32';
      this.values.set(name, value(dtype, this.isImage ? channelsLast(dims) : dims));
      this.inputs.push(name);
    }
  }

  of(name) {
    return /** @type {Value} */ (this.values.get(name));
  }

  emit(op, inputs, output, dims, more = {}, dtype = 'float32') {
    this.values.set(output, value(dtype, dims));
    this.steps.push({ op, inputs, output, ...more });
  }
}

const channelsLast = ([n, c, h, w]) => [n, h, w, c];

/** @param {any} weights  [out, in, h, w] -> [out, h, w, in] */
function moveInputChannels({ dims: [o, c, h, w], data }) {
  const moved = new Float32Array(o * c * h * w);
  let at = 0;
  for (let i = 0; i < o; i++)
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++)
        for (let k = 0; k < c; k++) moved[at++] = data[((i * c + k) * h + y) * w + x];
  return value('float32', [o, h, w, c], moved);
}

/** @param {any} weights  a matrix */
function transposed({ dims: [rows, columns], data }) {
  const moved = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) moved[j * rows + i] = data[i * columns + j];
  return value('float32', [columns, rows], moved);
}

/** Pads top, left, bottom, right, and what comes out. @param {number[]} extent  height, width */
function windowed(extent, kernel, strides, pads, ceil = 0) {
  const [top, left, bottom, right] = pads;
  const ends = [bottom, right];
  const out = extent.map((size, i) => {
    const free = size + [top, left][i] + ends[i] - kernel[i];
    const count = (ceil ? Math.ceil : Math.floor)(free / strides[i]) + 1;
    // What ceil_mode reads beyond the end.
    ends[i] += Math.max(0, (count - 1) * strides[i] - free);
    return count;
  });
  return { out, pads: [top, left, ...ends] };
}

function broadcast(a, b) {
  const rank = Math.max(a.length, b.length);
  const at = (dims, i) => dims[i - rank + dims.length] ?? 1;
  return Array.from({ length: rank }, (_, i) => Math.max(at(a, i), at(b, i)));
}

function binary(op) {
  return (l, { input: [a, b], output: [output] }) => {
    l.emit(op, [a, b], output, broadcast(l.of(a).dims, l.of(b).dims));
  };
}

function unary(op, more = {}) {
  return (l, { input: [x], output: [output] }) => l.emit(op, [x], output, l.of(x).dims, more);
}

function reshape(l, x, output, dims) {
  const { data, dtype } = l.of(x);
  if (data) l.values.set(output, value(dtype, dims, data));
  else l.emit('reshape', [x], output, dims, {}, dtype);
}

/** ONNX operator -> steps. */
const LOWER = {
  Constant: (l, { output: [name] }, { value: tensor }) => l.values.set(name, constantOf(tensor)),
  Conv(l, node, attributes) {
    const {
      input: [x, w, b],
      output: [output],
    } = node;
    const { kernel_shape, strides = [1, 1], pads = [0, 0, 0, 0], group = 1 } = attributes;
    const { dims } = l.of(x);
    const weights = l.of(w);
    const found = windowed(dims.slice(1, 3), kernel_shape, strides, pads);
    const depthwise = group > 1;
    if (depthwise && (group !== dims[3] || weights.dims[0] !== group))
      throw noGraph(node, 'a grouped convolution that is not depthwise');
    const moved = moveInputChannels(
      depthwise ? { ...weights, dims: [1, group, ...weights.dims.slice(2)] } : weights,
    );
    l.values.set(`${output}:weights`, moved);
    l.emit(
      depthwise ? 'depthwise' : 'conv',
      [x, `${output}:weights`, b],
      output,
      [dims[0], ...found.out, weights.dims[0]],
      { kernel: kernel_shape, strides, pads, act: 'none' },
    );
  },
  MaxPool(
    l,
    { input: [x], output: [output] },
    { kernel_shape, strides = [1, 1], pads = [0, 0, 0, 0], ceil_mode },
  ) {
    const { dims } = l.of(x);
    const found = windowed(dims.slice(1, 3), kernel_shape, strides, pads, ceil_mode);
    l.emit('max_pool', [x], output, [dims[0], ...found.out, dims[3]], {
      kernel: kernel_shape,
      strides,
      pads: found.pads,
    });
  },
  GlobalAveragePool(l, { input: [x], output: [output] }) {
    const { dims } = l.of(x);
    l.emit('mean', [x], output, [dims[0], 1, 1, dims[3]], { axes: [1, 2] });
  },
  Flatten(l, node) {
    const {
      input: [x],
      output: [output],
    } = node;
    const [first, ...rest] = l.of(x).dims;
    if (l.isImage && rest[0] * rest[1] > 1) throw noGraph(node, 'flattening a picture');
    reshape(l, x, output, [first, rest.reduce((product, dim) => product * dim, 1)]);
  },
  Gemm(l, { input: [x, w, b], output: [output] }, { transB }) {
    const weights = transB ? l.of(w) : transposed(l.of(w));
    l.values.set(`${output}:weights`, weights);
    const dims = [l.of(x).dims[0], weights.dims[0]];
    l.emit('fully_connected', [x, `${output}:weights`, b], output, dims, { act: 'none' });
  },
  MatMul(l, { input: [a, b], output: [output] }) {
    const [left, right] = [l.of(a), l.of(b)];
    const dims = [...left.dims.slice(0, -1), /** @type {number} */ (right.dims.at(-1))];
    if (!right.data) return l.emit('batch_matmul', [a, b], output, dims);
    l.values.set(`${output}:weights`, transposed(right));
    l.emit('fully_connected', [a, `${output}:weights`], output, dims, { act: 'none' });
  },
  Concat(l, { input, output: [output] }, { axis }) {
    const at = l.isImage ? [0, 3, 1, 2][axis] : axis;
    const dims = [...l.of(input[0]).dims];
    dims[at] = input.reduce((sum, name) => sum + l.of(name).dims[at], 0);
    l.emit('concat', [...input], output, dims, { axis: at });
  },
  Clip(l, node) {
    const {
      input: [x, low, high],
      output: [output],
    } = node;
    if (l.of(low).data?.[0] !== 0 || l.of(high).data?.[0] !== 6)
      throw noGraph(node, 'a Clip that is not ReLU6');
    l.emit('relu6', [x], output, l.of(x).dims);
  },
  Relu: unary('relu'),
  Sigmoid: unary('sigmoid'),
  HardSwish: unary('hard_swish'),
  HardSigmoid: unary('hard_sigmoid'),
  Erf: unary('erf'),
  Softmax: unary('softmax'),
  Add: binary('add'),
  Sub: binary('sub'),
  Mul: binary('mul'),
  Div(l, { input: [a, b], output: [output] }) {
    const by = l.of(b);
    l.values.set(
      `${output}:factor`,
      value(
        'float32',
        by.dims,
        by.data.map((x) => 1 / x),
      ),
    );
    l.emit('mul', [a, `${output}:factor`], output, l.of(a).dims);
  },
  Cast(l, { input: [x], output: [output] }) {
    l.emit('cast', [x], output, l.of(x).dims);
  },
  Gather(l, { input: [table, ids], output: [output] }) {
    const [rows, indices] = [l.of(table), l.of(ids)];
    const width = rows.dims[1];
    const dims = [...indices.dims, width];
    if (!indices.data) return l.emit('gather', [table, ids], output, dims);
    const data = new Float32Array(indices.data.length * width);
    indices.data.forEach((id, i) => {
      data.set(rows.data.subarray(id * width, (id + 1) * width), i * width);
    });
    l.values.set(output, value('float32', dims, data));
  },
  LayerNormalization(l, { input: [x, scale, bias], output: [output] }, { epsilon }) {
    l.emit('layer_norm', [x, scale, bias], output, l.of(x).dims, { epsilon });
  },
  Transpose(l, { input: [x], output: [output] }, { perm }) {
    const { dims } = l.of(x);
    l.emit(
      'transpose',
      [x],
      output,
      perm.map((from) => dims[from]),
      { perm },
    );
  },
  Unsqueeze(l, { input: [x, axes], output: [output] }) {
    const dims = [...l.of(x).dims];
    for (const axis of l.of(axes).data) dims.splice(axis, 0, 1);
    reshape(l, x, output, dims);
  },
  Reshape(l, { input: [x, shape], output: [output] }) {
    const { dims } = l.of(x);
    const asked = [...l.of(shape).data].map((dim, i) => (dim === 0 ? dims[i] : dim));
    const known = asked.filter((dim) => dim > 0).reduce((product, dim) => product * dim, 1);
    const all = dims.reduce((product, dim) => product * dim, 1);
    reshape(
      l,
      x,
      output,
      asked.map((dim) => (dim < 0 ? all / known : dim)),
    );
  },
};
