// A function's code again, with charges in it.
import { Writer } from './bytes.mjs';
import { everyNode } from './calls.mjs';
import { costOf, folded } from './cost.mjs';
import { divisor } from './loops.mjs';
import * as op from './opcodes.mjs';

/** @typedef {import('./body.mjs').Node} Node */
/** @typedef {import('./loops.mjs').Counted} Counted */

const [I32, I64, VOID] = [0x7f, 0x7e, 0x40];
const [I32_LT_S, I64_NE, I64_LT_S, I64_GT_S] = [0x48, 0x52, 0x53, 0x55];
const [I32_MUL, I32_AND, I32_XOR, I32_SHR_U] = [0x6c, 0x71, 0x73, 0x76];
const [I64_ADD, I64_SUB, I64_MUL, I64_DIV_S] = [0x7c, 0x7d, 0x7e, 0x7f];
const [I64_SHR_S, I64_SHR_U, I64_EXTEND_I32_U, SELECT] = [0x87, 0x88, 0xad, 0x1b];
/** More than any budget. What is left is 0 or more before a charge, so no charge can wrap it. */
export const ENDLESS = 2n ** 62n;
/** The counter, when calls went too deep. */
export const TOO_DEEP = -(2n ** 63n);
/** Bulk operations: bytes for one unit of fuel, as a shift; memory.grow: units for a page. */
export const BULK_SHIFT = 3;
export const PAGE_SHIFT = 16 - BULK_SHIFT;

/**
 * @typedef {object} Plan
 * @property {number} fuel   index of the counter's global
 * @property {number} depth  index of the depth's global
 * @property {boolean} recursive  its calls count for the depth
 * @property {boolean} oracle     charge every instruction by itself
 * @property {number} cost   of a pass without loops
 * @property {Map<number, number>} leaves  functions that are charged where they are called
 * @property {boolean} leaf  it is one
 */

/** @param {import('./module.mjs').Module} module @param {import('./module.mjs').Func} func @param {Node} root @param {Plan} plan */
export function emit(module, func, root, plan) {
  const emitter = new Emitter(module, func, plan);
  emitter.cached = !plan.oracle && wantsCache(root, plan.leaves);
  return emitter.function(root);
}

/** The counter is in a local where a loop charges each iteration and calls nothing that counts. @param {Node} root @param {Map<number, number>} leaves */
function wantsCache(root, leaves) {
  let wants = false;
  everyNode(root.body, (node) => {
    if (node.op === op.LOOP && !node.counted && !callsItself(node.body, leaves)) wants = true;
  });
  return wants;
}

/** Whether there are calls among the nodes, other than in loops. @param {Node[] | null | undefined} nodes @param {Map<number, number>} leaves @returns {boolean} */
function callsItself(nodes, leaves) {
  return (nodes ?? []).some(
    (node) =>
      counts(node, leaves) ||
      (node.op !== op.LOOP && (callsItself(node.body, leaves) || callsItself(node.other, leaves))),
  );
}

/** A call of something that changes the counter. @param {Node} node @param {Map<number, number>} leaves */
function counts(node, leaves) {
  if (node.op === op.CALL_INDIRECT) return true;
  return node.op === op.CALL && !leaves.has(/** @type {number} */ (node.index));
}

class Emitter {
  cached = false;
  /** @param {import('./module.mjs').Module} module @param {import('./module.mjs').Func} func @param {Plan} plan */
  constructor(module, func, plan) {
    this.module = module;
    this.func = func;
    this.plan = plan;
    this.out = new Writer((func.end - func.at) * 2 + 64);
    /** New locals by name. @type {Map<string, { index: number, type: number }>} */
    this.locals = new Map();
  }

  /** @param {Node} root */
  function(root) {
    const { out, plan, module, func } = this;
    const { results } = module.types[func.type];
    const code = out;
    if (plan.recursive) this.deeper();
    if (this.cached) this.read();
    if (!plan.oracle && !plan.leaf) this.charge(() => this.i64(plan.cost));
    // A branch to the function's end goes behind this block, where the counter is written back.
    const wrapped = plan.recursive || this.cached;
    if (wrapped) {
      if (results.length > 1) throw new Error('a function of more than one result');
      code.put(op.BLOCK, results[0] ?? VOID);
    }
    this.list(/** @type {Node[]} */ (root.body));
    if (wrapped) {
      code.put(op.END);
      this.leave();
    }
    code.put(op.END);
    const body = new Writer(code.size + 64).u32(func.groups.length + this.locals.size);
    for (const [count, type] of func.groups) body.u32(count).put(type);
    for (const { type } of this.locals.values()) body.u32(1).put(type);
    return body.copy(code.bytes).bytes;
  }

