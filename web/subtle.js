/** WebCrypto, or why there is none. */
import { WasmAIError } from './errors.js';

/** Kept for the worker, whose lock-down removes the name. */
const kept = globalThis.crypto?.subtle;

/** @param {string} where @param {string} what that cannot be done without it */
export function subtleFor(where, what) {
  const found = globalThis.crypto ? globalThis.crypto.subtle : kept;
  if (found) return found;
  throw new WasmAIError(
    'UNSUPPORTED',
    where,
    `${what} here: crypto.subtle needs a secure context (https, or localhost)`,
  );
}
