// What the rule tests share: the project's files and their text.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Files that git knows or would add, below the given folders. @param {...string} patterns */
export function projectFiles(...patterns) {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate', '--'];
  const { status, stdout } = spawnSync('git', [...args, ...patterns], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error('git ls-files failed: the rules look at what git knows');
  return stdout.split('\n').filter(Boolean).sort();
}

/** @param {string} file */
export const text = (file) => readFileSync(join(root, file), 'utf8');

/** C or JS without comments; lines keep their numbers. Good enough for grep rules: a `//` in a
 * string cuts the line, which can only hide a match behind an URL. @param {string} source */
export const withoutComments = (source) =>
  source
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1');

/** `file:line: text` of every match outside comments. @param {string[]} files @param {RegExp} pattern */
export function findings(files, pattern) {
  return files.flatMap((file) =>
    withoutComments(text(file))
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [])),
  );
}
