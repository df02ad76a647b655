// The table of promises in the security page, made from the rows.
import fs from 'node:fs';
import path from 'node:path';
import { projectDir } from '../toolchain/cache.mjs';

export const PAGE = 'web/SECURITY.md';
const [BEGIN, END] = ['<!-- promises: written by `npm run promises -- --page` -->', '<!-- end -->'];

/** One promise a line, with the tests that hold it. @param {import('./rows.mjs').Row[]} rows */
function tableOf(rows) {
  /** @type {Map<string, { names: string[], tests: string[] }>} */
  const promises = new Map();
  for (const { promise, name, test } of rows) {
    const { names, tests } = promises.get(promise) ?? { names: [], tests: [] };
    const file = test.replace(/^tests\//, '');
    promises.set(promise, {
      names: [...names, `\`${name}\``],
      tests: tests.includes(file) ? tests : [...tests, file],
    });
  }
  return [
    '| promise | switched off by | noticed by tests/ |',
    '|---|---|---|',
    ...[...promises].map(
      ([promise, { names, tests }]) => `| ${promise} | ${names.join(', ')} | ${tests.join(', ')} |`,
    ),
  ].join('\n');
}

/** The page with its table as the rows say. @param {string} text @param {import('./rows.mjs').Row[]} rows */
export function pageText(text, rows) {
  const [before, rest = ''] = text.split(`${BEGIN}\n`);
  const after = rest.slice(rest.indexOf(END));
  return `${before}${BEGIN}\n\n${tableOf(rows)}\n\n${after}`;
}

/** @param {import('./rows.mjs').Row[]} rows */
export function writePage(rows) {
  const file = path.join(projectDir, PAGE);
  fs.writeFileSync(file, pageText(fs.readFileSync(file, 'utf8'), rows));
}
