// Golden outputs of a package: what it gives for inputs that anybody can make again, as section 7 of
// core/package/format.h. web/golden.js reads them and makes the inputs.
import { DIGEST_SIZE } from '../web/certificate.js';
import { goldenFeeds } from '../web/golden.js';
import { tensorDigest } from '../web/receipt.js';
import { bytesOf } from './dtypes.mjs';

/** @typedef {import('../web/golden.js').GoldenCase} GoldenCase */
/** @typedef {import('../web/wasmai.d.ts').Slot} Slot */

const VERSION = 1;
const HEADER_WORDS = 3;
const SEED = 0x57414933;
const MAX_TEXT = 120;
/** In the order in which they are tried: random, zeros, ones. */
export const FILLS = [0, 1, 2];
export const FILL_NAMES = ['random inputs', 'zeros', 'ones'];

/** The largest dims, the smallest, and between; the first alone where they are fixed. @param {readonly Slot[]} inputs */
export function dimSets(inputs) {
  const at = (/** @type {(min: number, max: number) => number} */ choose) =>
    inputs.map(({ dims, symbols }) =>
      dims.map((max, axis) => choose(symbols?.[axis]?.min ?? max, max)),
    );
  const sets = [
    at((_, max) => max),
    at((min) => min),
    at((min, max) => Math.floor((min + max) / 2)),
  ];
  const texts = sets.map((set) => JSON.stringify(set));
  return sets.filter((_, i) => texts.indexOf(texts[i]) === i);
}

/** As engine.run takes them. @param {readonly Slot[]} inputs @param {number} fill @param {number[][]} dims */
export function feedsOf(inputs, fill, dims) {
  const tensors = goldenFeeds(inputs, { fill, inputs: dims }, SEED);
  return inputs.map(({ name }, i) => {
    const bytes = bytesOf(tensors[name].data);
    return { dims: dims[i], data: bytes.slice().buffer };
  });
}

/**
 * @param {readonly Slot[]} outputs @param {number} fill @param {number[][]} inputs
 * @param {import('../web/engine.js').Bytes[]} answers @returns {Promise<GoldenCase>}
 */
export async function caseOf(outputs, fill, inputs, answers) {
  const described = answers.map(async ({ dims, data }, i) => ({
    dims: [...dims],
    sha384: await tensorDigest({ dtype: outputs[i].dtype, dims, data }),
  }));
  return { fill, inputs, outputs: await Promise.all(described) };
}

/** The section's bytes. @param {GoldenCase[]} cases @param {string} why  there are none */
export function goldenBytes(cases, why) {
  const words = cases.flatMap(({ fill, inputs, outputs }) => [
    fill,
    ...inputs.flat(),
    ...outputs.flatMap(({ dims, sha384 }) => [...dims, ...digestWords(sha384)]),
  ]);
  const head = Buffer.from(new Uint32Array([VERSION, SEED, cases.length, ...words]).buffer);
  if (cases.length > 0) return head;
  const text = why.replace(/[^ -~]+/g, ' ').slice(0, MAX_TEXT);
  return Buffer.concat([head.subarray(0, HEADER_WORDS * 4), Buffer.from(text, 'latin1')]);
}

/** @param {string} sha384 */
function digestWords(sha384) {
  const bytes = Buffer.from(sha384, 'hex');
  return Array.from({ length: DIGEST_SIZE / 4 }, (_, i) => bytes.readUInt32LE(4 * i));
}
