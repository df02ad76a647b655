// The native build under sanitizers: compiler and runtime, one process for many tests
// (`wai batch`, see harness/native/main.c); tensors and packages travel as files.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { arrayFromBytes, bytesOf, dtypeByName, dtypeByNumber } from '../../../harness/dtypes.mjs';
import { commandLine } from '../../../harness/toolchain/env.mjs';
import { toolchainAtHand } from '../../../harness/toolchain/setup.mjs';
import { codeOfStatus, WasmAIError } from '../../../web/errors.js';

export const SANITIZED_COMMAND = fileURLToPath(
  new URL('../../../build/native-asan/wai', import.meta.url),
);

// Computed by libm, at compile time or in a kernel: the host's here, Emscripten's in wasm.
const BY_LIBM = new Set([
  ...['Sin', 'Cos', 'Tan', 'Asin', 'Acos', 'Atan', 'Sinh', 'Cosh', 'Asinh', 'Acosh', 'Atanh'],
  ...['Erf', 'Gelu', 'Pow', 'LRN', 'DFT', 'STFT', 'MelWeightMatrix'],
  ...['BlackmanWindow', 'HammingWindow', 'HannWindow'],
]);

/** @param {import('./index.mjs').Setting} setting @returns {Promise<import('./index.mjs').Place>} */
export async function open({ roots }) {
  const folder = await mkdtemp(join(tmpdir(), 'wasm-ai-native-'));
  const files = new Files(folder);
  const wai = new Batch(Object.values(roots).filter((root) => root !== null));
  return {
    inexact: BY_LIBM,
    async compile({ path, request }) {
      const out = join(folder, 'compiled.wai');
      const words = ['compile', path, out];
      if (request.optimize) words.push('--optimize');
      for (const [name, size] of request.dims ?? []) words.push('--dim', `${name}=${size}`);
      for (const [name, { dtype, dims, data }] of request.bindings ?? []) {
        const number = String(dtypeByName(dtype).number);
        words.push('--bind', name, number, dims.join(','), await files.put(bytesOf(data)));
      }
      try {
        await wai.call(words);
        return { error: null, bytes: new Uint8Array(await readFile(out)) };
      } catch (error) {
        if (!(error instanceof WasmAIError)) throw error;
        return { error, bytes: null };
      }
    },
    async run({ bytes, feeds }) {
      const words = ['run', await files.put(bytes), '--output', folder];
      for (const [name, { data }] of feeds) {
        words.push('--input', `${name}=${await files.put(bytesOf(data))}`);
      }
      const outputs = {};
      for (const { index, name, dtype, dims } of outputSlots(await wai.call(words))) {
        const data = await readFile(join(folder, `${index}.raw`));
        outputs[name] = { dtype: dtype.name, dims, data: arrayFromBytes(dtype, data) };
      }
      return outputs;
    },
    async close() {
      const ended = wai.close();
      await ended.finally(() => rm(folder, { recursive: true, force: true }));
    },
  };
}

/** Numbered files, written over and over. */
class Files {
  #next = 0;

  constructor(folder) {
    this.folder = folder;
  }

  async put(bytes) {
    const path = join(this.folder, `file${this.#next++ % 128}`);
    await writeFile(path, bytes);
    return path;
  }
}

class Batch {
  /** @type {string[]} */
  #lines = [];
  /** @type {{ resolve(lines: string[]): void, reject(error: Error): void } | null} */
  #asked = null;
  #ended = '';

  /** @param {string[]} bind  folders that the tests are in */
  constructor(bind) {
    const toolchain = toolchainAtHand();
    if (toolchain === null || !existsSync(SANITIZED_COMMAND)) {
      throw new WasmAIError('STATE', 'build/native-asan/wai', 'is not built');
    }
    const line = commandLine(toolchain, SANITIZED_COMMAND, ['batch'], { bind });
    const { cwd, env } = line;
    this.child = spawn(line.file, line.args, { cwd, env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdin.on('error', () => {}); // told of as the end
    createInterface({ input: this.child.stdout }).on('line', (text) => this.#onLine(text));
    this.exit = new Promise((resolve) => {
      this.child.on('error', (error) => resolve(this.#onEnd(error.message)));
      this.child.on('close', (code, signal) => resolve(this.#onEnd(String(signal ?? code))));
    });
  }

  /** Runs one command; WasmAIError when it says no. @returns {Promise<string[]>} its lines */
  call(words) {
    const bad = words.find((word) => /[\t\n]/.test(word));
    if (bad !== undefined) throw new Error(`a tab or a line end in "${bad}"`);
    return new Promise((resolve, reject) => {
      if (this.#ended !== '') return reject(new Error(this.#ended));
      this.#asked = { resolve, reject };
      this.child.stdin.write(`${words.join('\t')}\n`);
    });
  }

  #onLine(text) {
    const done = /^done (\d+)$/.exec(text);
    if (done === null) return this.#lines.push(text);
    const lines = this.#lines.splice(0);
    const asked = this.#asked;
    this.#asked = null;
    if (done[1] === '0') return asked?.resolve(lines);
    const [status, offset, where, message] = (lines.at(-1) ?? '').split('\t');
    if (done[1] !== '1' || message === undefined) {
      return asked?.reject(new Error(`exit code ${done[1]}: ${lines.join(' ')}`));
    }
    const place = offset === '-1' ? '' : ` (at byte ${offset})`;
    asked?.reject(new WasmAIError(codeOfStatus(Number(status)), where, message + place));
  }

  #onEnd(how) {
    this.#ended = `the native command ended with ${how}: ${this.#lines.slice(0, 60).join('\n')}`;
    this.#asked?.reject(new Error(this.#ended));
    return how;
  }

  /** Leaks are found at the end. */
  async close() {
    this.child.stdin.end();
    if ((await this.exit) !== '0') throw new Error(this.#ended);
  }
}

function outputSlots(lines) {
  return lines
    .map((line) => line.split(' '))
    .filter(([kind]) => kind === 'result')
    .map(([, index, number, rankText, ...rest]) => ({
      index,
      dtype: /** @type {import('../../../harness/dtypes.mjs').DtypeRow} */ (
        dtypeByNumber(Number(number))
      ),
      dims: rest.slice(0, Number(rankText)).map(Number),
      name: rest.slice(Number(rankText)).join(' '),
    }));
}
