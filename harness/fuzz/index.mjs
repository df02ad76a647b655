// Searches for inputs that break something.
//
//   npm run fuzz -- TARGET|all [SECONDS]     for people: as long as you like, one after another
//   npm run fuzz -- merge onnx               what was found goes to tests/fuzz/corpus.bin, minimised
//   node harness/fuzz/index.mjs suite        what `npm test` runs: replays, then a short search each
//   node harness/fuzz/index.mjs replay TARGET FILE...
//
// What it finds lies in build/fuzz/crashes; what found a bug becomes a file of tests/fuzz/regressions.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from '../toolchain/build.mjs';
import { projectDir, step } from '../toolchain/cache.mjs';
import { failSetup } from '../toolchain/setup.mjs';
import { fuzz, judge } from './javascript.mjs';
import { corpusOf, crashDir, merge, replay, search } from './libfuzzer.mjs';
import { regressions } from './regressions.mjs';
import { writeCorpus } from './seeds.mjs';
import { names, natives, scripts } from './targets.mjs';

const USAGE = `usage: npm run fuzz -- ${names.join('|')}|all [seconds]\n       npm run fuzz -- merge onnx\n`;

/** Of each target in `npm test`: the targets take two minutes on two cores. */
const SUITE_SECONDS = Number(process.env.WASM_AI_FUZZ_SECONDS ?? 15);

/** @typedef {{ runs: number, findings: string[], coverage?: string, outcomes?: number }} Result */

/** @param {string} name @param {number} seconds @param {{ all: boolean, seed: number, tell?: (text: string) => void }} how @returns {Promise<Result>} */
async function searchOne(name, seconds, { all, seed, tell }) {
  if (scripts[name]) return fuzz(scripts[name], { seconds, seed, crashes: crashDir });
  return search(name, await corpusOf(name, all), { seconds, seed, tell });
}

/** @param {string} name @param {Result} result @param {number} seconds */
function report(name, { runs, findings, coverage, outcomes }, seconds) {
  const seen = coverage ? `coverage ${coverage}` : `${outcomes} outcomes`;
  const found = findings.length ? `${findings.length} FINDINGS` : 'no finding';
  step(`${name}: ${runs} inputs in ${Math.round(seconds)} s, ${seen}, ${found}`);
  for (const finding of findings) process.stdout.write(`${finding}\n`);
}

/** @param {string[]} wanted @param {number} seconds */
async function campaign(wanted, seconds) {
  let found = 0;
  for (const name of wanted) {
    const begin = Date.now();
    const tell =
      wanted.length === 1 ? (/** @type {string} */ text) => process.stderr.write(text) : undefined;
    const result = await searchOne(name, seconds, { all: true, seed: Date.now() & 0xffffff, tell });
    report(name, result, (Date.now() - begin) / 1000);
    found += result.findings.length;
  }
  return found ? 1 : 0;
}

// ---- npm test ----

/** @param {string} folder */
const filesOf = (folder) => fs.readdirSync(folder).map((name) => path.join(folder, name));

/** Each row is a check of its own. @typedef {{ name: string, run: () => Promise<string[]> }} Check */

/** @returns {Promise<Check[]>} */
async function replays() {
  const known = await regressions();
  return [
    ...Object.keys(natives).map((name) => ({
      name: `corpus: ${name}`,
      run: async () => replay(name, filesOf(await corpusOf(name, false))),
    })),
    ...known.map(({ number, target, input, file }) => ({
      name: `regression ${number}`,
      run: () => (natives[target] ? replay(target, [file]) : replayScript(target, [input])),
    })),
  ];
}

/** @param {string} name @param {Buffer[]} inputs */
async function replayScript(name, inputs) {
  const target = scripts[name];
  await target.seeds();
  const wrong = [];
  for (const input of inputs) wrong.push((await judge(target, input)).wrong ?? '');
  return wrong.filter(Boolean);
}

/** A process of its own: targets share nothing, and one that hangs is ended. @param {string} name */
function apart(name) {
  const args = [fileURLToPath(import.meta.url), 'short', name];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: projectDir,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const take = (/** @type {Buffer} */ chunk) => {
      output += chunk;
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('close', (code) => {
      process.stdout.write(output.replace(/^\[.*?\] /gm, ''));
      resolve(code === 0 ? [] : [output]);
    });
  });
}

/** As many at a time as there are cores. @param {Check[]} checks */
async function together(checks) {
  const left = [...checks];
  let [passed, failed] = [0, 0];
  const worker = async () => {
    for (let check = left.shift(); check; check = left.shift()) {
      const findings = await check.run();
      if (findings.length) failed++;
      else passed++;
      for (const finding of findings) process.stdout.write(`FAILED ${check.name}: ${finding}\n`);
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
  return { passed, failed };
}

async function suite() {
  const searches = names.map((name) => ({ name: `search: ${name}`, run: () => apart(name) }));
  const { passed, failed } = await together([...(await replays()), ...searches]);
  process.stdout.write(`${passed} passed, ${failed} failed, 0 skipped\n`);
  return failed ? 1 : 0;
}

async function mergeCorpus() {
  const fresh = path.join(projectDir, 'build/fuzz/merged');
  fs.rmSync(fresh, { recursive: true, force: true });
  const { code, output } = await merge('onnx', fresh, [await corpusOf('onnx', true)]);
  if (code !== 0) throw new Error(output.slice(-2000));
  const files = fs.readdirSync(fresh).sort();
  const kept = writeCorpus(files.map((name) => fs.readFileSync(path.join(fresh, name))));
  step(`${files.length} models say all that was seen; the ${kept} smaller ones are kept`);
  return 0;
}

async function main() {
  const [what = '', ...rest] = process.argv.slice(2);
  if (what === 'suite') return suite();
  if (what === 'short') {
    const result = await searchOne(rest[0], SUITE_SECONDS, { all: false, seed: 1 });
    report(rest[0], result, SUITE_SECONDS);
    return result.findings.length ? 1 : 0;
  }
  if (what === 'replay' && names.includes(rest[0])) {
    const [name, ...files] = rest;
    const findings = natives[name]
      ? await replay(name, files)
      : await replayScript(
          name,
          files.map((file) => fs.readFileSync(file)),
        );
    for (const finding of findings) process.stdout.write(`${finding}\n`);
    return findings.length ? 1 : 0;
  }
  const seconds = rest[0] ?? '60';
  if (
    (what !== 'all' && what !== 'merge' && !names.includes(what)) ||
    (what !== 'merge' && !/^\d+$/.test(seconds))
  ) {
    process.stderr.write(USAGE);
    return 2;
  }
  await build(['wasm', 'asan']);
  if (what === 'merge') return mergeCorpus();
  return campaign(what === 'all' ? names : [what], Number(seconds));
}

try {
  process.exitCode = await main();
} catch (error) {
  failSetup(error);
}
