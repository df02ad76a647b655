// tfjs with its wasm backend: the graph of ../../peers/tfjs.mjs by the core API, fused where tfjs has fused operators,
// each tensor disposed of after its last use, as tfjs's own graph executor does.
import { setThreadsCount, setWasmPaths, version_wasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { channelsLast } from './layout.js';

const act = ({ act: name }) => (name === 'none' ? 'linear' : name);
const around = ([top, left, bottom, right]) =>
  top + left + bottom + right === 0
    ? 'valid'
    : [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ];
const finish = (step, x) =>
  step.act === 'relu' ? tf.relu(x) : step.act === 'relu6' ? tf.relu6(x) : x;

const OPS = {
  conv: ([x, filter, bias], step) =>
    tf.fused.conv2d({
      x,
      filter,
      bias,
      strides: step.strides,
      pad: around(step.pads),
      activation: act(step),
    }),
  depthwise: ([x, filter, bias], step) =>
    tf.fused.depthwiseConv2d({
      x,
      filter,
      bias,
      strides: step.strides,
      pad: around(step.pads),
      activation: act(step),
    }),
  fully_connected([x, b, bias], step, dims) {
    const a = tf.reshape(x, [-1, b.shape[0]]);
    return tf.reshape(tf.fused.matMul({ a, b, bias, activation: act(step) }), dims);
  },
  max_pool: ([x], { kernel, strides, pads }) => tf.maxPool(x, kernel, strides, around(pads)),
  mean: ([x], { axes }) => tf.mean(x, axes, true),
  concat: (list, { axis }) => tf.concat(list, axis),
  reshape: ([x], _step, dims) => tf.reshape(x, dims),
  transpose: ([x], { perm }) => tf.transpose(x, perm),
  relu: ([x]) => tf.relu(x),
  relu6: ([x]) => tf.relu6(x),
  sigmoid: ([x]) => tf.sigmoid(x),
  hard_sigmoid: ([x]) => tf.mul(tf.relu6(tf.add(x, 3)), 1 / 6),
  hard_swish: ([x]) => tf.mul(x, tf.mul(tf.relu6(tf.add(x, 3)), 1 / 6)),
  gelu: ([x]) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
  softmax: ([x]) => tf.softmax(x),
  add: ([a, b], step) => finish(step, tf.add(a, b)),
  sub: ([a, b]) => tf.sub(a, b),
  mul: ([a, b]) => tf.mul(a, b),
  batch_matmul: ([a, b]) => tf.matMul(a, b),
  gather: ([table, ids]) => tf.gather(table, ids),
  cast: ([x]) => tf.cast(x, 'float32'),
  layer_norm([x, scale, bias], { epsilon }) {
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const variance = tf.mean(tf.square(centred), -1, true);
    const normal = tf.mul(centred, tf.rsqrt(tf.add(variance, epsilon)));
    return tf.add(tf.mul(normal, scale), bias);
  },
};

async function readGraph(model) {
  const [graph, bytes] = await Promise.all([
    fetch(`./models/${model}.tfjs.json`).then((response) => response.json()),
    fetch(`./models/${model}.tfjs.bin`).then((response) => response.arrayBuffer()),
  ]);
  const weights = new Map(
    Object.entries(graph.weights).map(([name, { dtype, dims, offset, count }]) => {
      const Type = dtype === 'int32' ? Int32Array : Float32Array;
      return [name, tf.tensor(new Type(bytes, offset, count), dims, dtype)];
    }),
  );
  return { ...graph, weights };
}

/** What each step is the last to use. */
function lastUses({ steps, outputs, weights }) {
  const last = new Map();
  steps.forEach(({ inputs, output }, i) => {
    for (const name of [...inputs, output]) last.set(name, i);
  });
  const uses = steps.map(() => /** @type {string[]} */ ([]));
  for (const [name, i] of last)
    if (!outputs.includes(name) && !weights.has(name)) uses[i].push(name);
  return uses;
}

function execute({ steps, weights, dims, outputs }, feeds, uses) {
  const values = new Map([...weights, ...feeds]);
  steps.forEach((step, i) => {
    const inputs = step.inputs.map((name) => values.get(name));
    const result = tf.tidy(() => OPS[step.op](inputs, step, dims[step.output]));
    values.set(step.output, result);
    for (const name of uses[i]) values.get(name).dispose();
  });
  return outputs.map((name) => values.get(name));
}

/** @param {{ model: string, threads: number }} options */
export async function open({ model, threads }) {
  setWasmPaths(new URL('./tfjs/', location.href).href);
  if (threads > 1) setThreadsCount(threads);
  else tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  await tf.setBackend('wasm');
  const graph = await readGraph(model);
  const uses = lastUses(graph);
  let sources;
  return {
    feed(inputs) {
      sources = graph.inputs.map((name) => [name, channelsLast(inputs[name])]);
    },
    async run() {
      const feeds = sources.map(([name, { data, dims, dtype }]) => [
        name,
        tf.tensor(data, dims, dtype),
      ]);
      const results = execute(graph, feeds, uses);
      const arrays = results.map((tensor, i) => [graph.outputs[i], tensor.dataSync().slice()]);
      for (const tensor of results) tensor.dispose();
      return arrays;
    },
    info: () => ({ variant: 'simd', threads: Math.max(threads, 1), version: version_wasm }),
    close() {
      for (const tensor of graph.weights.values()) tensor.dispose();
    },
  };
}
