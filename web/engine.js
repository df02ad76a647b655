/**
 * The only file that knows WebAssembly and wasm memory. It does not know where
 * it runs: in the locked worker, or in Node. No pointer and no live view leaves.
 *
 * All that the wasm says (pointers, sizes, names) is untrusted: it may have been
 * taken over by a hostile model. It is range-checked against the memory that we
 * created, and the worst it can do is answer wrongly.
 */

import { PAGE_SIZE } from './certificate.js';
import { BROWSER_MEMORY, codeOfStatus, WasmAIError } from './errors.js';
import { metering, openBudget } from './fuel.js';
import { runInSteps } from './profile.js';
import { dtypeOfName, dtypeOfNumber, MAX_SLOTS } from './tensors.js';

/** @typedef {import('./wasmai.d.ts').Slot} Slot */
/** `size` is room for the largest dims; `at` is where the io table has this slot.
 * @typedef {{ slot: Slot, pointer: number, size: number, at: number }} Place */
/** @typedef {{ dims: readonly number[], data: ArrayBuffer }} Bytes */
/** @typedef {Record<string, (...args: number[]) => number>} Exports */
/** @typedef {{ weightsEvery: number }} Hardening */
/**
 * One run; inputs and outputs by their index.
 * `fuel` is its budget, where the runtime is metered. `apart`: what was carried to inputs is still there
 * behind the run. `shown`: carried inputs come out as well. `profile`: step by step, with times.
 * @typedef {{ feeds: (Bytes | null)[], wanted: number[], carry: [output: number, input: number][], fuel: number,
 *   apart?: boolean, shown?: boolean, profile?: boolean }} Request
 */

const IO_LAYOUT = 2;
const IO_HEADER_WORDS = 3;
// name ptr, name size, dtype, rank, dims[8], data ptr, size, least dims[8], symbol ptr[8]
const IO_SLOT_WORDS = 30;
const IO_DIMS = 4;
const IO_LEAST = 14;
const IO_SYMBOLS = 22;
const MAX_NAME = 1024;
const MAX_TEXT = 200;
const MAX_RANK = 8;
const NO_OUTPUT = 0xffffffff;
/** Below address 0 is the top of a memory that has every address. */
const MAX_HARDENED_PAGES = 65536;
const DIAG_SIZE = 16 + 128 + 256;
const utf8 = new TextDecoder(); // made before the worker removes the name
const random = globalThis.crypto.getRandomValues.bind(globalThis.crypto); // so is this
/** WAI_THREAD_STACK of core/base/limits.h; and the first one's lowest address, above a fence. */
const THREAD_STACK = PAGE_SIZE;
const STACK_FLOOR = 64;
const EXPORTS = [
  'wai_glue_alloc',
  'wai_glue_open',
  'wai_glue_io',
  'wai_glue_run',
  'wai_glue_carry',
  'wai_glue_diag',
  'wai_glue_memory',
];

/** Whether this browser can run such a module; content policies never block that. @param {BufferSource} module */
export function validates(module) {
  return typeof WebAssembly === 'object' && WebAssembly.validate(module);
}

/** One thread more: what it gets. @typedef {{ module: WebAssembly.Module, memory: WebAssembly.Memory, index: number }} Help */

/**
 * Give the runtime `pages` of memory and not one more, and open the package in
 * it. The package is copied once, into that memory.
 * @param {Omit<Needs, 'size'> & { pack: Uint8Array }} parts
 */
export function openEngine({ pack, ...needs }) {
  const begun = beginEngine({ ...needs, size: pack.byteLength });
  begun.put(0, pack);
  return begun.open();
}

/**
 * The same in pieces, for a package that comes in pieces: memory with room for its `size` bytes, put
 * in there in any order, and then opened. `hardening`: guard words, wiping,
 * and a look at the weights every so many runs (core/runtime/harden.h). `helpers`: one for each thread
 * more, of a runtime that has them; what they are called with is for `help`, there.
 * @typedef {{ runtime: BufferSource | WebAssembly.Module, size: number, pages: number, hardening?: Hardening | null,
 *   helpers?: ((help: Help) => void)[] }} Needs
 * @param {Needs} needs
 */
