/**
 * The variants of the runtime, in one table, and which of them a session gets. NAME is the file runtime-NAME.wasm
 * (CMakeLists.txt builds it), NAME.threads that for several threads; packages are the same for all of them.
 */
import { validates } from './engine.js';
import { WasmAIError } from './errors.js';

/** @typedef {'relaxed' | 'simd'} VariantName */
/** Each in two builds: for one thread and, with shared memory, for several.
 * @typedef {VariantName | `${VariantName}.threads`} RuntimeName */
/**
 * @typedef {object} Variant
 * @property {boolean} exact  the same bits on every machine
 * @property {Uint8Array<ArrayBuffer>} probe  a small module: who takes it can run this variant
 * @property {string} lacks  what is to be said of a browser that does not take it
 */

/** Fastest first. @type {Record<VariantName, Variant>} */
export const variants = {
  relaxed: {
    exact: false,
    // (module (func (result v128) zero zero zero f32x4.relaxed_madd)), a zero being i32.const 0 i8x16.splat
    probe: new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 0, 253,
      15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11,
    ]),
    lacks:
      'WebAssembly has no relaxed SIMD here (Node 20 has it with --experimental-wasm-relaxed-simd)',
  },
  simd: {
    exact: true,
    // (module (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt))
    probe: new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253,
      15, 253, 98, 11,
    ]),
    lacks: '',
  },
};

/** @type {readonly VariantName[]} */
export const variantNames = Object.freeze(/** @type {VariantName[]} */ (Object.keys(variants)));

/** @param {VariantName} name @returns {RuntimeName} */
export const withThreads = (name) => `${name}.threads`;

/** @type {readonly RuntimeName[]} */
export const runtimeNames = Object.freeze(
  variantNames.flatMap((name) => [withThreads(name), name]),
);

/** @param {RuntimeName} name @returns {Variant} */
export const variantOf = (name) =>
  variants[/** @type {VariantName} */ (name.replace(/\.threads$/, ''))];

/** @param {string} name @returns {name is VariantName} */
export const isVariant = (name) => Object.hasOwn(variants, name);

/**
 * The fastest that the loader has a runtime of, that runs here and that the session may have; and why
 * this one, in a sentence.
 * @param {import('./assets.js').Assets['runtimes']} runtimes
 * @param {{ deterministic?: boolean, hardened: boolean }} asked
 */
export function chooseVariant(runtimes, { deterministic, hardened }) {
  /** @param {Variant} variant @param {VariantName} name */
  const refusal = ({ exact, probe, lacks }, name) => {
    if (!runtimes[name]) return `this loader was built without the runtime "${name}"`;
    if (deterministic && !exact)
      return 'deterministic: the same bits on every machine were asked for';
    if (hardened && !exact)
      return 'memory hardening is for runtimes of the same bits on every machine';
    return validates(probe) ? null : lacks;
  };
  let why = 'relaxed SIMD is here, and the same bits on every machine were not asked for';
  for (const name of variantNames) {
    const row = variants[name];
    const no = refusal(row, name);
    if (no === null) return { name, why, exact: row.exact };
    why = no;
  }
  throw new WasmAIError(
    'UNSUPPORTED',
    'WebAssembly',
    'this browser has no WebAssembly SIMD, which the runtime needs ' +
      '(Chrome 91, Firefox 89, Safari 16.4 or newer have it); lockdown modes switch it off',
  );
}
