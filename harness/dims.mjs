// Values and ranges of symbolic dims: checked before they reach the compiler, and against
// what the compiler found in the model.
import { closestName, WasmAIError } from '../web/errors.js';
import { typeText } from './dtypes.mjs';

/** @typedef {{ min: number, max: number }} Range  both included; equal: one number */

const LARGEST = 0x7fffffff;
const isWhole = (number, least) => Number.isInteger(number) && number >= least && number <= LARGEST;

/** 8, or '1..8' as { min: 1, max: 8 }. @param {string} name @param {unknown} value @returns {Range} */
function rangeOf(name, value) {
  if (typeof value === 'number' && isWhole(value, 0)) return { min: value, max: value };
  const ends = /^(\d+)\.\.(\d+)$/.exec(String(value));
  const [min, max] = ends ? [Number(ends[1]), Number(ends[2])] : [NaN, NaN];
  if (isWhole(min, 0) && isWhole(max, 1) && min <= max) return { min, max };
  throw new WasmAIError(
    'ARGUMENT',
    `dim ${name}`,
    `must be a whole number from 0, or a range such as 1..512, not ${value}`,
  );
}

/** Options' dims as a checked map.
 * @param {Record<string, unknown>} [dims] @returns {Map<string, Range>} */
export function dimMap(dims = {}) {
  return new Map(Object.entries(dims).map(([name, value]) => [name, rangeOf(name, value)]));
}

/** "float32 [1, n (1 to 512)]" @param {import('../web/wasmai.d.ts').Slot} slot */
export function slotText({ dtype, dims, symbols }) {
  const texts = dims.map((dim, i) => {
    const symbol = symbols?.[i];
    return symbol ? `${symbol.name} (${symbol.min} to ${symbol.max})` : dim;
  });
  return typeText({ dtype, dims: texts });
}

/** A dim that the model does not have is a mistake of the caller. */
export function checkDims(dims, outcome) {
  // A failure before the graph's inputs were read says nothing about dims.
  if (outcome.error !== null && outcome.dims.length === 0) return;
  const known = new Set(outcome.dims.map((dim) => dim.name));
  for (const name of dims.keys()) {
    if (known.has(name)) continue;
    const close = closestName(name, known);
    const hint = close
      ? `did you mean ${close}?`
      : known.size > 0
        ? `it has ${[...known].join(', ')}`
        : 'all its dims are fixed';
    throw new WasmAIError('ARGUMENT', `dim ${name}`, `the model has no such dim; ${hint}`);
  }
}
