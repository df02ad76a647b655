// A runtime that was taken over, and lies to the loader about everything it says: pointers, sizes, dims,
// names, counts, status, fuel, types of its exports. Each lie is a named error or a harmless wrong answer.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import wabt from 'wabt';
import { PAGE_SIZE } from '../../web/certificate.js';
import { openEngine } from '../../web/engine.js';
import { WasmAIError } from '../../web/errors.js';
import { answersToOutputs, checkSlots, feedsToBuffers } from '../../web/tensors.js';

const PAGES = 2;
const [IO, DIAG, NAMES, X, Y] = [1024, 2048, 4096, 8192, 8320];
/** Words of the io table: three, then thirty per slot. */
const WORDS = 63;
const [NAME, NAME_SIZE, DTYPE, RANK, DIMS, DATA, SIZE, LEAST, SYMBOLS] = [
  0, 1, 2, 3, 4, 12, 13, 14, 22,
];
const slotX = (/** @type {number} */ field) => 3 + field;
const slotY = (/** @type {number} */ field) => 33 + field;
const HUGE = 0xffffffff;

/** Float32 [1,4], x and y. */
function honestTable() {
  const words = new Uint32Array(WORDS + 1);
  words.set([2, 1, 1]);
  for (const [at, name, data] of [
    [3, NAMES, X],
    [33, NAMES + 2, Y],
  ]) {
    words.set([name, 1, 1, 2, 1, 4], at);
    words.set([data, 16], at + DATA);
    words.set([1, 4], at + LEAST);
  }
  return words;
}

/** What the engine opens: the tables that the runtime below shows at open and behind a run, and its answers.
 * @param {{ opened?: Record<number, number>, ran?: Record<number, number>, status?: number[] }} lies */
function packWith({ opened = {}, ran = {}, status = [0, 0] }) {
  const pack = new Uint8Array(1024);
  const words = new Uint32Array(pack.buffer);
  const tables = [honestTable(), honestTable()];
  for (const [at, value] of Object.entries(opened)) for (const t of tables) t[Number(at)] = value;
  for (const [at, value] of Object.entries(ran)) tables[1][Number(at)] = value;
  words.set(tables[0], 0);
  words.set(tables[1], 64);
  words.set(status, 128);
  return pack;
}

const EXPORTS = {
  wai_glue_alloc: '(param i32) (result i32) i32.const 16384',
  wai_glue_open: `(param i32 i32) (result i32)
    (memory.copy (i32.const ${IO}) (local.get 0) (i32.const 256)) (i32.load offset=512 (local.get 0))`,
  wai_glue_io: `(result i32) i32.const ${IO}`,
  wai_glue_run: `(result i32)
    (memory.copy (i32.const ${IO}) (i32.const ${16384 + 256}) (i32.const 256))
    (i32.load offset=516 (i32.const 16384))`,
  wai_glue_carry: '(result i32) i32.const 0',
  wai_glue_diag: `(result i32) i32.const ${DIAG}`,
  wai_glue_memory: '(result i32) i32.const 65536',
  wai_glue_harden: '(param i32 i32 i32) (result i32) i32.const 0',
  wai_glue_wipe: '(result i32) i32.const 0',
  wai_fuel_get: '(result i64) i64.const 1000',
  wai_fuel_set: '(param i64)',
};

let tools;
before(async () => {
  tools = await wabt();
});

/** @param {Partial<Record<keyof typeof EXPORTS, string | null>>} [other] bodies; null: not there
 * @param {string} [more] */
function runtimeWith(other = {}, more = '') {
  const functions = Object.entries({ ...EXPORTS, ...other })
    .filter(([, body]) => body !== null)
    .map(([name, body]) => `(func (export "${name}") ${body})`);
  const wat = `(module (import "env" "memory" (memory 1 65536)) (data (i32.const ${NAMES}) "x\\00y\\00")
    (data (i32.const ${DIAG + 8}) "\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff" "where") (data (i32.const ${DIAG + 144}) "why it failed")
    ${functions.join('\n')} ${more})`;
  const module = tools.parseWat('hostile.wat', wat);
  return module.toBinary({}).buffer;
}

