// apt with folders of its own: neither root nor a change to the machine's configuration is needed.

import fs from 'node:fs';
import path from 'node:path';
import { runLogged, SetupError } from './cache.mjs';
import { debianKeyring, debianMirror } from './mirror.mjs';

/**
 * @param {string} dir  where its lists go; whoever made it removes it
 * @param {'deb' | 'deb-src'} kind
 * @param {string} suite
 * @returns {Promise<(args: string[]) => Promise<string>>} apt-get, which leaves what it downloads in dir
 */
export async function privateApt(dir, kind, suite) {
  const mirror = debianMirror();
  const keyring = debianKeyring();
  if (!mirror || !keyring) {
    throw new SetupError(
      'No Debian mirror with its keyring was found in the apt configuration: set WASM_AI_MIRROR, or put the files that sources.json lists into a folder and name it in WASM_AI_SOURCES.',
    );
  }
  const state = path.join(dir, 'apt');
  for (const name of ['lists/partial', 'archives/partial', 'parts']) {
    fs.mkdirSync(path.join(state, name), { recursive: true });
  }
  fs.writeFileSync(path.join(state, 'status'), '');
  fs.writeFileSync(
    path.join(state, 'sources.list'),
    `${kind} [signed-by=${keyring}] ${mirror} ${suite} main\n`,
  );
  const settings = {
    'Dir::State::lists': `${state}/lists`,
    'Dir::State::status': `${state}/status`,
    'Dir::Cache': state,
    'Dir::Cache::archives': `${state}/archives`,
    'Dir::Etc::sourcelist': `${state}/sources.list`,
    'Dir::Etc::sourceparts': `${state}/parts`,
    'Acquire::Languages': 'none',
    'Acquire::http::Timeout': '30',
    'Acquire::https::Timeout': '30',
    'APT::Sandbox::User': process.getuid?.() === 0 ? 'root' : '',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  /** @param {string[]} args */
  const apt = (args) => runLogged('apt-get', [...options, ...args], { cwd: dir });
  await apt(['update']);
  return apt;
}

/** The line of apt's output that says why. @param {unknown} error */
export function aptReason(error) {
  const log = /** @type {{ log?: string }} */ (error).log ?? String(error);
  const lines = log.split('\n').filter((line) => /^[EW]: /.test(line));
  return lines.at(-1) ?? String(error);
}
