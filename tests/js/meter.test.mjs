// The meter on modules made for it: what is charged, what stops, what is refused. The oracle is the
// same module with every instruction charged by itself, without any analysis.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import wabt from 'wabt';
import { MAX_DEPTH, MeterError, meter } from '../../harness/toolchain/meter/index.mjs';
import { tripsOf } from '../../harness/toolchain/meter/loops.mjs';
import { limitMemory } from '../../harness/toolchain/meter/memory.mjs';
import { endlessLoops } from './meter_loops.mjs';

const tools = await wabt();
const ENDLESS = 2n ** 62n;
const TOO_DEEP = -(2n ** 63n);

/** @param {string} text */
function assemble(text) {
  const module = tools.parseWat('test.wat', text, { bulk_memory: true, tail_call: true });
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

/** @param {Uint8Array<ArrayBuffer>} bytes @returns {any} */
const start = (bytes) => new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;

/** One call under a budget. @param {any} wasm @param {bigint} budget @param {...any} args */
function call(wasm, budget, ...args) {
  wasm.wai_fuel_set(budget);
  let result;
  /** @type {any} */
  let trap = null;
  try {
    result = wasm.f(...args);
  } catch (error) {
    trap = error;
  }
  return { result, trap, used: budget - wasm.wai_fuel_get() };
}

/** @param {string} text */
const both = (text) => {
  const bytes = assemble(text);
  const made = meter(bytes);
  return {
    ...made,
    metered: start(made.bytes),
    oracle: start(meter(bytes, { oracle: true }).bytes),
  };
};

test('a module keeps what it was, and gets two exports', () => {
  const { metered } = both(`(module (memory (export "memory") 1)
    (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 7))))`);
  assert.deepEqual(Object.keys(metered).sort(), ['f', 'memory', 'wai_fuel_get', 'wai_fuel_set']);
  assert.equal(call(metered, 100n, 6).result, 42);
});

test('the same bytes come out every time', () => {
  const bytes = assemble('(module (func (export "f") (loop (br 0))))');
  assert.deepEqual(meter(bytes).bytes, meter(bytes).bytes);
});

test('nothing runs before a budget is set', () => {
  const { metered } = both('(module (func (export "f")))');
  assert.throws(() => metered.f(), WebAssembly.RuntimeError);
  assert.equal(call(metered, 1n).trap, null);
  assert.ok(call(metered, 0n).trap);
});

for (const [name, text] of Object.entries(endlessLoops)) {
  test(`endless: ${name} stops at the same count again`, () => {
    const { metered } = both(text);
    for (const budget of [0n, 1n, 1000n, 123457n]) {
      const { trap, used } = call(metered, budget);
      assert.ok(trap instanceof WebAssembly.RuntimeError);
      assert.ok(metered.wai_fuel_get() < 0n, 'the counter tells why');
      assert.ok(used > budget);
      assert.equal(call(metered, budget).used, used, 'the same count again');
    }
  });
}

/** A loop that counts its turns and would end by itself. */
const countingLoop = ({ form, type, step }) => `(module
  (func (export "f") (param $i i32) (param $n i32) (result i32) (local $turns i32)
    ${
      form === 'tail'
        ? `(loop $again
            (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
            (br_if $again (i32.${type}
              (local.tee $i (i32.add (local.get $i) (i32.const ${step}))) (local.get $n))))`
        : `(block $out (loop $again
            (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
            (br_if $out (i32.eqz (i32.${type} (local.get $i) (local.get $n))))
            (local.set $i (i32.sub (local.get $i) (i32.const ${-step})))
            (br $again)))`
    }
    (local.get $turns)))`;
const EDGES = [
  0, 1, 2, 3, 8, 12, 36, 120, 0x7ffffff8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff,
];
const BUDGET = 2n ** 17n;

for (const form of ['tail', 'head']) {
  for (const step of [1, 4, 12, 3, -1, -4, -12, -3]) {
    for (const type of ['ne', ...(step > 0 ? ['lt', 'le'] : ['gt', 'ge'])].flatMap((kind) =>
      kind === 'ne' ? [kind] : [`${kind}_s`, `${kind}_u`],
    )) {
      test(`counted loop, ${form}, ${type} by ${step}: charged for what it does`, () => {
        const { metered, oracle, stats } = both(countingLoop({ form, type, step }));
        assert.equal(stats.counted, 1);
        const [compare, how] = type.split('_');
        const counted = { compare: /** @type {any} */ (compare), signed: how === 's', step };
        let ended = 0;
        for (const i of EDGES)
          for (const n of EDGES.flatMap((edge) => [edge, edge + 1, edge - 5])) {
            const first = form === 'tail' ? i + step : i;
            const trips = tripsOf(counted, first | 0, n | 0);
            const real = call(oracle, BUDGET, i, n);
            const bound = call(metered, BUDGET, i, n);
            if (bound.trap === null) {
              ended++;
              assert.equal(real.trap, null, `${i} ${n}: the bound is a bound`);
              assert.equal(bound.result, real.result);
              assert.equal(bound.result, trips, `${i} ${n}`);
              assert.ok(bound.used >= real.used && bound.used <= real.used + 20n);
            } else if (real.trap === null) {
              // Only those that come to their end by wrapping, or for nearly the whole budget.
              assert.ok(
                trips === Infinity || bound.used < (BUDGET * 5n) / 4n,
                `${i} ${n}: ${trips}`,
              );
            } else if (trips === Infinity) assert.ok(bound.used >= ENDLESS);
          }
        assert.ok(ended > 8, `${ended} ended`);
      });
    }
  }
}

test('loops that have another way out, or change their bound, are charged as they go', () => {
  const loops = {
    'early exit': `(br_if $out (i32.load8_u (local.get $i)))`,
    'a second step': `(if (i32.load8_u (local.get $i)) (then (local.set $i (i32.const 0))))`,
    'a bound that moves': `(local.set $n (i32.sub (local.get $n) (i32.const 2)))`,
    'a way back': `(br_if $again (i32.load8_u (local.get $i)))`,
    'a return': `(if (i32.load8_u (local.get $i)) (then (return)))`,
  };
  for (const [name, inside] of Object.entries(loops)) {
    const { metered, stats } = both(`(module (memory 1)
      (func (export "f") (param $i i32) (param $n i32)
        (block $out (loop $again ${inside}
          (br_if $again (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))))`);
    assert.equal(stats.each, 1, name);
    assert.ok(call(metered, 10n ** 6n, 0, 12).used < 10n ** 6n, name);
  }
});

test('a constant loop is a part of what is around it', () => {
  const { metered, oracle, stats } = both(`(module (func (export "f") (result i32)
    (local $i i32) (local $sum i32)
    (loop $again (local.set $sum (i32.add (local.get $sum) (local.get $i)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
    (local.get $sum)))`);
  assert.equal(stats.folded, 1);
  const bound = call(metered, 1000n);
  assert.equal(bound.result, 45);
  assert.equal(bound.used, call(oracle, 1000n).used);
});

test('bulk memory is charged by its length before it is done', () => {
  const { metered } = both(`(module (memory 16 32) (data $d "12345678")
    (func (export "f") (param $what i32) (param $size i32) (result i32)
      (block $grow (block $fill (block $copy (br_table $copy $fill $grow (local.get $what)))
        (memory.copy (i32.const 0) (i32.const 8) (local.get $size)) (return (i32.const 0)))
        (memory.fill (i32.const 0) (i32.const 1) (local.get $size)) (return (i32.load8_u (i32.const 0))))
      (memory.grow (local.get $size))))`);
  for (const what of [0, 1]) {
    const little = call(metered, 10n ** 6n, what, 0).used;
    assert.equal(call(metered, 10n ** 6n, what, 800000).used - little, 100000n);
  }
  assert.ok(call(metered, 1000n, 1, 800000).trap);
  assert.equal(call(metered, 1000n, 0, 0).result, 0, 'and nothing was filled');
  const none = call(metered, 10n ** 6n, 2, 0).used;
  assert.equal(call(metered, 10n ** 6n, 2, 2).used - none, 2n * 8192n);
});

test('calls nest to a limit that is the same everywhere, and say so', () => {
  const recursions = {
    direct: `(func $f (export "f") (param i32) (result i32)
      (if (result i32) (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 5))))`,
    'by a table': `(type $t (func (param i32) (result i32))) (table funcref (elem $f))
      (func $f (export "f") (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 5))))
        (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))`,
    mutual: `(func $g (param i32) (result i32) (call $f (local.get 0)))
      (func $f (export "f") (param i32) (result i32)
        (br_if 0 (i32.const 5) (i32.eqz (local.get 0))) (drop)
        (call $g (i32.sub (local.get 0) (i32.const 1))))`,
  };
  for (const [name, text] of Object.entries(recursions)) {
    const { metered, stats } = both(`(module ${text})`);
    assert.ok(stats.recursive > 0, name);
    assert.equal(call(metered, 10n ** 6n, 50).result, 5, name);
    assert.equal(call(metered, 10n ** 6n, 50).result, 5, `${name}: depth is given back`);
    const deep = call(metered, 10n ** 6n, MAX_DEPTH + 1);
    assert.ok(deep.trap instanceof WebAssembly.RuntimeError, name);
    assert.equal(metered.wai_fuel_get(), TOO_DEEP, name);
    assert.equal(call(metered, 10n ** 6n, 50).result, 5, `${name}: and a new budget a new depth`);
  }
});

test('a counter in a local is right in what is called and after any way out', () => {
  const { metered, oracle } = both(`(module (memory 1)
    (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "f") (param $n i32) (result i32) (local $i i32)
      (loop $again
        (br_if 1 (i32.const -1) (i32.load8_u (local.get $i))) (drop)
        (if (i32.gt_u (local.get $i) (i32.const 70)) (then (return (call $leaf (local.get $i)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.ne (i32.mul (local.get $i) (local.get $i)) (local.get $n))))
      (call $leaf (local.get $i))))`);
  for (const n of [4, 100, 3]) {
    const bound = call(metered, 10n ** 6n, n);
    const real = call(oracle, 10n ** 6n, n);
    assert.equal(bound.result, real.result);
    assert.ok(bound.used >= real.used && bound.used < real.used * 3n, `${bound.used} ${real.used}`);
  }
});

/** Programs by chance, which end or do not. @param {() => number} random */
function program(random) {
  const pick = (/** @type {any[]} */ list) => list[Math.floor(random() * list.length)];
  const local = () => `(local.get ${pick([0, 1, 2, 3])})`;
  const value = () =>
    pick([local, local, () => `(i32.const ${pick([0, 1, 2, 3, 5, 8, -1, 16])})`])();
  const compare = () =>
    `(i32.${pick(['ne', 'lt_s', 'lt_u', 'gt_s', 'gt_u', 'le_u', 'ge_s', 'eq'])} ${value()} ${value()})`;
  const step = () =>
    `(i32.${pick(['add', 'sub'])} ${local()} (i32.const ${pick([1, 1, 2, 4, -1])}))`;
  const set = () => `(local.set ${pick([0, 1, 2, 3])} ${pick([step, step, value, compare])()})`;
  const way = (depth) => `(br_if ${Math.floor(random() * (depth + 1))} ${compare()})`;
  /** @type {(room: number, depth: number) => string} */
  const list = (room, depth) =>
    Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
      const kind = random();
      if (room <= 0 || kind < 0.4) return set();
      if (kind < 0.5) return way(depth);
      if (kind < 0.55) return `(if ${compare()} (then (return ${local()})))`;
      if (kind < 0.65) return `(block ${list(room - 1, depth + 1)})`;
      if (kind < 0.75)
        return `(if ${compare()} (then ${list(room - 1, depth + 1)}) (else ${list(room - 1, depth + 1)}))`;
      if (kind < 0.8) return `(call $g ${value()})(local.set 0)`;
      const one = pick([0, 1, 2, 3]);
      const by = `(i32.add (local.get ${one}) (i32.const ${pick([1, 2, -1, 4])}))`;
      const tail = pick([
        `(br_if 0 (i32.${pick(['ne', 'lt_u', 'gt_s', 'le_s'])} (local.tee ${one} ${by}) ${value()}))`,
        `(local.set ${one} ${by}) ${way(depth + 1)} (br 0)`,
      ]);
      return `(loop ${list(room - 1, depth + 1)} ${tail})`;
    }).join(' ');
  return `(module (func $g (param i32) (result i32) (local i32 i32 i32)
      (block ${list(2, 0).replaceAll('(call $g', '(i32.clz')}) (local.get 1))
    (func (export "f") (param i32 i32) (result i32) (local i32 i32)
      (block ${list(4, 0)}) (local.get 2)))`;
}

test('random programs: the answer is the same, and no instruction is free', () => {
  let seed = 20261122;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return (seed >>> 0) / 2 ** 32;
  };
  let ended = 0;
  let counted = 0;
  for (let i = 0; i < 1500; i++) {
    const text = program(random);
    const { metered, oracle, stats } = both(text);
    counted += stats.counted + stats.folded;
    for (const args of [
      [0, 9],
      [17, 3],
      [-5, 12],
    ]) {
      const budget = 50000n;
      const bound = call(metered, budget, ...args);
      const real = call(oracle, budget, ...args);
      if (bound.trap) assert.ok(metered.wai_fuel_get() < 0n, text);
      else {
        ended++;
        assert.equal(real.trap, null, `out of the bound: ${args}\n${text}`);
        assert.equal(bound.result, real.result, text);
        assert.ok(bound.used >= real.used, `${bound.used} < ${real.used}: ${args}\n${text}`);
      }
    }
  }
  assert.ok(ended > 1000 && counted > 300, `${ended} ended, ${counted} counted`);
});

