// The targets: one row each. Native ones are programs of harness/native under the sanitizers, the
// others are modules beside this file. `seeds(all)` gives what the search begins with: all there is,
// or only what is made from the corpus in git.

import { answers } from './answers.mjs';
import { encryptedTarget } from './encrypted.mjs';
import { engineTarget, exportsTarget, packagesTarget } from './exports.mjs';
import { readers } from './readers.mjs';
import * as seedsOf from './seeds.mjs';

/** @typedef {(all: boolean) => Uint8Array[] | Promise<Uint8Array[]>} Seeds */

/**
 * @typedef {object} Native
 * @property {Seeds} seeds
 * @property {number} [most]   bytes of an input
 * @property {boolean} [words] the dictionary helps
 */

/** @type {Record<string, Native>} */
export const natives = {
  read: { seeds: seedsOf.models, words: true },
  onnx: { seeds: seedsOf.models, words: true },
  compile: { seeds: (all) => seedsOf.models(all).map(seedsOf.withOptions), words: true },
  package: { seeds: seedsOf.packages },
  live: { seeds: seedsOf.livePackages },
  seal: { seeds: seedsOf.packages },
  formula: { seeds: seedsOf.formulas, most: 344 },
};

/** @type {Record<string, import('./javascript.mjs').Target>} */
export const scripts = Object.fromEntries(
  [readers, answers, encryptedTarget, exportsTarget, engineTarget, packagesTarget].map((target) => [
    target.name,
    target,
  ]),
);

export const names = [...Object.keys(natives), ...Object.keys(scripts)];
