// Receipts: what was run, by digests; states keep theirs from run to run; `verify --receipt` runs it again.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { bytesOf } from '../../harness/dtypes.mjs';
import { compile } from '../../harness/index.mjs';
import { NATIVE_COMMAND } from '../../harness/runners/native.mjs';
import { writeNpy } from '../../harness/writers/npy.mjs';
import { readCertificate } from '../../web/certificate.js';
import { load, Tensor } from '../../web/wasmai.js';
import { cli, FLOAT, folderFor, noCompiler, onnxFile } from './cli_support.mjs';

const skip = noCompiler;
const RUNTIME = new URL('../../build/wasm/runtime-simd.wasm', import.meta.url);

/** sum = x + s, over rows that are open; twice = 2 sum. */
const model = onnxFile({
  nodes: [
    ['Add', ['x', 's'], ['sum']],
    ['Add', ['sum', 'sum'], ['twice']],
  ],
  inputs: ['x', 's'].map((name) => [name, FLOAT, ['n', 2]]),
  outputs: ['twice', 'sum'].map((name) => [name, FLOAT, ['n', 2]]),
});
/** @type {Uint8Array} */
let bytes;
before(async () => {
  if (!skip) ({ bytes } = await compile(model, { dims: { n: '1..4' } }));
});

const rows = (...numbers) =>
  new Tensor('float32', new Float32Array(numbers), [numbers.length / 2, 2]);
const sha384 = (...parts) => {
  const hash = createHash('sha384');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};
const digestOf = ({ dtype, dims, data }) =>
  sha384(`wasm-ai tensor 1\n${dtype} ${dims.join(',')}\n`, bytesOf(data));