export function beginEngine({ runtime, size, pages, hardening = null, helpers = [] }) {
  if (hardening) checkHardened(pages);
  const module = runtime instanceof WebAssembly.Module ? runtime : compileRuntime(runtime);
  const memory = createMemory(pages, hasThreads(module));
  const wasm = instantiate(module, memory, 0);
  const meter = metering(wasm);
  const guarded = meter.call;
  if (hardening) harden(wasm, guarded, hardening);
  if (helpers.length > 0 && guarded(() => wasm.wai_glue_threads(helpers.length + 1)) !== 0)
    throw new WasmAIError('MEMORY', 'threads', `no memory for ${helpers.length} threads more`);
  for (const [i, call] of helpers.entries()) call({ module, memory, index: i + 1 });

  const room = guarded(() => wasm.wai_glue_alloc(size));
  if (room === 0) {
    throw new WasmAIError(
      'MALFORMED',
      'package',
      `the certificate promises ${pages * PAGE_SIZE} bytes of memory, too few ` +
        `for the ${size} bytes of the package and the runtime`,
    );
  }
  checkRange(memory, room, size, 'package');
  return {
    /** @param {number} at @param {Uint8Array} bytes */
    put: (at, bytes) => new Uint8Array(memory.buffer, room, size).set(bytes, at),
    open: () => openIn({ wasm, memory, meter, room, size, pages, hardening }),
  };
}

/**
 * A package that lies in memory.
 * @param {{ wasm: Exports, memory: WebAssembly.Memory, meter: ReturnType<typeof metering>, room: number, size: number,
 *   pages: number, hardening: Hardening | null }} parts
 */
function openIn({ wasm, memory, meter, room, size, pages, hardening }) {
  const guarded = meter.call;
  /** @param {() => number} call @param {number} fuel */
  const must = (call, fuel) => {
    const status = guarded(call, fuel);
    if (status !== 0)
      throw diagnose(
        memory,
        guarded(() => wasm.wai_glue_diag()),
        status,
      );
  };
  must(() => wasm.wai_glue_open(room, size), openBudget(size));
  const { inputs, outputs, from } = readIo(
    memory,
    guarded(() => wasm.wai_glue_io()),
  );
  let dead = false;
  /** Inputs that hold what the run before carried to them. @type {Set<number>} */
  let held = new Set();
  /** Of the last run. */
  let used = 0;
  /** Of the last run, if it was asked for. @type {ReturnType<typeof runInSteps> | null} */
  let steps = null;
  /** A call that belongs to the run under way. @param {() => number} call @param {number} fuel */
  const spend = (call, fuel) => {
    must(call, fuel - used);
    used += meter.used();
  };
  /** @param {number} fuel */
  const profiled = (fuel) => {
    if (!wasm.wai_glue_advance || !wasm.wai_glue_step) {
      const why = 'this runtime cannot be profiled: build the folder again with this release';
      throw new WasmAIError('UNSUPPORTED', 'profile', why);
    }
    return runInSteps(
      () => spend(() => wasm.wai_glue_advance(), fuel),
      (index) => {
        const at = guarded(() => wasm.wai_glue_step(index));
        return at === 0 ? null : readStep(memory, at);
      },
    );
  };
  /** @param {Request['carry']} pairs @param {number} fuel */
  const carryOver = (pairs, fuel) => {
    if (pairs.length === 0) return;
    const table = new DataView(memory.buffer, from, inputs.length * 4);
    for (const i of inputs.keys()) table.setUint32(i * 4, NO_OUTPUT, true);
    for (const [output, input] of pairs) table.setUint32(input * 4, output, true);
    spend(() => wasm.wai_glue_carry(), fuel);
  };

  /** Of each input what was carried to it. @returns {(Bytes | null)[]} */
  const carried = () => inputs.map((place, i) => (held.has(i) ? readTensor(memory, place) : null));

  return {
    inputs: inputs.map((place) => place.slot),
    outputs: outputs.map((place) => place.slot),
    metered: meter.metered,
    /** What the last run used, carrying included; null where the runtime does not count. */
    fuel: () => (meter.metered ? used : null),
    /** Of the last run; null unless it was profiled. */
    steps: () => steps,
    carried,
    memoryBytes: () =>
      Math.min(
        guarded(() => wasm.wai_glue_memory()),
        pages * PAGE_SIZE,
      ),

    /**
     * One inference: inputs in slot order in (null: what was carried), the wanted outputs out, in
     * the order wanted. `carry` is then done: pairs of output and input.
     * @param {Request} request @returns {Bytes[]}
     */
    run({ feeds, wanted, carry, fuel, apart = false, profile = false }) {
      if (dead)
        throw new WasmAIError('STATE', 'run', 'the runtime failed before: open the package again');
      checkRequest({ feeds, wanted, carry, fuel }, inputs, outputs, held);
      const before = apart ? carried() : [];
      feeds.forEach((feed, i) => {
        if (feed) writeFeed(memory, inputs[i], feed);
      });
      dead = true; // until it came back well
      held = new Set();
      used = 0;
      steps = profile ? profiled(fuel) : null;
      if (!profile) spend(() => wasm.wai_glue_run(), fuel);
      const answer = wanted.map((i) => readTensor(memory, outputs[i]));
      carryOver(carry, fuel);
      held = new Set(carry.map(([, input]) => input));
      if (hardening) must(() => wasm.wai_glue_wipe(), openBudget(memory.buffer.byteLength));
      before.forEach((bytes, i) => {
        if (!bytes) return;
        writeFeed(memory, inputs[i], bytes);
        held.add(i);
      });
      dead = false;
      return answer;
    },

    /** The end: with hardening, nothing of the model stays in memory. */
    close() {
      dead = true;
      if (hardening) new Uint8Array(memory.buffer).fill(0);
    },
  };
}

