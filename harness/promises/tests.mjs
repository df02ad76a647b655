// Runs one test in a copy of the tree and says how it ended. A kind of test is a row of `kinds`.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runWhole } from '../run_whole.mjs';
import { commandLine } from '../toolchain/env.mjs';
import { ensureToolchain } from '../toolchain/setup.mjs';

/**
 * asserted: it failed because it found something wrong, not because something broke on the way.
 * @typedef {{ outcome: 'passed' | 'failed' | 'skipped' | 'missing' | 'hung', asserted: boolean, why: string }} Result
 */
/** @typedef {{ dir: string, file: string, title: string, env: NodeJS.ProcessEnv, limitMs?: number }} Job */

const LIMIT_MS = 120_000;

/** @param {string} output */
const lastLines = (output) => output.trim().split('\n').slice(-12).join('\n');

/** One test of a file of node:test, by its title. @param {Job} job @returns {Promise<Result>} */
async function nodeTest({ dir, file, title, env, limitMs = LIMIT_MS }) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wasm-ai-promise-'));
  fs.chmodSync(folder, 0o755); // servers under test read as users of their own
  const results = path.join(folder, 'results');
  /** @returns {Result | undefined} */
  const result = () => {
    const lines = fs.existsSync(results) ? fs.readFileSync(results, 'utf8').split('\n') : [];
    const ended = lines.slice(0, -1).map((line) => JSON.parse(line));
    return ended.find(({ name }) => name === title);
  };
  const pattern = `^${title.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}$`;
  const args = [
    '--test',
    `--test-reporter=${path.join(import.meta.dirname, 'reporter.mjs')}`,
    '--test-reporter-destination=stdout',
    `--test-name-pattern=${pattern}`,
    file,
  ];
  // A test of tests would otherwise report to the one above it.
  const own = { NODE_TEST_CONTEXT: undefined, RESULTS: results, TMPDIR: folder };
  try {
    const line = { file: process.execPath, args, cwd: dir, env: { ...env, ...own } };
    const { output, hung } = await runWhole(line, limitMs, () => result() !== undefined);
    const none = { outcome: hung ? 'hung' : 'missing', asserted: false, why: lastLines(output) };
    return result() ?? /** @type {Result} */ (none);
  } finally {
    // A browser whose test was ended writes for a moment more.
    const rest = { recursive: true, force: true, maxRetries: 10, retryDelay: 200 };
    await fs.promises.rm(folder, rest).catch(() => {});
  }
}

/** One function of a program of cmocka under the sanitizers. @param {Job} job @returns {Promise<Result>} */
async function unitTest({ dir, file, title, limitMs = LIMIT_MS }) {
  const program = path.join(dir, 'build/native-asan', `unit_${path.basename(file, '.c')}`);
  const line = commandLine(await ensureToolchain(), '/bin/sh', ['-c', 'exec "$0" 2>&1', program], {
    cwd: dir,
  });
  const { output, hung } = await runWhole(line, limitMs);
  const begun = new RegExp(`^\\[ RUN +\\] ${title}$`, 'm').exec(output);
  if (!begun) return { outcome: 'missing', asserted: false, why: lastLines(output) };
  const rest = output.slice(begun.index);
  if (new RegExp(`^\\[ +OK \\] ${title}$`, 'm').test(rest))
    return { outcome: 'passed', asserted: false, why: '' };
  if (hung) return { outcome: 'hung', asserted: false, why: '' };
  const [, error] = /^\[ +ERROR +\] --- (.*)$/m.exec(rest) ?? [];
  const [, sanitizer] = /(?:ERROR: AddressSanitizer|runtime error): (.*)$/m.exec(rest) ?? [];
  const why = sanitizer ? `sanitizer: ${sanitizer}` : (error ?? lastLines(rest));
  return { outcome: 'failed', asserted: Boolean(sanitizer ?? error), why };
}

/** @type {[folder: RegExp, run: (job: Job) => Promise<Result>][]} */
const kinds = [
  [/^tests\/unit\/\w+\.c$/, unitTest],
  [/\.test\.mjs$/, nodeTest],
];

/** @param {Job} job */
export function runTest(job) {
  const kind = kinds.find(([folder]) => folder.test(job.file));
  if (!kind) throw new Error(`${job.file}: no kind of test that can be run alone`);
  return kind[1](job);
}