/**
 * Open and run as a runner does: the code of the error, or null and the outputs. Whatever the runtime
 * says, it may end in nothing else.
 * @param {Uint8Array} runtime @param {Uint8Array} pack @param {{ carry?: boolean }} [how]
 */
function outcome(runtime, pack, { carry = false } = {}) {
  const { Memory } = WebAssembly;
  /** @type {WebAssembly.Memory[]} */
  const memories = [];
  WebAssembly.Memory = /** @type {any} */ (
    function make(/** @type {any} */ how) {
      memories.push(new Memory(how));
      return memories[0];
    }
  );
  try {
    const hardening = { weightsEvery: 1 };
    const engine = openEngine({ runtime, pack, pages: PAGES, hardening });
    const inputs = checkSlots(engine.inputs, 'hostile');
    const outputs = checkSlots(engine.outputs, 'hostile');
    const named = inputs.map(({ name, dims }) => {
      const count = dims.reduce((a, b) => a * b, 1);
      return [name, new Float32Array(count > 4096 ? 0 : count).fill(7)];
    });
    const feeds = feedsToBuffers(inputs, Object.fromEntries(named), new Set(), () => {});
    const wanted = [...outputs.keys()];
    const pairs = /** @type {[number, number][]} */ (carry ? [[0, 0]] : []);
    const answers = engine.run({ feeds, wanted, carry: pairs, fuel: 1e6 });
    const tensors = answersToOutputs(outputs, answers);
    const used = engine.fuel();
    assert.ok(used === null || Number.isSafeInteger(used), `fuel ${used}`);
    const bytes = engine.memoryBytes();
    assert.ok(bytes >= 0 && bytes <= PAGES * PAGE_SIZE);
    for (const { data } of Object.values(tensors)) {
      assert.notEqual(data.buffer, memories[0].buffer);
      assert.ok(data.byteLength <= PAGES * PAGE_SIZE);
    }
    return { code: null, message: '', tensors };
  } catch (error) {
    assert.ok(error instanceof WasmAIError, error?.stack);
    assert.ok(error.message.length > 10 && error.where.length > 0);
    return { code: error.code, message: error.message, tensors: /** @type {any} */ ({}) };
  } finally {
    WebAssembly.Memory = Memory;
    assert.ok(memories.every(({ buffer }) => buffer.byteLength <= PAGES * PAGE_SIZE));
  }
}

test('the honest one answers, so that what follows is about the lies', () => {
  for (const carry of [false, true]) {
    const { code, tensors } = outcome(runtimeWith(), packWith({}), { carry });
    assert.equal(code, null);
    assert.deepEqual([...tensors.y.dims], [1, 4]);
  }
});

