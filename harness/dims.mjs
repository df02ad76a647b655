// Values of symbolic dims: checked before they reach the compiler, and against
// what the compiler found in the model.
import { closestName, WasmAIError } from '../web/errors.js';

/** Options' dims as a checked map. @param {Record<string, unknown>} [dims] */
export function dimMap(dims = {}) {
  const map = new Map();
  for (const [name, value] of Object.entries(dims)) {
    if (typeof value === 'string' && value.includes('..')) {
      throw new WasmAIError(
        'UNSUPPORTED',
        `dim ${name}`,
        `ranges (${value}) are not in this version; give one number`,
      );
    }
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0x7fffffff) {
      throw new WasmAIError(
        'ARGUMENT',
        `dim ${name}`,
        `must be a whole number from 0, not ${value}`,
      );
    }
    map.set(name, value);
  }
  return map;
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
