// The places where a package can run. A runner is
//   open(packageBytes, { where, maxHeapMB }) -> { name, inputs, outputs, info,
//     run(feeds, { repeat, onRun, carry, profile }) -> { outputs, times, profiles }, close() }
// with times in milliseconds and (with `profile`) session.profile(), one per run, and nothing that differs between
// runners visible to whoever calls it. `carry`, { input: output }, is session.run's:
// such an input is fed to the first run of all and then keeps what was carried to
// it, from run to run of one call and from call to call.
import { closestName, WasmAIError } from '../../web/errors.js';
import { BROWSER_NAMES } from '../toolchain/browsers.mjs';

const RUNNERS = {
  node: () => import('./node.mjs'),
  native: () => import('./native.mjs'),
  ...Object.fromEntries(BROWSER_NAMES.map((name) => [name, () => inBrowser(name)])),
};

/** @param {import('../toolchain/browsers.mjs').BrowserName} name */
async function inBrowser(name) {
  const { openIn } = await import('./browser.mjs');
  return { open: openIn.bind(null, name) };
}

export const RUNNER_NAMES = Object.keys(RUNNERS);

/**
 * @typedef {object} RunnerOptions
 * @property {string} [where]      what messages call the package
 * @property {number} [maxHeapMB]
 * @property {boolean} [hardened]  memory hardening; native always has it
 * @property {number} [threads]   of a run; native has one
 * @property {import('../../web/variants.js').VariantName} [variant]  of the runtime; default simd
 *
 * @param {string} name @param {Uint8Array} packageBytes @param {RunnerOptions} [options]
 */
export async function openRunner(name, packageBytes, options = {}) {
  if (!Object.hasOwn(RUNNERS, name)) {
    const close = closestName(name, RUNNER_NAMES);
    const hint = close ? `did you mean ${close}?` : `use ${RUNNER_NAMES.join(', ')}`;
    throw new WasmAIError('ARGUMENT', `--runner ${name}`, `there is no such runner; ${hint}`);
  }
  const { open } = await RUNNERS[name]();
  const runner = await open(packageBytes, options);
  const { variant, variantReason } = runner.info;
  const { variant: wanted = 'simd' } = options;
  if (wanted === 'simd' || variant === wanted) return runner;
  await runner.close();
  throw new WasmAIError('UNSUPPORTED', `--variant ${wanted}`, `it is ${variant}: ${variantReason}`);
}
