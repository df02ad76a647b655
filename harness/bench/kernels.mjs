// What share of the machine's peak the kernels reach: a model of one layer on each variant of the runtime, in turns
// with a loop of multiply-adds (peak.mjs) of as many operations, in one process.
//
//   node harness/bench/kernels.mjs [--chromium] [--runs N] [NAME ...]
//
// NAME begins a row's name. Shares are of the loop as that variant does it, by medians and by minima; GB/s counts
// inputs and outputs once.
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { pagesOf, readCertificate } from '../../web/certificate.js';
import { variantNames } from '../../web/variants.js';
import { chromiumPath, launchChromium } from '../browsers/chromium.mjs';
import { compile } from '../index.mjs';
import { tableText } from '../io.mjs';
import { Model } from '../readers/onnx_schema.mjs';
import { allowRelaxedSimd, prebuiltRuntime } from '../runtimes.mjs';
import { peakModule, TURN } from './peak.mjs';
import { playIn } from './play.mjs';
import { median } from './stats.mjs';

const FLOAT = 1;
const [INT, INTS] = [2, 7];
const product = (/** @type {number[]} */ dims) => dims.reduce((a, b) => a * b, 1);

/** @typedef {{ op: string, x: number[], y: number[], weights?: number[], attributes?: Record<string, number | number[]> }} Layer */

/** @param {number} side @param {number} channels @param {number} out @param {number} kernel @returns {Layer} */
const conv = (side, channels, out, kernel, stride = 1, group = 1) => {
  const pad = (kernel - 1) >> 1;
  const last = Math.ceil(side / stride);
  return {
    op: 'Conv',
    x: [1, channels, side, side],
    y: [1, out, last, last],
    weights: [out, channels / group, kernel, kernel],
    attributes: { group, strides: [stride, stride], pads: [pad, pad, pad, pad] },
  };
};
/** @param {number} rows @param {number} depth @param {number} columns @returns {Layer} */
const gemm = (rows, depth, columns) => ({
  op: 'MatMul',
  x: [rows, depth],
  y: [rows, columns],
  weights: [depth, columns],
});

/** @type {Record<string, Layer>} */
const LAYERS = {
  'gemm 512x512x512': gemm(512, 512, 512),
  'gemm 128x384x1536': gemm(128, 384, 1536),
  'gemm 128x1536x384': gemm(128, 1536, 384),
  'gemm 49x2048x512': gemm(49, 2048, 512),
  'gemm 1x1024x1024': gemm(1, 1024, 1024),
  'conv1x1 56 64-256': conv(56, 64, 256, 1),
  'conv1x1 14 1024-256': conv(14, 1024, 256, 1),
  'conv1x1 7 512-2048': conv(7, 512, 2048, 1),
  'conv1x1 112 16-96': conv(112, 16, 96, 1),
  'conv3x3 56 64-64': conv(56, 64, 64, 3),
  'conv3x3 14 256-256': conv(14, 256, 256, 3),
  'conv3x3s2 28 128-256': conv(28, 128, 256, 3, 2),
  'conv7x7s2 224 3-64': conv(224, 3, 64, 7, 2),
  'conv3x3s2 224 3-32': conv(224, 3, 32, 3, 2),
  'conv3x3s2 224 3-16': conv(224, 3, 16, 3, 2),
  'conv3x3s2 224 3-64': conv(224, 3, 64, 3, 2),
  'dw3x3 56 144': conv(56, 144, 144, 3, 1, 144),
  'dw3x3s2 112 96': conv(112, 96, 96, 3, 2, 96),
  'dw5x5 28 240': conv(28, 240, 240, 5, 1, 240),
  'dw5x5s2 28 240': conv(28, 240, 240, 5, 2, 240),
  'add 1x256x56x56': { op: 'Add', x: [1, 256, 56, 56], y: [1, 256, 56, 56], weights: [256, 1, 1] },
  'sigmoid 256x56x56': { op: 'Sigmoid', x: [256, 56, 56], y: [256, 56, 56] },
  'softmax 1536x128': { op: 'Softmax', x: [1536, 128], y: [1536, 128] },
};

/** @param {Layer} layer */
function onnxOf({ op, x, y, weights, attributes = {} }) {
  const slot = (/** @type {string} */ name, /** @type {number[]} */ dims) => ({
    name,
    type: {
      tensorType: { elemType: FLOAT, shape: { dim: dims.map((dimValue) => ({ dimValue })) } },
    },
  });
  const attribute = Object.entries(attributes).map(([name, value]) =>
    Array.isArray(value)
      ? { name, intValues: value, type: INTS }
      : { name, intValue: value, type: INT },
  );
  const floatData = Array.from(
    { length: product(weights ?? [0]) },
    (_, i) => ((i * 37) % 19) / 190,
  );
  return Model.encode({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'layer',
      node: [{ opType: op, input: weights ? ['x', 'w'] : ['x'], output: ['y'], attribute }],
      input: [slot('x', x)],
      output: [slot('y', y)],
      initializer: weights ? [{ name: 'w', dims: weights, dataType: FLOAT, floatData }] : [],
    },
  }).finish();
}

const base64 = (/** @type {Uint8Array} */ bytes) => Buffer.from(bytes).toString('base64');
const share = (/** @type {number} */ ratio) => `${(ratio * 100).toFixed(0)} %`;

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { chromium: { type: 'boolean' }, runs: { type: 'string', default: '30' } },
  });
  const names = variantNames.filter((name) => name === 'simd' || allowRelaxedSimd());
  const wanted = Object.entries(LAYERS).filter(
    ([name]) => positionals.length === 0 || positionals.some((start) => name.startsWith(start)),
  );
  const browser = values.chromium ? await launchChromium(chromiumPath()) : null;
  const head = names.flatMap((name) => [name, 'GFLOP/s', 'GB/s', 'of peak', 'of minima']);
  const rows = [['', 'MFLOP', ...head]];
  for (const [name, layer] of wanted) {
    const { bytes } = await compile(onnxOf(layer), { optimize: true });
    const certificate = readCertificate(bytes, name);
    const { flopCount } = certificate;
    const turns = Math.max(1, Math.round(flopCount / TURN));
    /** @type {Record<string, import('./play.mjs').Peer>} */
    const peers = {};
    for (const variant of names) {
      peers[variant] = { wasm: base64(await readFile(prebuiltRuntime(variant))) };
      peers[`peak ${variant}`] = { wasm: base64(peakModule(variant === 'relaxed')), turns };
    }
    const pages = pagesOf(certificate, 4096, name);
    const runs = Number(values.runs);
    const times = await playIn(browser, { peers, pack: base64(bytes), pages, runs, warmMs: 300 });
    const bytesMoved = 4 * (product(layer.x) + product(layer.y));
    const figures = names.flatMap((variant) => {
      const [own, peak] = [times[variant], times[`peak ${variant}`]];
      const ms = median(own);
      return [
        `${ms.toFixed(3)} ms`,
        (flopCount / ms / 1e6).toFixed(1),
        (bytesMoved / ms / 1e6).toFixed(1),
        share(median(peak) / ms),
        share(Math.min(...peak) / Math.min(...own)),
      ];
    });
    rows.push([name, (flopCount / 1e6).toFixed(1), ...figures]);
  }
  await browser?.close();
  process.stdout.write(
    `${tableText(rows, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])}\nload ${loadavg()[0].toFixed(1)}\n`,
  );
}

await main();
