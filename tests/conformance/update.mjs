// Runs the ONNX tests and rewrites RESULTS.md and expectations.txt.
//   node tests/conformance/update.mjs [NAME-PART]   (with a part: print only, write nothing)
import { existsSync, writeFileSync } from 'node:fs';
import {
  BY_HAND,
  CLASSES,
  EXPECTATIONS,
  expectationsText,
  readExpectations,
} from './expectations.mjs';
import { runAll } from './pool.mjs';
import { findTestData, listTests, SUITES } from './suite.mjs';

const root = await findTestData();
if (root === null) {
  process.stderr.write(
    'error: no ONNX test data; run `npm test` once or set WASM_AI_ONNX_TESTDATA\n',
  );
  process.exit(1);
}
const part = process.argv[2];
const names = listTests(root).filter((name) => part === undefined || name.includes(part));
const started = Date.now();
const results = await runAll(root, names, (done) => {
  if (done % 100 === 0) process.stderr.write(`${done} of ${names.length}\n`);
});
process.stderr.write(`${names.length} tests in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);

const before = existsSync(EXPECTATIONS) ? readExpectations() : new Map();
const isKnown = (name) => BY_HAND.includes(before.get(name));
const failures = results.filter((r) => r.status === 'failed' && !isKnown(r.name));
if (part === undefined) {
  const rows = new Map();
  for (const { name, status, reason } of results) {
    if (status === 'refused') rows.set(name, reason);
    if (status === 'failed' && isKnown(name)) rows.set(name, before.get(name));
  }
  writeFileSync(EXPECTATIONS, expectationsText(rows));
  writeFileSync(new URL('./RESULTS.md', import.meta.url), resultsText());
} else {
  for (const r of results)
    process.stdout.write(`${r.status}\t${r.name}\t${r.reason}\t${r.detail}\n`);
}
for (const r of failures) process.stdout.write(`failed: ${r.name}: ${r.detail}\n`);
process.exitCode = failures.length > 0 ? 1 : 0;

function resultsText() {
  const count = (list, status) => list.filter((r) => r.status === status).length;
  const row = (label, list) =>
    `| ${label} | ${['passed', 'bound', 'refused', 'failed'].map((s) => count(list, s)).join(' | ')} | ${list.length} |`;
  const suites = SUITES.map((suite) =>
    row(
      suite,
      results.filter((r) => r.name.startsWith(`${suite}/`)),
    ),
  );
  const refused = results.filter((r) => r.status === 'refused');
  const classes = Object.keys(CLASSES)
    .map((name) => [name, refused.filter((r) => r.reason === name)])
    .filter(([, list]) => list.length > 0)
    .map(
      ([name, list]) => `| ${name} | ${CLASSES[name]} | ${list.length} | ${mostFrequent(list)} |`,
    );
  const failed = results.filter((r) => r.status === 'failed');
  return `# ONNX operator tests (libonnx-testdata, ONNX 1.17)

Compiled by compiler.wasm with --optimize and run by the loader on the simd runtime in Node;
tolerances of ONNX's own runner (rtol 1e-3, atol 1e-7). "Bound": an input that must be a constant in
this version was given at compile time. Written by \`node tests/conformance/update.mjs\`.

| suite | passed | passed (bound) | refused | failed | all |
|---|---|---|---|---|---|
${suites.join('\n')}
${row('all', results)}

## Why tests are refused

| class | meaning | tests | operators |
|---|---|---|---|
${classes.join('\n')}

## Failures

${failed.length === 0 ? 'None.' : failed.map((r) => `- ${r.name} (${before.get(r.name) ?? 'new'}): ${r.detail}`).join('\n')}
`;
}

// The operator that a refusal names; else those of the model.
function mostFrequent(list) {
  const counts = new Map();
  for (const { ops, detail } of list) {
    const named = /operator (\S+) \(opset/.exec(detail)?.[1];
    for (const op of named ? [named] : ops.split(' ')) counts.set(op, (counts.get(op) ?? 0) + 1);
  }
  const sorted = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const shown = sorted.slice(0, 60).map(([op, n]) => (n > 1 ? `${op} (${n})` : op));
  return shown.join(', ') + (sorted.length > 60 ? `, and ${sorted.length - 60} more` : '');
}
