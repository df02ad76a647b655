// What instruction limits, memory hardening or another variant cost: one warm run on such a runtime beside the plain one,
// in one process and in turns. The plain runtime is there twice: what the two differ by is noise.
//
//   node harness/bench/meter.mjs [--of NAME] [--chromium | --cpu] [--runs N] [MODEL.onnx ...]
//
// NAME is a row of SUBJECTS. --cpu: time of the processor instead of the clock's, for a machine that others
// keep busy. Hardening is timed with the wipe behind the run, as the loader does it.
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pagesOf, readCertificate } from '../../web/certificate.js';
import { chromiumPath, launchChromium } from '../browsers/chromium.mjs';
import { realModelsFolder } from '../cases.mjs';
import { tableText } from '../io.mjs';
import { allowRelaxedSimd } from '../runtimes.mjs';
import { playIn } from './play.mjs';
import { prepareFile } from './prepare.mjs';
import { geometricMean, median, pairedRatio } from './stats.mjs';

const MODELS = [
  'squeezenet1.0-fp32-derived',
  'yolox-nano',
  'ultraface-rfb-320',
  'selfie-segmentation',
  'deeplabv3-mnv2',
].map((name) => join(realModelsFolder(), name, 'model.onnx'));
/** `every`: hardened, with a look at the weights every so many runs (0: none). */
const SUBJECTS = {
  metered: { file: 'runtime-simd.metered.wasm' },
  hardened: { file: 'runtime-simd.wasm', every: 16 },
  'hardened-each': { file: 'runtime-simd.wasm', every: 1 },
  'hardened-never': { file: 'runtime-simd.wasm', every: 0 },
  relaxed: { file: 'runtime-relaxed.wasm' },
  'metered-hardened': { file: 'runtime-simd.metered.wasm', every: 16 },
};
const built = (name) =>
  readFile(fileURLToPath(new URL(`../../build/wasm/${name}`, import.meta.url)));

const percent = (/** @type {number} */ ratio) => `${((ratio - 1) * 100).toFixed(1)} %`;

async function main() {
  allowRelaxedSimd();
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      of: { type: 'string', default: 'metered' },
      chromium: { type: 'boolean' },
      cpu: { type: 'boolean' },
      runs: { type: 'string', default: '60' },
    },
  });
  const name = values.of;
  if (!SUBJECTS[name]) throw new Error(`--of is one of ${Object.keys(SUBJECTS).join(', ')}`);
  const text = async (file) => (await built(file)).toString('base64');
  const plain = { wasm: await text('runtime-simd.wasm') };
  const { file, every } = SUBJECTS[name];
  const peers = { plain, again: plain, subject: { wasm: await text(file), every } };
  const browser = values.chromium ? await launchChromium(chromiumPath()) : null;
  const rows = [['', 'plain ms', name, 'of medians', 'paired', 'of minima', 'noise']];
  const ratios = [];
  for (const path of positionals.length ? positionals : MODELS) {
    const { name: model, pack } = await prepareFile(path);
    const pages = pagesOf(readCertificate(pack, model), 4096, model);
    const what = {
      peers,
      pack: Buffer.from(pack).toString('base64'),
      pages,
      runs: Number(values.runs),
      warmMs: 2000,
      cpu: Boolean(values.cpu),
    };
    const times = await playIn(browser, what);
    const ratio = median(times.subject) / median(times.plain);
    ratios.push(ratio);
    rows.push([
      model,
      median(times.plain).toFixed(2),
      median(times.subject).toFixed(2),
      percent(ratio),
      percent(pairedRatio(times.subject, times.plain)),
      percent(Math.min(...times.subject) / Math.min(...times.plain)),
      percent(median(times.again) / median(times.plain)),
    ]);
  }
  await browser?.close();
  process.stdout.write(
    `${tableText(rows, [1, 2, 3, 4, 5, 6])}\ngeometric mean ${percent(geometricMean(ratios))}, worst ` +
      `${percent(Math.max(...ratios))}, load ${loadavg()[0].toFixed(1)}\n`,
  );
}

await main();
