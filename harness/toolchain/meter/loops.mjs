// Which loops run a number of times that is known before they start.
//
// Every value on the stack and in every local is followed as `symbol + constant`; a value that is made
// in any other way, or that could come from two places, is a new symbol. A loop is counted when one
// branch at its own level decides about going on, in every iteration exactly once, by comparing a
// local that changes by the same constant in every iteration with something that does not change,
// and when there is no other way to its next iteration or, before that branch, out of it. So the
// number of iterations is exact and no early exit is paid for.

import { targetsOf } from './body.mjs';
import { MeterError } from './bytes.mjs';
import * as op from './opcodes.mjs';

/**
 * @typedef {{ symbol: number, plus: number }} Linear  symbol 0: the constant itself
 * @typedef {{ compare: string, left: Linear, right: Linear }} Comparison
 * @typedef {Linear | Comparison} Value
 * @typedef {import('./body.mjs').Node} Node
 *
 * @typedef {{ local: number, plus: number } | { constant: number }} Operand  as of before the loop
 * @typedef {object} Counted
 * @property {'ne' | 'lt' | 'gt' | 'le' | 'ge'} compare  the loop goes on while
 *   first + k step COMPARE bound, k = 0, 1, ..
 * @property {boolean} signed
 * @property {Operand} first
 * @property {Operand} bound
 * @property {number} step
 * @property {number | null} trips  if it is a constant: how often the loop's header is passed
 */

const NEGATED = /** @type {Record<string, string>} */ ({
  eq: 'ne',
  ne: 'eq',
  lt_s: 'ge_s',
  lt_u: 'ge_u',
  gt_s: 'le_s',
  gt_u: 'le_u',
  le_s: 'gt_s',
  le_u: 'gt_u',
  ge_s: 'lt_s',
  ge_u: 'lt_u',
});
const SWAPPED = /** @type {Record<string, string>} */ ({
  eq: 'eq',
  ne: 'ne',
  lt_s: 'gt_s',
  lt_u: 'gt_u',
  gt_s: 'lt_s',
  gt_u: 'lt_u',
  le_s: 'ge_s',
  le_u: 'ge_u',
  ge_s: 'le_s',
  ge_u: 'le_u',
});
const COMPARISONS = Object.keys(NEGATED); // in the order of i32.eq, ..
const I32_EQ = 0x46;
const MAX_STEP = 2 ** 20;

/** Sets `counted` of every loop in a function. @param {Node} root @param {import('./module.mjs').Func} func @param {number} params */
export function countLoops(root, func, params) {
  const walk = new Walk();
  const env = Array.from({ length: func.locals }, (_, i) =>
    i < params ? walk.fresh() : constant(0),
  );
  walk.list(/** @type {Node[]} */ (root.body), { env, stack: [], dead: false }, root.leaves, null);
}

/** @param {number} value @returns {Linear} */
const constant = (value) => ({ symbol: 0, plus: value | 0 });

/** @typedef {{ env: Linear[], stack: Value[], dead: boolean }} State */

class Walk {
  symbols = 0;

  /** @returns {Linear} */
  fresh() {
    this.symbols++;
    return { symbol: this.symbols, plus: 0 };
  }

  /**
   * @param {Node[]} nodes @param {State} state @param {number} leaves @param {Loop | null} loop of
   *   which this is the body
   */
  list(nodes, state, leaves, loop) {
    const base = state.stack;
    state.stack = [];
    nodes.forEach((node) => {
      if (state.dead) return;
      loop?.see(node, state);
      this.node(node, state);
    });
    if (!state.dead && state.stack.length !== leaves)
      throw new MeterError(`${state.stack.length} values at the end of a block of ${leaves}`);
    state.stack = base;
  }

  /** @param {Node} node @param {State} state */
  node(node, state) {
    const { env, stack } = state;
    if (node.body) {
      this.block(node, state);
      return;
    }
    if (stack.length < node.takes)
      throw new MeterError('the stack is lower than an instruction takes');
    const taken = stack.splice(stack.length - node.takes, node.takes);
    const index = /** @type {number} */ (node.index);
    if (node.op === op.LOCAL_GET) stack.push(env[index]);
    else if (node.op === op.LOCAL_SET || node.op === op.LOCAL_TEE) {
      env[index] = 'compare' in taken[0] ? this.fresh() : taken[0];
      if (node.op === op.LOCAL_TEE) stack.push(taken[0]);
    } else if (node.op === op.I32_CONST) stack.push(constant(/** @type {number} */ (node.value)));
    else {
      const known = resultOf(node.op, taken);
      for (let i = 0; i < node.leaves; i++) stack.push(known ?? this.fresh());
    }
    state.dead = [op.BR, op.BR_TABLE, op.RETURN, op.UNREACHABLE].includes(node.op);
  }

  /** @param {Node} node @param {State} state */
  block(node, state) {
    if (node.takes > 0) throw new MeterError('a block with parameters');
    if (node.op === op.IF) state.stack.pop();
    const before = [...state.env];
    if (node.op === op.LOOP) this.forget(node, state.env);
    const loop = node.op === op.LOOP ? new Loop(node, before, [...state.env]) : null;
    for (const body of [node.body, node.other]) {
      if (body) this.list(body, { env: [...state.env], stack: [], dead: false }, node.leaves, loop);
    }
    if (loop) node.counted = loop.counted();
    this.forget(node, state.env);
    for (let i = 0; i < node.leaves; i++) state.stack.push(this.fresh());
  }

  /** Locals that a block sets could have any value. @param {Node} node @param {Linear[]} env */
  forget(node, env) {
    for (const local of /** @type {Set<number>} */ (node.writes)) env[local] = this.fresh();
  }
}

