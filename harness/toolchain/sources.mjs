// Third-party sources: fetched as the distribution's source packages, checked against sources.json.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import {
  cacheRoot,
  contentKey,
  makeOnce,
  runLogged,
  SetupError,
  step,
  toolchainDir,
} from './cache.mjs';
import { debianKeyring, debianMirror } from './mirror.mjs';

const listFile = path.join(toolchainDir, 'sources.json');

/** @type {{ suite: string, sources: { name: string, file: string, sha256: string, strip: number }[] }} */
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
      const sum = createHash('sha256').update(fs.readFileSync(tar)).digest('hex');
      if (sum !== source.sha256) {
        throw new SetupError(
          `${source.file} has SHA-256 ${sum}, but sources.json pins ${source.sha256}: fetch the pinned file and name its folder in WASM_AI_SOURCES.`,
        );
      }
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

/**
 * apt with folders of its own: neither root nor a change to the machine's configuration is needed.
 * @param {string} dir
 */
async function fetchSources(dir) {
  const mirror = debianMirror();
  const keyring = debianKeyring();
  if (!mirror || !keyring) {
    throw new SetupError(
      'No Debian mirror with its keyring was found in the apt configuration: set WASM_AI_MIRROR, or put the tars that sources.json lists into a folder and name it in WASM_AI_SOURCES.',
    );
  }
  step(`fetching third-party sources: ${list.sources.map((source) => source.name).join(', ')}`);
  const state = path.join(dir, 'apt');
  for (const name of ['lists/partial', 'archives/partial', 'parts']) {
    fs.mkdirSync(path.join(state, name), { recursive: true });
  }
  fs.writeFileSync(path.join(state, 'status'), '');
  fs.writeFileSync(
    path.join(state, 'sources.list'),
    `deb-src [signed-by=${keyring}] ${mirror} ${list.suite} main\n`,
  );
  const settings = {
    'Dir::State::lists': `${state}/lists`,
    'Dir::State::status': `${state}/status`,
    'Dir::Cache': state,
    'Dir::Cache::archives': `${state}/archives`,
    'Dir::Etc::sourcelist': `${state}/sources.list`,
    'Dir::Etc::sourceparts': `${state}/parts`,
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': process.getuid?.() === 0 ? 'root' : '',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  try {
    await runLogged('apt-get', [...options, 'update']);
    const names = list.sources.map((source) => source.name);
    await runLogged('apt-get', [...options, 'source', '--tar-only', '--download-only', ...names], {
      cwd: dir,
    });
  } catch (error) {
    const log = /** @type {{ log?: string }} */ (error).log ?? String(error);
    const reason =
      log
        .split('\n')
        .filter((line) => /^[EW]: /.test(line))
        .slice(-1)[0] ?? String(error);
    throw new SetupError(
      `apt-get could not fetch the third-party sources (${reason}): check the network, or put the tars that sources.json lists into a folder and name it in WASM_AI_SOURCES.`,
    );
  }
}
