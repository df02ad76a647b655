// Third-party sources: fetched as the distribution's source packages, checked against sources.json.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { aptReason, privateApt } from './apt.mjs';
import {
  cacheRoot,
  contentKey,
  makeOnce,
  runLogged,
  SetupError,
  step,
  toolchainDir,
} from './cache.mjs';

const listFile = path.join(toolchainDir, 'sources.json');

/** @typedef {{ name: string, file: string, sha256: string }} Pinned */

/** @type {{ suite: string, sources: (Pinned & { strip: number })[], packages: (Pinned & { suite: string, version: string })[] }} */
const list = JSON.parse(fs.readFileSync(listFile, 'utf8'));

export function sourcesKey() {
  return contentKey(JSON.stringify(list.sources));
}

/** @returns {Promise<string>} folder with one unpacked folder per source */
export async function ensureSources() {
  return makeOnce(path.join(cacheRoot(), `src-${sourcesKey()}`), async (temporary) => {
    const given = process.env.WASM_AI_SOURCES;
    const from = given ? path.resolve(given) : path.join(temporary, '.fetch');
    if (!given) await fetchSources(from);
    for (const source of list.sources) {
      const tar = path.join(from, source.file);
      if (!fs.existsSync(tar)) {
        throw new SetupError(
          `The source ${source.file} is missing in ${from}: put it there, or unset WASM_AI_SOURCES.`,
        );
      }
      checkPinned(tar, source);
      const into = path.join(temporary, source.name);
      fs.mkdirSync(into);
      await runLogged('tar', [
        '-x',
        '-f',
        tar,
        '-C',
        into,
        `--strip-components=${source.strip}`,
        '--no-same-owner',
      ]);
    }
    fs.rmSync(path.join(temporary, '.fetch'), { recursive: true, force: true });
    step('third-party sources are unpacked');
  });
}

/** @param {string} dir */
async function fetchSources(dir) {
  step(`fetching third-party sources: ${list.sources.map((source) => source.name).join(', ')}`);
  try {
    const apt = await privateApt(dir, 'deb-src', list.suite);
    const names = list.sources.map((source) => source.name);
    await apt(['source', '--tar-only', '--download-only', ...names]);
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw new SetupError(
      `apt-get could not fetch the third-party sources (${aptReason(error)}): check the network, or put the tars that sources.json lists into a folder and name it in WASM_AI_SOURCES.`,
    );
  }
}

/**
 * A pinned binary package of another suite than the toolchain's, unpacked: data, nothing that is run.
 * @param {string} name  of sources.json
 * @returns {Promise<string>} its folder
 */
export async function ensurePackage(name) {
  const wanted = list.packages.find((one) => one.name === name);
  if (!wanted) throw new Error(`sources.json has no package ${name}`);
  const { suite, version, file, sha256 } = wanted;
  return makeOnce(path.join(cacheRoot(), `deb-${sha256.slice(0, 16)}`), async (temporary) => {
    const fetched = path.join(temporary, '.fetch');
    fs.mkdirSync(fetched);
    const deb = path.join(process.env.WASM_AI_SOURCES ?? fetched, file);
    step(`fetching ${file}`);
    try {
      if (!process.env.WASM_AI_SOURCES) {
        const apt = await privateApt(fetched, 'deb', suite);
        await apt(['download', `${name}=${version}`]);
      }
      checkPinned(deb, wanted);
      await runLogged('dpkg-deb', ['-x', deb, temporary]);
    } catch (error) {
      if (error instanceof SetupError) throw error;
      throw new SetupError(`${file} could not be fetched and unpacked (${aptReason(error)})`);
    }
    fs.rmSync(fetched, { recursive: true });
  });
}

/** @param {string} file @param {Pinned} pinned */
function checkPinned(file, pinned) {
  const sum = createHash('sha256').update(fs.readFileSync(file)).digest('hex');
  if (sum === pinned.sha256) return;
  throw new SetupError(
    `${pinned.file} has SHA-256 ${sum}, but sources.json pins ${pinned.sha256}: fetch the pinned file and name its folder in WASM_AI_SOURCES.`,
  );
}
