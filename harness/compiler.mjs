// Drives compiler.wasm: ONNX bytes in, package bytes, problems and stage texts
// out. The only file that knows that module's memory. The ABI is described at
// the top of core/wasm/compile_glue.c.
import { readFile } from 'node:fs/promises';
import { codeOfStatus, WasmAIError } from '../web/errors.js';
import { bytesOf, dtypeByName } from './dtypes.mjs';

export const COMPILER_WASM = new URL('../build/wasm/compiler.wasm', import.meta.url);

/**
 * @typedef {object} CompileRequest
 * @property {boolean} [optimize]
 * @property {'f16'} [quantize]
 * @property {'auto' | 'off' | 2 | 4} [winograd]
 * @property {number} [maxIterations]  of loops of unknown length; absent: 32
 * @property {number} [maxMemory]  bytes; 0 or absent: the compiler's own limit
 * @property {Map<string, number | import('./dims.mjs').Range>} [dims]  ranges stay symbolic
 * @property {Map<string, import('./dtypes.mjs').HostTensor>} [bindings]  inputs that are constants
 * @property {boolean} [stages]    collect the graph as text after each stage
 * @property {boolean} [problems]  collect all problems instead of stopping at the first
 *
 * @typedef {object} Outcome
 * @property {WasmAIError | null} error
 * @property {Uint8Array | null} bytes  the package, copied out of the compiler
 * @property {{name: string, value: number, min?: number, bound: boolean}[]} dims  min: of a range
 *   that ends at value
 * @property {{name: string, iterations: number}[]} loops  those that maxIterations bounds
 * @property {{code: string, where: string, message: string}[]} problems
 * @property {{name: string, text: string}[]} stages
 */

/** @type {Promise<WebAssembly.Module> | undefined} */
let sharedModule;

async function loadModule() {
  let bytes;
  try {
    bytes = await readFile(COMPILER_WASM);
  } catch {
    throw new WasmAIError(
      'STATE',
      'build/wasm/compiler.wasm',
      'the compiler is not built yet; run `npm start` (or `npm test`) once in the project',
    );
  }
  return WebAssembly.compile(bytes);
}

/** One compiler instance; compiles one model after the other. */
export class Compiler {
  /** @returns {Promise<Compiler>} */
  static async create() {
    sharedModule ??= loadModule();
    try {
      return new Compiler(await sharedModule);
    } catch (error) {
      sharedModule = undefined;
      throw error;
    }
  }

  /** For the demo's worker, which gets the wasm from its page. @param {BufferSource} wasm */
  static fromBytes(wasm) {
    return new Compiler(new WebAssembly.Module(wasm));
  }

  /** @param {WebAssembly.Module} module */
  constructor(module) {
    const imports = {};
    for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
      if (kind !== 'function') throw new Error(`compiler.wasm imports a ${kind}: ${from}.${name}`);
      imports[from] ??= {};
      imports[from][name] = HOOKS[name] ?? missing(name);
    }
    this.exports = /** @type {any} */ (new WebAssembly.Instance(module, imports).exports);
    this.exports._initialize?.();
    this.dead = false;
  }

  get memory() {
    return new Uint8Array(this.exports.memory.buffer);
  }

  /** @param {Uint8Array} onnx @param {CompileRequest} [request] @returns {Outcome} */
  compile(onnx, request = {}) {
    return this.#guard(() => {
      const held = [];
      try {
        const text = requestText(request, (bytes) => this.#copyIn(bytes, held));
        const lines = new TextEncoder().encode(text);
        const model = this.#copyIn(onnx, held);
        const status = this.exports.wai_compiler_run(
          model,
          onnx.length,
          this.#copyIn(lines, held),
          lines.length,
        );
        return this.#result(status);
      } finally {
        this.#release(held);
      }
    });
  }

  /** A package's graph as text. @param {Uint8Array} packageBytes @returns {Outcome} */
  dump(packageBytes) {
    return this.#guard(() => {
      const held = [];
      try {
        const at = this.#copyIn(packageBytes, held);
        return this.#result(this.exports.wai_compiler_dump(at, packageBytes.length));
      } finally {
        this.#release(held);
      }
    });
  }

  /** The package with its fuel stated, sealed again. @param {Uint8Array} packageBytes @param {number} fuel */
  stateFuel(packageBytes, fuel) {
    return this.#state(packageBytes, (at, { length }) =>
      this.exports.wai_compiler_state_fuel(at, length, BigInt(fuel)),
    );
  }

  /** The same with golden outputs. @param {Uint8Array} packageBytes @param {Uint8Array} golden  its section */
  stateGolden(packageBytes, golden) {
    return this.#state(packageBytes, (at, { length }, held) => {
      const from = this.#copyIn(golden, held);
      return this.exports.wai_compiler_state_golden(at, length, from, golden.length);
    });
  }

  /** @param {Uint8Array} packageBytes @param {(at: number, bytes: Uint8Array, held: number[]) => number} call */
  #state(packageBytes, call) {
    return this.#guard(() => {
      /** @type {number[]} */
      const held = [];
      try {
        const at = this.#copyIn(packageBytes, held);
        const { length } = packageBytes;
        const { error } = this.#result(call(at, packageBytes, held));
        if (error) throw error;
        return this.memory.slice(at, at + length);
      } finally {
        this.#release(held);
      }
    });
  }

  #guard(work) {
    if (this.dead) throw new WasmAIError('STATE', 'compiler', 'this instance failed; make another');
    try {
      return work();
    } catch (error) {
      if (error instanceof WasmAIError) throw error;
      this.dead = true;
      throw new WasmAIError('INTERNAL', 'compiler', `the compiler failed: ${error.message}`, {
        cause: error,
      });
    }
  }

  #copyIn(bytes, held) {
    const at = this.exports.wai_compiler_alloc(Math.max(bytes.length, 1)) >>> 0;
    if (at === 0) {
      throw new WasmAIError('MEMORY', 'compiler', `no room for ${bytes.length} bytes of input`);
    }
    held.push(at);
    this.memory.set(bytes, at);
    return at;
  }

  #release(held) {
    if (this.dead) return;
    this.exports.wai_compiler_release();
    for (const at of held) this.exports.wai_compiler_free(at);
  }

  #result(status) {
    const buffer = this.exports.memory.buffer;
    const record = new DataView(buffer, this.exports.wai_compiler_result() >>> 0, 20);
    const [packageAt, packageSize, diagAt, logAt, logSize] = [0, 4, 8, 12, 16].map((offset) =>
      record.getUint32(offset, true),
    );
    const log = parseLog(new Uint8Array(buffer, logAt, logSize));
    return {
      ...log,
      error: status === 0 ? null : diagError(status, new DataView(buffer, diagAt, 400)),
      bytes:
        status === 0 && packageSize > 0
          ? new Uint8Array(buffer, packageAt, packageSize).slice()
          : null,
    };
  }
}