/** @param {number} pages */
function checkHardened(pages) {
  if (pages < MAX_HARDENED_PAGES) return;
  throw new WasmAIError(
    'LIMIT',
    'memory hardening',
    'in 4 GiB of memory a stack that overflows would not trap: use a smaller model',
  );
}

/**
 * Before anything is allocated: guard words of a pattern that no model can know.
 * @param {Exports} wasm @param {ReturnType<typeof metering>['call']} guarded @param {Hardening} hardening
 */
function harden(wasm, guarded, { weightsEvery }) {
  const [low, high] = random(new Uint32Array(2));
  const there = typeof wasm.wai_glue_harden === 'function';
  if (!there || guarded(() => wasm.wai_glue_harden(low, high, weightsEvery)) !== 0)
    throw new WasmAIError(
      'UNSUPPORTED',
      'memory hardening',
      'this runtime was linked without it: build with --secure or MEMORY_HARDENING',
    );
}

/** Before a byte is copied. @param {Request} request @param {Place[]} inputs @param {Place[]} outputs @param {Set<number>} held */
function checkRequest({ feeds, wanted, carry, fuel }, inputs, outputs, held) {
  const wrong = (/** @type {string} */ where, /** @type {string} */ why) =>
    new WasmAIError('ARGUMENT', where, why);
  if (!Number.isSafeInteger(fuel) || fuel < 0) throw wrong('run', 'the fuel is no budget');
  if (feeds.length !== inputs.length) throw wrong('run', 'the number of inputs is wrong');
  feeds.forEach((feed, i) => {
    const { slot, size } = inputs[i];
    if (!feed && !held.has(i))
      throw new WasmAIError('STATE', slot.name, 'nothing was carried to this input');
    if (!feed) return;
    const bytes = bytesOf(slot, feed.dims);
    if (feed.dims.length !== slot.dims.length || bytes > size)
      throw wrong(slot.name, `expected [${slot.dims.join(', ')}], got [${feed.dims.join(', ')}]`);
    if (feed.data.byteLength !== bytes)
      throw wrong(slot.name, `expected ${bytes} bytes, got ${feed.data.byteLength}`);
  });
  if (
    [...wanted, ...carry.map(([output]) => output)].some((i) => !Number.isInteger(i) || !outputs[i])
  )
    throw wrong('run', 'there is no such output');
  if (carry.some(([, i]) => !inputs[i])) throw wrong('run', 'there is no such input');
}

