// The places where a test runs. A place that is not Node must give the bits that Node gives.

import { BROWSER_NAMES } from '../../../harness/toolchain/browsers.mjs';

/**
 * @typedef {import('../../../harness/dtypes.mjs').HostTensor} HostTensor
 *
 * @typedef {object} Job
 * @property {Uint8Array} bytes              the package
 * @property {[string, HostTensor][]} feeds
 *
 * @typedef {object} Model
 * @property {string} path                   of model.onnx
 * @property {import('../../../harness/compiler.mjs').CompileRequest} request
 *
 * @typedef {{ error: Error | null, bytes: Uint8Array | null }} Outcome
 *
 * @typedef {object} Place
 * @property {(job: Job) => Promise<Record<string, HostTensor>>} run
 * @property {(model: Model) => Promise<Outcome>} [compile]  where the compiler is another build
 * @property {Set<string>} [inexact]         operators whose bits may differ from those in Node
 * @property {() => Promise<void>} close  throws if the place has something to complain of
 *
 * @typedef {{ roots: Record<string, string | null>, url?: string }} Setting  what a thread gets
 */

/** @type {Record<string, (setting: Setting) => Promise<Place>>} */
export const PLACES = {
  node: async () => (await import('./node.mjs')).open(),
  strain: async () => (await import('./strain.mjs')).open(),
  native: async (setting) => (await import('./native.mjs')).open(setting),
  ...Object.fromEntries(
    BROWSER_NAMES.map((engine) => [
      engine,
      async (setting) => (await import('./browser.mjs')).open(engine, setting),
    ]),
  ),
};
