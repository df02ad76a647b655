// Reads what core/graph/dump.c writes: the graph as text.
import { dtypeByShort } from './dtypes.mjs';

/** How often each operator stands in a graph's text, most frequent first. */
export function countOps(text) {
  const counts = new Map();
  for (const [, op] of text.matchAll(/^%[^=]* = (\w+)\(/gm)) {
    counts.set(op, (counts.get(op) ?? 0) + 1);
  }
  return [...counts]
    .map(([op, count]) => ({ op, count }))
    .sort((a, b) => b.count - a.count || (a.op < b.op ? -1 : 1));
}

/** What a runtime must hold to run it: operators, and the functions of the operator unary. */
export function usesOf(text) {
  const operators = new Set();
  const functions = new Set();
  for (const [, op, kind] of text.matchAll(/^%[^=]* = (\w+)\([^)]*\)(?: \{kind=(\w+))?/gm)) {
    operators.add(op);
    if (op === 'unary') functions.add(kind);
  }
  return { operators, functions };
}

/** Lines such as `input %0 f32[1,3,224,224] "image"` */
export function slotsOf(text, kind) {
  const slots = [];
  for (const [, short, dims, slot] of text.matchAll(
    new RegExp(`^${kind} %\\d+(?::const)? (\\w+)\\[([\\d,]*)\\] "(.*)"$`, 'gm'),
  )) {
    slots.push({
      name: slot,
      dtype: dtypeByShort(short)?.name ?? short,
      dims: dims === '' ? [] : dims.split(',').map(Number),
    });
  }
  return slots;
}
