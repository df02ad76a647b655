// run MODEL.wai: run a package on the host and show what comes out.
import { join } from 'node:path';
import { WasmAIError } from '../../web/errors.js';
import { MAX_THREADS } from '../../web/threads.js';
import { readConfig } from '../config.mjs';
import { elementCount, typeText, valueAt } from '../dtypes.mjs';
import { readPlain } from '../encryption.mjs';
import { makeFolder, safeName, writeWhole } from '../files.mjs';
import { tableText } from '../io.mjs';
import { medianSteps, profileRows, traceOf } from '../profile.mjs';
import { readInputs } from '../readers/index.mjs';
import { openRunner } from '../runners/index.mjs';
import { writeNpy } from '../writers/npy.mjs';
import { addInputOptions, collect, parseDims, wholeNumber } from './options.mjs';

export const name = 'run';
export const summary = 'run a package and print its answer and latency';
export const description = `Run a package. Inputs are .npy, .pb (ONNX TensorProto), .png or .jpg files, or
"zeros" or "random:SEED". An image becomes (pixel * scale - mean) / std.`;
export const example = `wasm-ai run model.wai --input image=cat.npy --output out
wasm-ai run digits.wai --input digit.png --runner chromium
wasm-ai run model.wai --input random:1 --repeat 50 --json
wasm-ai run model.wai --input random:1 --repeat 50 --profile --trace trace.json
wasm-ai run vad.wai --input frame.npy --input state=zeros --repeat 10 --carry state=stateN`;

const TOP = 5;

export function configure(command) {
  addInputOptions(command.argument('<package>', '.wai file'))
    .option('-o, --output <dir>', 'write each output as DIR/NAME.npy')
    .option('--runner <name>', 'node, native, chromium, firefox or webkit', 'node')
    .option(
      '--decrypt <keyfile>',
      'of an encrypted package: its key. Runners other than node put what is in it into a temporary folder',
    )
    .option('--repeat <n>', 'run n times and print min, p50 and p95', '1')
    .option(
      '--carry <in=out>',
      'with --repeat: output `out` of a run is input `in` of the next; repeat for each',
      collect,
    )
    .option(
      '--variant <name>',
      'simd, or relaxed: faster, last bits depend on the processor (also VARIANT; default simd)',
    )
    .option('--threads <n>', 'threads of a run, up to 16; the same bits for any number', '1')
    .option('--max-heap <MiB>', 'refuse a package that needs more memory (also MAX_HEAP_SIZE)')
    .option(
      '--dim <name=N>',
      'a symbolic dim, for zeros, random and images; else from the file',
      collect,
    )
    .option('--profile', 'print where the time goes, by operator and step: medians over --repeat')
    .option('--trace <file>', 'write it as a Chrome trace (Perfetto opens it); means --profile');
}

export async function run([file], options, io) {
  const threads = checkChoices(options);
  const repeat = wholeNumber(options.repeat, '--repeat', 1, 100000);
  const profile = options.profile === true || options.trace !== undefined;
  const config = readConfig({ MAX_HEAP_SIZE: options.maxHeap, VARIANT: options.variant });
  const packageBytes = await readPackage(file, options.decrypt, io);
  const runner = await openRunner(options.runner, packageBytes, {
    where: file,
    maxHeapMB: config.MAX_HEAP_SIZE,
    hardened: config.MEMORY_HARDENING,
    threads,
    variant: config.VARIANT,
  });
  try {
    const { threads: given, threadsReason } = runner.info;
    if (given < threads) io.talk(`note: ${given} of ${threads} threads: ${threadsReason}`);
    const carry = parseCarry(options.carry ?? [], runner);
    const dims = parseDims(options.dim);
    const feeds = await readInputs(options.input ?? [], runner.inputs, options, dims);
    const bar = io.progress('running', repeat);
    const result = await runner
      .run(feeds, { repeat, carry, profile, onRun: (count) => bar.update(count) })
      .finally(() => bar.done());
    const files = options.output ? await writeOutputs(options.output, result.outputs) : {};
    if (options.trace)
      await writeWhole(options.trace, JSON.stringify(traceOf(result.profiles ?? [])));
    print(file, runner, result, files, io);
  } finally {
    await runner.close();
  }
}

function checkChoices(options) {
  const threads = wholeNumber(options.threads, '--threads', 1, MAX_THREADS);
  if (threads > 1 && options.runner === 'native')
    throw new WasmAIError('UNSUPPORTED', `--threads ${threads}`, 'the native runner has one');
  return threads;
}

