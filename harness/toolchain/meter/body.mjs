// The code of one function as a tree: blocks, loops and ifs hold lists of what is in them.
import { MeterError, Reader } from './bytes.mjs';
import * as op from './opcodes.mjs';

const MAX_NESTING = 500; // the walks over the tree are recursive

/**
 * @typedef {object} Node
 * @property {number} op
 * @property {number} at      of its first byte
 * @property {number} end     of a block: behind its `end`
 * @property {number} takes
 * @property {number} leaves
 * @property {number} [index]      of a call, a branch, a variable, a call_indirect's type
 * @property {number} [value]      of i32.const
 * @property {number[]} [labels]   where a branch can go
 * @property {number} [start]      of a block: its first instruction
 * @property {Node[]} [body]
 * @property {Node[] | null} [other]  of an if: its else part
 * @property {Set<number>} [writes]   of a block: locals that are set in it
 * @property {Set<number>} [targets]  of a block: labels outside it that are branched to, 0 is the next; -1: return
 * @property {import('./loops.mjs').Counted | null} [counted]
 * @property {number} [cost]  of a loop: at most this for one iteration, without loops in it
 */

/** @param {import('./module.mjs').Module} module @param {import('./module.mjs').Func} func @returns {Node} */
export function readBody(module, func) {
  const reader = new Reader(module.bytes, func.at, func.end);
  const type = module.types[func.type];
  const root = block({ op: op.BLOCK, at: func.at }, 0, type.results.length, func.at);
  const open = [root];
  while (open.length > 0) {
    const top = open[open.length - 1];
    const at = reader.at;
    const code = readCode(reader, module.shared);
    if (code === op.END) {
      top.end = reader.at;
      open.pop();
      if (open.length > 0) close(open[open.length - 1], top);
      continue;
    }
    if (code === op.ELSE) {
      top.other = [];
      continue;
    }
    const node = readNode(module, reader, code, at);
    (top.other ?? /** @type {Node[]} */ (top.body)).push(node);
    note(top, node);
    if (node.body) open.push(node);
    if (open.length > MAX_NESTING) throw new MeterError(`blocks nest deeper than ${MAX_NESTING}`);
  }
  if (!reader.done) throw new MeterError('code behind the end of a function');
  return root;
}

/** @param {{ op: number, at: number }} node @param {number} takes @param {number} leaves @param {number} start @returns {Node} */
function block(node, takes, leaves, start) {
  return {
    ...node,
    end: 0,
    takes,
    leaves,
    start,
    body: [],
    other: null,
    writes: new Set(),
    targets: new Set(),
  };
}

/** @param {Reader} reader @param {boolean} shared memory */
function readCode(reader, shared) {
  const first = reader.byte();
  if (first === 0xfe && shared) return op.ATOMIC + reader.u32();
  if (first === 0xfc) return op.MISC + reader.u32();
  if (first !== 0xfd) return first;
  const code = reader.u32();
  if (code > 0xff) throw new MeterError(`opcode 0xfd ${code} (relaxed SIMD) is not known`);
  return op.SIMD + code;
}

/** @param {import('./module.mjs').Module} module @param {Reader} reader @param {number} code @param {number} at @returns {Node} */
function readNode(module, reader, code, at) {
  const known = op.operations.get(code);
  if (!known) throw new MeterError(`opcode 0x${code.toString(16)} is not known`);
  /** @type {Node} */
  const node = { op: code, at, end: 0, takes: known.takes, leaves: known.leaves };
  const form = FORMS[known.form](reader, module, node);
  if (form) return form;
  node.end = reader.at;
  return node;
}

/** @param {Node} node @param {import('./module.mjs').Type} type @param {number} more */
function callOf(node, { params, results }, more) {
  node.takes = params.length + more;
  node.leaves = results.length;
}

/** What follows an opcode. @type {Record<string, (reader: Reader, module: import('./module.mjs').Module, node: Node) => Node | void>} */
const FORMS = {
  '': () => {},
  index(reader, module, node) {
    node.index = reader.u32();
    if (node.op === op.BR || node.op === op.BR_IF) node.labels = [node.index];
    if (node.op === op.CALL) callOf(node, module.types[module.functions[node.index].type], 0);
  },
  indirect(reader, module, node) {
    node.index = reader.u32();
    reader.u32();
    callOf(node, module.types[node.index], 1);
  },
  table(reader, _module, node) {
    node.labels = Array.from({ length: reader.u32() + 1 }, () => reader.u32());
  },
  block(reader, module, node) {
    const simple = reader.bytes[reader.at];
    let takes = 0;
    let leaves = simple === 0x40 ? 0 : 1;
    if (simple >= 0x40 && simple < 0x80) reader.skip(1);
    else {
      const type = module.types[reader.signed()];
      takes = type.params.length;
      leaves = type.results.length;
    }
    return block(node, takes, leaves, reader.at);
  },
  memarg(reader) {
    const align = reader.u32();
    if (align >= 32) throw new MeterError('a memory access of an unknown form');
    reader.u32();
  },
  lane(reader) {
    FORMS.memarg(reader, /** @type {any} */ (null), /** @type {any} */ (null));
    reader.skip(1);
  },
  zero: (reader) => reader.skip(1),
  zeros: (reader) => reader.skip(2),
  init(reader) {
    reader.u32();
    reader.skip(1);
  },
  i32(reader, _module, node) {
    node.value = reader.signed();
  },
  i64: (reader) => void reader.signed(),
  f32: (reader) => reader.skip(4),
  f64: (reader) => reader.skip(8),
  byte: (reader) => reader.skip(1),
  bytes16: (reader) => reader.skip(16),
};

/** @param {Node} top @param {Node} node */
function note(top, node) {
  if (node.op === op.LOCAL_SET || node.op === op.LOCAL_TEE)
    top.writes?.add(/** @type {number} */ (node.index));
  for (const target of targetsOf(node)) top.targets?.add(inward(target));
}

/** What a finished block tells the one that it is in. @param {Node} top @param {Node} node */
function close(top, node) {
  for (const local of /** @type {Set<number>} */ (node.writes)) top.writes?.add(local);
  node.targets?.delete(OWN);
  for (const target of targetsOf(node)) top.targets?.add(inward(target));
}

const OWN = -1;
/** In `targets`: a return. */
export const RETURNS = Number.POSITIVE_INFINITY;

/** A label as seen from the inside, as seen beside the block. */
const inward = (/** @type {number} */ target) => target - 1;

/** Labels that leave a node, as seen beside it: 0 is the block that it stands in. @param {Node} node */
export function targetsOf(node) {
  if (node.op === op.RETURN) return [RETURNS];
  return node.body ? [...(node.targets ?? [])] : (node.labels ?? []);
}
