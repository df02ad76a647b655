// The table: every row switches one protection off and names the test that must notice.
// One file of rows/ is one area; rows/README says what a row is.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * @typedef {object} Row
 * @property {string} name      area-what, unique
 * @property {string} promise   one sentence that a user understands; several rows may hold one promise
 * @property {string} file      where the protection is
 * @property {string} find      text that stands there exactly once
 * @property {string} replace   takes its place: the protection is off, all else works
 * @property {string} test      file of the test that must fail
 * @property {string} fails     the test's whole title, or the function's name in C
 * @property {boolean} [hangs]  the protection is against running for ever: so does the test without it
 * @property {string[]} [builds] what must be built again: 'wasm', 'asan'; default by `file` and `test`
 */

const folder = path.join(import.meta.dirname, 'rows');

/** All rows, areas in alphabetical order. @returns {Promise<Row[]>} */
export async function allRows() {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith('.mjs'));
  const areas = await Promise.all(
    names.sort().map((name) => import(pathToFileURL(path.join(folder, name)).href)),
  );
  return areas.flatMap((area) => area.default);
}

/** The builds that a row's test needs after the change. @param {Row} row @returns {string[]} */
export function buildsOf({ file, test, builds }) {
  if (builds) return builds;
  if (test.endsWith('.c')) return ['asan'];
  return /^core\/|^CMakeLists|^harness\/toolchain\/(wasm|meter|xnnpack)\//.test(file)
    ? ['wasm']
    : [];
}

/** How often `find` stands in the text. @param {string} text @param {string} find */
export const occurrences = (text, find) => text.split(find).length - 1;