/** @param {Slot} slot @param {readonly number[]} dims */
function bytesOf(slot, dims) {
  return dims.reduce((product, dim) => product * dim, dtypeOfName(slot.dtype).size);
}

/** Whether one worker can give another its memory by a port; only in WebKit it cannot. */
export function canShareMemory() {
  const { port1, port2 } = new MessageChannel();
  try {
    port1.postMessage(new WebAssembly.Memory({ initial: 0, maximum: 0, shared: true }));
    return true;
  } catch {
    return false;
  } finally {
    port1.close();
    port2.close();
  }
}

/** Whether it is for shared memory. @param {WebAssembly.Module} module */
function hasThreads(module) {
  return WebAssembly.Module.exports(module).some(({ name }) => name === 'wai_glue_threads');
}

/**
 * A thread of somebody else's session: takes part in its runs and does not return. What it throws is a trap,
 * and the session is told.
 * @param {Help} help
 */
export function help({ module, memory, index }) {
  const wasm = instantiate(module, memory, index);
  try {
    wasm.wai_glue_help(index);
  } catch (cause) {
    wasm.wai_glue_break();
    const why = /** @type {any} */ (cause)?.message ?? cause;
    throw new WasmAIError('TRAP', 'thread', `a thread of the runtime stopped: ${why}`, { cause });
  }
}

/** All instances begin with one stack; each is to have its own, and traps beyond. @param {Exports} wasm @param {number} index */
function takeStack(wasm, index) {
  const top = wasm.wai_glue_stack(index) >>> 0;
  wasm.__set_stack_limits(top, index === 0 ? STACK_FLOOR : top - THREAD_STACK);
  wasm.wai_glue_use_stack(top);
}

/** Bytes and dims of an input. @param {WebAssembly.Memory} memory @param {Place} place @param {Bytes} feed */
function writeFeed(memory, { pointer, at }, { dims, data }) {
  new Uint8Array(memory.buffer, pointer, data.byteLength).set(new Uint8Array(data));
  const table = new DataView(memory.buffer);
  for (const [i, dim] of dims.entries()) table.setUint32(at + (IO_DIMS + i) * 4, dim, true);
}

/** Never shared, whatever the memory is. @param {WebAssembly.Memory} memory @param {number} pointer @param {number} size */
function copyOf({ buffer }, pointer, size) {
  if (buffer instanceof ArrayBuffer) return buffer.slice(pointer, pointer + size);
  const copy = new Uint8Array(size);
  copy.set(new Uint8Array(buffer, pointer, size));
  return copy.buffer;
}

/** @param {WebAssembly.Memory} memory @param {Place} place @returns {Bytes} */
function readTensor(memory, { slot, pointer, size, at }) {
  const table = new DataView(memory.buffer);
  const dims = slot.dims.map((_, i) => table.getUint32(at + (IO_DIMS + i) * 4, true));
  const bytes = bytesOf(slot, dims);
  if (bytes > size) {
    throw new WasmAIError(
      'INTERNAL',
      slot.name || 'tensor',
      'the runtime described this tensor wrongly: it is larger than its place',
    );
  }
  return { dims, data: copyOf(memory, pointer, bytes) };
}

/** @param {number} pages @param {boolean} shared */
function createMemory(pages, shared) {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (cause) {
    throw new WasmAIError(
      'MEMORY',
      BROWSER_MEMORY,
      `the browser did not give the ${(pages * PAGE_SIZE) / 1048576} MiB that ` +
        'the model needs: close other tabs or use a smaller model',
      { cause },
    );
  }
}