test('lies in the table of tensors', () => {
  /** @type {[string, Record<number, number>, string][]} */
  const lies = [
    ['another layout', { 0: 1 }, 'UNSUPPORTED'],
    ['a layout of ones', { 0: HUGE }, 'UNSUPPORTED'],
    ['4 billion inputs', { 1: HUGE }, 'LIMIT'],
    ['one output too many', { 2: 1025 }, 'LIMIT'],
    ['more outputs than there are, of bytes that happen to lie there', { 2: 1024 }, 'INTERNAL'],
    ['a name outside memory', { [slotX(NAME)]: HUGE }, 'INTERNAL'],
    [
      'a name that ends outside',
      { [slotX(NAME)]: PAGES * PAGE_SIZE - 1, [slotX(NAME_SIZE)]: 2 },
      'INTERNAL',
    ],
    ['a long name', { [slotX(NAME_SIZE)]: 1025 }, 'LIMIT'],
    ['a name of 4 GiB', { [slotX(NAME_SIZE)]: HUGE }, 'LIMIT'],
    ['no dtype', { [slotX(DTYPE)]: 0 }, 'INTERNAL'],
    ['an unknown dtype', { [slotY(DTYPE)]: 20 }, 'INTERNAL'],
    ['a dtype of ones', { [slotY(DTYPE)]: HUGE }, 'INTERNAL'],
    ['rank 9', { [slotX(RANK)]: 9 }, 'INTERNAL'],
    ['rank of ones', { [slotX(RANK)]: HUGE }, 'INTERNAL'],
    ['a dim that the size does not have', { [slotX(DIMS)]: 2 }, 'INTERNAL'],
    [
      'dims whose product wraps to the size',
      { [slotX(DIMS)]: 0x40000001, [slotX(DIMS) + 1]: 4 },
      'INTERNAL',
    ],
    ['data outside memory', { [slotY(DATA)]: HUGE }, 'INTERNAL'],
    ['data that ends outside', { [slotY(DATA)]: PAGES * PAGE_SIZE - 15 }, 'INTERNAL'],
    ['data whose end wraps', { [slotX(DATA)]: 0xfffffff8 }, 'INTERNAL'],
    [
      'a size of 4 GiB',
      { [slotY(SIZE)]: HUGE, [slotY(DIMS)]: 0x3fffffff, [slotY(DIMS) + 1]: 1 },
      'INTERNAL',
    ],
    [
      'a size that memory has not',
      { [slotX(SIZE)]: PAGES * PAGE_SIZE + 16, [slotX(DIMS) + 1]: (PAGES * PAGE_SIZE) / 4 + 4 },
      'INTERNAL',
    ],
    ['a symbol outside memory', { [slotX(SYMBOLS)]: HUGE }, 'INTERNAL'],
    ['a range upside down', { [slotX(SYMBOLS)]: NAMES, [slotX(LEAST)]: 9 }, 'INTERNAL'],
  ];
  for (const [name, opened, code] of lies)
    assert.equal(outcome(runtimeWith(), packWith({ opened })).code, code, name);
});

test('lies behind the run', () => {
  /** @type {[string, Record<number, number>, string | null][]} */
  const lies = [
    ['an output that has grown', { [slotY(DIMS) + 1]: 5 }, 'INTERNAL'],
    ['dims of ones', { [slotY(DIMS)]: HUGE, [slotY(DIMS) + 1]: HUGE }, 'INTERNAL'],
    ['dims whose product wraps', { [slotY(DIMS)]: 0x40000001, [slotY(DIMS) + 1]: 4 }, 'INTERNAL'],
    ['an output that is smaller, where none may be', { [slotY(DIMS) + 1]: 3 }, 'INTERNAL'],
    ['another pointer: the one of open holds', { [slotY(DATA)]: HUGE }, null],
    ['another size: the one of open holds', { [slotY(SIZE)]: HUGE }, null],
    [
      'another name, rank and dtype: those of open hold',
      { [slotY(NAME)]: 0, [slotY(RANK)]: HUGE, [slotY(DTYPE)]: 99 },
      null,
    ],
    ['another count', { 2: 1024 }, null],
  ];
  for (const [name, ran, code] of lies) {
    const seen = outcome(runtimeWith(), packWith({ ran }));
    assert.equal(seen.code, code, name);
    if (code === null) assert.deepEqual([...seen.tensors.y.dims], [1, 4], name);
  }
  // Two answers that are wrong and do no harm: one tensor is another, or lies on the table itself.
  for (const data of [X, IO, 0, 16384])
    assert.equal(
      outcome(runtimeWith(), packWith({ opened: { [slotX(DATA)]: data } })).code !== 'TRAP',
      true,
    );
});

