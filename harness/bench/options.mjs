// What an option of compile gives: one model compiled in several ways, run in turns in one process.
//
//   node harness/bench/options.mjs [--runs N] [--variant relaxed] --with '{"winograd":"off"}' --with '{}' MODEL.onnx...
//
// Medians and minima, and their ratios to the first way's. Random numbers for the first input, one thread. Relaxed
// needs Node's --experimental-wasm-relaxed-simd before Node 22.
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { pagesOf, readCertificate } from '../../web/certificate.js';
import { compile } from '../index.mjs';
import { tableText } from '../io.mjs';
import { median } from './stats.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '21' },
    variant: { type: 'string', default: 'simd' },
    with: { type: 'string', multiple: true, default: ['{"winograd":"off"}', '{}'] },
  },
});
const runtime = new URL(`../../build/wasm/runtime-${values.variant}.wasm`, import.meta.url);
const module = new WebAssembly.Module(await readFile(runtime));

/** @param {Uint8Array} onnx @param {string} way */
async function open(onnx, way) {
  const options = { optimize: true, ...JSON.parse(way) };
  const { bytes, report } = await compile(onnx, options);
  const pages = pagesOf(readCertificate(bytes, way), 4096, way);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const wasm = /** @type {any} */ (new WebAssembly.Instance(module, { env: { memory } }).exports);
  const check = (/** @type {number} */ status) => {
    if (status !== 0) throw new Error(`${way}: status ${status}`);
  };
  const at = wasm.wai_glue_alloc(bytes.length);
  new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
  check(wasm.wai_glue_open(at, bytes.length));
  // core/wasm/glue.c: address and bytes of the first input.
  const [data, size] = new Uint32Array(memory.buffer, wasm.wai_glue_io(), 17).slice(15);
  const input = new Float32Array(memory.buffer, data, size / 4);
  const random = Float32Array.from(input, (_, i) => Math.abs(Math.sin(i * 12.9898)));
  return {
    report,
    run() {
      input.set(random);
      const start = performance.now();
      check(wasm.wai_glue_run());
      return performance.now() - start;
    },
  };
}

for (const file of positionals) {
  const onnx = await readFile(file);
  const peers = [];
  for (const way of values.with) peers.push(await open(onnx, way));
  for (const start = performance.now(); performance.now() - start < 1500; )
    for (const peer of peers) peer.run();
  /** @type {number[][]} */
  const times = peers.map(() => []);
  for (let i = 0; i < Number(values.runs); i++)
    for (let turn = 0; turn < peers.length; turn++) {
      const peer = (i + turn) % peers.length;
      times[peer].push(peers[peer].run());
    }
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