test('a module gets another maximum of memory, and nothing else changes', () => {
  for (const limits of ['1', '1 65536', '200 65536']) {
    const bytes = assemble(
      `(module (memory (export "memory") ${limits}) (data (i32.const 3) "abc") (func (export "f")))`,
    );
    const limited = limitMemory(bytes, 1000);
    const [before, after] = [bytes, limited].map((module) => /** @type {any} */ (start(module)));
    assert.deepEqual(Object.keys(after), Object.keys(before));
    assert.deepEqual(after.memory.buffer, before.memory.buffer);
    const size = after.memory.buffer.byteLength / 65536;
    assert.equal(after.memory.grow(1000 - size), size);
    assert.throws(() => after.memory.grow(1), RangeError);
    assert.deepEqual(limitMemory(limited, 1000), limited);
  }
  for (const text of ['(module)', '(module (memory 1001))', '(module (import "e" "m" (memory 1)))'])
    assert.throws(() => limitMemory(assemble(text), 1000), MeterError);
});

test('what the meter does not know is refused by name', () => {
  const bytes = assemble('(module (func (export "f")))');
  /** @param {number[]} section */
  const more = (...section) => new Uint8Array([...bytes, ...section]);
  /** @type {[Uint8Array, RegExp][]} */
  const refused = [
    [new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 99]), /does not validate/],
    [bytes.subarray(0, bytes.length - 1), /does not validate/],
    [more(0, 5, 4, 110, 97, 109, 101), /custom section "name"/],
    [assemble('(module (import "env" "f" (func)))'), /import env\.f/],
    [assemble('(module (func $f (return_call $f)))'), /opcode 0x12 is not known/],
    [assemble('(module (table (export "t") 1 funcref))'), /export "t": a table/],
    [assemble('(module (global (export "g") (mut i32) (i32.const 0)))'), /export "g": a global/],
    [assemble('(module (func (export "wai_fuel_set")))'), /metered already/],
    [
      assemble(
        `(module (table 2 funcref) (func (table.copy (i32.const 0) (i32.const 0) (i32.const 1))))`,
      ),
      /opcode 0xfc 14 is not known|opcode 0xfc0e is not known/,
    ],
    [meter(bytes).bytes, /metered already|export/],
  ];
  for (const [module, why] of refused) assert.throws(() => meter(module), why);
});
