// `npm test`: set-up, build, then every suite of the table below; `npm test -- NAME...` takes some.
// The last line is `N passed, N failed, N skipped`; exit 1 if anything failed.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runWhole } from './run_whole.mjs';
import { ensureOtherBrowsers } from './toolchain/browsers.mjs';
import { build } from './toolchain/build.mjs';
import { projectDir, step, together } from './toolchain/cache.mjs';
import { ensureChromium } from './toolchain/chromium.mjs';
import { commandLine } from './toolchain/env.mjs';
import { ensureNodeModules } from './toolchain/node_modules.mjs';
import { ensureToolchain, failSetup } from './toolchain/setup.mjs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/** The last line `N passed, N failed, N skipped`. @param {string} output @returns {Counts | null} */
function countLine(output) {
  const found = [...output.matchAll(/^(\d+) passed, (\d+) failed, (\d+) skipped/gm)].pop();
  return found ? { passed: +found[1], failed: +found[2], skipped: +found[3] } : null;
}

/** Node's own runner. @param {string} output @returns {Counts | null} */
function nodeTest(output) {
  /** @param {string} word */
  const count = (word) =>
    Number(new RegExp(`^(?:# |ℹ )${word} (\\d+)$`, 'm').exec(output)?.[1] ?? NaN);
  const counts = {
    passed: count('pass'),
    failed: count('fail') + count('cancelled'),
    skipped: count('skipped') + count('todo'),
  };
  return Number.isNaN(counts.passed + counts.failed + counts.skipped) ? null : counts;
}

/** cmocka programs run by ctest -V: each test function counts. @param {string} output @returns {Counts | null} */
function cmocka(output) {
  const sum = /** @param {RegExp} re */ (re) =>
    [...output.matchAll(re)].reduce((n, found) => n + Number(found[1]), 0);
  const programs = /(\d+) tests failed out of (\d+)/.exec(output);
  if (!programs) return null;
  const failed = sum(/\[ {2}FAILED {2}\] .*?: (\d+) test\(s\)/g);
  // A program that crashed fails as a whole.
  return {
    passed: sum(/\[ {2}PASSED {2}\] (\d+) test\(s\)/g),
    failed: Math.max(failed, Number(programs[1])),
    skipped: sum(/\[ {2}SKIPPED {2}\] .*?: (\d+) test\(s\)/g),
  };
}

/** Programs run by ctest: each counts as one. @param {string} output @returns {Counts | null} */
function programs(output) {
  const found = /(\d+) tests failed out of (\d+)/.exec(output);
  return found ? { passed: +found[2] - +found[1], failed: +found[1], skipped: 0 } : null;
}

/** Files of a folder by their ending; none if there is no such folder. @param {string} dir @param {string} ending */
function files(dir, ending) {
  const full = path.join(projectDir, dir);
  if (!fs.existsSync(full)) return [];
  return fs
    .readdirSync(full)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => path.join(dir, name));
}

const asan = 'build/native-asan';
/** At a time; node's own number is one less, but browsers and servers are waited for most of the time. */
const cores = os.availableParallelism();
const several = `--test-concurrency=${Math.max(2, cores)}`;
/** @param {...string} which */
const ctest = (...which) => ['ctest', '--test-dir', asan, '-j', `${cores}`, ...which];
/** @param {string} dir */
const nodeSuite = (dir) => () => {
  const found = files(dir, '.test.mjs');
  return found.length
    ? ['node', '--test', '--test-reporter=spec', several, '--test-force-exit', ...found]
    : null;
};

/**
 * The ONNX project's tests in one place, see tests/conformance. They close what they open; a forced
 * exit would cut off the last of their 1,800 results.
 * @param {...string} names
 */
const conformance =
  (...names) =>
  () => [
    'node',
    '--test',
    '--test-reporter=spec',
    ...names.map((name) => `tests/conformance/${name}.test.mjs`),
  ];

/**
 * One row is one suite. command: null while the suite has no files. inside: with the toolchain. engines: with
 * Firefox and WebKit too. byName: minutes for what other suites show in part, so only when asked for.
 * @type {{ name: string, command: () => string[] | null, counts: (output: string) => Counts | null,
 *   inside?: boolean, engines?: boolean, byName?: boolean }[]}
 */
