// `npm run soak -- [sessions | memory | serve]`: under load for long, with figures. Pass or fail is for
// tests/browser/load and tests/hosts, which run the same in short.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromiumPath, launchChromium } from '../browsers/chromium.mjs';
import { runCampaign, writeReport } from '../campaign.mjs';
import { buildDist } from '../dist.mjs';
import { readBytes } from '../files.mjs';
import { compile } from '../index.mjs';
import { tableText } from '../io.mjs';
import { serveFolder } from '../server/app.mjs';
import { serveUnderLoad } from './serve.mjs';
import { memoryOverCycles, sessionsUnderLoad } from './sessions.mjs';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const DIGITS = join(PROJECT, 'models/digits/digits.onnx');
const HTML = '<!doctype html><title>soak</title><script type="module" src="./soak.js"></script>';
const MODEL = './models/model.wai';
const CYCLES_OF = 25;

const ms = (value) => value.toFixed(2);
const mib = (value) => (value / 2 ** 20).toFixed(2);

/** One row is one campaign. */
const CAMPAIGNS = {
  sessions: (given) =>
    inPage(given, async ({ page, values }) => {
      const misdeeds = ['fuel', 'deadline', 'abort'];
      const how = {
        model: MODEL,
        misdeeds,
        queued: 1000,
        seconds: Number(values.seconds),
        gapMs: 50,
      };
      const seen = await sessionsUnderLoad(page, how);
      const row = (name, { runs, p50, p95, max }) => [
        name,
        String(runs),
        ms(p50),
        ms(p95),
        ms(max),
      ];
      return {
        seen,
        rows: [
          ['honest sessions (7)', 'runs', 'p50 ms', 'p95', 'max'],
          row('the eighth at rest', seen.quiet),
          row('the eighth hostile', seen.loud),
        ],
        talk:
          `ratio of medians ${seen.ratio.toFixed(3)}, failures ${seen.failures.length}; queued ${seen.queue.runs}: ` +
          `${seen.queue.right} right, ${seen.queue.inOrder ? 'in order' : 'NOT IN ORDER'}, ${seen.queue.ms.toFixed(0)} ms; ` +
          `the hostile one: ${JSON.stringify(seen.outcomes)}`,
      };
    }),
  memory: (given) =>
    inPage(given, async ({ browser, page, values }) => {
      const rounds = Math.ceil(Number(values.cycles) / CYCLES_OF);
      const how = { model: MODEL, rounds, cycles: CYCLES_OF };
      const seen = await memoryOverCycles(browser, page, how);
      const row = ({ cycles, workers, heap, process }) =>
        [cycles, workers, mib(heap), mib(process)].map(String);
      return {
        seen,
        rows: [
          ['open/close cycles', 'workers left', 'JS heap MiB', 'process MiB'],
          ...seen.map(row),
        ],
      };
    }),
  serve: async ({ folder, values }) => {
    const how = { folder, path: '/wasmai.js', seconds: Number(values.seconds) };
    const seen = await serveUnderLoad(how);
    return {
      seen,
      rows: [
        ['beside', 'asked', 'failed', 'p50 ms', 'p99', 'the others'],
        ...seen.map(({ load, asked, failures, p50, p99, other }) => [
          ...[load, String(asked), String(failures.length), ms(p50), ms(p99)],
          JSON.stringify(other ?? {}),
        ]),
      ],
    };
  },
};

/** @param {{ folder: string, values: any }} given @param {(given: any) => Promise<any>} work */
async function inPage({ folder, values }, work) {
  const server = await serveFolder({ folder, port: 0 });
  const browser = await launchChromium(chromiumPath());
  try {
    const page = await browser.newPage();
    await page.goto(`${server.url}soak.html`);
    await page.waitForFunction(() => 'soak' in window);
    return await work({ browser, page, values });
  } finally {
    await browser.close();
    await server.close();
  }
}

/** A secure folder with one model and the page. @param {string} folder @param {string} onnx */
async function makeFolder(folder, onnx) {
  const file = join(folder, 'model.wai');
  const { bytes } = await compile(await readBytes(onnx), { optimize: true });
  await writeFile(file, bytes);
  const out = join(folder, 'dist');
  await buildDist({ out, models: [file], secure: true });
  await writeFile(join(out, 'soak.html'), HTML);
  await writeFile(join(out, 'soak.js'), await readFile(new URL('./page.js', import.meta.url)));
  return out;
}

const USAGE = `npm run soak -- [${Object.keys(CAMPAIGNS).join(' | ')}]...
  --model FILE.onnx   the honest model (models/digits)
  --seconds N         of each phase (20)
  --cycles N          of opening and closing (200)
`;

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string', default: DIGITS },
      seconds: { type: 'string', default: '20' },
      cycles: { type: 'string', default: '200' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const bad = [values.seconds, values.cycles].find((text) => !/^[1-9]\d{0,4}$/.test(text));
  const unknown = positionals.find((name) => !Object.hasOwn(CAMPAIGNS, name));
  if (values.help || bad || unknown) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  const temporary = await mkdtemp(join(tmpdir(), 'wasm-ai-soak-'));
  try {
    const folder = await makeFolder(temporary, values.model);
    for (const name of positionals.length ? positionals : Object.keys(CAMPAIGNS)) {
      const load = loadavg()[0].toFixed(1);
      const { seen, rows, talk = '' } = await CAMPAIGNS[name]({ folder, values });
      const right = rows[0].map((_, i) => i).slice(1);
      process.stdout.write(
        `\n${name} (${cpus().length} cores, load ${load})\n${tableText(rows, right)}\n`,
      );
      if (talk) process.stdout.write(`${talk}\n`);
      const output = join(PROJECT, 'build', 'soak', `${name}.json`);
      const report = { date: new Date().toISOString(), load, model: values.model, seen };
      await writeReport(output, report);
    }
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return 0;
}

await runCampaign(main);
