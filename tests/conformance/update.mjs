// Runs the ONNX tests in Node and rewrites RESULTS.md, OPERATORS.md and expectations.txt.
//   node tests/conformance/update.mjs [NAME-PART]   (with a part: print only, write nothing)
import { writeFileSync } from 'node:fs';
import { readOperators, usesIn } from './coverage.mjs';
import { BY_HAND, EXPECTATIONS, expectationsText, readExpectations } from './expectations.mjs';
import { runAll } from './pool.mjs';
import { findTestData, listTests, OLDER, readTest } from './suite.mjs';
import { operatorsText, resultsText } from './tables.mjs';

const part = process.argv[2];
const data = await findTestData();
if (data === null) {
  fail('no ONNX test data; run `npm test` once or set WASM_AI_ONNX_TESTDATA');
} else if (data.olderMissing && part === undefined) {
  fail(`the tables need the tests of ONNX ${OLDER} too: ${data.olderMissing}`);
} else {
  await update(data);
}

/** @param {import('./suite.mjs').TestData} data */
async function update(data) {
  const { roots } = data;
  const names = listTests(data).filter((name) => part === undefined || name.includes(part));
  const started = Date.now();
  const { results } = await runAll(names, { place: 'node', setting: { roots } }, (done) => {
    if (done % 500 === 0) process.stderr.write(`${done} of ${names.length}\n`);
  });
  process.stderr.write(
    `${names.length} tests in ${((Date.now() - started) / 1000).toFixed(1)} s\n`,
  );

  const before = readExpectations();
  const isKnown = (name) => BY_HAND.includes(before.get(name) ?? '');
  if (part === undefined) {
    const rows = results.map((result) => ({
      ...result,
      uses: usesIn(readTest(roots, result.name).onnx),
      known: isKnown(result.name) ? before.get(result.name) : undefined,
    }));
    writeFileSync(EXPECTATIONS, expectationsText(expected(rows)));
    writeFileSync(new URL('./RESULTS.md', import.meta.url), resultsText(rows));
    const operators = operatorsText(rows, readOperators());
    writeFileSync(new URL('./OPERATORS.md', import.meta.url), operators);
  } else {
    for (const r of results)
      process.stdout.write(`${r.status}\t${r.name}\t${r.reason}\t${r.detail}\n`);
  }
  const failures = results.filter((r) => r.status === 'failed' && !isKnown(r.name));
  for (const r of failures) process.stdout.write(`failed: ${r.name}: ${r.detail}\n`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

/** @param {import('./tables.mjs').Row[]} rows @returns {Map<string, string>} */
function expected(rows) {
  const listed = new Map();
  for (const { name, status, reason, known } of rows) {
    if (status === 'refused') listed.set(name, reason);
    if (status === 'failed' && known) listed.set(name, known);
  }
  return listed;
}

function fail(why) {
  process.stderr.write(`error: ${why}\n`);
  process.exitCode = 1;
}
