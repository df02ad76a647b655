// All tests in one place, against expectations.txt. What is listed there is skipped with its reason,
// and fails once it would pass. The list is the same for every place.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { COMPILER_WASM } from '../../harness/compiler.mjs';
import { RUNTIME } from '../../harness/dist.mjs';
import { browserMissing } from '../../harness/toolchain/browsers.mjs';
import { BY_HAND, CLASSES, readExpectations } from './expectations.mjs';
import { openSite } from './places/site.mjs';
import { runAll } from './pool.mjs';
import { findTestData, listTests, NEWEST, OLDER, partsOf } from './suite.mjs';

/**
 * @param {string} place            of places/index.mjs
 * @param {object} [needs]
 * @param {string | false} [needs.missing]   why the place is not here
 * @param {() => Promise<{ url: string, close(): Promise<void> }>} [needs.openSite]
 */
export async function testAgainst(place, { missing = false, openSite } = {}) {
  const data = await findTestData();
  const skip =
    data === null
      ? 'libonnx-testdata is not here (set WASM_AI_ONNX_TESTDATA to its data folder)'
      : !existsSync(COMPILER_WASM)
        ? 'build/wasm/compiler.wasm is not built'
        : missing;
  const older = data?.olderMissing
    ? `the tests of ONNX ${OLDER} are not here: ${data.olderMissing}`
    : '';

  test(`ONNX ${OLDER} is here`, { skip: skip || older || false }, () => {});

  test(`ONNX operator tests in ${place}`, { skip }, async (t) => {
    assert.ok(data !== null);
    const expectations = readExpectations();
    const names = listTests(data);
    for (const name of expectations.keys()) {
      if (partsOf(name).version !== NEWEST && older) continue;
      assert.ok(names.includes(name), `expectations.txt lists ${name}, which does not exist`);
    }
    const site = await openSite?.();
    try {
      const setting = { roots: data.roots, url: site?.url };
      const { results, complaints } = await runAll(names, { place, setting });
      for (const result of results) await judge(t, result, expectations.get(result.name));
      await t.test('the place has nothing to complain of', () => assert.deepEqual(complaints, []));
    } finally {
      await site?.close();
    }
  });
}

/**
 * All tests in a browser, on the shipped wasm, loader and locked worker.
 * @param {import('../../harness/toolchain/browsers.mjs').BrowserName} engine
 */
export const testIn = (engine) =>
  testAgainst(engine, {
    missing:
      browserMissing(engine) ||
      (!existsSync(RUNTIME) && 'build/wasm/runtime-simd.wasm is not built'),
    openSite,
  });

/** @param {import('node:test').TestContext} t @param {import('./run_one.mjs').Result} result */
function judge(t, { name, status, detail }, expected) {
  // A refusal that is expected is a skip; everything else must pass.
  const skipped =
    expected !== undefined && status === (BY_HAND.includes(expected) ? 'failed' : 'refused');
  const options = skipped ? { skip: `${expected}: ${CLASSES[expected]}` } : {};
  return t.test(name, options, () => {
    assert.ok(status === 'passed' || status === 'bound', `${status}: ${detail}`);
    assert.equal(
      expected,
      undefined,
      'this test passes now: take it out of expectations.txt (node tests/conformance/update.mjs)',
    );
  });
}
