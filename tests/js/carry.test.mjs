// Carried state: a running sum and a swap on the shipped wasm, what is refused, and every runner.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { compile } from '../../harness/index.mjs';
import { openRunner } from '../../harness/runners/index.mjs';
import { writeNpy } from '../../harness/writers/npy.mjs';
import { load } from '../../web/wasmai.js';
import { cli, FLOAT, folderFor, noCompiler, onnxFile, RUNNERS } from './cli_support.mjs';

const skip = noCompiler;
const f = (...numbers) => new Float32Array(numbers);

/** sum = x + s, twice = 2 sum; and a, b come out as each other, which lie in each other's place. */
const model = onnxFile({
  nodes: [
    ['Add', ['x', 's'], ['sum']],
    ['Add', ['sum', 'sum'], ['twice']],
    ['Neg', ['b'], ['p']],
    ['Neg', ['a'], ['q']],
  ],
  inputs: ['x', 's', 'a', 'b'].map((name) => [name, FLOAT, [2]]),
  outputs: ['twice', 'sum', 'p', 'q'].map((name) => [name, FLOAT, [2]]),
});
const ALL = { s: 'sum', a: 'p', b: 'q' };
const first = { x: f(1, 10), s: f(0, 0), a: f(3, 4), b: f(5, 6) };
const next = { x: f(2, 20) };

/** @type {Uint8Array} */
let bytes;
before(async () => {
  if (!skip) ({ bytes } = await compile(model, { optimize: true }));
});

const numbers = (outputs) =>
  Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, [...data]]));

test('outputs become inputs of the next run, all at once', { skip }, async () => {
  const session = await load(bytes);
  await session.run(first, { carry: ALL });
  const second = await session.run(next, { carry: ALL });
  assert.deepEqual(numbers(second), { twice: [6, 60], sum: [3, 30], p: [3, 4], q: [5, 6] });
  const third = await session.run(next, { carry: ALL });
  assert.deepEqual(numbers(third), { twice: [10, 100], sum: [5, 50], p: [-5, -6], q: [-3, -4] });
  // Without waiting, in the order of asking.
  const runs = await Promise.all([1, 2, 3].map(() => session.run(next, { carry: ALL })));
  assert.deepEqual(
    runs.map(({ sum }) => sum.data[0]),
    [7, 9, 11],
  );
  await session.close();
});

test('what is fed takes the place of what was carried', { skip }, async () => {
  const session = await load(bytes);
  await session.run(first, { carry: ALL });
  const { sum, p } = await session.run({ ...next, s: f(100, 100) }, { carry: ALL });
  assert.deepEqual([...sum.data, ...p.data], [102, 120, 3, 4]);
  await session.close();
});

test('one output may go to several inputs', { skip }, async () => {
  const session = await load(bytes);
  await session.run(first, { carry: { s: 'sum', a: 'sum', b: 'sum' } });
  assert.deepEqual(numbers(await session.run(next)), {
    twice: [6, 60],
    sum: [3, 30],
    p: [-1, -10],
    q: [-1, -10],
  });
  await session.close();
});

test('outputs: only what was asked for comes back', { skip }, async () => {
  const session = await load(bytes);
  const some = await session.run(first, { carry: ALL, outputs: ['twice'] });
  assert.deepEqual(numbers(some), { twice: [2, 20] });
  assert.deepEqual({ ...(await session.run(next, { carry: ALL, outputs: [] })) }, {});
  const order = await session.run(next, { outputs: ['q', 'sum', 'q'] });
  assert.deepEqual(Object.keys(order), ['q', 'sum']);
  assert.deepEqual([...order.sum.data], [5, 50]);
  await session.close();
});