/** Names may hold "=": the split is where both sides are known. */
function parseCarry(pairs, { inputs, outputs }) {
  const known = (slots, name) => slots.some((slot) => slot.name === name);
  const splits = pairs.map((pair) => {
    const parts = pair.split('=');
    const at = parts.findIndex(
      (_, i) =>
        known(inputs, parts.slice(0, i).join('=')) && known(outputs, parts.slice(i).join('=')),
    );
    if (at > 0) return [parts.slice(0, at).join('='), parts.slice(at).join('=')];
    const names = (slots) => slots.map(({ name }) => name).join(', ');
    throw new WasmAIError(
      'ARGUMENT',
      `--carry ${pair}`,
      `write it as input=output; inputs are ${names(inputs)}; outputs are ${names(outputs)}`,
    );
  });
  return Object.fromEntries(splits);
}

async function readPackage(file, keyFile, io) {
  const bytes = await readPlain(file, keyFile, io.talk);
  if (/\.onnx$/i.test(file)) {
    throw new WasmAIError(
      'ARGUMENT',
      file,
      `this is an ONNX file; compile it first: wasm-ai compile ${file} -o model.wai`,
    );
  }
  return bytes;
}

async function writeOutputs(folder, outputs) {
  const files = {};
  const taken = new Set();
  for (const name of Object.keys(outputs)) {
    const path = join(folder, `${safeName(name)}.npy`);
    if (taken.has(path)) {
      throw new WasmAIError('ARGUMENT', path, 'two outputs of the model would have this file name');
    }
    taken.add(path);
    files[name] = path;
  }
  await makeFolder(folder);
  for (const [name, path] of Object.entries(files)) {
    await writeWhole(path, writeNpy(outputs[name]));
  }
  return files;
}

function print(file, runner, { outputs, times, profiles }, files, io) {
  const steps = profiles?.length ? medianSteps(profiles) : null;
  const latency = latencyOf(times);
  const shown = Object.entries(outputs).map(([name, tensor]) => ({
    name,
    dtype: tensor.dtype,
    dims: [...tensor.dims],
    top: topValues(tensor),
    ...(files[name] ? { file: files[name] } : {}),
  }));
  io.json({
    package: file,
    runner: runner.name,
    info: runner.info,
    outputs: shown,
    latency,
    ...(steps && { steps }),
  });
  const blocks = shown.map(({ name, dtype, dims, top, file: path }) => {
    const head = `${io.paint('bold', name)}  ${typeText({ dtype, dims })}${path ? `  -> ${path}` : ''}`;
    const lines = top.map(({ index, value }) => `  [${index.join(', ')}]  ${numberText(value)}`);
    return [head, ...lines].join('\n');
  });
  io.out(`${blocks.join('\n')}\n${latencyText(latency)}, ${runner.name}`);
  if (!steps) return;
  const rows = profileRows(steps);
  io.out(`\n${tableText(rows.operators, [1, 2, 3])}\n\n${tableText(rows.steps, [0, 3, 4, 5, 6])}`);
}

function latencyOf(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
  return {
    runs: times.length,
    firstMs: times[0],
    minMs: sorted[0],
    p50Ms: at(0.5),
    p95Ms: at(0.95),
  };
}

function latencyText({ runs, firstMs, minMs, p50Ms, p95Ms }) {
  if (runs === 1) return `latency  ${firstMs.toFixed(2)} ms (first run)`;
  const figures = `min ${minMs.toFixed(2)}  p50 ${p50Ms.toFixed(2)}  p95 ${p95Ms.toFixed(2)} ms`;
  return `latency  ${figures} over ${runs} runs`;
}

/** The largest elements with their indices; NaN counts as largest, so that it is seen. */
export function topValues(tensor) {
  const count = elementCount(tensor.dims);
  const top = [];
  for (let i = 0; i < count; i++) {
    // int64 and uint64 as they are: a number would lose bits above 2^53.
    const exact = typeof tensor.data[i] === 'bigint';
    const value = exact ? tensor.data[i] : valueAt(tensor, i);
    const rank = Number.isNaN(value) ? Infinity : value;
    if (top.length === TOP && !(rank > top[TOP - 1].rank)) continue;
    const place = top.findIndex((other) => rank > other.rank);
    top.splice(place < 0 ? top.length : place, 0, { i, value, rank });
    if (top.length > TOP) top.pop();
  }
  return top.map(({ i, value }) => ({ index: indexOf(i, tensor.dims), value: finite(value) }));
}

// JSON has no NaN, and its whole numbers are exact up to 2^53 only.
const finite = (value) => {
  const number = Number(value);
  const exact = typeof value === 'bigint' ? Number.isSafeInteger(number) : Number.isFinite(number);
  return exact ? number : String(value);
};

const numberText = (value) =>
  typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(6) : String(value);

function indexOf(flat, dims) {
  const index = [];
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    index.unshift(flat % dims[axis]);
    flat = Math.floor(flat / dims[axis]);
  }
  return index;
}
