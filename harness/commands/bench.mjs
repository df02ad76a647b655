// bench MODEL: how fast, how large and how soon, side by side with others.
import { closestName, WasmAIError } from '../../web/errors.js';
import { collect, parseDims, wholeNumber } from './options.mjs';

export const name = 'bench';
export const summary = 'measure a model in a browser, beside other runtimes';
export const description = `Measure a model in a browser: one run when all is warm (peers in turns, run by run, in one page), and
visits from navigation to the first answer with an empty and with a warm cache. What they answer is compared first.
tfjs and litert run what has an equivalent graph: the benchmark's own nets (npm run bench -- nets).`;
export const example = `wasm-ai bench digits.wai
wasm-ai bench model.onnx --against onnxruntime-web --threads 1,4 --report bench.html
wasm-ai bench build/bench/nets/mobilenet_v2.onnx --against onnxruntime-web,tfjs,litert`;

const BROWSERS = ['chromium', 'firefox', 'webkit'];
const MOST_THREADS = 64;

export function configure(command) {
  command
    .argument('<model>', '.wai file; .onnx with --against')
    .option('--browser <name>', BROWSERS.join(', '), 'chromium')
    .option('--threads <list>', 'numbers of threads, such as 1,4', '1')
    .option('--against <list>', 'of onnxruntime-web, tfjs, litert: they read the .onnx file', '')
    .option('--dim <name=N>', 'of a symbolic dim of the .onnx file; repeat', collect)
    .option('--runs <n>', 'runs of each in a round', '30')
    .option('--rounds <n>', 'rounds, each in a fresh page', '3')
    .option('--visits <n>', 'visits of each, cold and then warm; 0: none', '5')
    .option('--report <file>', 'write an HTML file with plots, which needs no other');
}

export async function run([file], options, io) {
  const chosen = await choose(file, options);
  const { compareAll, defaults } = await import('../bench/comparison.mjs');
  const { checkReport, writeHtml } = await import('../bench/report.mjs');
  const { prepareFile } = await import('../bench/prepare.mjs');
  if (options.report) checkReport();
  const dims = parseDims(options.dim);
  const report = await compareAll([() => prepareFile(file, dims)], {
    browser: options.browser,
    options: { ...defaults, ...chosen },
    talk: io.talk,
    show: io.out,
  });
  if (options.report) await writeHtml(options.report, report);
  io.json(report);
}

async function choose(file, options) {
  if (!BROWSERS.includes(options.browser)) {
    const why = `must be one of ${BROWSERS.join(', ')}, not "${options.browser}"`;
    throw new WasmAIError('ARGUMENT', '--browser', why);
  }
  const { PEERS } = await import('../bench/peers/index.mjs');
  const peers = listOf(options.against);
  for (const peer of peers) {
    if (Object.hasOwn(PEERS, peer)) continue;
    const close = closestName(peer, Object.keys(PEERS));
    const hint = close ? `did you mean ${close}?` : `known: ${Object.keys(PEERS).join(', ')}`;
    throw new WasmAIError('ARGUMENT', `--against ${peer}`, `is not known here; ${hint}`);
  }
  if (peers.length > 0 && !/\.onnx$/i.test(file)) {
    const why = 'the others cannot read a package; give the .onnx file that it was compiled from';
    throw new WasmAIError('ARGUMENT', file, why);
  }
  return {
    peers: [...new Set(peers)],
    threads: listOf(options.threads).map((text) => wholeNumber(text, '--threads', 1, MOST_THREADS)),
    runs: wholeNumber(options.runs, '--runs', 1, 100000),
    rounds: wholeNumber(options.rounds, '--rounds', 1, 1000),
    visits: wholeNumber(options.visits, '--visits', 0, 1000),
  };
}

const listOf = (text) => text.split(',').filter(Boolean);