test('what is not carried is fed: said by name, and nothing is lost by it', { skip }, async () => {
  const session = await load(bytes);
  const nothing = { code: 'ARGUMENT', where: 's', message: /no run before carried anything/ };
  await assert.rejects(session.run(next, { carry: ALL }), nothing);
  await session.run(first, { carry: ALL });
  /** @type {[any, any, RegExp][]} */
  const mistakes = [
    [{ y: f(1, 2) }, {}, /no input of this name/],
    [{ x: f(1) }, {}, /1 elements instead of 2/],
    [next, { carry: { S: 'sum' } }, /did you mean "s"/],
    [next, { carry: { s: 'some' } }, /no output of this name; did you mean "sum"/],
    [next, { carry: ['s'] }, /must be an object/],
    [next, { outputs: ['som'] }, /did you mean "sum"/],
    [next, { outputs: 'sum' }, /must be an array/],
    [next, { carri: ALL }, /did you mean "carry"/],
  ];
  for (const [feeds, options, message] of mistakes) {
    await assert.rejects(session.run(feeds, options), { code: 'ARGUMENT', message });
  }
  const { sum } = await session.run(next); // carries nothing on
  assert.deepEqual([...sum.data], [3, 30]);
  await assert.rejects(session.run(next), nothing);
  await session.run(first, { carry: ALL });
  session.reset();
  await assert.rejects(session.run(next), nothing);
  await session.close();
  assert.throws(() => session.reset(), { code: 'STATE' });
});

test('dtype and dims must agree', { skip }, async () => {
  const wide = onnxFile({
    nodes: [
      ['Neg', ['x'], ['y']],
      ['Neg', ['w'], ['v']],
    ],
    inputs: [
      ['x', FLOAT, [2]],
      ['w', FLOAT, [1, 2]],
    ],
    outputs: [
      ['y', FLOAT, [2]],
      ['v', FLOAT, [1, 2]],
    ],
  });
  const session = await load((await compile(wide)).bytes);
  await assert.rejects(session.run({ x: f(1, 2), w: f(1, 2) }, { carry: { x: 'v' } }), {
    code: 'ARGUMENT',
    where: 'x',
    message: /it is float32 \[2\], but output "v" is float32 \[1, 2\]/,
  });
  await session.close();
});

for (const [name, missing] of Object.entries(RUNNERS)) {
  test(`${name} carries within a call and from call to call`, {
    skip: skip || missing,
  }, async () => {
    const runner = await openRunner(name, bytes);
    try {
      const tensors = (feeds) =>
        Object.fromEntries(
          Object.entries(feeds).map(([key, data]) => [key, { dtype: 'float32', dims: [2], data }]),
        );
      const a = await runner.run(tensors(first), { repeat: 3, carry: ALL });
      assert.deepEqual([...a.outputs.sum.data, ...a.outputs.p.data], [3, 30, -5, -6]);
      const b = await runner.run(tensors(next), { carry: ALL });
      assert.deepEqual([...b.outputs.sum.data, ...b.outputs.p.data], [5, 50, 3, 4]);
    } finally {
      await runner.close();
    }
  });

  test(`run --carry on ${name}`, { skip: skip || missing }, async (t) => {
    const folder = folderFor(t);
    const at = (file) => join(folder, file);
    writeFileSync(at('m.wai'), bytes);
    writeFileSync(at('x.npy'), writeNpy({ dtype: 'float32', dims: [2], data: f(1, 10) }));
    const inputs = ['x', 's', 'a', 'b'].flatMap((input) => [
      '--input',
      `${input}=${input === 'x' ? at('x.npy') : 'zeros'}`,
    ]);
    const argv = ['run', at('m.wai'), ...inputs, '--repeat', '4', '--runner', name, '--json'];
    const { code, out, err } = await cli(...argv, '--carry', 's=sum');
    assert.equal(code, 0, err);
    const { outputs } = JSON.parse(out);
    assert.equal(outputs.find((one) => one.name === 'sum').top[0].value, 40);
    const wrong = await cli(...argv, '--carry', 's=summ');
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /^error: ARGUMENT: --carry s=summ: write it as input=output/);
  });
}
