// Every operator of ai.onnx is either imported or refused by name with what to do instead.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run as check } from '../../harness/commands/check.mjs';
import { COMPILER_WASM } from '../../harness/compiler.mjs';
import { REFUSED_OPERATORS } from '../../harness/hints.mjs';
import { Model } from '../../harness/readers/onnx_schema.mjs';
import { readOperators } from './coverage.mjs';
import { rowStart } from './tables.mjs';

const NEWEST_OPSET = 22;
const operators = readOperators();

test('each operator of ONNX is in onnx.def or in the table of refusals', () => {
  assert.ok(operators.length > 190);
  for (const { name, imported, refusal } of operators) {
    assert.ok(imported || refusal, `${name} is in neither`);
    assert.ok(!(imported && refusal), `${name} is imported now: take it out of REFUSED_OPERATORS`);
  }
  const names = operators.map(({ name }) => name);
  const unknown = [...REFUSED_OPERATORS.keys()].filter((name) => !names.includes(name));
  assert.deepEqual(unknown, []);
});

test('what is imported is imported up to the newest opset, or to where ONNX dropped it', () => {
  for (const { name, imported, versions } of operators) {
    const end = versions.find(({ deprecated }) => deprecated)?.since ?? NEWEST_OPSET;
    if (imported) assert.ok(imported.last >= end - 1, `${name} ends at opset ${imported.last}`);
  }
});

test('OPERATORS.md says what is imported today', () => {
  const table = readFileSync(new URL('./OPERATORS.md', import.meta.url), 'utf8').split('\n');
  for (const operator of operators) {
    assert.ok(
      table.some((line) => line.startsWith(rowStart(operator))),
      `${operator.name}: run node tests/conformance/update.mjs`,
    );
  }
});

const notBuilt = !existsSync(COMPILER_WASM) && 'build/wasm/compiler.wasm is not built';

test('check names each refused operator and says what to do', { skip: notBuilt }, async () => {
  for (const [name, reason] of REFUSED_OPERATORS) {
    const said = await checked(name, NEWEST_OPSET);
    assert.match(said, new RegExp(`operator ${name} .*\n +hint: `));
    assert.ok(said.includes(reason), said);
  }
});

test('check says from which opset to which an operator is taken', { skip: notBuilt }, async () => {
  for (const { name, versions, imported } of operators) {
    if (!imported) continue;
    const opsets = [versions[0].since, NEWEST_OPSET];
    for (const opset of opsets.filter((n) => n < imported.first || n > imported.last)) {
      const said = await checked(name, opset);
      const range = `supported in opsets ${imported.first} to ${imported.last}, not ${opset}`;
      assert.ok(said.includes(range), said);
      assert.match(said, /hint: convert the model with onnx\.version_converter/);
    }
  }
});

/** What `check` prints for a model of this operator, which does not compile. */
async function checked(opType, opset) {
  const folder = mkdtempSync(join(tmpdir(), 'wasm-ai-check-'));
  try {
    const path = join(folder, 'model.onnx');
    writeFileSync(path, modelOf(opType, opset));
    const said = [];
    const io = { json: () => {}, out: (text) => said.push(text), paint: (_, text) => text };
    assert.equal(await check([path], {}, io), 1, opType);
    return said.join('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** One node between x and y, float32 [1]. @param {string} opType @param {number} opset */
function modelOf(opType, opset) {
  const type = { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 1 }] } } };
  return Model.encode({
    irVersion: 8,
    opsetImport: [{ domain: '', version: opset }],
    graph: {
      name: 'one node',
      node: [{ name: 'node', opType, input: ['x'], output: ['y'] }],
      input: [{ name: 'x', type }],
      output: [{ name: 'y', type }],
    },
  }).finish();
}
