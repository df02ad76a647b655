// What was built is what the text files say: imports, exports, memory, and nothing of the compiler
// in the browser's half. Runs on the files of build/wasm.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { allowRelaxedSimd, runtimeFile } from '../../harness/runtimes.mjs';
import { readBody } from '../../harness/toolchain/meter/body.mjs';
import { readModule } from '../../harness/toolchain/meter/module.mjs';
import { ATOMIC, SIMD } from '../../harness/toolchain/meter/opcodes.mjs';
import { runtimeNames, variantNames, variants } from '../../web/variants.js';
import { root, text } from './files.mjs';
import { functionNames, memoryLimits } from './wasm_file.mjs';

const PAGE = 65536;
const built = join(root, 'build/wasm');
const modules = existsSync(built)
  ? readdirSync(built).filter((name) => name.endsWith('.wasm'))
  : [];
const runtimes = modules.filter((name) => name.startsWith('runtime-'));
const hasThreads = (/** @type {string} */ name) => name.includes('.threads.');
allowRelaxedSimd();
const isMetered = (/** @type {string} */ name) => name.endsWith('.metered.wasm');
const isExact = (/** @type {string} */ name) =>
  !variantNames.some((variant) => !variants[variant].exact && name.includes(`-${variant}.`));
const read = (name) => readFileSync(join(built, name));
const lines = (file) => text(`core/wasm/${file}`).split('\n').filter(Boolean).sort();
const importsOf = (module) =>
  WebAssembly.Module.imports(module)
    .map(({ module: from, name }) => `${from}.${name}`)
    .sort();
const exportsOf = (module) =>
  WebAssembly.Module.exports(module)
    .map(({ name }) => name)
    .sort();

/** Every opcode under a block. @param {import('../../harness/toolchain/meter/body.mjs').Node} node @returns {number[]} */
function codesOf({ body, other }) {
  return [...(body ?? []), ...(other ?? [])].flatMap((one) => [one.op, ...codesOf(one)]);
}

/** A number of limits.h. */
function limit(name) {
  const value = new RegExp(`#define ${name} +\\((\\d+)u \\* (\\d+)u\\)`).exec(
    text('core/base/limits.h'),
  );
  assert.ok(value, `limits.h defines ${name}`);
  return Number(value[1]) * Number(value[2]);
}

test('a runtime and the compiler are built', () => {
  const expected = [...runtimeNames.map(runtimeFile), 'runtime-simd.metered.wasm'];
  assert.deepEqual(runtimes.sort(), expected.sort());
  assert.ok(modules.includes('compiler.wasm'));
  assert.deepEqual(
    modules.filter((name) => !name.startsWith('runtime-') && name !== 'compiler.wasm'),
    [],
    'modules that no rule looks at',
  );
});

