// Which functions can call themselves, by any way: the depth of their calls has a limit.
import * as op from './opcodes.mjs';

/** @typedef {import('./body.mjs').Node} Node */

/** @param {Node[] | null | undefined} nodes @param {(node: Node) => void} visit */
export function everyNode(nodes, visit) {
  for (const node of nodes ?? []) {
    visit(node);
    everyNode(node.body, visit);
    everyNode(node.other, visit);
  }
}

/**
 * Functions on a cycle of calls, and those between two cycles.
 * @param {import('./module.mjs').Module} module @param {Node[]} roots @returns {Set<number>}
 */
export function recursive(module, roots) {
  const shape = (/** @type {number} */ type) => JSON.stringify(module.types[type]);
  /** @type {Map<string, number[]>} */
  const listed = new Map();
  for (const i of module.listed) {
    const key = shape(module.functions[i].type);
    listed.set(key, [...(listed.get(key) ?? []), i]);
  }
  let edges = roots.map((root) => {
    /** @type {Set<number>} */
    const called = new Set();
    everyNode(root.body, (node) => {
      const index = /** @type {number} */ (node.index);
      if (node.op === op.CALL) called.add(index);
      if (node.op === op.CALL_INDIRECT)
        for (const i of listed.get(shape(index)) ?? []) called.add(i);
    });
    return called;
  });
  let alive = new Set(roots.keys());
  for (const turned of [false, true]) {
    if (turned) edges = turn(edges);
    alive = prune(alive, edges);
  }
  return alive;
}

/**
 * Small functions that only code of the module calls, that hold no loop or bulk operation, and that call only
 * such: each is charged where it is called.
 * @param {import('./module.mjs').Module} module @param {Node[]} roots @param {Set<number>} cycles
 * @param {(root: Node, leaves: Map<number, number>) => number} measure
 * @returns {Map<number, number>} index to cost
 */
export function findLeaves(module, roots, cycles, measure) {
  /** @type {Map<number, number>} */
  const leaves = new Map();
  const open = new Set(roots.keys());
  for (const i of [...cycles, ...module.entries, ...module.listed]) open.delete(i);
  for (let before = -1; before !== leaves.size; ) {
    before = leaves.size;
    for (const i of open) {
      let simple = true;
      everyNode(roots[i].body, (node) => {
        const called = node.op === op.CALL && leaves.has(/** @type {number} */ (node.index));
        if (!called && NOT_IN_A_LEAF.has(node.op)) simple = false;
      });
      if (!simple) continue;
      open.delete(i);
      const cost = measure(roots[i], leaves);
      if (cost <= LEAF_LIMIT) leaves.set(i, cost);
    }
  }
  return leaves;
}

const LEAF_LIMIT = 256;
const NOT_IN_A_LEAF = new Set([op.LOOP, op.CALL, op.CALL_INDIRECT, ...op.LENGTHS]);

/** Without those that lead nowhere. @param {Set<number>} nodes @param {Set<number>[]} edges */
function prune(nodes, edges) {
  const alive = new Set(nodes);
  const into = turn(edges);
  const left = edges.map((targets) => [...targets].filter((target) => nodes.has(target)).length);
  const ends = [...nodes].filter((i) => left[i] === 0);
  for (let i = ends.pop(); i !== undefined; i = ends.pop()) {
    alive.delete(i);
    for (const from of into[i]) if (nodes.has(from) && --left[from] === 0) ends.push(from);
  }
  return alive;
}

/** @param {Set<number>[]} edges */
function turn(edges) {
  const into = edges.map(() => /** @type {Set<number>} */ (new Set()));
  edges.forEach((targets, from) => {
    for (const to of targets) into[to].add(from);
  });
  return into;
}
