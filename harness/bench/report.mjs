// The figures as one HTML file that needs nothing else: uPlot, its style and all data are inside.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { writeWhole } from '../files.mjs';
import { overAll, steadyFigures, visitFigures } from './figures.mjs';
import { checkPackages, moduleFolders } from './peers/index.mjs';

const PAGE = fileURLToPath(new URL('./page/', import.meta.url));
/** Points of a distribution: enough for the eye. */
const STEPS = 200;

/** STATE, before hours are measured, where the plots cannot be drawn. */
export const checkReport = () => checkPackages({ uplot: '1.6.32' });

/** @param {string} output @param {any} report  machine, date, models and scaling, as index.mjs and wasm-ai bench make it */
export async function writeHtml(output, report) {
  const { outputFiles } = await build({
    entryPoints: [`${PAGE}report.js`],
    bundle: true,
    minify: true,
    format: 'iife',
    outdir: 'out',
    legalComments: 'none',
    write: false,
    logLevel: 'silent',
    nodePaths: moduleFolders(),
  });
  const text = (ending) => outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? '';
  // No end tag can stand inside: the browser would take it for the script's own.
  const inline = (source) => source.replaceAll('</', '<\\/');
  const data = JSON.stringify(plotted(report)).replaceAll('<', '\\u003c');
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>WasmAI bench</title>
<meta name="viewport" content="width=device-width">
<style>${text('.css')}</style></head><body>
<main></main>
<script type="application/json" id="data">${data}</script>
<script>${inline(text('.js'))}</script>
</body></html>
`;
  await writeWhole(output, Buffer.from(html));
}

function plotted({ date, machine, options, models = [], scaling = [] }) {
  return {
    date,
    machine,
    options,
    overAll: overAll(models),
    scaling,
    models: models.map(({ model, mflop, packageBytes, peakBytes, steady, visits }) => ({
      ...{ model, mflop, packageBytes, peakBytes },
      steady: steady.map((state) => ({
        threads: state.threads,
        notes: state.notes,
        rows: steadyFigures(state, mflop),
        curves: state.peers.map(({ label, times }) => ({ label, times: thin(times.flat()) })),
      })),
      visits: visits.map((one) => ({ threads: one.threads, rows: visitFigures(one) })),
    })),
  };
}

/** The quantiles of a distribution. @param {number[]} values */
function thin(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (i) => sorted[Math.round((i / STEPS) * (sorted.length - 1))];
  return Array.from({ length: STEPS + 1 }, (_, i) => at(i));
}
