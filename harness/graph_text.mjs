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

/** Operators that take packed weights, and those that pack at run in any case. */
const weighted = new Set(['conv2d', 'deconv2d', 'fully_connected']);
const packing = new Set(['deconv2d', 'matmul']);

/**
 * What a runtime must hold to run it: operators; the functions of the operator unary; kinds and
 * dtypes of reduce; parts of others (core/ops/parts.h).
 */
export function usesOf(text) {
  const uses = {
    operators: new Set(),
    functions: new Set(),
    reductions: new Set(),
    parts: new Set(),
  };
  for (const [, dtype, op, params] of text.matchAll(/^%\d+ (\w+)[^=]* = (\w+)\([^)]*\)(.*)$/gm)) {
    const param = (name) => new RegExp(`[{ ]${name}=(\\w+)`).exec(params)?.[1];
    uses.operators.add(op);
    if (op === 'unary') uses.functions.add(param('kind'));
    if (op === 'reduce') {
      uses.reductions.add(param('kind'));
      uses.reductions.add(['f32', 'f64'].includes(dtype) ? dtype : 'whole');
    }
    if (op === 'conv2d' && param('group_in') === '1' && param('group_out') === '1') {
      uses.parts.add('depthwise');
    }
    // Counts that values decide; symbolic dims are below.
    if (param('limit') !== undefined) uses.parts.add('live');
    const raw = weighted.has(op) && param('packed') !== '1';
    if (raw) uses.parts.add('raw_weights');
    if (raw || packing.has(op)) uses.parts.add('packing');
  }
  if (/^range %/m.test(text)) uses.parts.add('live');
  return uses;
}

/** Lines such as `input %0 f32[1,3,224,224] "image"`, and `range %0[0] = "n" 1..8` of open axes. */
export function slotsOf(text, kind) {
  const slots = [];
  for (const [, id, short, dims, slot] of text.matchAll(
    new RegExp(`^${kind} %(\\d+)(?::const)? (\\w+)\\[([\\d,]*)\\] "(.*)"$`, 'gm'),
  )) {
    const numbers = dims === '' ? [] : dims.split(',').map(Number);
    const symbols = kind === 'input' ? symbolsOf(text, id, numbers) : undefined;
    slots.push({
      name: slot,
      dtype: dtypeByShort(short)?.name ?? short,
      dims: numbers,
      ...(symbols && { symbols }),
    });
  }
  return slots;
}

function symbolsOf(text, id, dims) {
  const ranges = text.matchAll(
    new RegExp(`^range %${id}\\[(\\d)\\] = "(.*)" (\\d+)\\.\\.(\\d+)$`, 'gm'),
  );
  const symbols = dims.map(() => null);
  for (const [, axis, name, min, max] of ranges)
    symbols[Number(axis)] = { name, min: Number(min), max: Number(max) };
  return symbols.some((symbol) => symbol !== null) ? symbols : undefined;
}
