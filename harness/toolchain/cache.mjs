// The cache outside git, its locks, content keys and the progress lines of long steps.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const toolchainDir = path.dirname(fileURLToPath(import.meta.url));
export const projectDir = path.resolve(toolchainDir, '..', '..');

/** A cause that the user can act on. Printed as one sentence, without a stack. */
export class SetupError extends Error {
  what = 'set-up';
}

/** Our own sources do not build. */
export class BuildError extends SetupError {
  what = 'build';
}

/** @returns {string} the cache folder; it exists afterwards */
export function cacheRoot() {
  const dir = path.resolve(
    process.env.WASM_AI_CACHE ||
      path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'wasm-ai'),
  );
  fs.mkdirSync(dir, { recursive: true });
  return dir;
}

/** @param {...(string | Buffer)} parts @returns {string} 16 hex digits of SHA-256 */
export function contentKey(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(String(part.length)).update('\n').update(part);
  return hash.digest('hex').slice(0, 16);
}

const start = Date.now();

/** @param {string} text */
export function step(text) {
  const seconds = ((Date.now() - start) / 1000).toFixed(1).padStart(6);
  process.stderr.write(`[${seconds} s] ${text}\n`);
}

/**
 * Promise.all that fails only when all have ended: no process is left behind by an early exit.
 * @param {Promise<unknown>[]} work
 */
export async function together(work) {
  const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/**
 * Package names of a list file: one a line, # starts a comment.
 * @param {string} file
 */
export function readList(file) {
  return fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter(Boolean);
}

/** @param {number} pid */
function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

/**
 * Makes `dir` once, however many processes ask: `make` fills a temporary folder which is renamed when
 * it is complete, so a cut-off run leaves nothing that looks finished.
 * @param {string} dir
 * @param {(temporary: string) => Promise<void>} make
 */
export async function makeOnce(dir, make) {
  if (fs.existsSync(dir)) return dir;
  const lock = `${dir}.lock`;
  let said = false;
  for (;;) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    }
    const owner = Number(fs.existsSync(lock) ? fs.readFileSync(lock, 'utf8') : 0);
    if (owner && !alive(owner)) {
      fs.rmSync(lock, { force: true });
    } else {
      if (!said) step(`waiting for process ${owner}, which is making ${path.basename(dir)}`);
      said = true;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
  const temporary = `${dir}.tmp`;
  try {
    if (!fs.existsSync(dir)) {
      removeTree(temporary);
      fs.mkdirSync(temporary, { recursive: true });
      await make(temporary);
      fs.renameSync(temporary, dir);
    }
  } finally {
    removeTree(temporary);
    fs.rmSync(lock, { force: true });
  }
  return dir;
}

/** rm -rf that never crosses into something mounted below. @param {string} dir */
export function removeTree(dir) {
  if (!fs.existsSync(dir)) return;
  const mounts = fs.existsSync('/proc/self/mounts')
    ? fs.readFileSync('/proc/self/mounts', 'utf8')
    : '';
  for (const line of mounts.split('\n')) {
    const target = (line.split(' ')[1] || '').replace(/\\040/g, ' ');
    if (target.startsWith(`${dir}/`))
      throw new SetupError(`Something is mounted at ${target}; unmount it and try again.`);
  }
  fs.rmSync(dir, { recursive: true, force: true });
}

/**
 * Runs a command with its output collected; ninja's [n/m] counters become progress lines.
 * @param {string} file
 * @param {string[]} args
 * @param {{ label?: string, lines?: RegExp, cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 *        lines: output lines that are shown as they come
 * @returns {Promise<string>} stdout and stderr together
 */
export function runLogged(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let log = '';
    let partial = '';
    let last = Date.now();
    /** @param {Buffer} chunk */
    const take = (chunk) => {
      const text = chunk.toString();
      log += text;
      const lines = (partial + text).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) {
        if (options.lines?.test(line)) step(`  ${line.trim()}`);
        const count = /^\[(\d+)\/(\d+)\]/.exec(line);
        if (count && options.label && Date.now() - last > 4000) {
          last = Date.now();
          step(`  ${options.label}: ${count[1]} of ${count[2]}`);
        }
      }
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(log);
      else
        reject(
          Object.assign(new Error(`${path.basename(file)} ended with ${signal ?? code}`), { log }),
        );
    });
  });
}
