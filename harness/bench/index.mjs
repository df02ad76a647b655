// `npm run bench -- NAME [MODEL.onnx ...]`: measurements against a peer in one Chromium session.
// Figures, never pass or fail: no test depends on them. README.md says what is measured.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromiumPath, launchChromium } from '../browsers/chromium.mjs';
import { runCampaign, writeReport } from '../campaign.mjs';
import { realModelsFolder } from '../cases.mjs';
import { readBytes } from '../files.mjs';
import { tableText } from '../io.mjs';
import { step } from '../toolchain/cache.mjs';
import { ensureNodeModules } from '../toolchain/node_modules.mjs';
import {
  compareAll,
  defaults as comparison,
  machineOf,
  machineText,
  scaleAll,
} from './comparison.mjs';
import { makeNet, NETS, NETS_FOLDER } from './nets.mjs';
import * as open from './open.mjs';
import { PEERS } from './peers/index.mjs';
import { prepare, prepareFile } from './prepare.mjs';
import * as recovery from './recovery.mjs';
import { writeHtml } from './report.mjs';
import { AXES, scalingDefaults } from './scaling.mjs';
import { PEER, serveSite } from './site.mjs';
import * as steady from './steady.mjs';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const real = (name) => join(realModelsFolder(), name, 'model.onnx');

/** One row is one benchmark. */
const BENCHES = {
  open: { ...open, models: [real('squeezenet1.0-fp32-derived')] },
  steady: {
    ...steady,
    models: [
      real('squeezenet1.0-fp32-derived'),
      real('yolox-nano'),
      real('ultraface-rfb-320'),
      real('selfie-segmentation'),
      real('deeplabv3-mnv2'),
    ],
  },
  recovery: {
    ...recovery,
    models: [real('squeezenet1.0-fp32-derived'), real('yolox-nano')],
    dist: { secure: true },
  },
};

const USAGE = `npm run bench -- compare [NET | MODEL.onnx | MODEL.wai ...]   beside onnxruntime-web, tfjs and LiteRT.js; all nets
  --threads 1,4  --against onnxruntime-web,tfjs,litert
  --rounds N   fresh pages (${comparison.rounds})   --runs N  runs of each in one (${comparison.runs})   --seconds N  and at least so long
  --visits N   visits of each, cold and warm (${comparison.visits}); 0: none   --busy N  cores kept busy beside the runs (0)
npm run bench -- scaling [${Object.keys(AXES).join(' | ')}]   how latency and memory grow; all of them
  --rounds N (${scalingDefaults.rounds})  --runs N (${scalingDefaults.runs})
npm run bench -- ${Object.keys(BENCHES).join(' | ')} [MODEL.onnx ...]
  --rounds N   open: rounds of fresh pages (${open.defaults.rounds}); recovery: lost runs of a kind (${recovery.defaults.rounds})
  --runs N     steady: runs of each peer (${steady.defaults.runs})
npm run bench -- report [FILE.json ...]   figures of compare and scaling as one page, build/bench/report.html
npm run bench -- nets [NAME ...]   the benchmark's own nets, into build/bench/nets (all seven; sizes as in resnet50-s160-b4)
  -o FILE      where the figures go as JSON (build/bench/NAME.json)
`;

const WHOLE = ['rounds', 'runs', 'visits', 'seconds', 'busy'];

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      runs: { type: 'string' },
      visits: { type: 'string' },
      seconds: { type: 'string' },
      busy: { type: 'string' },
      threads: { type: 'string', default: '1' },
      against: { type: 'string' },
      output: { type: 'string', short: 'o' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const [name, ...paths] = positionals;
  if (values.help) return usage(0);
  if (name === 'nets') return makeNets(paths);
  if (name === 'report') return joinReports(paths, values.output);
  const known = {
    ...BENCHES,
    compare: { defaults: comparison },
    scaling: { defaults: scalingDefaults },
  };
  if (!Object.hasOwn(known, name ?? '')) return usage(2);
  const options = { ...known[name].defaults };
  for (const key of WHOLE) {
    if (values[key] === undefined) continue;
    const count = Number(values[key]);
    const least = ['visits', 'busy'].includes(key) ? 0 : 1;
    if (!(key in options) || !Number.isInteger(count) || count < least)
      return usage(2, `--${key} ${values[key]} is of no use here`);
    options[key] = count;
  }
  await ensureNodeModules(fileURLToPath(new URL('.', import.meta.url))); // the peers
  const output = values.output ?? join(PROJECT, 'build', 'bench', `${name}.json`);
  if (name === 'compare') {
    options.threads = values.threads.split(',').map(Number);
    if (!options.threads.every((count) => Number.isInteger(count) && count > 0))
      return usage(2, `--threads ${values.threads} is no list of numbers`);
    if (values.against !== undefined) options.peers = values.against.split(',').filter(Boolean);
    const unknown = options.peers.find((peer) => !Object.hasOwn(PEERS, peer));
    if (unknown) return usage(2, `there is no peer ${unknown}`);
    return compareNets(paths, options, output);
  }
  if (name === 'scaling') return scaleNets(paths, options, output);
  return measureInPages(name, paths, options, output);
}

