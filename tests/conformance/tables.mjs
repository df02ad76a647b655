// RESULTS.md and OPERATORS.md, from the results of all tests.
import { DTYPES } from '../../harness/dtypes.mjs';
import { CLASSES } from './expectations.mjs';
import { NEWEST, OLDER, partsOf, SUITES, VERSIONS } from './suite.mjs';

/**
 * @typedef {import('./run_one.mjs').Result & { uses: import('./coverage.mjs').Use[], known?: string }} Row
 *   known: the class of a failure that a person has written down
 */

const PASSED = ['passed', 'bound'];
const passes = ({ status }) => PASSED.includes(status);
const unique = (list) => [...new Set(list)];

/** @param {Row[]} results */
export function resultsText(results) {
  const refused = results.filter((r) => r.status === 'refused');
  const classes = Object.keys(CLASSES).flatMap((name) => {
    const list = refused.filter((r) => r.reason === name);
    if (list.length === 0) return [];
    return `| ${name} | ${CLASSES[name]} | ${list.length} | ${mostFrequent(list)} |`;
  });
  const failed = results.filter((r) => r.status === 'failed' || r.status === 'differs');
  return `# ONNX operator tests (libonnx-testdata, ONNX ${NEWEST} and ${OLDER})

Compiled by compiler.wasm with --optimize and run by the loader on the simd runtime in Node; the native
build under sanitizers and Chromium's locked worker must agree. Tolerances of ONNX's own runner (rtol 1e-3,
atol 1e-7). "Bound": an input that must be a constant in this version was given at compile time. Of
${OLDER} only what differs from ${NEWEST}. By operator: OPERATORS.md. Written by \`node tests/conformance/update.mjs\`.

| ONNX | suite | passed | passed (bound) | refused | failed | all |
|---|---|---|---|---|---|---|
${totals(results).join('\n')}

## Why tests are refused

| class | meaning | tests | operators |
|---|---|---|---|
${classes.join('\n')}

## Failures

${failed.length === 0 ? 'None.' : failed.map((r) => `- ${r.name} (${r.known ?? 'new'}): ${r.detail}`).join('\n')}
`;
}

function totals(results) {
  const row = (version, suite, list) => {
    const counts = [...PASSED, 'refused', 'failed'].map(
      (status) => list.filter((r) => r.status === status).length,
    );
    return `| ${version} | ${suite} | ${[...counts, list.length].join(' | ')} |`;
  };
  const rows = VERSIONS.flatMap((version) => {
    const ofVersion = results.filter(({ name }) => partsOf(name).version === version);
    const ofSuite = (suite) => ofVersion.filter(({ name }) => partsOf(name).suite === suite);
    return [
      ...SUITES.filter((suite) => ofSuite(suite).length > 0).map((suite) =>
        row(version, suite, ofSuite(suite)),
      ),
      row(version, 'all', ofVersion),
    ];
  });
  return [...rows, row('both', 'all', results)];
}

/** The operators that a test is skipped for: the one that the refusal names, else all. @param {Row} row */
function culprits({ uses, detail }) {
  const named = /operator (\S+) \(opset/.exec(detail)?.[1];
  return named ? [named] : unique(uses.map(({ op }) => op));
}

/** @param {Row[]} list */
function mostFrequent(list) {
  const counts = count(list.flatMap(culprits));
  const sorted = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const shown = sorted.slice(0, 60).map(([op, n]) => (n > 1 ? `${op} (${n})` : op));
  return shown.join(', ') + (sorted.length > 60 ? `, and ${sorted.length - 60} more` : '');
}

/** @param {string[]} words @returns {Map<string, number>} */
function count(words) {
  const counts = new Map();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** @param {Row[]} results @param {import('./coverage.mjs').Operator[]} operators */
export function operatorsText(results, operators) {
  const skipped = results.filter((r) => !passes(r));
  const classes = unique(skipped.map(classOf)).sort();
  return `# ONNX operators (ai.onnx up to opset 22)

Written by \`node tests/conformance/update.mjs\` from operators.txt, core/onnx/onnx.def, harness/hints.mjs
and the tests of ONNX ${NEWEST} and ${OLDER}. Opsets: what the importer takes. Versions: those of the operator's
definition; in **bold**, a test of it passes. Types: of first inputs and first outputs in tests that pass.
Tests: those with this operator in their main graph; what is skipped is listed at the end.

| operator | opsets | versions | types | passed | bound | skipped |
|---|---|---|---|---|---|---|
${operators.map((operator) => operatorRow(operator, results)).join('\n')}

## Skipped tests

${classes.map((name) => `- ${name}: ${CLASSES[name] ?? 'to be repaired'}`).join('\n')}

| test | class | operators | what is said |
|---|---|---|---|
${skipped.map((r) => `| ${r.name} | ${classOf(r)} | ${culprits(r).join(', ')} | ${cell(r.detail)} |`).join('\n')}
`;
}

/** @param {Row} row */
const classOf = ({ status, reason, known }) => (status === 'refused' ? reason : (known ?? 'new'));

/** Text in a table's cell. @param {string} text */
const cell = (text) => text.replace(/[|<>*_`\\]/g, '\\$&');

/** How the row of an operator begins. @param {import('./coverage.mjs').Operator} operator */
export const rowStart = ({ name, imported, refusal }) =>
  `| ${name} | ${imported ? `${imported.first} to ${imported.last}` : `none: ${refusal}`} |`;

function operatorRow(operator, results) {
  const { name, versions } = operator;
  const having = results.filter(({ uses }) => uses.some(({ op }) => op === name));
  const passed = having.filter(passes).flatMap(({ uses }) => uses.filter(({ op }) => op === name));
  const tested = new Set(passed.map(({ opset }) => versionAt(versions, opset)));
  const skips = count(results.filter((r) => !passes(r) && culprits(r).includes(name)).map(classOf));
  return `${rowStart(operator)} ${[
    versions
      .map(({ since, deprecated }) => {
        const text = deprecated ? `${since} (deprecated)` : String(since);
        return tested.has(since) ? `**${text}**` : text;
      })
      .join(', '),
    DTYPES.map(({ short }) => short)
      .filter((short) => passed.some(({ dtypes }) => dtypes.includes(short)))
      .join(' '),
    having.filter(({ status }) => status === 'passed').length,
    having.filter(({ status }) => status === 'bound').length,
    [...skips].map(([reason, n]) => `${n} ${reason}`).join(', '),
  ].join(' | ')} |`;
}

function versionAt(versions, opset) {
  return versions.findLast(({ since }) => since <= opset)?.since;
}