/** WebKit compiles under any policy and refuses to instantiate. @param {unknown} cause */
function refuseIfBlocked(cause) {
  if (!/content.security|unsafe-eval|blocked by CSP/i.test(String(cause))) return;
  throw new WasmAIError(
    'CSP',
    'runtime',
    "WebAssembly is blocked here: serve the worker file with script-src 'wasm-unsafe-eval'",
    { cause },
  );
}

/** The runtime as code that may be instantiated: it takes its memory and nothing else. @param {BufferSource} runtime */
export function compileRuntime(runtime) {
  let module;
  try {
    module = new WebAssembly.Module(runtime);
  } catch (cause) {
    refuseIfBlocked(cause);
    throw new WasmAIError(
      'MALFORMED',
      'runtime',
      `the runtime does not compile: ${/** @type {any} */ (cause)?.message}`,
      { cause },
    );
  }
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from === 'env' && name === 'memory' && kind === 'memory') continue;
    throw new WasmAIError(
      'INTEGRITY',
      'runtime',
      `it imports ${from}.${name}; a WasmAI runtime imports its memory and nothing else`,
    );
  }
  const kinds = new Map(WebAssembly.Module.exports(module).map(({ name, kind }) => [name, kind]));
  for (const name of EXPORTS) {
    if (kinds.get(name) !== 'function')
      throw new WasmAIError(
        'MALFORMED',
        'runtime',
        `it lacks the export ${name}: loader and runtime are of different releases`,
      );
  }
  return module;
}

/** @param {WebAssembly.Module} module @param {WebAssembly.Memory} memory @param {number} thread @returns {Exports} */
function instantiate(module, memory, thread) {
  try {
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    const wasm = /** @type {Exports} */ (/** @type {unknown} */ (exports));
    if (typeof wasm._initialize === 'function') wasm._initialize();
    if (typeof wasm.wai_glue_threads === 'function') takeStack(wasm, thread);
    return wasm;
  } catch (cause) {
    refuseIfBlocked(cause);
    throw new WasmAIError(
      'MEMORY',
      'runtime',
      `the runtime does not start with ${memory.buffer.byteLength} bytes: ` +
        `${/** @type {any} */ (cause)?.message}; the package's certificate may be of another release`,
      { cause },
    );
  }
}

/** @param {WebAssembly.Memory} memory @param {number} pointer @param {number} size @param {string} what */
function checkRange(memory, pointer, size, what) {
  const total = memory.buffer.byteLength;
  if (size > total || pointer > total - size) {
    throw new WasmAIError(
      'INTERNAL',
      what,
      'the runtime named memory outside its own: it is broken or was taken over',
    );
  }
}

/** @param {WebAssembly.Memory} memory @param {number} pointer @param {number} size */
function readText(memory, pointer, size) {
  checkRange(memory, pointer, size, 'text');
  const bytes = new Uint8Array(memory.buffer, pointer, size);
  let text = '';
  for (const byte of bytes) {
    if (byte === 0) break;
    text += byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '?';
  }
  return text;
}

/** What a profile says of a step: see core/wasm/glue.c. @param {WebAssembly.Memory} memory @param {number} pointer */
function readStep(memory, pointer) {
  checkRange(memory, pointer, 16, 'step');
  const table = new DataView(memory.buffer, pointer, 16);
  const [name, op, readBytes, writtenBytes] = [0, 4, 8, 12].map((at) => table.getUint32(at, true));
  const text = (/** @type {number} */ at) =>
    readText(memory, at, Math.min(MAX_TEXT, Math.max(0, memory.buffer.byteLength - at)));
  return { name: text(name), op: text(op), readBytes, writtenBytes };
}

/** The io table, in words: see core/wasm/glue.c.
 * @param {WebAssembly.Memory} memory @param {number} pointer */
