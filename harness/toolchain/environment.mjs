// Makes the build environment: a Debian root folder in the cache, by mmdebstrap, from packages.txt.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  cacheRoot,
  contentKey,
  makeOnce,
  readList,
  runLogged,
  SetupError,
  step,
  toolchainDir,
} from './cache.mjs';
import { debianKeyring, debianMirror } from './mirror.mjs';

const suite = 'trixie';
export const isRoot = process.getuid?.() === 0;

const byHand =
  'install emcc 3.1.69 or newer, cmake, ninja, clang, lld and the SIMDe and cmocka headers so that they are on the ' +
  'PATH, or build in the container that harness/toolchain/Dockerfile describes';

/** @param {string} name */
export function onPath(name) {
  for (const dir of (process.env.PATH ?? '').split(path.delimiter)) {
    const file = path.join(dir, name);
    try {
      fs.accessSync(file, fs.constants.X_OK);
      return file;
    } catch {
      // not here
    }
  }
  return null;
}

/**
 * Which package lists an environment is made of. `hosts` stands apart: a web server more or less must
 * not make the compilers' environment, and with it all libraries, anew.
 */
const LISTS = {
  build: ['packages.txt'],
  train: ['packages.txt', 'packages-train.txt'],
  hosts: ['packages-hosts.txt'],
};
/** @typedef {keyof typeof LISTS} Purpose */

/** The folder of the environment for these packages, whether it exists or not. @param {Purpose} purpose */
export function environmentDir(purpose) {
  return path.join(cacheRoot(), `env-${contentKey(suite, packages(purpose).join(' '))}`);
}

/** @param {Purpose} purpose */
function packages(purpose) {
  return LISTS[purpose].flatMap((list) => readList(path.join(toolchainDir, list)));
}

/** @param {Purpose} purpose @returns {Promise<string>} */
export async function makeEnvironment(purpose) {
  const dir = environmentDir(purpose);
  return makeOnce(dir, async (temporary) => {
    if (process.platform !== 'linux') {
      throw new SetupError(`The toolchain can only be made automatically on Linux: ${byHand}.`);
    }
    const mirror = debianMirror();
    if (!mirror) {
      throw new SetupError(
        `No Debian mirror was found in the apt configuration: set WASM_AI_MIRROR to one, or ${byHand}.`,
      );
    }
    const keyring = debianKeyring();
    if (!keyring) {
      throw new SetupError(
        `The package debian-archive-keyring is missing: install it, or ${byHand}.`,
      );
    }
    if (spawnSync('unshare', isRoot ? ['-m', 'true'] : ['-Ur', '-m', 'true']).status !== 0) {
      throw new SetupError(`This machine does not allow mount namespaces (unshare): ${byHand}.`);
    }
    const tool = await findMmdebstrap();
    const names = packages(purpose);
    step(
      `making the environment "${purpose}" (${names.length} packages and what they need, once, up to 3 minutes)`,
    );
    fs.rmdirSync(temporary); // mmdebstrap wants to make it itself
    // Folders of the host come in by bind mounts, so the root needs no devices of its own.
    const target = isRoot ? temporary : '-';
    const args = [
      ...tool.args,
      `--mode=${isRoot ? 'root' : 'unshare'}`,
      '--variant=essential',
      `--include=${names.join(',')}`,
      '--dpkgopt=force-unsafe-io',
      '--dpkgopt=path-exclude=/usr/share/man/*',
      '--dpkgopt=path-exclude=/usr/share/locale/*',
      `--keyring=${keyring}`,
      ...aptProxies(),
      suite,
      target,
      `deb [signed-by=${keyring}] ${mirror} ${suite} main`,
    ];
    try {
      if (isRoot) {
        // A private mount namespace: nothing that mmdebstrap mounts can be left behind on the host.
        await runLogged('unshare', ['-m', '--propagation', 'private', tool.file, ...args], {
          env: tool.env,
          lines: /^I: /,
        });
      } else {
        fs.mkdirSync(temporary);
        const script =
          'set -o pipefail; out=$1; shift; "$@" | tar -x -C "$out" --no-same-owner --exclude=./dev/*';
        await runLogged('bash', ['-c', script, 'bash', temporary, tool.file, ...args], {
          env: tool.env,
          lines: /^I: /,
        });
      }
    } catch (error) {
      const log = /** @type {{ log?: string }} */ (error).log ?? String(error);
      const reason = log
        .split('\n')
        .filter((line) => /^E: |error|failed/i.test(line))
        .slice(-2)
        .join(' / ')
        .trim();
      throw new SetupError(
        `mmdebstrap could not make the build environment (${reason || 'no reason given'}): ${byHand}.`,
      );
    }
    for (const name of ['proc', 'dev', 'sys'])
      fs.mkdirSync(path.join(temporary, name), { recursive: true });
    step(`environment "${purpose}" is ready`);
  });
}

