// What one inference of a package uses on the metered runtime: it is run once, here.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { PAGE_SIZE, readCertificate } from '../web/certificate.js';
import { openEngine } from '../web/engine.js';
import { dtypeByName, elementCount } from './dtypes.mjs';

export const METERED = fileURLToPath(
  new URL('../build/wasm/runtime-simd.metered.wasm', import.meta.url),
);
/** About half a minute, so that a small file cannot keep the compiler busy; a larger model states nothing. */
const MOST = 2 ** 38;
/** Inputs that are the same everywhere; the second is for models that 0 is no answer to. */
const FILLS = [0, 1];

/** @type {Promise<Uint8Array<ArrayBuffer>> | undefined} */
let runtime;

/**
 * Fuel at the largest dims with zeros, or with ones where the model refuses zeros.
 * @param {Uint8Array} pack
 * @returns {Promise<{ fuel: number, why: string }>} fuel 0: not known, and why
 */
export async function measureFuel(pack) {
  if (!existsSync(METERED)) return { fuel: 0, why: 'the metered runtime is not built' };
  runtime ??= readFile(METERED).then((bytes) => new Uint8Array(bytes));
  const wasm = await runtime;
  const pages = Math.ceil(readCertificate(pack, 'package').peakSize / PAGE_SIZE);
  let why = '';
  for (const fill of FILLS) {
    try {
      const engine = openEngine({ runtime: wasm, pack, pages });
      const feeds = engine.inputs.map((slot) => filled(slot, fill));
      engine.run({ feeds, wanted: [], carry: [], fuel: MOST });
      return { fuel: engine.fuel() ?? 0, why: '' };
    } catch (error) {
      why ||= error.message;
    }
  }
  return { fuel: 0, why };
}

/** @param {import('../web/wasmai.d.ts').Slot} slot @param {number} fill */
function filled({ dtype, dims }, fill) {
  const { array } = dtypeByName(dtype);
  const data = new array(elementCount([...dims]));
  data.fill(data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(fill) : fill);
  return { dims: [...dims], data: data.buffer };
}
