/**
 * Budgets of the metered runtime (harness/toolchain/meter): how much it may use,
 * what it used, and whether that is why it stopped. With a runtime that does not
 * count, there are no budgets.
 */
import { WasmAIError } from './errors.js';

/** A run may use this many times what its certificate states: some operators do more with other values. */
export const FUEL_HEADROOM = 4;
/** For a package that states nothing: about ten seconds. */
const UNSTATED_FUEL = 2 ** 36;
/** Opening: about a second, and more for weights that are widened. */
const OPEN_FUEL = 2 ** 32;
const OPEN_FUEL_PER_BYTE = 64;
/** Questions that are answered at once. */
const ASK_FUEL = 2 ** 20;
const TOO_DEEP = -(2n ** 63n);

/** @param {number} stated of the certificate, 0: nothing */
export function runBudget(stated) {
  return Math.min(stated * FUEL_HEADROOM || UNSTATED_FUEL, Number.MAX_SAFE_INTEGER);
}

/** @param {number} packageSize */
export function openBudget(packageSize) {
  return OPEN_FUEL + packageSize * OPEN_FUEL_PER_BYTE;
}

/** Calls of a runtime, each under a budget. @param {any} wasm its exports */
export function metering(wasm) {
  const metered =
    typeof wasm.wai_fuel_set === 'function' && typeof wasm.wai_fuel_get === 'function';
  let used = 0;
  return {
    metered,
    /** Of the last call. */
    used: () => used,

    /** The answer of a call, or FUEL, LIMIT or TRAP. @param {() => number} work @param {number} [allowed] */
    call(work, allowed = ASK_FUEL) {
      try {
        if (metered) wasm.wai_fuel_set(BigInt(allowed));
        const answer = work() >>> 0; // pointers are unsigned
        if (metered) used = countOf(allowed, leftIn(wasm));
        return answer;
      } catch (cause) {
        throw stopped(metered ? leftIn(wasm) : 0n, allowed, cause);
      }
    },
  };
}

/** A runtime that was taken over may say anything. @param {any} wasm its exports */
function leftIn(wasm) {
  try {
    return BigInt.asIntN(64, wasm.wai_fuel_get());
  } catch {
    return 0n;
  }
}

/** @param {number} allowed @param {bigint} left */
function countOf(allowed, left) {
  return Math.max(0, Math.min(Number(BigInt(allowed) - left), Number.MAX_SAFE_INTEGER));
}

/** @param {bigint} left @param {number} allowed @param {any} cause */
function stopped(left, allowed, cause) {
  if (left === TOO_DEEP) {
    const message = 'calls in the runtime nest too deep; its memory was thrown away';
    return new WasmAIError('LIMIT', 'runtime', message, { cause });
  }
  if (left < 0n) {
    // With the loop that was about to start, whose count may have no end.
    const used = countOf(allowed, left);
    return new WasmAIError(
      'FUEL',
      'runtime',
      `stopped: ${allowed} units of fuel were allowed, and it went on to ${used}; raise maxFuel ` +
        'if you trust the model, or compile it again with this release',
      { cause, used, allowed },
    );
  }
  return new WasmAIError(
    'TRAP',
    'runtime',
    `the runtime stopped: ${cause?.message ?? cause}; its memory was thrown away`,
    { cause },
  );
}
