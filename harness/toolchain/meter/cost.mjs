// What code costs: 1 for an instruction, 0 for what only marks a place. A stretch is charged where it
// starts, with the longest way through it. A function is a stretch, and so is one iteration of a loop.
import { RETURNS, targetsOf } from './body.mjs';
import * as op from './opcodes.mjs';

/** @typedef {import('./body.mjs').Node} Node */

const FREE = new Set([op.NOP, op.BLOCK, op.LOOP]);
/** @param {number} code */
export const costOf = (code) => (FREE.has(code) ? 0 : 1);

/** Loops of a constant count cost as much as they run, up to here; else they are charged apart. */
export const FOLD_LIMIT = 4096;
const ENDS = new Set([op.BR, op.BR_TABLE, op.RETURN, op.UNREACHABLE]);

/**
 * The most that one pass from the start of a function can cost; sets `cost` of its loops.
 * @param {Node} root @param {Map<number, number>} leaves  what functions cost that are charged where they are called
 */
export function measure(root, leaves) {
  return Math.max(1, new Stretch(leaves).of(root));
}

/** What a loop adds to what is around it. @param {Node} loop */
export function folded({ counted, cost = 0 }) {
  const trips = counted?.trips;
  return trips && trips * cost <= FOLD_LIMIT ? trips * cost : 0;
}

class Stretch {
  /** @param {Map<number, number>} leaves */
  constructor(leaves) {
    this.leaves = leaves;
  }
  most = 0;
  /** Cost so far; null where no way leads. @type {number | null} */
  now = 0;
  /** Per open block, what is the most to its end. @type {(number | null)[]} */
  labels = [];

  /** @param {Node} node function or loop */
  of(node) {
    // A loop's own label starts another iteration: what is behind it is not of this one.
    this.labels.push(null);
    this.list(/** @type {Node[]} */ (node.body));
    return this.most;
  }

  /** @param {Node[]} nodes */
  list(nodes) {
    for (const node of nodes) if (this.now !== null) this.node(node);
  }

  /** @param {Node} node */
  node(node) {
    this.add(costOf(node.op));
    if (node.op === op.CALL) this.add(this.leaves.get(/** @type {number} */ (node.index)) ?? 0);
    if (node.op === op.LOOP) {
      node.cost = new Stretch(this.leaves).of(node);
      this.add(folded(node));
    }
    if (node.op === op.BLOCK || node.op === op.IF) this.block(node);
    else for (const target of targetsOf(node)) this.branch(target);
    if (ENDS.has(node.op)) this.now = null;
  }

  /** @param {number} cost */
  add(cost) {
    this.now = /** @type {number} */ (this.now) + cost;
    this.most = Math.max(this.most, this.now);
  }

  /** @param {number} target */
  branch(target) {
    const at = this.labels.length - 1 - target;
    if (target !== RETURNS && at >= 0) this.labels[at] = greater(this.labels[at], this.now);
  }

  /** @param {Node} node */
  block(node) {
    const start = this.now;
    this.labels.push(null);
    this.list(/** @type {Node[]} */ (node.body));
    let end = this.now;
    if (node.op === op.IF) {
      this.now = start;
      this.list(node.other ?? []);
      end = greater(end, this.now);
    }
    this.now = greater(end, /** @type {number | null} */ (this.labels.pop()));
  }
}

/** @param {number | null} a @param {number | null} b */
const greater = (a, b) => (a === null ? b : b === null ? a : Math.max(a, b));