function readIo(memory, pointer) {
  const word = (/** @type {number} */ index) => {
    checkRange(memory, pointer + index * 4, 4, 'io table');
    return new DataView(memory.buffer).getUint32(pointer + index * 4, true);
  };
  if (word(0) !== IO_LAYOUT)
    throw new WasmAIError(
      'UNSUPPORTED',
      'runtime',
      `io table layout ${word(0)}: loader and runtime are of different releases`,
    );
  const counts = [word(1), word(2)];
  if (counts[0] > MAX_SLOTS || counts[1] > MAX_SLOTS)
    throw new WasmAIError('LIMIT', 'package', `more than ${MAX_SLOTS} inputs or outputs`);
  let next = IO_HEADER_WORDS;
  const [inputs, outputs] = counts.map((count) =>
    Array.from({ length: count }, () => {
      const place = readPlace(memory, word, next, pointer + next * 4);
      next += IO_SLOT_WORDS;
      return place;
    }),
  );
  const from = pointer + next * 4;
  checkRange(memory, from, inputs.length * 4, 'io table');
  return { inputs, outputs, from };
}

/** A NUL-terminated name. @param {WebAssembly.Memory} memory @param {number} pointer */
function readName(memory, pointer) {
  checkRange(memory, pointer, 1, 'symbol');
  const room = Math.min(MAX_NAME, memory.buffer.byteLength - pointer);
  const bytes = new Uint8Array(copyOf(memory, pointer, room));
  const end = bytes.indexOf(0);
  return utf8.decode(bytes.subarray(0, end < 0 ? room : end));
}

/** @param {WebAssembly.Memory} memory @param {(index: number) => number} word @param {number} at first word
 * @param {number} address of the first word @returns {Place} */
function readPlace(memory, word, at, address) {
  const nameSize = word(at + 1);
  if (nameSize > MAX_NAME)
    throw new WasmAIError(
      'LIMIT',
      'package',
      `a tensor name has ${nameSize} bytes, more than ${MAX_NAME}`,
    );
  const namePointer = word(at);
  checkRange(memory, namePointer, nameSize, 'tensor name');
  const name = utf8.decode(copyOf(memory, namePointer, nameSize));
  const where = name || 'tensor';
  const row = dtypeOfNumber(word(at + 2));
  const rank = word(at + 3);
  const pointer = word(at + 12);
  const size = word(at + 13);
  if (!row || rank > MAX_RANK)
    throw new WasmAIError('INTERNAL', where, 'the runtime described this tensor wrongly');
  const dims = Array.from({ length: rank }, (_, i) => word(at + 4 + i));
  if (dims.reduce((product, dim) => product * dim, row.size) !== size) {
    throw new WasmAIError(
      'INTERNAL',
      where,
      'the runtime described this tensor wrongly: its dims do not give its size',
    );
  }
  checkRange(memory, pointer, size, where);
  const symbols = dims.map((max, i) => {
    const symbol = word(at + IO_SYMBOLS + i);
    return symbol === 0
      ? null
      : { name: readName(memory, symbol), min: word(at + IO_LEAST + i), max };
  });
  const varies = dims.some((max, i) => word(at + IO_LEAST + i) < max);
  /** @type {Slot} */
  const slot = {
    name,
    dtype: row.name,
    dims,
    ...(symbols.some((symbol) => symbol !== null) && { symbols }),
    ...(varies && { varies }),
  };
  return { slot, pointer, size, at: address };
}

/** What the runtime says about its failure. @param {WebAssembly.Memory} memory @param {number} pointer @param {number} status */
function diagnose(memory, pointer, status) {
  checkRange(memory, pointer, DIAG_SIZE, 'diagnosis');
  const offset = new DataView(memory.buffer).getBigUint64(pointer + 8, true);
  const where = readText(memory, pointer + 16, 128);
  const message = readText(memory, pointer + 144, 256) || `the runtime answered status ${status}`;
  const at = offset === 0xffffffffffffffffn ? '' : ` (byte ${offset})`;
  return new WasmAIError(codeOfStatus(status), where || 'runtime', message + at);
}
