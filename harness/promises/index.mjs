// `npm run promises [-- NAME...]`: switches off every protection of the table, one at a time, and
// expects the test that is named for it to fail. README.md says how and why.
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { closestName } from '../../web/errors.js';
import { tableText } from '../io.mjs';
import { BROWSER_NAMES, ensureBrowser } from '../toolchain/browsers.mjs';
import { projectDir, step } from '../toolchain/cache.mjs';
import { ensureChromium } from '../toolchain/chromium.mjs';
import { failSetup } from '../toolchain/setup.mjs';
import { Copy, holdCopies } from './copy.mjs';
import { writePage } from './page.mjs';
import { allRows, buildsOf, occurrences } from './rows.mjs';
import { runTest } from './tests.mjs';

/** @typedef {import('./rows.mjs').Row} Row */
/** @typedef {{ row: Row, noticed: boolean, what: string, details: string, seconds: number }} Verdict */

const USAGE = `npm run promises [-- NAME... ]     rows whose name begins with NAME; all without
  --jobs N    how many at a time (2)
  --engine E  firefox or webkit: rows whose test is one on every engine, there
  --list      print the rows, try nothing
  --page      write the table of web/SECURITY.md, try nothing
`;

/**
 * The rows that tests on every engine hold, in another engine. A row that names another than Chromium is about
 * that one alone.
 * @param {Row[]} rows @param {string} engine
 */
const inEngine = (rows, engine) =>
  rows
    .map((row) => ({ ...row, fails: row.fails.replace(/ \(chromium\)$/, ` (${engine})`) }))
    .filter(({ fails }) => fails.endsWith(` (${engine})`));

/** @param {string[]} names @param {Row[]} rows */
function choose(names, rows) {
  for (const name of names) {
    if (rows.some((row) => row.name.startsWith(name))) continue;
    const close = closestName(
      name,
      rows.map((row) => row.name),
    );
    process.stderr.write(
      `error: no row begins with "${name}"${close ? `; did you mean "${close}"?` : ''}\n`,
    );
    return null;
  }
  return names.length
    ? rows.filter((row) => names.some((name) => row.name.startsWith(name)))
    : rows;
}

/** A test that takes as long does not come to its end; with the protection on it must take less. */
const HANGING_MS = 20_000;
/** What node:test says of a test that waits for what never comes. */
const NEVER = /^Promise resolution is still pending/;

class Campaign {
  /** The tests as they are, each tried once. @type {Map<string, Promise<string | null>>} */
  #unchanged = new Map();
  #env;

  /** @param {NodeJS.ProcessEnv} env */
  constructor(env) {
    this.#env = env;
  }

  /** @param {Row} row @param {Copy} copy */
  #run({ test, fails, hangs }, copy) {
    const limitMs = hangs ? HANGING_MS : undefined;
    return runTest({ dir: copy.dir, file: test, title: fails, env: this.#env, limitMs });
  }

  /** Null if the test passes in the unchanged tree, else what is wrong. @param {Row} row @param {Copy} copy */
  passesUnchanged(row, copy) {
    const key = `${row.test}\0${row.fails}`;
    let coming = this.#unchanged.get(key);
    if (!coming) {
      coming = this.#run(row, copy).then(({ outcome, why }) =>
        outcome === 'passed' ? null : `the test ${outcome} with the protection on: ${why}`,
      );
      this.#unchanged.set(key, coming);
    }
    return coming;
  }

  /** @param {Row} row @param {Copy} copy @returns {Promise<Verdict>} */
  async judge(row, copy) {
    const begin = Date.now();
    /** @param {boolean} noticed @param {string} what */
    const verdict = (noticed, what) => ({
      row,
      noticed,
      what: what.split('\n').find((line) => line.trim()) ?? '',
      details: what,
      seconds: (Date.now() - begin) / 1000,
    });
    const wrong = await this.passesUnchanged(row, copy);
    if (wrong) return verdict(false, wrong);
    if (occurrences(copy.read(row.file), row.find) !== 1)
      return verdict(false, `what it takes away does not stand once in ${row.file}`);
    const undo = copy.change(row.file, (text) => text.replace(row.find, () => row.replace));
    try {
      const broken = await copy.rebuild(buildsOf(row), row.test);
      if (broken) return verdict(false, `does not build without it: ${broken}`);
      const { outcome, asserted, why } = await this.#run(row, copy);
      if (outcome === 'failed' && asserted) return verdict(true, why);
      const waits = outcome === 'failed' && NEVER.test(why);
      if (row.hangs && (outcome === 'hung' || waits))
        return verdict(true, waits ? 'waits for ever' : `ran on for ${HANGING_MS / 1000} s`);
      if (outcome === 'failed') return verdict(false, `failed, but by no assertion: ${why}`);
      return verdict(false, `NOT NOTICED: the test ${outcome} ${why}`);
    } finally {
      undo();
    }
  }
}

