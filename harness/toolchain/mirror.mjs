// The distribution mirror, taken from this machine's own apt configuration: no host name is written
// in the project.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const suites = /^(buster|bullseye|bookworm|trixie|forky|sid|stable|oldstable|testing|unstable)$/;

/**
 * Mirrors named by the text of an apt sources file, in one-line or deb822 form.
 * @param {string} text
 * @returns {string[]}
 */
export function mirrorsInSources(text) {
  const found = [];
  for (const line of text.split('\n')) {
    const match = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)/.exec(line);
    if (match && suites.test(match[2])) found.push(match[1]);
  }
  for (const block of text.replace(/^#.*\n/gm, '').split(/\n\s*\n/)) {
    const types = /^Types:(.*)$/m.exec(block);
    const uris = /^URIs:(.*)$/m.exec(block);
    const names = /^Suites:(.*)$/m.exec(block);
    if (!types || !uris || !names || !/\bdeb\b/.test(types[1])) continue;
    if (
      names[1]
        .trim()
        .split(/\s+/)
        .some((name) => suites.test(name))
    ) {
      found.push(...uris[1].trim().split(/\s+/));
    }
  }
  return found;
}

/** @returns {string | null} */
export function debianMirror() {
  if (process.env.WASM_AI_MIRROR) return process.env.WASM_AI_MIRROR;
  const format = '$(ORIGIN)|$(LABEL)|$(REPO_URI)';
  const answer = spawnSync(
    'apt-get',
    ['indextargets', '--format', format, 'Created-By: Packages'],
    {
      encoding: 'utf8',
    },
  );
  for (const line of (answer.stdout ?? '').split('\n')) {
    const [origin, label, uri] = line.split('|');
    if (origin === 'Debian' && label === 'Debian') return uri;
  }
  // Indexes not downloaded yet (a bare container): read what they would be downloaded from.
  const files = ['/etc/apt/sources.list'];
  const parts = '/etc/apt/sources.list.d';
  if (fs.existsSync(parts))
    files.push(...fs.readdirSync(parts).map((name) => path.join(parts, name)));
  for (const file of files) {
    if (!fs.existsSync(file)) continue;
    const [first] = mirrorsInSources(fs.readFileSync(file, 'utf8'));
    if (first) return first;
  }
  return null;
}

/** @returns {string | null} the keyring that signs the suite */
export function debianKeyring() {
  for (const file of [
    '/usr/share/keyrings/debian-archive-keyring.gpg',
    '/usr/share/keyrings/debian-archive-keyring.pgp',
  ]) {
    if (fs.existsSync(file)) return file;
  }
  return null;
}