test('names: two that are one, no text, and what JavaScript has a meaning for', () => {
  const twice = packWith({ opened: { 1: 2, 2: 0 } });
  assert.equal(outcome(runtimeWith(), twice).code, null, 'x and y, both inputs');
  const same = packWith({ opened: { 1: 2, 2: 0, [slotY(NAME)]: NAMES } });
  assert.equal(outcome(runtimeWith(), same).code, 'INTERNAL');
  for (const name of ['__proto__', 'constructor', 'toString', '\u0000', '\ud800']) {
    const bytes = new TextEncoder().encode(name);
    const hex = [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
    const runtime = runtimeWith({}, `(data (i32.const 5000) "${hex}")`);
    const opened = { [slotY(NAME)]: 5000, [slotY(NAME_SIZE)]: bytes.length };
    const { code, tensors } = outcome(runtime, packWith({ opened }));
    assert.equal(code, null, name);
    assert.equal(Object.getPrototypeOf(tensors), null);
    assert.equal(Object.keys(tensors).length, 1);
    assert.equal(/** @type {any} */ ({}).dims, undefined);
  }
});

test('every word of the table, with every value that could matter, at open and behind the run', () => {
  const runtime = runtimeWith();
  const values = [
    0,
    1,
    2,
    3,
    8,
    9,
    16,
    255,
    1023,
    1024,
    1025,
    0x10000,
    0x1fff0,
    0x20000,
    0x3fffffff,
    0x40000000,
    0x7fffffff,
    0x80000000,
    0x7fc00000,
    0xfffffff0,
    0xfffffffc,
    HUGE,
  ];
  const codes = new Map();
  for (let at = 0; at < WORDS; at++)
    for (const value of values)
      for (const when of ['opened', 'ran']) {
        const { code } = outcome(runtime, packWith({ [when]: { [at]: value } }));
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
  assert.deepEqual(
    [...codes.keys()].sort(),
    ['ARGUMENT', 'INTERNAL', 'LIMIT', 'UNSUPPORTED', null].sort(),
  );
});

test('every status is an error with a code, and the session is asked nothing more', () => {
  for (const status of [1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 0x7fffffff, 0x80000000, HUGE])
    for (const at of [0, 1]) {
      const pair = [0, 0];
      pair[at] = status;
      const { code, message } = outcome(runtimeWith(), packWith({ status: pair }));
      assert.ok(code && /^[A-Z]+$/.test(code), `status ${status}`);
      assert.match(message, /why/);
    }
});

test('lies of the functions themselves', () => {
  const trap = 'unreachable';
  /** @type {[string, Parameters<typeof runtimeWith>[0], string | null][]} */
  const lies = [
    ['no memory', { wai_glue_alloc: '(param i32) (result i32) i32.const 0' }, 'MALFORMED'],
    [
      'a package outside memory',
      { wai_glue_alloc: '(param i32) (result i32) i32.const -1' },
      'INTERNAL',
    ],
    [
      'a package that ends outside',
      { wai_glue_alloc: `(param i32) (result i32) i32.const ${PAGES * PAGE_SIZE - 1023}` },
      'INTERNAL',
    ],
    ['a table outside memory', { wai_glue_io: '(result i32) i32.const -4' }, 'INTERNAL'],
    [
      'a table that ends outside',
      { wai_glue_io: `(result i32) i32.const ${PAGES * PAGE_SIZE - 4}` },
      'UNSUPPORTED',
    ],
    ['no table', { wai_glue_io: '(result i32) i32.const 0' }, 'UNSUPPORTED'],
    ['more memory than there is', { wai_glue_memory: '(result i32) i32.const -1' }, null],
    ['an answer of NaN', { wai_glue_memory: '(result f64) f64.const nan' }, null],
    ['an answer of infinity', { wai_glue_memory: '(result f64) f64.const inf' }, null],
    ['an answer below zero', { wai_glue_memory: '(result f64) f64.const -1e300' }, null],
    ['an answer of 64 bits', { wai_glue_io: `(result i64) i64.const ${IO}` }, 'TRAP'],
    ['an answer of 64 bits behind the run', { wai_glue_run: '(result i64) i64.const 1' }, 'TRAP'],
    ['a status that is NaN', { wai_glue_run: '(result f32) f32.const nan' }, null],
    ['no answer', { wai_glue_run: '' }, null],
    ['two answers', { wai_glue_run: '(result i32 i32) i32.const 0 i32.const 0' }, null],
    ['other arguments', { wai_glue_open: '(param i64 i64) (result i32) i32.const 0' }, 'TRAP'],
    ['a reference', { wai_glue_io: '(result externref) ref.null extern' }, 'UNSUPPORTED'],
    ['a missing function', { wai_glue_run: null }, 'MALFORMED'],
    [
      'hardening refused',
      { wai_glue_harden: '(param i32 i32 i32) (result i32) i32.const 4' },
      'UNSUPPORTED',
    ],
    ['no hardening', { wai_glue_harden: null }, 'UNSUPPORTED'],
    ['no wiping', { wai_glue_wipe: null }, 'TRAP'],
    ['a failed wipe', { wai_glue_wipe: '(result i32) i32.const 7' }, 'INTEGRITY'],
    ['half a meter', { wai_fuel_get: null }, null],
    ['fuel of 32 bits', { wai_fuel_get: '(result i32) i32.const -5' }, null],
    ['fuel that is NaN', { wai_fuel_get: '(result f64) f64.const nan' }, null],
    [
      'more fuel than was given',
      { wai_fuel_get: '(result i64) i64.const 0x7fffffffffffffff' },
      null,
    ],
    ['fuel that takes no 64 bits', { wai_fuel_set: '(param i32)' }, 'TRAP'],
    ['a meter that traps', { wai_fuel_set: `(param i64) ${trap}` }, 'TRAP'],
    ['a meter that traps when it is read', { wai_fuel_get: `(result i64) ${trap}` }, null],
    [
      'a trap, and fuel that is no number',
      { wai_glue_run: trap, wai_fuel_get: '(result f64) f64.const nan' },
      'TRAP',
    ],
    [
      'a trap, and a meter that traps too',
      { wai_glue_run: trap, wai_fuel_get: `(result i64) ${trap}` },
      'TRAP',
    ],
    [
      'a trap, and fuel below zero of 32 bits',
      { wai_glue_run: trap, wai_fuel_get: '(result i32) i32.const -1' },
      'TRAP',
    ],
    [
      'more memory asked for',
      {
        wai_glue_run:
          '(result i32) (drop (memory.grow (i32.const 1))) (memory.size) (i32.sub (i32.const 2))',
      },
      null,
    ],
  ];
  for (const name of Object.keys(EXPORTS).filter((one) => one.startsWith('wai_glue_'))) {
    if (name === 'wai_glue_carry') continue;
    const signature = /^(\((param|result)[^)]*\) *)*/.exec(EXPORTS[name])?.[0] ?? '';
    // The diagnosis is asked for only when something else has failed.
    lies.push([
      `${name} traps`,
      { [name]: signature + trap },
      name === 'wai_glue_diag' ? null : 'TRAP',
    ]);
  }
  for (const [name, other, code] of lies)
    assert.equal(outcome(runtimeWith(other), packWith({})).code, code, name);
  const failing = packWith({ status: [0, 8] });
  for (const [body, code] of [
    ['(result i32) i32.const -1', 'INTERNAL'],
    [`(result i32) i32.const ${PAGES * PAGE_SIZE - 399}`, 'INTERNAL'],
    ['(result i32) i32.const 0', 'INTERNAL'],
    [`(result i32) ${trap}`, 'TRAP'],
  ])
    assert.equal(outcome(runtimeWith({ wai_glue_diag: body }), failing).code, code, body);
});

test('exports that are no functions, and more imports than memory', () => {
  const global = '(global (export "wai_fuel_set") i32 (i32.const 1))';
  assert.equal(outcome(runtimeWith({ wai_fuel_set: null }, global), packWith({})).code, null);
  const table = '(table (export "wai_glue_run") 1 funcref)';
  assert.equal(outcome(runtimeWith({ wai_glue_run: null }, table), packWith({})).code, 'MALFORMED');
  const wat = '(module (import "env" "memory" (memory 1)) (import "env" "fetch" (func)))';
  const importing = tools.parseWat('importing.wat', wat).toBinary({}).buffer;
  assert.equal(outcome(importing, packWith({})).code, 'INTEGRITY');
  const grows = runtimeWith({}, '(func $up (drop (memory.grow (i32.const 60000)))) (start $up)');
  assert.equal(outcome(grows, packWith({})).code, null);
});