/** What is seen of a loop while its body is walked. */
class Loop {
  /** @param {Node} node @param {Linear[]} before @param {Linear[]} header  locals at every start of an iteration */
  constructor(node, before, header) {
    this.node = node;
    this.before = before;
    this.header = header;
    /** @type {{ node: Node, back: boolean, exit: boolean, env: Linear[], top: Value | undefined }[]} */
    this.ways = [];
  }

  /** @param {Node} node of the loop's own level, which is reached @param {State} state */
  see(node, { env, stack }) {
    const targets = targetsOf(node);
    const back = targets.includes(0);
    const exit = targets.some((target) => target !== 0);
    if (back || exit) this.ways.push({ node, back, exit, env: [...env], top: stack.at(-1) });
  }

  /** @returns {Counted | null} */
  counted() {
    const backs = this.ways.filter(({ back }) => back);
    if (backs.length !== 1) return null;
    const [back] = backs;
    const [way] = this.ways;
    if (way.node.op !== op.BR_IF) return null;
    // Either this branch goes back, and what follows it leaves or falls out; or it is the only one
    // that leaves, and the loop's last instruction goes back.
    if (way !== back && (back.node.op !== op.BR || this.ways.length !== 2 || back.exit))
      return null;
    const top = /** @type {Value} */ (way.top);
    const asked = 'compare' in top ? top : { compare: 'ne', left: top, right: constant(0) };
    const stays = way === back ? asked : { ...asked, compare: NEGATED[asked.compare] };
    return (
      this.#by(stays, back.env) ??
      this.#by({ compare: SWAPPED[stays.compare], left: stays.right, right: stays.left }, back.env)
    );
  }

  /** @param {Comparison} stays @param {Linear[]} after  locals when an iteration is over @returns {Counted | null} */
  #by({ compare, left, right }, after) {
    const local = [.../** @type {Set<number>} */ (this.node.writes)].find(
      (i) => left.symbol !== 0 && this.header[i].symbol === left.symbol,
    );
    if (local === undefined || after[local].symbol !== left.symbol) return null;
    const step = after[local].plus;
    const bound = this.#before(right);
    const [kind, how] = compare.split('_');
    const up = kind === 'lt' || kind === 'le';
    if (!bound || step === 0 || Math.abs(step) > MAX_STEP || kind === 'eq') return null;
    if (kind !== 'ne' && up !== step > 0) return null;
    const start = this.before[local];
    const first =
      start.symbol === 0 ? { constant: (start.plus + left.plus) | 0 } : { local, plus: left.plus };
    const signed = how === 's';
    const counted = {
      compare: /** @type {Counted['compare']} */ (kind),
      signed,
      first,
      bound,
      step,
    };
    const known = 'constant' in first && 'constant' in bound;
    return {
      ...counted,
      trips: known ? tripsOf(counted, Number(first.constant), Number(bound.constant)) : null,
    };
  }

  /** A value that the loop does not change, as it can be had before it. @param {Linear} value @returns {Operand | null} */
  #before({ symbol, plus }) {
    if (symbol === 0) return { constant: plus };
    const { writes } = this.node;
    const local = this.header.findIndex((known, i) => known.symbol === symbol && !writes?.has(i));
    return local < 0 ? null : { local, plus: (plus - this.header[local].plus) | 0 };
  }
}

/**
 * How often a counted loop's header is passed; Infinity where it never ends or only after its local
 * wrapped. emit.mjs writes the same as instructions.
 * @param {Pick<Counted, 'compare' | 'signed' | 'step'>} counted @param {number} first @param {number} bound
 */
export function tripsOf({ compare, signed, step }, first, bound) {
  const size = Math.abs(step);
  if (compare === 'ne') {
    const distance = (step > 0 ? bound - first : first - bound) >>> 0;
    const { shift, inverse } = divisor(size);
    if (distance % 2 ** shift !== 0) return Number.POSITIVE_INFINITY;
    return ((Math.imul(distance >>> shift, inverse) & mask(32 - shift)) >>> 0) + 1;
  }
  const bias = signed ? 0x80000000 : 0;
  const from = (first ^ bias) >>> 0;
  const to = ((bound ^ bias) >>> 0) + (compare === 'le' ? 1 : compare === 'ge' ? -1 : 0);
  const distance = step > 0 ? to - from : from - to;
  if (distance <= 0) return 1;
  const more = Math.ceil(distance / size);
  const last = from + more * step;
  return last < 0 || last >= 2 ** 32 ? Number.POSITIVE_INFINITY : more + 1;
}

/** A divisor as 2^shift times an odd number, and that one's inverse modulo 2^32. @param {number} size */
export function divisor(size) {
  const shift = 31 - Math.clz32(size & -size);
  const odd = size >>> shift;
  let inverse = odd;
  for (let i = 0; i < 5; i++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse));
  return { shift, inverse };
}

const mask = (/** @type {number} */ bits) => (bits === 32 ? -1 : 2 ** bits - 1);

/** @param {number} code @param {Value[]} taken @returns {Value | null} */
function resultOf(code, taken) {
  const [left, right] = taken;
  if (code === op.I32_EQZ) {
    if ('compare' in left) return { ...left, compare: NEGATED[left.compare] };
    return { compare: 'eq', left, right: constant(0) };
  }
  if (!right || 'compare' in left || 'compare' in right) return null;
  if (code >= I32_EQ && code < I32_EQ + COMPARISONS.length)
    return { compare: COMPARISONS[code - I32_EQ], left, right };
  if (code === op.I32_ADD && (left.symbol === 0 || right.symbol === 0))
    return { symbol: left.symbol + right.symbol, plus: (left.plus + right.plus) | 0 };
  if (code === op.I32_SUB && right.symbol === 0)
    return { symbol: left.symbol, plus: (left.plus - right.plus) | 0 };
  return null;
}
