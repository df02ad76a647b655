// The stack of the shipped runtimes: it lies below everything else and grows down, so that one that
// overflows traps before it reaches a byte; and nothing in the runtime calls itself.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compile } from '../../harness/index.mjs';
import { allowRelaxedSimd } from '../../harness/runtimes.mjs';
import { readBody } from '../../harness/toolchain/meter/body.mjs';
import { Reader } from '../../harness/toolchain/meter/bytes.mjs';
import { everyNode } from '../../harness/toolchain/meter/calls.mjs';
import { readModule } from '../../harness/toolchain/meter/module.mjs';
import { CALL } from '../../harness/toolchain/meter/opcodes.mjs';
import { PAGE_SIZE, readCertificate } from '../../web/certificate.js';
import { openEngine } from '../../web/engine.js';
import { noCompiler as skip } from './cli_support.mjs';

const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const RUNTIMES = ['runtime-simd.wasm', 'runtime-simd.metered.wasm', 'runtime-relaxed.wasm'];
/** Threads have other stacks: threads.test.mjs. The meter's reader has no relaxed instructions. */
const READABLE = ['runtime-simd.wasm', 'runtime-simd.metered.wasm', 'runtime-simd.threads.wasm'];
allowRelaxedSimd();
const read = (name) => new Uint8Array(readFileSync(file(`build/wasm/${name}`)));
const [GLOBAL, DATA] = [6, 11];
const I32_CONST = 0x41;

/** `WAI_RUNTIME_STACK` of limits.h, which a rule compares with the linker's flag. */
const stated = /WAI_RUNTIME_STACK \((\d+)u \* (\d+)u\)/.exec(
  readFileSync(file('core/base/limits.h'), 'utf8'),
);
const STACK = Number(stated?.[1]) * Number(stated?.[2]);

/** A section's bytes, behind its count. @param {Uint8Array} bytes @param {number} id */
function section(bytes, id) {
  const { at, end } = /** @type {{ at: number, end: number }} */ (
    readModule(bytes).sections.get(id)
  );
  const reader = new Reader(bytes, at, end);
  return { reader, count: reader.u32() };
}

/** Where the module states its first global, the stack pointer, and what it starts with. @param {Uint8Array} bytes */
function stackPointer(bytes) {
  const { reader } = section(bytes, GLOBAL);
  assert.deepEqual([reader.byte(), reader.byte(), reader.byte()], [0x7f, 1, I32_CONST]);
  const { at } = reader;
  return { at, value: reader.signed(), size: reader.at - at };
}

/** The lowest address that the module's data has. @param {Uint8Array} bytes */
function lowestData(bytes) {
  const { reader, count } = section(bytes, DATA);
  let lowest = Infinity;
  for (let i = 0; i < count; i++) {
    assert.equal(reader.byte(), 0, 'an active segment of memory 0');
    assert.equal(reader.byte(), I32_CONST);
    lowest = Math.min(lowest, reader.signed());
    reader.skip(1); // end
    reader.skip(reader.u32());
  }
  return lowest;
}

/** @type {Uint8Array} */
let pack;
before(async () => {
  if (!skip)
    pack = (await compile(readFileSync(file('models/digits/digits.onnx')), { optimize: true }))
      .bytes;
});

test('with hardening no memory has every address: below 0 there must be none', () => {
  const runtime = new Uint8Array();
  for (const [pages, code] of [
    [65536, 'LIMIT'],
    [1, 'MALFORMED'], // what comes next: this runtime is none
  ]) {
    const hardening = { weightsEvery: 1 };
    assert.throws(() => openEngine({ runtime, pack: runtime, pages: Number(pages), hardening }), {
      code,
    });
  }
});

for (const name of RUNTIMES) {
  test(`${name}: the stack is first, and data begins above it`, { skip }, () => {
    const { value } = stackPointer(read(name));
    assert.equal(value, STACK);
    assert.ok(lowestData(read(name)) >= STACK);
  });

  test(`${name}: a stack that overflows traps`, { skip }, () => {
    const pages = Math.ceil(readCertificate(pack, 'digits').peakSize / PAGE_SIZE);
    for (const room of [64, 256, STACK]) {
      const runtime = read(name);
      const { at, size } = stackPointer(runtime);
      // The same number of bytes, with nothing in the upper ones.
      for (let i = 0; i < size; i++)
        runtime[at + i] = ((room >> (7 * i)) & 0x7f) | (i + 1 < size ? 0x80 : 0);
      const open = () =>
        openEngine({ runtime, pack, pages, hardening: { weightsEvery: 1 } }).run({
          feeds: [{ dims: [1, 1, 28, 28], data: new ArrayBuffer(3136) }],
          wanted: [0],
          carry: [],
          fuel: 2 ** 40,
        });
      if (room === STACK) assert.equal(open().length, 1);
      else assert.throws(open, { code: 'TRAP', message: /out of bounds/ }, `${room} bytes`);
    }
  });
}

for (const name of READABLE)
  test(`${name}: no function calls itself, by whatever way of direct calls`, { skip }, () => {
    const module = readModule(read(name));
    const calls = module.functions.map((func) => {
      const called = new Set();
      everyNode(readBody(module, func).body, ({ op, index }) => {
        if (op === CALL) called.add(index);
      });
      return called;
    });
    assert.ok(calls.some((called) => called.size > 10));
    // Take away what calls nothing that is left, until nothing goes any more.
    const left = new Set(calls.keys());
    for (let before = -1; before !== left.size; ) {
      before = left.size;
      for (const i of left) if (![...calls[i]].some((to) => left.has(to))) left.delete(i);
    }
    assert.deepEqual([...left], []);
  });
