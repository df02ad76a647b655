// One native target: its corpus in build/fuzz, a search, a replay, and what libFuzzer says of them.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { projectDir } from '../toolchain/cache.mjs';
import { commandLine } from '../toolchain/env.mjs';
import { ensureToolchain } from '../toolchain/setup.mjs';
import { dictionary } from './seeds.mjs';
import { natives } from './targets.mjs';

const buildDir = path.join(projectDir, 'build/fuzz');
export const crashDir = path.join(buildDir, 'crashes');
const MOST_BYTES = 32768;

const env = { ASAN_OPTIONS: 'allocator_may_return_null=1:detect_leaks=1' };
/** Of an input: one whose folding stays in its budget takes 24 s here under the sanitizers. */
const LIMITS = ['-timeout=120', '-rss_limit_mb=2048', '-malloc_limit_mb=600'];

/** @typedef {{ code: number, output: string }} Answer */

/** The program of a target. @param {string} name @param {string[]} args @param {(text: string) => void} [tell] @returns {Promise<Answer>} */
async function program(name, args, tell) {
  const file = path.join(projectDir, `build/native-asan/fuzz_${name}`);
  const line = commandLine(await ensureToolchain(), file, args, { env });
  return new Promise((resolve, reject) => {
    const child = spawn(line.file, line.args, {
      cwd: line.cwd,
      env: line.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const take = (/** @type {Buffer} */ chunk) => {
      tell?.(String(chunk));
      output = (output + chunk).slice(-200_000);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 128, output }));
  });
}

/** Seeds as files named by what is in them, so that none is there twice.
 * @param {string} folder @param {Uint8Array[]} seeds @param {number} most */
function writeSeeds(folder, seeds, most) {
  fs.mkdirSync(folder, { recursive: true });
  for (const bytes of seeds) {
    const file = path.join(folder, createHash('sha1').update(bytes).digest('hex'));
    if (bytes.length <= most && !fs.existsSync(file)) fs.writeFileSync(file, bytes);
  }
}

/** The folder that a search begins with and adds to. @param {string} name @param {boolean} all */
export async function corpusOf(name, all) {
  const folder = path.join(buildDir, `corpus-${name}`);
  const { seeds, most = MOST_BYTES } = natives[name];
  writeSeeds(folder, await seeds(all), most);
  return folder;
}

/**
 * @param {string} name @param {string} corpus
 * @param {{ seconds: number, seed?: number, tell?: (text: string) => void }} how
 */
export async function search(name, corpus, { seconds, seed = 0, tell }) {
  fs.mkdirSync(crashDir, { recursive: true });
  const { most = MOST_BYTES, words } = natives[name];
  const args = [corpus, `-max_total_time=${seconds}`, `-artifact_prefix=${crashDir}/${name}-`];
  if (words) {
    const file = path.join(buildDir, 'onnx.dict');
    fs.writeFileSync(file, dictionary());
    args.push(`-dict=${file}`);
  }
  args.push(`-max_len=${most}`, `-seed=${seed}`, '-print_final_stats=1', '-reload=0', ...LIMITS);
  const { code, output } = await program(name, args, tell);
  const runs = Number(/number_of_executed_units:\s*(\d+)/.exec(output)?.[1] ?? 0);
  const coverage = [...output.matchAll(/ cov: (\d+) ft: (\d+)/g)].pop()?.slice(1).join('/') ?? '';
  return { runs, coverage, findings: code === 0 ? [] : [reasonOf(output)] };
}

/** Every file once. @param {string} name @param {string[]} files */
export async function replay(name, files) {
  const findings = [];
  for (let i = 0; i < files.length; i += 500) {
    const { code, output } = await program(name, [...LIMITS, ...files.slice(i, i + 500)]);
    if (code !== 0) findings.push(reasonOf(output));
  }
  return findings;
}

/** Of the files of `from`, the few that reach all that they reach together. @param {string} name @param {string} to @param {string[]} from */
export async function merge(name, to, from) {
  fs.mkdirSync(to, { recursive: true });
  const { most = MOST_BYTES } = natives[name];
  return program(name, ['-merge=1', to, ...from, `-max_len=${most}`, ...LIMITS]);
}

/** What went wrong and where, from the end of the output. @param {string} output */
function reasonOf(output) {
  const lines = output.split('\n');
  const from = lines.findIndex((line) => /ERROR: |runtime error: |^crash: |: WAI_/.test(line));
  const file = /Test unit written to (\S+)/.exec(output)?.[1];
  const running = /^Running: (\S+)/gm;
  const last = file ?? [...output.matchAll(running)].pop()?.[1] ?? '';
  return `${last}\n${lines.slice(Math.max(0, from), from < 0 ? undefined : from + 25).join('\n')}`;
}
