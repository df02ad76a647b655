/** Bring your own model: compile it if it is ONNX, open it, give it random input. */

import { hex } from '../certificate.js';
import { WasmAIError } from '../errors.js';
import { inPage } from '../places.js';
import { WorkerClient } from '../rpc.js';
import { load, Tensor } from '../wasmai.js';
import { assets } from './demo_assets.js';
import { formatMs, percentile } from './plot.js';

/** @typedef {import('../wasmai.d.ts').Slot} Slot */

const RUNS = 10;
const SHOWN = 8;
const CAP_MB = 1024;

/** What random input is, by dtype. @type {Record<string, (count: number) => any>} */
const RANDOM = {
  float32: (count) => Float32Array.from({ length: count }, Math.random),
  float64: (count) => Float64Array.from({ length: count }, Math.random),
  int64: (count) => BigInt64Array.from({ length: count }, () => BigInt(Math.random() < 0.5)),
  uint64: (count) => BigUint64Array.from({ length: count }, () => BigInt(Math.random() < 0.5)),
  int32: (count) => Int32Array.from({ length: count }, () => Number(Math.random() < 0.5)),
  uint32: (count) => Uint32Array.from({ length: count }, () => Number(Math.random() < 0.5)),
  int16: (count) => Int16Array.from({ length: count }, () => Number(Math.random() < 0.5)),
  uint16: (count) => Uint16Array.from({ length: count }, () => Number(Math.random() < 0.5)),
  int8: (count) => Int8Array.from({ length: count }, () => Math.floor(Math.random() * 127)),
  uint8: (count) => Uint8Array.from({ length: count }, () => Math.floor(Math.random() * 255)),
  bool: (count) => Uint8Array.from({ length: count }, () => Number(Math.random() < 0.5)),
  float16: (count) => new Uint16Array(count).fill(0x3800), // 0.5
};

/**
 * @param {File} file
 * @param {{ status: (text: string, bad?: boolean) => void, result: HTMLElement }} view
 */
export async function runOwnModel(file, { status, result }) {
  result.replaceChildren();
  let session;
  try {
    let bytes = new Uint8Array(await file.arrayBuffer());
    if (/\.onnx$/i.test(file.name)) {
      status(`Compiling ${file.name} …`);
      bytes = await compile(bytes);
    }
    status('Opening …');
    // The visitor chose these very bytes: that is what a --secure build asks for.
    const sha384 = hex(new Uint8Array(await crypto.subtle.digest('SHA-384', bytes)));
    session = await load(bytes, { sha384, maxHeapMB: CAP_MB });
    status('Running …');
    const feeds = Object.fromEntries(session.inputs.map((slot) => [slot.name, randomTensor(slot)]));
    const times = [];
    /** @type {Record<string, Tensor>} */
    let outputs = {};
    for (let i = 0; i < RUNS; i++) {
      outputs = await session.run(feeds, { deadlineMs: 60000 });
      times.push(session.info.lastMs ?? 0);
    }
    times.sort((a, b) => a - b);
    const { peakBytes, certificate } = session.info;
    status(
      `${file.name}: ${formatMs(percentile(times, 0.5))} per run (median of ${RUNS}), ` +
        `${(peakBytes / 1048576).toFixed(1)} MiB at most, ${certificate.paramCount.toLocaleString()} parameters.`,
    );
    result.replaceChildren(
      table(
        'Inputs, filled with random numbers',
        session.inputs.map((slot) => describe(slot)),
      ),
      table(
        'Outputs',
        session.outputs.map((slot) => describe(slot, outputs[slot.name])),
      ),
    );
  } catch (error) {
    status(error instanceof Error ? error.message : String(error), true);
  } finally {
    await session?.close();
  }
}

/** In a locked worker of its own, thrown away afterwards. @param {Uint8Array<ArrayBuffer>} onnx */
async function compile(onnx) {
  if (!assets.compiler)
    throw new WasmAIError(
      'UNSUPPORTED',
      'demo',
      'this site was built without the compiler: choose a .wai package',
    );
  const [client, compiler] = await Promise.all([
    WorkerClient.start(inPage(assets.compileWorker, 'wasm-ai-demo')),
    fetchCompiler(assets.compiler),
  ]);
  try {
    const { pack } = await client.request('compile', { compiler, onnx }, [onnx.buffer]);
    return new Uint8Array(pack);
  } finally {
    client.stop(new WasmAIError('STATE', 'compiler', 'done'));
  }
}

/** @param {{ url: URL, sha384: string }} compiler */
async function fetchCompiler({ url, sha384 }) {
  const response = await fetch(url);
  if (!response.ok)
    throw new WasmAIError('ARGUMENT', url.href, `the server answered ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (hex(new Uint8Array(await crypto.subtle.digest('SHA-384', bytes))) !== sha384) {
    throw new WasmAIError(
      'INTEGRITY',
      url.href,
      'the compiler differs from the one that this site was built with',
    );
  }
  return bytes;
}

/** @param {Slot} slot */
function randomTensor({ dtype, dims }) {
  const count = dims.reduce((product, dim) => product * dim, 1);
  const data = RANDOM[dtype](count);
  return new Tensor(dtype, data, dims);
}

/** @param {Slot} slot @param {Tensor} [tensor] */
function describe({ name, dtype, dims }, tensor) {
  const row = [name, dtype, `[${dims.join(', ')}]`];
  if (!tensor) return row;
  const shown = Array.from(tensor.data.slice(0, SHOWN), (value) =>
    typeof value === 'number' ? Number(value.toPrecision(4)).toString() : String(value),
  );
  return [...row, shown.join('  ') + (tensor.size > SHOWN ? '  …' : '')];
}

/** @param {string} caption @param {string[][]} rows */
function table(caption, rows) {
  const made = document.createElement('table');
  made.createCaption().textContent = caption;
  const head = made.createTHead().insertRow();
  for (const title of ['name', 'type', 'shape', 'first values'].slice(0, rows[0]?.length ?? 3)) {
    const cell = document.createElement('th');
    cell.scope = 'col';
    cell.textContent = title;
    head.append(cell);
  }
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const text of row) line.insertCell().textContent = text;
  }
  return made;
}
