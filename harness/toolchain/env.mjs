// Runs a command with the toolchain: inside the environment, or directly where the tools are on PATH.
// No shell ever sees an argument: the two scripts below are constants and take positions only.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cacheRoot, projectDir } from './cache.mjs';
import { isRoot } from './environment.mjs';

// $1 root, $2 working directory, then folders to bind up to "--", then the command.
const enter = `
root=$1; cwd=$2; shift 2
while [ "$1" != -- ]; do
  mkdir -p "$root$1" && mount --rbind "$1" "$root$1" || exit 125
  shift
done
shift
exec chroot "$root" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$cwd" "$@"`;

/**
 * @typedef {object} Toolchain
 * @property {'path' | 'root'} kind
 * @property {string} root '' for kind path
 * @property {string} id changes with the compilers' versions
 */

/**
 * What to spawn so that `cmd` runs with the toolchain.
 * @param {Toolchain} toolchain
 * @param {string} cmd
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, bind?: string[] }} [options]
 *        bind: further folders that must be visible, at the same path
 * @returns {{ file: string, args: string[], env: NodeJS.ProcessEnv, cwd: string }}
 */
export function commandLine(toolchain, cmd, args, options = {}) {
  const cwd = path.resolve(options.cwd ?? projectDir);
  if (toolchain.kind === 'path') {
    return { file: cmd, args, env: { ...process.env, ...options.env }, cwd };
  }
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/tmp',
    LANG: 'C.UTF-8',
    TERM: process.env.TERM ?? 'dumb',
    ...options.env,
  };
  const binds = outermost([
    '/proc',
    '/dev',
    '/tmp',
    os.tmpdir(),
    cacheRoot(),
    path.dirname(projectDir),
    cwd,
    ...(options.bind ?? []).map((dir) => path.resolve(dir)),
  ]);
  const namespace = isRoot ? ['-m'] : ['-U', '-r', '-m'];
  return {
    file: 'unshare',
    args: [
      ...namespace,
      '--propagation',
      'private',
      '/bin/sh',
      '-c',
      enter,
      'sh',
      toolchain.root,
      cwd,
      ...binds,
      '--',
      cmd,
      ...args,
    ],
    // unshare, mount and chroot are looked up on this PATH.
    env,
    cwd: '/',
  };
}

/** Drops folders inside others, the project's parent if that is / itself, and what is not there. @param {string[]} dirs */
function outermost(dirs) {
  const real = [...new Set(dirs)]
    .map((dir) => (dir === '/' ? projectDir : dir))
    .filter((dir) => fs.existsSync(dir));
  real.sort((a, b) => a.length - b.length);
  /** @type {string[]} */
  const kept = [];
  for (const dir of real) {
    if (!kept.some((above) => dir === above || dir.startsWith(`${above}/`))) kept.push(dir);
  }
  return kept;
}

/**
 * @param {Toolchain} toolchain
 * @param {string} cmd
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, bind?: string[], input?: string | Buffer,
 *           stdio?: 'pipe' | 'inherit', allowFailure?: boolean }} [options]
 * @returns {Promise<{ code: number, stdout: Buffer, stderr: Buffer }>}
 */
export function runIn(toolchain, cmd, args, options = {}) {
  const line = commandLine(toolchain, cmd, args, options);
  return new Promise((resolve, reject) => {
    const out = options.stdio === 'inherit' ? 'inherit' : 'pipe';
    const child = spawn(line.file, line.args, {
      cwd: line.cwd,
      env: line.env,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', out, out],
    });
    /** @type {Buffer[]} */
    const stdout = [];
    /** @type {Buffer[]} */
    const stderr = [];
    child.stdout?.on('data', (chunk) => stdout.push(chunk));
    child.stderr?.on('data', (chunk) => stderr.push(chunk));
    if (child.stdin) {
      child.stdin.on('error', () => {}); // a command may end without reading its input
      child.stdin.end(options.input);
    }
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const answer = {
        code: code ?? 128,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr),
      };
      if (answer.code === 0 || options.allowFailure) resolve(answer);
      else {
        const tail = Buffer.concat([answer.stdout, answer.stderr])
          .toString()
          .split('\n')
          .slice(-40)
          .join('\n');
        reject(new Error(`${cmd} ended with ${signal ?? code}\n${tail}`));
      }
    });
  });
}