// What the module may ask of its host: nothing that it could depend on.
const HOOKS = { emscripten_notify_memory_growth() {} };

function missing(name) {
  return () => {
    throw new Error(`compiler.wasm called ${name}`);
  };
}

/** wai_winograd_choice by the names of the command. */
export const WINOGRAD = new Map(
  /** @type {['auto' | 'off' | 2 | 4, number][]} */ ([
    ['auto', 0],
    ['off', 1],
    [2, 2],
    [4, 4],
  ]),
);

function requestText(request, copyIn) {
  const lines = [
    `optimize ${request.optimize ? 1 : 0}`,
    `quantize ${request.quantize === 'f16' ? 1 : 0}`,
    `winograd ${WINOGRAD.get(request.winograd ?? 'auto')}`,
  ];
  if (request.maxMemory) lines.push(`max_memory ${request.maxMemory}`);
  if (request.maxIterations) lines.push(`max_iterations ${request.maxIterations}`);
  if (request.stages) lines.push('stages 1');
  if (request.problems) lines.push('problems 1');
  for (const [name, dim] of request.dims ?? []) {
    const { min, max } = typeof dim === 'number' ? { min: dim, max: dim } : dim;
    lines.push(`dim ${escapeName(name)} ${min} ${max}`);
  }
  for (const [name, { dtype, dims, data }] of request.bindings ?? []) {
    const bytes = bytesOf(data);
    const { number } = dtypeByName(dtype);
    const shape = [dims.length, ...dims].join(' ');
    lines.push(`bind ${escapeName(name)} ${number} ${shape} ${copyIn(bytes)} ${bytes.length}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** Bytes outside printable ASCII, space and % as %XX. @param {string} name */
export function escapeName(name) {
  let text = '';
  for (const byte of new TextEncoder().encode(name)) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x25;
    text += plain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return text;
}

// diag: u32 status; u32 pad; u64 offset; char where[128]; char message[256]
function diagError(status, diag) {
  const text = (offset, size) => {
    const bytes = new Uint8Array(diag.buffer, diag.byteOffset + offset, size);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(bytes.subarray(0, end < 0 ? size : end));
  };
  const offset = diag.getBigUint64(8, true);
  const message = text(144, 256) || 'no reason was given';
  const place = offset === 0xffffffffffffffffn ? '' : ` (at byte ${offset})`;
  return new WasmAIError(codeOfStatus(status), text(16, 128) || 'model', message + place);
}

/** @param {Uint8Array} bytes */
export function parseLog(bytes) {
  const decoder = new TextDecoder();
  /** @type {Pick<Outcome, 'dims' | 'loops' | 'problems' | 'stages'>} */
  const log = { dims: [], loops: [], problems: [], stages: [] };
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(10, at);
    const stop = end < 0 ? bytes.length : end;
    const [kind, ...fields] = decoder.decode(bytes.subarray(at, stop)).split('\t');
    at = stop + 1;
    if (kind === 'dim') {
      const [name, min, max, how] = fields;
      const range = min === max ? {} : { min: Number(min) };
      const dim = { name, value: Number(max), ...range, bound: how === 'bound' };
      // A dim is reported where it stands; inputs may share one.
      if (!log.dims.some(({ name }) => name === dim.name)) log.dims.push(dim);
    } else if (kind === 'loop') {
      log.loops.push({ name: fields[0], iterations: Number(fields[1]) });
    } else if (kind === 'problem') {
      const [status, where, message] = fields;
      log.problems.push({ code: codeOfStatus(Number(status)), where, message });
    } else if (kind === 'stage') {
      const size = Number(fields[1]);
      log.stages.push({ name: fields[0], text: decoder.decode(bytes.subarray(at, at + size)) });
      at += size + 1;
    } else {
      throw new Error(`unknown record "${kind}" in the compiler's log`);
    }
  }
  return log;
}
