// What a package does on the metered runtime, where it is run here: fuel of one inference, for the
// certificate, and golden outputs.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { PAGE_SIZE, readCertificate } from '../web/certificate.js';
import { openEngine } from '../web/engine.js';
import { dtypeByName, elementCount } from './dtypes.mjs';
import { caseOf, dimSets, FILLS, feedsOf, goldenBytes } from './golden.mjs';
import { meteredFile, prebuiltRuntime } from './runtimes.mjs';

export const METERED = meteredFile(prebuiltRuntime('simd'));
/** About half a minute, so that a small file cannot keep the compiler busy; a larger model states nothing. */
const MOST = 2 ** 38;
/** Memory of the model, and of its inputs and outputs, of which there are several copies: a file of 150
 * bytes can ask for gigabytes. */
const MOST_BYTES = 2 ** 29;
const MOST_FED = 2 ** 26;
/** As in a folder of `build --secure`: guard words take a little fuel. */
const HARDENING = { weightsEvery: 0 };

/** @type {Promise<Uint8Array<ArrayBuffer>> | undefined} */
let runtime;

/**
 * Fuel at the largest dims, and a golden case for each set of dims; each with the first fill that the
 * model does not refuse.
 * @param {Uint8Array} pack
 * @returns {Promise<{ fuel: number, golden: Uint8Array, cases: number, why: string }>} fuel 0: not known, and why;
 *   golden: the section, with so many cases
 */
export async function measure(pack) {
  if (!existsSync(METERED)) return nothing('the metered runtime is not built');
  runtime ??= readFile(METERED).then((bytes) => new Uint8Array(bytes));
  const wasm = await runtime;
  const { peakSize } = readCertificate(pack, 'package');
  if (peakSize > MOST_BYTES) return nothing(`${peakSize} bytes are more than is tried here`);
  const pages = Math.ceil(peakSize / PAGE_SIZE);
  const place = freshEngine(() => openEngine({ runtime: wasm, pack, pages, hardening: HARDENING }));
  try {
    const { inputs, outputs } = place.engine();
    const fed = [...inputs, ...outputs].reduce((sum, slot) => sum + slotSize(slot), 0);
    if (fed > MOST_FED) return nothing(`${fed} bytes of inputs and outputs are not tried here`);
    const runs = [];
    for (const dims of dimSets(place.engine().inputs)) runs.push(await firstRun(place, dims));
    const { fuel = 0, why = '' } = runs[0];
    const cases = runs.flatMap((one) => one.golden ?? []);
    return { fuel, golden: goldenBytes(cases, why), cases: cases.length, why };
  } catch (error) {
    return nothing(error.message);
  }
}

/** @param {import('../web/wasmai.d.ts').Slot} slot */
const slotSize = ({ dtype, dims }) =>
  elementCount(dims) * dtypeByName(dtype).array.BYTES_PER_ELEMENT;

/** @param {string} why */
const nothing = (why) => ({ fuel: 0, golden: goldenBytes([], why), cases: 0, why });

/** A run that failed leaves a dead engine. @param {() => ReturnType<typeof openEngine>} open */
function freshEngine(open) {
  /** @type {ReturnType<typeof openEngine> | null} */
  let present = null;
  return {
    engine: () => (present ??= open()),
    drop() {
      present = null;
    },
  };
}

/**
 * @param {ReturnType<typeof freshEngine>} place @param {number[][]} dims
 * @returns {Promise<{ fuel?: number, golden?: import('../web/golden.js').GoldenCase, why?: string }>}
 */
async function firstRun(place, dims) {
  let why = '';
  for (const fill of FILLS) {
    try {
      const engine = place.engine();
      const feeds = feedsOf(engine.inputs, fill, dims);
      const wanted = [...engine.outputs.keys()];
      const answers = engine.run({ feeds, wanted, carry: [], fuel: MOST });
      return {
        fuel: engine.fuel() ?? 0,
        golden: await caseOf(engine.outputs, fill, dims, answers),
      };
    } catch (error) {
      place.drop();
      why ||= error.message;
    }
  }
  return { why };
}
