// What an option of compile gives: one model compiled in several ways, run in turns in one process.
//
//   node harness/bench/options.mjs [--runs N] [--variant relaxed] --with '{"winograd":"off"}' --with '{}' MODEL.onnx...
//
// Medians and minima, and their ratios to the first way's. Numbers from 0 to 1 for the first input, one thread.
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { pagesOf, readCertificate } from '../../web/certificate.js';
import { compile } from '../index.mjs';
import { tableText } from '../io.mjs';
import { allowRelaxedSimd, prebuiltRuntime } from '../runtimes.mjs';
import { playIn } from './play.mjs';
import { median } from './stats.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '21' },
    variant: { type: 'string', default: 'simd' },
    with: { type: 'string', multiple: true, default: ['{"winograd":"off"}', '{}'] },
  },
});
const file = prebuiltRuntime(
  /** @type {import('../../web/variants.js').RuntimeName} */ (values.variant),
);
const wasm = (await readFile(file)).toString('base64');
allowRelaxedSimd();

/** @param {Uint8Array} onnx @param {string} way */
async function make(onnx, way) {
  const { bytes, report } = await compile(onnx, { optimize: true, ...JSON.parse(way) });
  const pages = pagesOf(readCertificate(bytes, way), 4096, way);
  return { report, peer: { wasm, pack: Buffer.from(bytes).toString('base64'), pages } };
}

for (const file of positionals) {
  const onnx = await readFile(file);
  const peers = [];
  for (const way of values.with) peers.push(await make(onnx, way));
  const times = Object.values(
    await playIn(null, {
      peers: Object.fromEntries(peers.map(({ peer }, i) => [i, peer])),
      runs: Number(values.runs),
      warmMs: 1500,
    }),
  );
  const rows = [
    [
      `${basename(dirname(file))}/${basename(file)}`,
      'p50 ms',
      'of first',
      'min ms',
      'of first',
      'peak MiB',
    ],
    ...peers.map(({ report }, i) => [
      values.with[i],
      median(times[i]).toFixed(2),
      (median(times[i]) / median(times[0])).toFixed(3),
      Math.min(...times[i]).toFixed(2),
      (Math.min(...times[i]) / Math.min(...times[0])).toFixed(3),
      (report.peakBytes / 1048576).toFixed(2),
    ]),
  ];
  process.stdout.write(`${tableText(rows, [1, 2, 3, 4, 5])}\n\n`);
}