/** apt inside mmdebstrap does not read the host's configuration; proxies have to be handed over. */
function aptProxies() {
  const dump = spawnSync('apt-config', ['dump'], { encoding: 'utf8' }).stdout ?? '';
  const options = [];
  for (const line of dump.split('\n')) {
    if (/^Acquire::(http|https)::Proxy(::\S+)? "[^"]+";$/i.test(line))
      options.push(`--aptopt=${line.replace(/;$/, '')}`);
  }
  return options;
}

/** @returns {Promise<{ file: string, args: string[], env: NodeJS.ProcessEnv }>} */
async function findMmdebstrap() {
  const env = process.env;
  const there = onPath('mmdebstrap');
  if (there) return { file: there, args: [], env };
  const missing = 'mmdebstrap is missing and apt-get could not install it';
  if (!onPath('apt-get'))
    throw new SetupError(`mmdebstrap is missing and this machine has no apt-get: ${byHand}.`);
  if (isRoot) {
    step('installing mmdebstrap');
    try {
      await aptInstall(['mmdebstrap', 'debian-archive-keyring']);
    } catch {
      throw new SetupError(`${missing}: install mmdebstrap, or ${byHand}.`);
    }
    const installed = onPath('mmdebstrap');
    if (installed) return { file: installed, args: [], env };
    throw new SetupError(`${missing}: install mmdebstrap, or ${byHand}.`);
  }
  const dir = path.join(cacheRoot(), 'mmdebstrap');
  await makeOnce(dir, async (temporary) => {
    step('fetching mmdebstrap (not root: unpacked into the cache)');
    try {
      await runLogged('apt-get', ['download', 'mmdebstrap'], { cwd: temporary });
      const deb = fs.readdirSync(temporary).find((name) => name.endsWith('.deb')) ?? '';
      await runLogged('dpkg', ['-x', path.join(temporary, deb), temporary]);
    } catch {
      throw new SetupError(
        `${missing}: ask the administrator for the packages mmdebstrap and uidmap, or ${byHand}.`,
      );
    }
  });
  if (!onPath('newuidmap')) {
    throw new SetupError(
      `The package uidmap (newuidmap) is missing, and without it only root can make the environment: ask the administrator for it, or ${byHand}.`,
    );
  }
  return { file: path.join(dir, 'usr/bin/mmdebstrap'), args: [], env };
}

/** @type {Promise<unknown>} */
let aptIsFree = Promise.resolve();

/**
 * Installs distribution packages on this machine; root only. apt does one thing at a time: calls wait for
 * each other, and for an apt that somebody else runs.
 * @param {string[]} names
 */
export function aptInstall(names) {
  const done = aptIsFree.then(() => aptInstallNow(names));
  aptIsFree = done.catch(() => {});
  return done;
}

/** @param {string[]} names */
async function aptInstallNow(names) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const wait = ['-o', 'DPkg::Lock::Timeout=300'];
  const install = [...wait, 'install', '-y', '--no-install-recommends', ...names];
  try {
    await runLogged('apt-get', install, { env });
  } catch {
    await runLogged('apt-get', [...wait, 'update'], { env });
    await runLogged('apt-get', install, { env });
  }
}
