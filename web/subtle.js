/** WebCrypto, or why there is none. */
import { WasmAIError } from './errors.js';

/** Taken when this file is read: the worker's lock-down removes the name. */
const found = globalThis.crypto?.subtle;

/** @param {string} where @param {string} what that cannot be done without it */
export function subtleFor(where, what) {
  if (found) return found;
  throw new WasmAIError(
    'UNSUPPORTED',
    where,
    `${what} here: crypto.subtle needs a secure context (https, or localhost)`,
  );
}
