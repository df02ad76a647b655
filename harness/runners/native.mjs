// Runs a package in the native command (harness/native/main.c), one process
// per run; tensors travel as raw files in a temporary folder.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pagesOf, readCertificate } from '../../web/certificate.js';
import { codeOfStatus, WasmAIError } from '../../web/errors.js';
import { arrayFromBytes, bytesOf, dtypeByName, dtypeByNumber } from '../dtypes.mjs';

export const NATIVE_COMMAND = fileURLToPath(new URL('../../build/native/wai', import.meta.url));
const execute = promisify(execFile);
const PACKAGE = 'package.wai';
const MAX_TEXT = 64 << 20;

/** @param {Uint8Array} packageBytes @param {import('./index.mjs').RunnerOptions} [options] */
export async function open(packageBytes, { where = 'package', maxHeapMB = 4096 } = {}) {
  if (!existsSync(NATIVE_COMMAND)) {
    throw new WasmAIError(
      'STATE',
      'build/native/wai',
      'the native runner is not built; run `npm start` once, or use --runner node',
    );
  }
  pagesOf(readCertificate(packageBytes, where), maxHeapMB, where);
  const folder = await mkdtemp(join(tmpdir(), 'wasm-ai-'));
  const close = () => rm(folder, { recursive: true, force: true });
  try {
    const file = join(folder, PACKAGE);
    await writeFile(file, packageBytes);
    const described = parse(await call(['info', file], where));
    /** A process keeps nothing: what was carried to each input, from call to call. */
    const kept = new Map();
    return {
      name: 'native',
      inputs: described.inputs,
      outputs: described.outputs,
      info: {
        variant: 'native',
        variantReason: 'this runner is compiled for the processor, with the kernels of simd',
        threads: 1,
        memoryBytes: described.memory,
      },
      run: (feeds, options = {}) => run(folder, file, described, feeds, options, where, kept),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function run(folder, file, { inputs }, feeds, options, where, kept) {
  const { repeat = 1, carry = {}, profile = false } = options;
  if (profile) {
    const why = 'the native runner has no profile (perf has): use --runner node or a browser';
    throw new WasmAIError('UNSUPPORTED', '--profile', why);
  }
  const args = ['run', file, '--output', folder, '--repeat', String(repeat)];
  for (const [i, { name, symbols }] of inputs.entries()) {
    const path = join(folder, `input${i}.raw`);
    const feed = feeds[name] ?? kept.get(name);
    if (!feed)
      throw new WasmAIError('ARGUMENT', name, 'give this input: nothing was carried to it');
    await writeFile(path, bytesOf(feed.data));
    args.push('--input', `${name}=${path}`);
    if (symbols) args.push('--shape', name, feed.dims.join(','));
  }
  for (const [to, from] of Object.entries(carry)) args.push('--carry', to, from);
  kept.clear();
  const { times, outputs } = parse(await call(args, where));
  const results = {};
  for (const [i, { name, dtype, dims }] of outputs.entries()) {
    const bytes = await readFile(join(folder, `${i}.raw`));
    results[name] = { dtype, dims, data: arrayFromBytes(dtypeByName(dtype), bytes) };
  }
  for (const [to, from] of Object.entries(carry)) kept.set(to, results[from]);
  return { outputs: results, times };
}

async function call(args, where) {
  try {
    return (await execute(NATIVE_COMMAND, args, { maxBuffer: MAX_TEXT })).stdout;
  } catch (error) {
    const fields = String(error.stderr ?? '')
      .split('\n')[0]
      .split('\t');
    if (error.code === 1 && fields.length === 4) {
      const place = fields[1] === '-1' ? '' : ` (byte ${fields[1]})`;
      const culprit = fields[2].endsWith(PACKAGE) ? where : `${where} (${fields[2]})`;
      throw new WasmAIError(codeOfStatus(Number(fields[0])), culprit, fields[3] + place);
    }
    const how = error.signal ? `signal ${error.signal}` : `exit code ${error.code}`;
    throw new WasmAIError(
      'INTERNAL',
      where,
      `the native runner ended with ${how}: ${error.stderr}`,
    );
  }
}

function slotOf(words) {
  const rank = Number(words[3]);
  return {
    name: words.slice(4 + rank).join(' '),
    dtype: dtypeByNumber(Number(words[2]))?.name ?? 'unknown',
    dims: words.slice(4, 4 + rank).map(Number),
  };
}

function addRange(inputs, words) {
  const [input, axis, min, max] = words.slice(1, 5).map(Number);
  const slot = inputs[input];
  slot.symbols ??= slot.dims.map(() => null);
  slot.symbols[axis] = { name: words.slice(5).join(' '), min, max };
}

// The lines are described at the top of harness/native/main.c.
function parse(text) {
  /** @type {{inputs: any[], outputs: any[], times: number[], memory: number}} */
  const described = { inputs: [], outputs: [], times: [], memory: 0 };
  for (const line of text.split('\n')) {
    const words = line.split(' ');
    if (words[0] === 'time') described.times.push(Number(words[1]) / 1e6);
    if (words[0] === 'memory') described.memory = Number(words[1]);
    if (words[0] === 'range') addRange(described.inputs, words);
    if (words[0] === 'input') described.inputs.push(slotOf(words));
    if (words[0] === 'output') described.outputs.push(slotOf(words));
    if (words[0] === 'result') described.outputs[Number(words[1])] = slotOf(words);
  }
  return described;
}
