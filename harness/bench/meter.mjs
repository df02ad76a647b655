// What instruction limits cost: one warm run on the metered runtime beside the same without limits, in
// one process and in turns. The runtime without limits is there twice: what the two differ by is noise.
//
//   node harness/bench/meter.mjs [--chromium] [--runs N] [MODEL.onnx ...]
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pagesOf, readCertificate } from '../../web/certificate.js';
import { chromiumPath, launchChromium } from '../browsers/chromium.mjs';
import { realModelsFolder } from '../cases.mjs';
import { tableText } from '../io.mjs';
import { readModel } from './site.mjs';
import { median, pairedRatio } from './stats.mjs';

const MODELS = [
  'squeezenet1.0-fp32-derived',
  'yolox-nano',
  'ultraface-rfb-320',
  'selfie-segmentation',
  'deeplabv3-mnv2',
].map((name) => join(realModelsFolder(), name, 'model.onnx'));
const built = (name) =>
  readFile(fileURLToPath(new URL(`../../build/wasm/${name}`, import.meta.url)));

/**
 * Runs in Node and, as text, in a page. Times of each peer, in ms, the same count of each.
 * @param {{ peers: Record<string, string>, pack: string, pages: number, runs: number, warmMs: number }} what  bytes as base64
 */
function play({ peers, pack, pages, runs, warmMs }) {
  const bytesOf = (/** @type {string} */ text) =>
    Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const bytes = bytesOf(pack);
  const open = (/** @type {string} */ name) => {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const module = new WebAssembly.Module(bytesOf(peers[name]));
    const wasm = /** @type {any} */ (new WebAssembly.Instance(module, { env: { memory } }).exports);
    const check = (/** @type {number} */ status) => {
      if (status !== 0) throw new Error(`${name} answered status ${status}`);
    };
    wasm.wai_fuel_set?.(1n << 60n);
    const at = wasm.wai_glue_alloc(bytes.length);
    new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
    check(wasm.wai_glue_open(at, bytes.length));
    const io = new Uint32Array(memory.buffer, wasm.wai_glue_io(), 33);
    const input = new Float32Array(memory.buffer, io[15], io[16] / 4);
    for (let i = 0; i < input.length; i++) input[i] = (i % 255) / 255;
    return () => {
      wasm.wai_fuel_set?.(1n << 60n);
      const start = performance.now();
      check(wasm.wai_glue_run());
      return performance.now() - start;
    };
  };
  const names = Object.keys(peers);
  const run = names.map(open);
  for (const start = performance.now(); performance.now() - start < warmMs; )
    for (const one of run) one();
  // Long enough for the clock of a page.
  const batch = Math.ceil(5 / Math.min(...run.map((one) => one())));
  /** @type {number[][]} */
  const times = names.map(() => []);
  for (let i = 0; i < runs; i++)
    for (let turn = 0; turn < names.length; turn++) {
      const peer = (i + turn) % names.length;
      let sum = 0;
      for (let count = 0; count < batch; count++) sum += run[peer]();
      times[peer].push(sum / batch);
    }
  return Object.fromEntries(names.map((name, i) => [name, times[i]]));
}

const geometric = (/** @type {number[]} */ values) =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
const percent = (/** @type {number} */ ratio) => `${((ratio - 1) * 100).toFixed(1)} %`;

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { chromium: { type: 'boolean' }, runs: { type: 'string', default: '60' } },
  });
  const text = async (name) => (await built(name)).toString('base64');
  const plain = await text('runtime-simd.wasm');
  const peers = { plain, again: plain, metered: await text('runtime-simd.metered.wasm') };
  const browser = values.chromium ? await launchChromium(chromiumPath()) : null;
  const rows = [['', 'plain ms', 'metered', 'of medians', 'paired', 'of minima', 'noise']];
  const ratios = [];
  for (const path of positionals.length ? positionals : MODELS) {
    const { name, pack } = await readModel(path);
    const pages = pagesOf(readCertificate(pack, name), 4096, name);
    const what = {
      peers,
      pack: Buffer.from(pack).toString('base64'),
      pages,
      runs: Number(values.runs),
      warmMs: 2000,
    };
    const page = await browser?.newPage();
    const times = page
      ? await page.evaluate(
          ([source, how]) => new Function(`return (${source})(...arguments)`)(how),
          /** @type {[string, any]} */ ([String(play), what]),
        )
      : play(what);
    await page?.close();
    const ratio = median(times.metered) / median(times.plain);
    ratios.push(ratio);
    rows.push([
      name,
      median(times.plain).toFixed(2),
      median(times.metered).toFixed(2),
      percent(ratio),
      percent(pairedRatio(times.metered, times.plain)),
      percent(Math.min(...times.metered) / Math.min(...times.plain)),
      percent(median(times.again) / median(times.plain)),
    ]);
  }
  await browser?.close();
  process.stdout.write(
    `${tableText(rows, [1, 2, 3, 4, 5, 6])}\ngeometric mean ${percent(geometric(ratios))}, worst ` +
      `${percent(Math.max(...ratios))}, load ${loadavg()[0].toFixed(1)}\n`,
  );
}

await main();
