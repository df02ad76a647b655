// The table of harness/promises still fits the tree: what it switches off is there, and so are its tests.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PAGE, pageText } from '../../harness/promises/page.mjs';
import { allRows, occurrences } from '../../harness/promises/rows.mjs';
import { root, text } from './files.mjs';

const rows = await allRows();

test('every row switches off something that stands once in its file', () => {
  assert.ok(rows.length > 50);
  const wrong = rows.filter(
    ({ file, find, replace }) =>
      !existsSync(join(root, file)) || occurrences(text(file), find) !== 1 || find === replace,
  );
  assert.deepEqual(
    wrong.map(({ name, file, find }) => `${name}: not once in ${file}: ${find}`),
    [],
  );
});

test('names are unique, promises are sentences', () => {
  const names = rows.map(({ name }) => name);
  assert.deepEqual(
    names.filter((name, i) => names.indexOf(name) !== i || !/^[a-z0-9-]+$/.test(name)),
    [],
  );
  assert.deepEqual(
    rows.filter(({ promise }) => !/^[^a-z].*\.$/.test(promise)).map(({ name }) => name),
    [],
  );
});

/** Titles of a file's tests, as patterns: what is put into a template may be anything, and tests on all
 * engines have the engine's name behind theirs. @param {string} file */
function titlesOf(file) {
  const source = text(file);
  const found = file.endsWith('.c')
    ? [...source.matchAll(/^static void (test_\w+)\(/gm)].map(([, name]) => ['test', `'${name}'`])
    : [
        ...source.matchAll(
          /\b(test|onEngines|inPages)\(\s*(`[^`]*`|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/g,
        ),
      ].map(([, call, title]) => [call, title]);
  return found.map(([call, title]) => {
    const parts = title
      .slice(1, -1)
      .replace(/\\(.)/g, '$1')
      .split(/\$\{[^}]*\}/);
    const escaped = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const engine = call !== 'test' ? ' \\(\\w+\\)' : '';
    return new RegExp(`^${escaped.join(title[0] === '`' ? '.+' : '')}${engine}$`, 's');
  });
}

test('every row names a test that is there', () => {
  const wrong = rows.filter(
    ({ test: file, fails }) =>
      !existsSync(join(root, file)) || !titlesOf(file).some((title) => title.test(fails)),
  );
  assert.deepEqual(
    wrong.map(({ name, test: file, fails }) => `${name}: ${file} has no test "${fails}"`),
    [],
  );
});

test('the security page lists the promises as they are: `npm run promises -- --page` writes it', () => {
  assert.equal(pageText(text(PAGE), rows), text(PAGE));
});