for (const name of runtimes) {
  test(`${name} imports and exports what core/wasm says`, () => {
    const module = new WebAssembly.Module(read(name));
    assert.deepEqual(importsOf(module), lines('imports.txt'));
    const more = [
      ...(isMetered(name) ? lines('metered_exports.txt') : []),
      ...(hasThreads(name) ? lines('threads_exports.txt') : []),
    ];
    assert.deepEqual(exportsOf(module), [...lines('exports.txt'), ...more].sort());
    assert.deepEqual(WebAssembly.Module.customSections(module, 'name'), []);
  });

  test(`${name} takes no more at the bottom of memory than WAI_RUNTIME_SIZE`, () => {
    const bytes = read(name);
    const { min, max } = memoryLimits(bytes);
    assert.ok(min * PAGE <= limit('WAI_RUNTIME_SIZE'), `minimum ${min} pages`);
    assert.equal(max, 65536);
    const memory = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: hasThreads(name) });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
    const wasm = /** @type {any} */ (instance.exports);
    wasm.wai_fuel_set?.(1000n);
    const heap = wasm.wai_glue_alloc(64);
    assert.ok(heap > limit('WAI_RUNTIME_STACK') && heap <= limit('WAI_RUNTIME_SIZE'), `${heap}`);
  });

  test(`${name} does not start with less memory than it says`, () => {
    const bytes = read(name);
    const initial = memoryLimits(bytes).min - 1;
    const memory = new WebAssembly.Memory({ initial, maximum: initial, shared: hasThreads(name) });
    assert.throws(() => {
      new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
    }, WebAssembly.LinkError);
  });

  test(`${name} has ${isExact(name) ? 'no' : 'an'} instruction whose result is the engine's choice`, () => {
    const module = readModule(new Uint8Array(read(name)));
    const allCodes = () => module.functions.flatMap((one) => codesOf(readBody(module, one)));
    if (!isExact(name)) {
      assert.throws(allCodes, /0xfd 261 \(relaxed SIMD\) is not known/);
      return;
    }
    const codes = new Set(allCodes());
    assert.equal(
      [...codes].some((code) => code >= ATOMIC),
      hasThreads(name),
    );
    assert.ok(codes.size > 150 && [...codes].some((code) => code >= SIMD), `${codes.size}`);
  });

  if (isMetered(name)) continue;
  const named = `${name}.linked`;
  test(`${name} holds no code of the compiler, no heap, no printing`, () => {
    const names = functionNames(read(named));
    assert.ok(names.includes('wai_session_open'), 'the names are there');
    const foreign =
      /^(pb_|wai_(lower|attr|onnx|graph|emit|pass|plan_make|plan_dump|compile|arena|writer|write|fold|package_(write|state|seal|verify|dump)|sha384))|^(dl)?(malloc|free|calloc|realloc|aligned_alloc|sbrk)$|printf|^emscripten_/;
    // Core's default allocator, which the glue never chooses, gets these from no_heap.c: NULL always.
    const stubs = [...text('harness/toolchain/wasm/no_heap.c').matchAll(/^\w.*?(\w+)\(.*\) \{$/gm)];
    const harmless = stubs.map((row) => row[1]);
    assert.ok(harmless.includes('malloc'));
    assert.deepEqual(
      names.filter((symbol) => foreign.test(symbol) && !harmless.includes(symbol)),
      [],
    );
  });
}

test('relaxed SIMD and atomics are found: the reader knows deterministic instructions only', () => {
  const codes = {
    'i8x16.relaxed_swizzle': [0xfd, 0x80, 0x02],
    'f32x4.relaxed_madd': [0xfd, 0x85, 0x02],
    'i32x4.relaxed_dot_i8x16_i7x16_add_s': [0xfd, 0x93, 0x02],
    'i32.atomic.load': [0xfe, 0x10, 0x02, 0x00],
    nop: [0x01],
  };
  for (const [name, code] of Object.entries(codes)) {
    const bytes = new Uint8Array([...code, 0x0b]);
    const types = [{ params: [], results: [] }];
    const module = /** @type {any} */ ({ bytes, types, functions: [] });
    const one = { type: 0, at: 0, end: bytes.length, locals: 0, groups: [] };
    if (name === 'nop') assert.deepEqual(codesOf(readBody(module, one)), [1]);
    else assert.throws(() => readBody(module, one), /is not known/, name);
  }
});

test('compiler.wasm imports nothing and exports what core/wasm says and its memory', () => {
  const module = new WebAssembly.Module(read('compiler.wasm'));
  assert.deepEqual(importsOf(module), []);
  assert.deepEqual(exportsOf(module), [...lines('compiler_exports.txt'), 'memory'].sort());
});

test('the names that are searched for are found in the compiler', () => {
  const names = functionNames(read('compiler.wasm.linked'));
  for (const prefix of ['wai_lower_', 'wai_onnx_', 'wai_graph_', 'wai_emit', 'pb_', 'wai_sha384'])
    assert.ok(
      names.some((symbol) => symbol.startsWith(prefix)),
      prefix,
    );
});