  /** @param {Node[]} nodes */
  list(nodes) {
    for (const node of nodes) this.node(node);
  }

  /** @param {Node} node */
  node(node) {
    const { out, plan } = this;
    const original = this.module.bytes;
    if (plan.oracle && costOf(node.op) > 0) this.charge(() => this.i64(costOf(node.op)));
    if (node.op === op.LOOP && !plan.oracle) this.before(node);
    if (node.body) {
      out.copy(original.subarray(node.at, node.start));
      if (node.op === op.LOOP && !plan.oracle && !node.counted)
        this.charge(() => this.i64(node.cost ?? 1));
      this.list(node.body);
      if (node.other) {
        out.put(op.ELSE);
        this.list(node.other);
      }
      out.put(op.END);
      return;
    }
    const calls = counts(node, plan.leaves);
    if (calls && this.cached) this.write();
    if (node.op === op.RETURN) this.leave();
    if (op.LENGTHS.includes(node.op)) this.length(node.op);
    out.copy(original.subarray(node.at, node.end));
    if (calls && this.cached) this.read();
  }

  /** What a counted loop will cost. @param {Node} loop */
  before(loop) {
    const { counted, cost = 1 } = loop;
    if (!counted || folded(loop) > 0) return;
    const { trips } = counted;
    if (trips === null) this.charge(() => this.trips(counted, cost));
    else this.charge(() => this.i64(trips < ENDLESS ? BigInt(trips) * BigInt(cost) : ENDLESS));
  }

  /** Leaves tripsOf(counted) times cost, as i64. @param {Counted} counted @param {number} cost */
  trips(counted, cost) {
    if (counted.compare === 'ne') this.tripsToEqual(counted, cost);
    else this.tripsToBound(counted, cost);
  }

  /** @param {Counted} counted @param {number} cost */
  tripsToEqual({ first, bound, step }, cost) {
    const { out } = this;
    const { shift, inverse } = divisor(Math.abs(step));
    if (shift > 0) this.i64(ENDLESS);
    this.operand(step > 0 ? bound : first);
    this.operand(step > 0 ? first : bound);
    out.put(op.I32_SUB);
    if (shift > 0) {
      this.tee('distance', I32);
      this.i32(shift).put(I32_SHR_U);
    }
    if (inverse !== 1) {
      this.i32(inverse).put(I32_MUL);
      if (shift > 0) this.i32(2 ** (32 - shift) - 1).put(I32_AND);
    }
    out.put(I64_EXTEND_I32_U);
    this.times(cost);
    if (shift > 0) {
      this.get('distance', I32);
      this.i32(2 ** shift - 1).put(I32_AND, SELECT);
    }
  }

  /** @param {Counted} counted @param {number} cost */
  tripsToBound({ compare, signed, first, bound, step }, cost) {
    const { out } = this;
    const size = Math.abs(step);
    const more = compare === 'le' ? 1 : compare === 'ge' ? -1 : 0;
    const far = !ends(bound, signed, more, step);
    if (far) this.i64(ENDLESS);
    const wide = (/** @type {import('./loops.mjs').Operand} */ operand) => {
      this.operand(operand);
      if (signed) this.i32(0x80000000).put(I32_XOR);
      out.put(I64_EXTEND_I32_U);
    };
    wide(first);
    this.set('from', I64);
    wide(bound);
    if (more) this.i64(more).put(I64_ADD);
    this.get('from', I64);
    out.put(I64_SUB);
    if (step < 0) this.i64(-1).put(I64_MUL);
    // How often it goes on: max(0, ceil(distance / size)).
    this.tee('distance64', I64);
    this.i64(size - 1).put(I64_ADD);
    const { shift, inverse } = divisor(size);
    if (inverse === 1) this.i64(shift).put(I64_SHR_S);
    else this.i64(size).put(I64_DIV_S);
    this.i64(0);
    this.get('distance64', I64);
    this.i64(0).put(I64_GT_S, SELECT);
    if (far) this.tee('more', I64);
    this.times(cost);
    if (!far) return;
    // Where the local is then: out of 32 bits, it wrapped.
    this.get('from', I64);
    this.get('more', I64);
    this.i64(step).put(I64_MUL, I64_ADD);
    this.i64(32).put(I64_SHR_U);
    this.i64(0).put(I64_NE, SELECT);
  }