/** @param {Verdict} verdict @param {string} count */
function say({ row, noticed, what, details, seconds }, count) {
  step(
    `${count} ${noticed ? 'noticed' : 'FAILED '} ${row.name} (${seconds.toFixed(1)} s): ${what}`,
  );
  if (!noticed) process.stderr.write(`${details}\n`);
}

/**
 * Copy 0 takes what must be built, one after the other; the others what only Node reads.
 * @param {Row[]} rows @param {number} jobs @param {NodeJS.ProcessEnv} env
 */
async function tryAll(rows, jobs, env) {
  const built = rows.filter((row) => buildsOf(row).length > 0);
  const read = rows.filter((row) => buildsOf(row).length === 0);
  const copies = Array.from({ length: Math.min(jobs, rows.length) }, (_, i) => new Copy(i));
  const variants = [...new Set(['wasm', ...built.flatMap(buildsOf)])];
  step(`a copy of the tree, built: ${variants.join(', ')}`);
  copies[0].sync();
  const broken = await copies[0].build(variants);
  if (broken) throw new Error(`the tree itself does not build:\n${broken}`);
  for (const copy of copies.slice(1)) {
    copy.sync();
    copy.take(copies[0]);
  }
  const campaign = new Campaign(env);
  /** @type {Verdict[]} */
  const verdicts = [];
  /** @param {Row} row @param {Copy} copy */
  const one = async (row, copy) => {
    const verdict = await campaign.judge(row, copy);
    verdicts.push(verdict);
    say(verdict, `${verdicts.length}/${rows.length}`);
  };
  await Promise.all(
    copies.map(async (copy) => {
      if (copy.number === 0 && built.length > 0) {
        for (const row of built) await campaign.passesUnchanged(row, copy); // while nothing is changed
        for (const row of built) await one(row, copy);
        await copy.build(variants);
      }
      for (let row = read.shift(); row; row = read.shift()) await one(row, copy);
    }),
  );
  return rows.map(
    (row) => /** @type {Verdict} */ (verdicts.find((verdict) => verdict.row === row)),
  );
}

/** @param {string} text @param {number} width */
const cut = (text, width) => (text.length > width ? `${text.slice(0, width - 1)}…` : text);

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
      engine: { type: 'string' },
      list: { type: 'boolean' },
      page: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const jobs = Number(values.jobs);
  const engine = /** @type {import('../toolchain/browsers.mjs').BrowserName | undefined} */ (
    values.engine
  );
  const wrong = !Number.isInteger(jobs) || jobs < 1 || (engine && !BROWSER_NAMES.includes(engine));
  if (values.help || wrong) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  const all = await allRows();
  if (values.page) {
    writePage(all);
    return 0;
  }
  const rows = choose(positionals, engine ? inEngine(all, engine) : all);
  if (!rows) return 2;
  if (values.list) {
    const lines = rows.map((row) => [row.name, row.file, row.test, row.promise]);
    process.stdout.write(
      `${tableText([['row', 'switched off in', 'test', 'promise'], ...lines], [])}\n`,
    );
    return 0;
  }
  holdCopies();
  if (engine) await ensureBrowser(engine);
  const shared = process.env.WASM_AI_SHARED ?? join(dirname(projectDir), 'shared');
  const env = {
    ...process.env,
    CHROME_PATH: await ensureChromium(),
    ...(existsSync(shared) && { WASM_AI_SHARED: shared }),
  };
  const verdicts = await tryAll(rows, jobs, env);
  const lines = verdicts.map(({ row, noticed, what }) => [
    row.name,
    noticed ? 'noticed' : 'NOT NOTICED',
    row.test,
    cut(what, 60),
  ]);
  process.stdout.write(`${tableText([['switched off', '', 'by', 'which says'], ...lines], [])}\n`);
  const unnoticed = verdicts.filter(({ noticed }) => !noticed).length;
  process.stdout.write(`${verdicts.length - unnoticed} noticed, ${unnoticed} not noticed\n`);
  return unnoticed ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  failSetup(error);
}
