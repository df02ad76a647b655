// A peer graph for tfjs: its steps as JSON and all weights in one file, in tfjs's layouts, as its converter splits models.

/** @typedef {import('./graph.mjs').PeerGraph} PeerGraph @typedef {import('./graph.mjs').Value} Value */

/** [out, h, w, in] -> [h, w, in, out]; depthwise [1, h, w, c] -> [h, w, c, 1] */
function outputsLast({ dims: [o, h, w, c], data }) {
  const inner = h * w * c;
  const moved = new Float32Array(o * inner);
  for (let i = 0; i < o; i++)
    for (let j = 0; j < inner; j++) moved[j * o + i] = data[i * inner + j];
  return { dims: [h, w, c, o], data: moved };
}

/** @param {Value} weights  [out, in] -> [in, out] */
const inputsFirst = ({ dims: [o, i], data }) => {
  const { data: moved } = outputsLast({ dims: [o, 1, 1, i], data });
  return { dims: [i, o], data: moved };
};

const LAYOUTS = { conv: outputsLast, depthwise: outputsLast, fully_connected: inputsFirst };

/** @param {PeerGraph} graph @returns {{ json: Uint8Array, weights: Uint8Array }} */
export function writeTfjs({ inputs, outputs, values, steps }) {
  const weights = {};
  const parts = [];
  let offset = 0;
  const layoutOf = new Map(
    steps.filter(({ op }) => LAYOUTS[op]).map(({ op, inputs: [, name] }) => [name, LAYOUTS[op]]),
  );
  for (const [name, value] of values) {
    if (!value.data) continue;
    const { dims, data } = layoutOf.get(name)?.(value) ?? value;
    weights[name] = { dtype: value.dtype, dims, offset, count: data.length };
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    offset += data.byteLength;
  }
  const dims = Object.fromEntries(steps.map(({ output }) => [output, values.get(output)?.dims]));
  const json = JSON.stringify({ inputs, outputs, weights, dims, steps });
  return { json: Buffer.from(json), weights: Buffer.concat(parts, offset) };
}
