// The files of the runtimes, as built: of each name in web/variants.js, and with instruction limits.
import { fileURLToPath } from 'node:url';
import v8 from 'node:v8';
import { validates } from '../web/engine.js';
import { variants } from '../web/variants.js';

/** @typedef {import('../web/variants.js').RuntimeName} RuntimeName */

/** @param {RuntimeName} name @returns {string} */
export const runtimeFile = (name) => `runtime-${name}.wasm`;

/** Beside a runtime that is exact, the same with instruction limits. @param {string} file */
export const meteredFile = (file) => file.replace(/\.wasm$/, '.metered.wasm');

/** Of the build of this tree. @param {RuntimeName} name */
export const prebuiltRuntime = (name) =>
  fileURLToPath(new URL(`../build/wasm/${runtimeFile(name)}`, import.meta.url));

/** Node 20 has relaxed SIMD behind a flag of V8. Whether modules compiled from now on may use it. */
export function allowRelaxedSimd() {
  const { probe } = variants.relaxed;
  if (!validates(probe)) v8.setFlagsFromString('--experimental-wasm-relaxed-simd');
  return validates(probe);
}
