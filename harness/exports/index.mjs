// `npm run exports -- [NAME...]`: networks that people ship, exported by PyTorch with random weights,
// compiled, run and compared with PyTorch. README.md says what is checked.
import { parseArgs } from 'node:util';
import { WasmAIError } from '../../web/errors.js';
import { tableText } from '../io.mjs';
import { RUNNER_NAMES } from '../runners/index.mjs';
import { build } from '../toolchain/build.mjs';
import { step } from '../toolchain/cache.mjs';
import { ensureNodeModules } from '../toolchain/node_modules.mjs';
import { failSetup } from '../toolchain/setup.mjs';
import { describePython, exported } from './exporter.mjs';
import { MODELS, PENDING } from './models.mjs';
import { play, readMeta } from './play.mjs';

const USAGE = `npm run exports -- [NAME...]     models whose names contain one of these; default: all
  --chromium      run in Chromium too
  --runner NAME   ${RUNNER_NAMES.join(', ')} (node)
  --repeat N      runs of the last case for the latency (3)
  --json          the figures as JSON
`;

const HEAD = [
  'model',
  'runner',
  'error',
  'steps',
  'kinds',
  'package',
  'peak',
  'compile',
  'run',
  '',
];

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      chromium: { type: 'boolean' },
      runner: { type: 'string', default: 'node' },
      repeat: { type: 'string', default: '3' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const chosen = MODELS.filter(
    ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
  );
  const repeat = Number(values.repeat);
  if (values.help || chosen.length === 0 || !(Number.isInteger(repeat) && repeat > 0)) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  await ensureNodeModules();
  await build(values.runner === 'native' ? ['wasm', 'native'] : ['wasm']);
  step(await describePython());
  const runners = [values.runner, ...(values.chromium ? ['chromium'] : [])];
  const rows = [];
  for (const model of chosen) {
    step(model.name);
    for (const runner of runners) rows.push(...(await tryModel(model, runner, repeat)));
  }
  report(rows, values.json);
  return rows.some(({ failed }) => failed) ? 1 : 0;
}

/** One row, or two where dims are open: a package for each set of dims, and one for all of them. */
async function tryModel({ family, name }, runner, repeat) {
  const row = (label) => ({
    name: label,
    runner,
    pending: PENDING[label],
    wrong: [],
    failed: false,
  });
  let folder;
  try {
    folder = await exported(family, name);
  } catch (error) {
    const why = error.message.trim().split('\n').pop();
    return [{ ...row(name), wrong: [why], failed: true }];
  }
  const rows = [await tryOne(row(name), folder, { runner, repeat, ranges: false })];
  if (Object.keys(readMeta(folder).ranges).length > 0) {
    rows.push(await tryOne(row(`${name} ranges`), folder, { runner, repeat, ranges: true }));
  }
  return rows;
}

async function tryOne(row, folder, options) {
  try {
    Object.assign(row, await play(folder, options));
  } catch (error) {
    row.wrong.push(error instanceof WasmAIError ? `${error.code} ${error.message}` : error.message);
  }
  if (row.pending && row.wrong.length > 0) return row;
  if (row.pending) row.wrong.push('passes now: take it out of PENDING');
  row.failed = row.wrong.length > 0;
  for (const line of row.wrong.slice(0, 5)) step(`  ${row.name}: ${line}`);
  return row;
}

function report(rows, json) {
  if (json) return void process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const lines = rows.map((row) => [
    row.name,
    row.runner,
    ...(row.packages
      ? [
          row.error.toExponential(1),
          row.steps,
          row.kinds,
          mib(row.packageBytes),
          mib(row.peakBytes),
          `${(row.compileMs / row.packages / 1000).toFixed(1)} s`,
          `${row.runMs.toFixed(1)} ms`,
        ]
      : ['-', '-', '-', '-', '-', '-', '-']),
    row.failed
      ? `FAILED: ${row.wrong[0]}`
      : row.pending && row.wrong.length
        ? `pending: ${row.pending}`
        : '',
  ]);
  const count = (test) => rows.filter(test).length;
  const pending = count(({ failed, wrong }) => !failed && wrong.length > 0);
  const failed = count((row) => row.failed);
  process.stdout.write(`${tableText([HEAD, ...lines], [2, 3, 4, 5, 6, 7, 8])}\n`);
  process.stdout.write(
    `${rows.length - failed - pending} passed, ${failed} failed, ${pending} skipped\n`,
  );
}

try {
  process.exitCode = await main();
} catch (error) {
  failSetup(error);
}
