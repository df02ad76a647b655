// Set-up of everything that builds need. Idempotent: the second call only looks.
//
//   node harness/toolchain/setup.mjs            toolchain, sources, third-party libraries
//   node harness/toolchain/setup.mjs --train    the environment for retraining the models too

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot, contentKey, SetupError, step, together } from './cache.mjs';
import { runIn } from './env.mjs';
import { environmentDir, makeEnvironment, onPath } from './environment.mjs';
import { ensureLibraries, ensureTiles, variants } from './libraries.mjs';
import { ensureSources } from './sources.mjs';

/** @typedef {import('./env.mjs').Toolchain} Toolchain */

const oldestEmcc = [3, 1, 69];

/** @type {Promise<Toolchain> | undefined} */
let found;

/**
 * The toolchain, made first if this machine has none. Throws SetupError with one sentence.
 * @returns {Promise<Toolchain>}
 */
export function ensureToolchain() {
  found ??= findToolchain();
  return found;
}

async function findToolchain() {
  const there = toolchainAtHand();
  if (there) return there;
  // The sources come from the same mirror: fetch them meanwhile.
  await together([makeEnvironment('build'), ensureSources()]);
  return madeToolchain();
}

/** The toolchain if this machine has one; nothing is made. @returns {Toolchain | null} */
export function toolchainAtHand() {
  return toolsOnPath() ?? (fs.existsSync(environmentDir('build')) ? madeToolchain() : null);
}

/** @returns {Toolchain} */
function madeToolchain() {
  const root = environmentDir('build');
  const status = fs.readFileSync(path.join(root, 'var/lib/dpkg/status'));
  return { kind: 'root', root, id: contentKey(status) };
}

/** Tools of the PATH, if all are there and new enough. @returns {Toolchain | null} */
function toolsOnPath() {
  const tools = ['emcc', 'cmake', 'ninja', 'clang', 'wasm-opt'].map((name) => onPath(name) ?? '');
  if (tools.includes('')) return null;
  // Asking emcc takes a while; its answer is kept until a tool's file changes.
  const stamp = tools.map((file) => `${file} ${fs.statSync(file).mtimeMs}`).join('\n');
  const note = path.join(cacheRoot(), `path-tools-${contentKey(stamp)}.json`);
  if (fs.existsSync(note)) return JSON.parse(fs.readFileSync(note, 'utf8'));
  const version = spawnSync('emcc', ['--version'], { encoding: 'utf8' }).stdout ?? '';
  const numbers = (/\b(\d+)\.(\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
  const headers =
    '#include <stdarg.h>\n#include <stddef.h>\n#include <setjmp.h>\n#include <stdint.h>\n#include <simde/wasm/simd128.h>\n#include <cmocka.h>\n';
  const probe = spawnSync('clang', ['-E', '-x', 'c', '-'], { input: headers });
  const newEnough = numbers.length === 3 && compare(numbers, oldestEmcc) >= 0;
  if (!newEnough || probe.status !== 0) {
    step(
      `emcc on the PATH is not used: ${newEnough ? 'SIMDe or cmocka headers are missing' : `it is older than ${oldestEmcc.join('.')}`}`,
    );
    return null;
  }
  const clang = spawnSync('clang', ['--version'], { encoding: 'utf8' }).stdout ?? '';
  /** @type {Toolchain} */
  const toolchain = {
    kind: 'path',
    root: '',
    id: createHash('sha256')
      .update(version + clang)
      .digest('hex')
      .slice(0, 16),
  };
  fs.writeFileSync(note, JSON.stringify(toolchain));
  return toolchain;
}

/** @param {number[]} a @param {number[]} b */
function compare(a, b) {
  for (let i = 0; i < b.length; i++) {
    if (a[i] !== b[i]) return a[i] - b[i];
  }
  return 0;
}

/**
 * Runs a command with the toolchain; see env.mjs for the options. Quick: a few milliseconds more
 * than the command itself.
 * @param {string} cmd
 * @param {string[]} args
 * @param {Parameters<typeof runIn>[3]} [options]
 */
export async function run(cmd, args, options) {
  return runIn(await ensureToolchain(), cmd, args, options);
}

/** The folder of ONNX's own operator tests (package libonnx-testdata), or null. */
export async function onnxTestdata() {
  const { root } = await ensureToolchain();
  const dir = path.join(root || '/', 'usr/share/libonnx-testdata');
  return fs.existsSync(dir) ? dir : null;
}

/** Everything, for `npm start` and `npm test`. */
export async function setup() {
  const toolchain = await ensureToolchain();
  for (const variant of variants) await ensureLibraries(toolchain, variant);
  await ensureTiles(toolchain);
  return toolchain;
}

/**
 * Prints a SetupError as one sentence and ends; anything else is a bug and keeps its stack.
 * @param {unknown} error
 * @returns {never}
 */
export function failSetup(error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`error: ${error.what}: ${error.message}\n`);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const toolchain = await setup();
    if (process.argv.includes('--train')) await makeEnvironment('train');
    step(`set-up is complete: ${toolchain.kind === 'path' ? 'tools of the PATH' : toolchain.root}`);
  } catch (error) {
    failSetup(error);
  }
}
