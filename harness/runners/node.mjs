// Runs a package in this process, with the loader that pages use.

import { WasmAIError } from '../../web/errors.js';
import { load, Tensor } from '../../web/wasmai.js';
import { allowRelaxedSimd } from '../runtimes.mjs';

/** @param {Uint8Array} packageBytes @param {import('./index.mjs').RunnerOptions} [options] */
export async function open(packageBytes, options = {}) {
  const { where = 'package', maxHeapMB, hardened, threads = 1, variant = 'simd' } = options;
  if (variant !== 'simd') allowRelaxedSimd();
  const deterministic = variant === 'simd';
  const isolation = /** @type {const} */ ('none');
  const asked = { isolation, deterministic, maxHeapMB, hardened, threads };
  const session = await load(packageBytes, asked).catch((error) => {
    throw renamed(error, where);
  });
  return {
    name: 'node',
    inputs: session.inputs,
    outputs: session.outputs,
    get info() {
      return session.info;
    },
    run: (feeds, options) => runSession(session, feeds, options),
    close: () => session.close(),
  };
}

async function runSession(
  session,
  feeds,
  { repeat = 1, onRun = (/** @type {number} */ _count) => {}, carry = {}, profile = false } = {},
) {
  const tensors = {};
  for (const [name, { dtype, data, dims }] of Object.entries(feeds)) {
    tensors[name] = new Tensor(dtype, data, dims);
  }
  const times = [];
  const profiles = [];
  let outputs = {};
  for (let i = 0; i < repeat; i++) {
    outputs = await session.run(tensors, { carry, profile });
    times.push(session.info.lastMs);
    if (profile) profiles.push(session.profile(outputs));
    onRun(i + 1);
    for (const name of Object.keys(carry)) delete tensors[name]; // fed once
  }
  return { outputs: Object.fromEntries(Object.entries(outputs).map(hostTensor)), times, profiles };
}

/** The harness knows float16 as bits; newer Nodes give a Float16Array. */
function hostTensor([name, { dtype, dims, data }]) {
  const bits = dtype === 'float16' && !(data instanceof Uint16Array);
  return [
    name,
    {
      dtype,
      dims: [...dims],
      data: bits ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data,
    },
  ];
}

// The loader calls bytes "bytes"; people call them by their file.
function renamed(error, where) {
  if (!(error instanceof WasmAIError) || error.where !== 'bytes') return error;
  return new WasmAIError(error.code, where, error.message.replace(/^bytes: /, ''), {
    cause: error,
  });
}