function usage(code, why = '') {
  process.stderr.write(`${why && `error: ${why}\n`}${USAGE}`);
  return code;
}

const HOW = { talk: step, show: (text) => void process.stdout.write(`${text}\n`) };

/** How latency and memory grow, along some axes or all. */
async function scaleNets(names, options, output) {
  const unknown = names.find((one) => !Object.hasOwn(AXES, one));
  if (unknown) return usage(2, `there is no axis ${unknown}`);
  const axes = names.length ? names : Object.keys(AXES);
  return writeBoth(output, await scaleAll(axes, { options, ...HOW }));
}

async function writeBoth(output, report) {
  await writeReport(output, report);
  const html = output.replace(/(\.json)?$/, '.html');
  await writeHtml(html, report);
  process.stderr.write(`\nall figures: ${output}, ${html}\n`);
  return 0;
}

/** The nets, and files, beside the peers; the report as JSON and HTML. */
async function compareNets(names, options, output) {
  const models = (names.length ? names : NETS).map((one) => () => prepare(one));
  return writeBoth(
    output,
    await compareAll(models, { browser: 'chromium', options, leaveOut: true, ...HOW }),
  );
}

async function measureInPages(name, paths, options, output) {
  const bench = BENCHES[name];
  const models = [];
  for (const path of paths.length ? paths : bench.models) models.push(await prepareFile(path));
  const site = await serveSite(models, bench.dist);
  const browser = await launchChromium(chromiumPath());
  const report = {
    bench: name,
    date: new Date().toISOString(),
    machine: machineOf({ name: 'chromium', version: browser.version() }, [PEER]),
    options,
    download: site.download,
    models: /** @type {any[]} */ ([]),
  };
  const { machine, download } = report;
  process.stdout.write(
    `${machineText(machine)}\n` +
      `download, gzip: ours ${download.ours.gzip} bytes, onnxruntime-web ${download.ort.gzip}\n`,
  );
  try {
    for (const model of models) {
      const peers = await bench.measure({ browser, site, model, options });
      report.models.push({ model: model.name, inputs: model.inputsFrom, peers });
      const rows = bench.rowsOf(peers);
      const right = rows[0].map((_, i) => i).slice(1);
      process.stdout.write(`\n${model.name} (${model.inputsFrom})\n${tableText(rows, right)}\n`);
    }
  } finally {
    await browser.close();
    await site.close();
  }
  await writeReport(output, report);
  process.stderr.write(`\nall figures: ${output}\n`);
  return 0;
}

/** Reports of compare and scaling as one page. */
async function joinReports(files, output = join(PROJECT, 'build', 'bench', 'report.html')) {
  const names = files.length ? files : ['compare', 'scaling'].map((one) => join(PROJECT, 'build', 'bench', `${one}.json`)); // biome-ignore format: one thought
  const reports = [];
  for (const name of names) reports.push(JSON.parse(Buffer.from(await readBytes(name)).toString()));
  const [first] = reports;
  const all = (key) => reports.flatMap((report) => report[key] ?? []);
  await writeHtml(output, { ...first, models: all('models'), scaling: all('scaling') });
  process.stdout.write(`${output}\n`);
  return 0;
}

async function makeNets(names) {
  for (const net of names.length ? names : NETS) {
    await makeNet(net);
    process.stdout.write(`${join(NETS_FOLDER, `${net}.onnx`)}\n`);
  }
  return 0;
}

await runCampaign(main);