const suites = [
  { name: 'lint', command: () => ['node', 'harness/lint.mjs'], counts: countLine },
  {
    name: 'xnnpack',
    command: () => ['node', 'harness/toolchain/check-xnnpack.mjs'],
    counts: countLine,
  },
  {
    name: 'unit',
    command: () => (files('tests/unit', '.c').length ? ctest('-V', '-LE', 'kernels') : null),
    counts: cmocka,
    inside: true,
  },
  {
    name: 'kernels',
    command: () =>
      files('tests/kernels', '.c').length ? ctest('--output-on-failure', '-L', 'kernels') : null,
    counts: programs,
    inside: true,
  },
  {
    name: 'ops',
    command: () => {
      const cases = files('tests/ops', '.cases');
      return cases.length ? [`${asan}/ops_cases`, ...cases] : null;
    },
    counts: countLine,
    inside: true,
  },
  {
    name: 'onnx',
    command: () => {
      const cases = files('tests/ops/onnx', '.cases');
      return cases.length ? [`${asan}/ops_onnx_cases`, ...cases] : null;
    },
    counts: countLine,
    inside: true,
  },
  { name: 'rules', command: nodeSuite('tests/rules'), counts: nodeTest },
  { name: 'js', command: nodeSuite('tests/js'), counts: nodeTest, engines: true },
  { name: 'reject', command: nodeSuite('tests/reject'), counts: nodeTest },
  { name: 'fuzz', command: () => ['node', 'harness/fuzz/index.mjs', 'suite'], counts: countLine },
  { name: 'conformance', command: conformance('node', 'operators', 'strain'), counts: nodeTest },
  { name: 'conformance-native', command: conformance('native'), counts: nodeTest },
  { name: 'conformance-chromium', command: conformance('chromium'), counts: nodeTest },
  ...['firefox', 'webkit'].map((name) => ({
    name: `conformance-${name}`,
    command: conformance(name),
    counts: nodeTest,
    engines: true,
    byName: true,
  })),
  { name: 'models', command: nodeSuite('tests/models'), counts: nodeTest },
  { name: 'hosts', command: nodeSuite('tests/hosts'), counts: nodeTest },
  { name: 'browser', command: nodeSuite('tests/browser'), counts: nodeTest, engines: true },
];

/** A suite that takes longer hangs: it is ended, with all its processes, and has failed. */
const minutes = Number(process.env.WASM_AI_SUITE_MINUTES ?? 15);

/** @param {string[]} command @param {boolean} inside @param {NodeJS.ProcessEnv} env */
async function execute(command, inside, env) {
  const line = inside
    ? commandLine(
        await ensureToolchain(),
        command[0].startsWith('build/') ? path.join(projectDir, command[0]) : command[0],
        command.slice(1),
      )
    : {
        file: command[0] === 'node' ? process.execPath : command[0],
        args: command.slice(1),
        cwd: projectDir,
        env,
      };
  const { code, output, hung } = await runWhole(line, minutes * 60_000);
  return { code, output: hung ? `${output}\nended after ${minutes} minutes\n` : output };
}

async function main() {
  const wanted = process.argv.slice(2);
  const unknown = wanted.find((name) => !suites.some((suite) => suite.name === name));
  if (unknown) {
    process.stderr.write(
      `error: unknown suite "${unknown}": ${suites.map((suite) => suite.name).join(', ')}\n`,
    );
    return 2;
  }
  const chosen = suites.filter(({ name, byName }) =>
    wanted.length ? wanted.includes(name) : !byName,
  );
  const chromium = await ensureChromium();
  const engines = chosen.some((suite) => suite.engines) ? ensureOtherBrowsers() : Promise.resolve();
  await together([ensureNodeModules(), build(), engines]);
  step('build is complete');
  const env = { ...process.env, CHROME_PATH: chromium };
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const suite of chosen) {
    const command = suite.command();
    if (!command) {
      step(`${suite.name}: no tests yet`);
      continue;
    }
    step(`${suite.name}: running`);
    const begin = Date.now();
    const { code, output } = await execute(command, suite.inside ?? false, env);
    const counts = suite.counts(output) ?? { passed: 0, failed: 1, skipped: 0 };
    // A suite that ends badly without naming a failure has failed all the same.
    if (code !== 0 && counts.failed === 0) counts.failed = 1;
    if (counts.failed) process.stdout.write(`${output}\n`);
    const seconds = ((Date.now() - begin) / 1000).toFixed(1);
    process.stdout.write(
      `${suite.name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped (${seconds} s)\n`,
    );
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
  }
  process.stdout.write(
    `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`,
  );
  return total.failed ? 1 : 0;
}

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.once(signal, () => process.exit(130));
}
try {
  process.exitCode = await main();
} catch (error) {
  failSetup(error);
}