test('it says what was run, in one order of keys', { skip }, async () => {
  const session = await load(bytes);
  const [x, s] = [rows(1, 2, 3, 4), rows(10, 20, 30, 40)];
  const running = session.run({ x, s }, { receipt: true });
  x.data.fill(0); // of what was given
  const outputs = await running;
  const receipt = session.receipt(outputs);
  const { headSize } = readCertificate(bytes, 'package');
  assert.deepEqual(JSON.parse(JSON.stringify(receipt)), {
    receipt: 1,
    runtime: { variant: 'simd', sha384: sha384(readFileSync(RUNTIME)) },
    package: { head: Buffer.from(bytes.subarray(headSize - 48, headSize)).toString('hex') },
    inputs: [
      { name: 'x', dtype: 'float32', dims: [2, 2], sha384: digestOf(rows(1, 2, 3, 4)) },
      { name: 's', dtype: 'float32', dims: [2, 2], sha384: digestOf(s) },
    ],
    outputs: ['twice', 'sum'].map((name) => ({
      name,
      dtype: 'float32',
      dims: [2, 2],
      sha384: digestOf(outputs[name]),
    })),
    fuel: null,
  });
  assert.match(
    JSON.stringify(receipt),
    /^\{"receipt":1,"runtime":\{"variant":.*"package":.*"inputs":\[\{"name":"x","dtype":.*"dims":\[2,2\],"sha384":.*"outputs":.*"fuel":null\}$/,
  );
  assert.ok(Object.isFrozen(receipt) && Object.isFrozen(receipt.inputs[0].dims));
  assert.deepEqual(Object.keys(outputs), ['twice', 'sum'], 'outputs are outputs');
  await session.close();
});

test('a state has one digest as an output and as the next input; only what was asked for is in it', {
  skip,
}, async () => {
  const session = await load(bytes);
  const carry = { s: 'sum' };
  const asked = { carry, receipt: true };
  const a = session.receipt(await session.run({ x: rows(1, 2), s: rows(0, 0) }, asked));
  const b = session.receipt(await session.run({ x: rows(3, 4) }, { ...asked, outputs: ['twice'] }));
  const c = session.receipt(await session.run({ x: rows(5, 6) }, { receipt: true }));
  assert.equal(b.inputs[1].sha384, a.outputs[1].sha384);
  assert.deepEqual(
    b.outputs.map(({ name }) => name),
    ['twice'],
  );
  assert.equal(c.inputs[1].sha384, digestOf(rows(4, 6)));
  assert.equal(c.outputs[1].sha384, digestOf(rows(9, 12)));
  await session.close();
});

test('no receipt without asking, and none for other objects', { skip }, async () => {
  const session = await load(bytes);
  const feeds = { x: rows(1, 2), s: rows(0, 0) };
  const outputs = await session.run(feeds);
  for (const other of [outputs, { ...(await session.run(feeds, { receipt: true })) }])
    assert.throws(() => session.receipt(other), { code: 'ARGUMENT', message: /very object/ });
  await assert.rejects(session.run(feeds, { receipt: /** @type {any} */ (1) }), {
    code: 'ARGUMENT',
    where: 'receipt',
  });
  await session.close();
});

test('verify --receipt runs it again, and names what differs', { skip }, async (t) => {
  const folder = folderFor(t);
  const at = (file) => join(folder, file);
  const session = await load(bytes);
  const feeds = { x: rows(1, 2, 3, 4), s: rows(5, 6, 7, 8) };
  const receipt = session.receipt(await session.run(feeds, { receipt: true, outputs: ['sum'] }));
  await session.close();
  writeFileSync(at('m.wai'), bytes);
  for (const [name, tensor] of Object.entries(feeds))
    writeFileSync(at(`${name}.npy`), writeNpy(/** @type {any} */ (tensor)));
  const verify = (given, ...more) => {
    writeFileSync(at('r.json'), typeof given === 'string' ? given : JSON.stringify(given));
    const inputs = ['x', 's'].flatMap((name) => ['--input', `${name}=${at(`${name}.npy`)}`]);
    return cli('verify', '--receipt', at('r.json'), '--package', at('m.wai'), ...inputs, ...more);
  };
  const good = await verify(receipt);
  assert.deepEqual([good.code, good.err], [0, '']);
  assert.match(good.out, /inputs, package and outputs as it says, on node/);
  if (existsSync(NATIVE_COMMAND)) {
    const native = await verify(receipt, '--runner', 'native', '--json');
    assert.equal(native.code, 0, native.err);
    assert.deepEqual(JSON.parse(native.out).receipt, { runner: 'native', runtime: 'simd' });
  }

  const changed = (change) => {
    const copy = structuredClone(/** @type {any} */ (receipt));
    change(copy);
    return copy;
  };
  const other = '0'.repeat(96);
  /** @type {[any, RegExp][]} */
  const wrong = [
    [
      changed((r) => (r.outputs[0].sha384 = other)),
      /INTEGRITY: sum: this output is .* \(node\), .* 0{96}/,
    ],
    [changed((r) => (r.inputs[1].sha384 = other)), /INTEGRITY: s: this input is /],
    [changed((r) => (r.inputs[0].dims = [3, 2])), /x/],
    [changed((r) => (r.outputs[0].name = 'sun')), /sun/],
    [
      changed((r) => (r.package.head = other)),
      /INTEGRITY: .*m\.wai: the receipt is of another package/,
    ],
    [
      changed((r) => (r.receipt = 2)),
      /MALFORMED: .*r\.json: this is not a receipt of this release/,
    ],
    [changed((r) => (r.outputs = [{}])), /MALFORMED: .*incomplete/],
    [changed((r) => delete r.runtime), /MALFORMED: .*does not name its package and runtime/],
    ['{"receipt": ', /MALFORMED: .*not JSON/],
  ];
  for (const [given, message] of wrong) {
    const { code, err } = await verify(given);
    assert.equal(code, 1, JSON.stringify(given));
    assert.match(err, message);
  }
  const foreign = await verify(changed((r) => (r.runtime.sha384 = other)));
  assert.equal(foreign.code, 0);
  assert.match(foreign.err, /note: the receipt's runtime \(0+\) is none of this build's/);
  // Another input, which the receipt is not of.
  writeFileSync(at('x.npy'), writeNpy(/** @type {any} */ (rows(1, 2, 3, 5))));
  assert.match((await verify(receipt)).err, /INTEGRITY: x: this input is/);
});

test('verify says what is missing', { skip }, async (t) => {
  const folder = folderFor(t);
  writeFileSync(join(folder, 'm.wai'), bytes);
  assert.equal((await cli('verify', '--self-test')).code, 2);
  assert.equal((await cli('verify', join(folder, 'm.wai'))).code, 2);
  const { code, err } = await cli('verify', folder, '--self-test');
  assert.equal(code, 1);
  assert.match(err, /this is a folder; name one of its packages/);
});
