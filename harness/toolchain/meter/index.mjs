// Instruction limits for a wasm module: bytes in, bytes out. README.md has the design.
//
//   node harness/toolchain/meter/index.mjs IN.wasm OUT.wasm

import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readBody } from './body.mjs';
import { MeterError, Writer } from './bytes.mjs';
import { everyNode, findLeaves, recursive } from './calls.mjs';
import { folded, measure } from './cost.mjs';
import { emit } from './emit.mjs';
import { countLoops } from './loops.mjs';
import { readModule, writeModule } from './module.mjs';
import * as op from './opcodes.mjs';

export { MeterError } from './bytes.mjs';

const [I32, I64, MUTABLE, END] = [0x7f, 0x7e, 1, op.END];
export const MAX_DEPTH = 128;
/** What a start function may use: the linker's zeroes some memory. */
const START_FUEL = 2 ** 20;
export const GET = 'wai_fuel_get';
export const SET = 'wai_fuel_set';

/**
 * @param {Uint8Array} bytes  a module that validates
 * @param {{ oracle?: boolean }} [options]  oracle: charge each instruction by itself, for tests
 * @returns {{ bytes: Uint8Array<ArrayBuffer>, stats: Record<string, number> }}
 */
export function meter(bytes, { oracle = false } = {}) {
  const module = readModule(bytes);
  if (module.shared)
    throw new MeterError(
      'its memory is shared: what its other instances do, no counter of it would see',
    );
  for (const name of [GET, SET])
    if (module.exports.has(name)) throw new MeterError(`it exports ${name}: it is metered already`);
  const roots = module.functions.map((func) => readBody(module, func));
  const cycles = recursive(module, roots);
  const leaves = findLeaves(module, roots, cycles, measure);
  const stats = {
    functions: roots.length,
    recursive: cycles.size,
    leaves: leaves.size,
    counted: 0,
    folded: 0,
    each: 0,
  };
  const bodies = module.functions.map((func, i) => {
    const root = roots[i];
    countLoops(root, func, module.types[func.type].params.length);
    const plan = {
      fuel: module.globals,
      depth: module.globals + 1,
      recursive: cycles.has(i),
      oracle,
      cost: measure(root, leaves),
      leaves,
      leaf: leaves.has(i),
    };
    everyNode(root.body, (node) => {
      if (node.op === op.LOOP) stats[kindOf(node)]++;
    });
    return emit(module, func, root, plan);
  });
  return { bytes: writeModule(module, additions(module), bodies), stats };
}

/** @param {import('./body.mjs').Node} loop @returns {'each' | 'folded' | 'counted'} */
function kindOf(loop) {
  if (!loop.counted) return 'each';
  return folded(loop) > 0 ? 'folded' : 'counted';
}

/** Two globals, and two functions that read and set them. @param {import('./module.mjs').Module} module */
function additions({ types, functions, globals, starts }) {
  const [fuel, depth] = [globals, globals + 1];
  const code = () => new Writer(32).u32(0);
  const get = code().put(op.GLOBAL_GET).u32(fuel).put(END);
  const set = code().put(op.LOCAL_GET, 0, op.GLOBAL_SET).u32(fuel);
  set.put(op.I32_CONST).signed(MAX_DEPTH).put(op.GLOBAL_SET).u32(depth).put(END);
  /** Nothing but a start function runs before it is set. @param {number} type @param {number} constant @param {number} value */
  const global = (type, constant, value) =>
    new Writer(16)
      .put(type, MUTABLE, constant)
      .signed(starts ? value : 0)
      .put(END).bytes;
  return {
    types: [
      { params: [], results: [I64] },
      { params: [I64], results: [] },
    ],
    globals: [global(I64, op.I64_CONST, START_FUEL), global(I32, op.I32_CONST, MAX_DEPTH)],
    functions: [
      { type: types.length, body: get.bytes },
      { type: types.length + 1, body: set.bytes },
    ],
    exports: /** @type {[string, number][]} */ ([
      [GET, functions.length],
      [SET, functions.length + 1],
    ]),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [from, to] = process.argv.slice(2);
  try {
    const { bytes } = meter(fs.readFileSync(from));
    if (!WebAssembly.validate(bytes)) throw new Error('the metered module does not validate');
    fs.writeFileSync(to, bytes);
  } catch (error) {
    if (!(error instanceof MeterError)) throw error;
    process.stderr.write(`error: ${from}: ${error.message}\n`);
    process.exitCode = 1;
  }
}
