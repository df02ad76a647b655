// The ONNX project's own tests, against expectations.txt. What is listed there
// is skipped with its reason, and fails once it would pass.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { COMPILER_WASM } from '../../harness/compiler.mjs';
import { BY_HAND, CLASSES, readExpectations } from './expectations.mjs';
import { runAll } from './pool.mjs';
import { findTestData, listTests } from './suite.mjs';

const root = await findTestData();
const missing =
  root === null
    ? 'libonnx-testdata is not here (set WASM_AI_ONNX_TESTDATA to its data folder)'
    : !existsSync(COMPILER_WASM) && 'build/wasm/compiler.wasm is not built';

test('ONNX operator tests', { skip: missing }, async (t) => {
  const expectations = readExpectations();
  assert.ok(root !== null);
  const names = listTests(root);
  for (const name of expectations.keys()) {
    assert.ok(names.includes(name), `expectations.txt lists ${name}, which does not exist`);
  }
  for (const result of await runAll(root, names)) {
    const expected = expectations.get(result.name);
    const passed = result.status === 'passed' || result.status === 'bound';
    // A refusal that is expected is a skip; everything else must pass.
    const skipped =
      expected !== undefined &&
      result.status === (BY_HAND.includes(expected) ? 'failed' : 'refused');
    const options = skipped ? { skip: `${expected}: ${CLASSES[expected]}` } : {};
    await t.test(result.name, options, () => {
      assert.ok(passed, `${result.status}: ${result.detail}`);
      assert.equal(
        expected,
        undefined,
        'this test passes now: take it out of expectations.txt (node tests/conformance/update.mjs)',
      );
    });
  }
});