  /** n to (n + 1) * cost. @param {number} cost */
  times(cost) {
    this.i64(cost).put(I64_MUL);
    this.i64(cost).put(I64_ADD);
  }

  /** @param {import('./loops.mjs').Operand} operand */
  operand(operand) {
    if ('constant' in operand) {
      this.i32(operand.constant);
      return;
    }
    this.out.put(op.LOCAL_GET).u32(operand.local);
    if (operand.plus !== 0) this.i32(operand.plus).put(op.I32_ADD);
  }

  /** The length is on top of the stack. @param {number} code */
  length(code) {
    this.tee('distance', I32);
    this.charge(() => {
      this.get('distance', I32);
      this.out.put(I64_EXTEND_I32_U);
      if (code === op.MEMORY_GROW) this.i64(2 ** PAGE_SHIFT).put(I64_MUL);
      else this.i64(BULK_SHIFT).put(I64_SHR_U);
    });
  }

  /** @param {() => void} amount leaves an i64, 0 or more */
  charge(amount) {
    const { out } = this;
    if (this.cached) this.get('fuel', I64);
    else out.put(op.GLOBAL_GET).u32(this.plan.fuel);
    amount();
    out.put(I64_SUB);
    this.tee('fuel', I64);
    if (!this.cached) {
      out.put(op.GLOBAL_SET).u32(this.plan.fuel);
      this.get('fuel', I64);
    }
    this.i64(0).put(I64_LT_S, op.IF, VOID);
    if (this.cached) this.write();
    out.put(op.UNREACHABLE, op.END);
  }

  read() {
    this.out.put(op.GLOBAL_GET).u32(this.plan.fuel);
    this.set('fuel', I64);
  }

  write() {
    this.get('fuel', I64);
    this.out.put(op.GLOBAL_SET).u32(this.plan.fuel);
  }

  /** The function ends: nothing on the stack is touched. */
  leave() {
    if (this.cached) this.write();
    if (this.plan.recursive) this.depth(1);
  }

  /** @param {number} by */
  depth(by) {
    this.out.put(op.GLOBAL_GET).u32(this.plan.depth);
    this.i32(by).put(op.I32_ADD, op.GLOBAL_SET).u32(this.plan.depth);
  }

  deeper() {
    this.depth(-1);
    this.out.put(op.GLOBAL_GET).u32(this.plan.depth);
    this.i32(0).put(I32_LT_S, op.IF, VOID);
    this.i64(TOO_DEEP).put(op.GLOBAL_SET).u32(this.plan.fuel);
    this.out.put(op.UNREACHABLE, op.END);
  }

  /** @param {number} value */
  i32(value) {
    return this.out.put(op.I32_CONST).signed(value | 0);
  }

  /** @param {number | bigint} value */
  i64(value) {
    return this.out.put(op.I64_CONST).signed(value);
  }

  /** @param {string} name @param {number} type */
  local(name, type) {
    const known = this.locals.get(name);
    if (known) return known.index;
    const index = this.func.locals + this.locals.size;
    this.locals.set(name, { index, type });
    return index;
  }

  /** @param {string} name @param {number} type */
  get(name, type) {
    this.out.put(op.LOCAL_GET).u32(this.local(name, type));
  }

  /** @param {string} name @param {number} type */
  set(name, type) {
    this.out.put(op.LOCAL_SET).u32(this.local(name, type));
  }

  /** @param {string} name @param {number} type */
  tee(name, type) {
    this.out.put(op.LOCAL_TEE).u32(this.local(name, type));
  }
}

/**
 * Whether the local certainly reaches the bound before it wraps: the last step lands less than a step
 * behind it. @param {import('./loops.mjs').Operand} bound @param {boolean} signed @param {number} more @param {number} step
 */
function ends(bound, signed, more, step) {
  if (!('constant' in bound)) return false;
  const to = ((bound.constant ^ (signed ? 0x80000000 : 0)) >>> 0) + more;
  return step > 0 ? to + step <= 2 ** 32 : to + step >= -1;
}
