// The rules of core/README.md, held by looking at the sources.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { ensureLibraries } from '../../harness/toolchain/libraries.mjs';
import { ensureToolchain, run } from '../../harness/toolchain/setup.mjs';
import { findings, projectFiles, root, text, withoutComments } from './files.mjs';

const core = projectFiles('core').filter((file) => existsSync(join(root, file)));
const code = core.filter((file) => /\.(c|h|def)$/.test(file));

// In data order: a file may include headers of its own stage and of those before.
const STAGES = [
  'include',
  'base',
  'tensor',
  'vocabulary', // ops/op.h: what an operator is
  'graph',
  'emit', // ops/emit.h: every operator's params
  'onnx',
  'ops',
  'passes',
  'plan',
  'package',
  'runtime',
  'compiler',
  'wasm',
];
/** Where XNNPACK's own start-up and allocation find the session's pool. */
const VARIABLES = ['current'];
/** Arrows that point forward, each with its reason; one that is no longer used fails. */
const FORWARD = {
  'core/ops -> runtime/xnn_operator.h': 'operators of XNNPACK are made through the bridge',
  'core/passes -> runtime/xnn.h': 'weights are packed by the code that the runtime reads them with',
  // Tables: rows of names, no declarations of their own.
  'core/ops -> ops/ops.def': 'emit.h and registry.c make one declaration per row',
};

const PUBLIC = ['wasmai.h', 'wasmai_compile.h'];

/** @param {string} header as in an #include */
function stageOf(header) {
  if (PUBLIC.includes(header)) return STAGES.indexOf('include');
  if (header === 'ops/op.h' || header === 'ops/ops.def') return STAGES.indexOf('vocabulary');
  if (header === 'ops/emit.h') return STAGES.indexOf('emit');
  const stage = STAGES.indexOf(header.split('/')[0]);
  assert.notEqual(stage, -1, `${header} is in no stage`);
  return stage;
}

test('no header of a later stage is included', () => {
  const wrong = [];
  const used = new Set(['core/ops -> ops/ops.def']);
  for (const file of code) {
    const own = stageOf(file.replace(/^core\/(include\/)?/, ''));
    for (const [, header] of text(file).matchAll(/^#include "([^"]+)"/gm)) {
      const target = stageOf(header);
      const arrow = `${dirname(file)} -> ${header}`;
      if (target <= own) continue;
      if (arrow in FORWARD) used.add(arrow);
      else wrong.push(`${file} includes ${header}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual([...used].sort(), Object.keys(FORWARD).sort(), 'exceptions that are used');
});

test('the runtime half includes nothing of the compiler half but in ops', () => {
  const runtime = code.filter((file) =>
    /^core\/(base|tensor|package\/(read|format|program)|plan\/prove|runtime)/.test(file),
  );
  const compiler = /#include "(onnx|passes|compiler|package\/write|plan\/plan)|wasmai_compile\.h/;
  assert.deepEqual(findings(runtime, compiler), []);
});

test('foreign names have one home', () => {
  const outside = (home) => code.filter((file) => !home.test(file));
  const rows = [
    [/\b(xnn_|XNN_)|<xnnpack\.h>/, /^core\/(ops\/|runtime\/xnn)/],
    [/\b(pb_|PB_)|<pb/, /^core\/onnx\//],
    [/emscripten|EM_ASM|EM_JS/i, /^core\/wasm\//],
    [/__builtin_wasm|wasm_simd128|\bv128_t\b/, /^core\/(wasm|ops)\//],
    [
      /<stdio\.h>|(?<![>.])\b(aligned_alloc|malloc|calloc|realloc|free)\(/,
      /^core\/(base\/allocator|wasm\/compile_glue)\.c$/,
    ],
    [/\b(getenv|system|fopen|printf|time|rand|exit|abort)\(/, /^$/],
  ];
  for (const [name, home] of rows) assert.deepEqual(findings(outside(home), name), [], `${name}`);
  assert.deepEqual(findings(code, /<(pthread|unistd|signal|fcntl|sys\/\w+)\.h>/), []);
});

test('nothing of ours can be written to but sessions: no variable outlives a call', async () => {
  const archives = ['runtime', 'compiler'].map((half) =>
    join(root, `build/native/libwasmai_${half}.a`),
  );
  const { stdout } = await run('readelf', ['-S', '-W', ...archives]);
  const names = [...String(stdout).matchAll(/ \.(rodata|data|bss|tdata|tbss)\.(\S+) /g)];
  assert.ok(names.length > 100, 'each variable has its own section');
  const variables = names
    .filter(([, kind, name]) => kind !== 'rodata' && !name.startsWith('rel.ro'))
    .map(([, , name]) => name);
  assert.deepEqual(variables.sort(), VARIABLES);
});

test('files have at most 800 lines', () => {
  const files = projectFiles().filter(
    (file) =>
      /\.(c|h|def|js|mjs|py|css|html|cmake|md)$|CMakeLists\.txt$/.test(file) &&
      existsSync(join(root, file)),
  );
  assert.ok(files.length > 100);
  const long = files.filter((file) => text(file).split('\n').length > 801);
  assert.deepEqual(long, []);
});

test('every folder of core has a README of at most 30 lines', () => {
  const folders = ['core', ...new Set(core.map(dirname))];
  for (const folder of folders) {
    assert.ok(existsSync(join(root, folder, 'README.md')), `${folder}/README.md`);
    const count = text(`${folder}/README.md`).trimEnd().split('\n').length;
    assert.ok(count <= 30, `${folder}/README.md has ${count} lines`);
  }
});

test('every operator has its own cases, and ids and symbols are unique', () => {
  const rows = [...text('core/ops/ops.def').matchAll(/^WAI_OP\((\d+), (\w+)\)$/gm)];
  assert.ok(rows.length >= 24);
  for (const part of [1, 2])
    assert.equal(new Set(rows.map((row) => row[part])).size, rows.length, 'a row stands twice');
  for (const [, , symbol] of rows) {
    const file = `tests/ops/${symbol}.cases`;
    assert.ok(existsSync(join(root, file)), file);
    assert.match(text(file), new RegExp(`^ +op ${symbol}$`, 'm'), `${file} tests ${symbol}`);
    assert.match(text(file), /^ +fails /m, `${file} has a case that infer must refuse`);
  }
});

// wai_format knows these and no others; the compiler's own check of formats knows more.
test('messages use conversions that the formatter has', () => {
  const strings = /"(?:[^"\\\n]|\\.)*"/g;
  const known = /%(?:s|u|d|c|zu|llu|lld|%)/g;
  const wrong = code.flatMap((file) =>
    [...withoutComments(text(file)).matchAll(strings)]
      .filter(([literal]) => literal.replaceAll(known, '').includes('%'))
      .map(([literal]) => `${file}: ${literal}`),
  );
  assert.deepEqual(wrong, []);
});

test('the tables of other domains are alphabetical, unique, and name lowerings that exist', () => {
  const sources = code.filter((file) => file.endsWith('.c')).map(text);
  /** @type {[string, RegExp, number][]} */
  const tables = [
    ['microsoft', /^WAI_MICROSOFT\("(\w+)", (\w+)\)$/gm, 30],
    ['ml', /^WAI_ML\("(\w+)", (\w+)\)$/gm, 5],
  ];
  for (const [table, pattern, least] of tables) {
    const rows = [...text(`core/onnx/${table}.def`).matchAll(pattern)];
    const names = rows.map((row) => row[1]);
    assert.ok(names.length > least, table);
    assert.deepEqual(names, [...new Set(names)].sort());
    for (const [, , symbol] of rows)
      assert.ok(
        sources.some((source) => source.includes(`\nvoid wai_lower_${symbol}(`)),
        symbol,
      );
  }
});

test('onnx.def is alphabetical, unique, and names lowerings that exist', () => {
  const rows = [
    ...text('core/onnx/onnx.def').matchAll(/^WAI_ONNX\("(\w+)", (\w+), (\d+), (\d+)\)$/gm),
  ];
  const names = rows.map((row) => row[1]);
  assert.ok(names.length > 80);
  assert.deepEqual(names, [...new Set(names)].sort());
  const sources = code.filter((file) => file.endsWith('.c')).map(text);
  for (const [, name, symbol, first, last] of rows) {
    assert.ok(Number(first) >= 1 && Number(first) <= Number(last) && Number(last) <= 23, name);
    const definition = new RegExp(`^void wai_lower_${symbol}\\(wai_lower \\*\\w+\\) \\{`, 'm');
    assert.ok(
      sources.some((source) => definition.test(source)),
      `wai_lower_${symbol}`,
    );
  }
});

test('a pass is a row, a reason and a file', () => {
  const lines = text('core/passes/passes.def').split('\n');
  const rows = lines.flatMap((line, i) => {
    const name = /^WAI_PASS\((\w+), [01]\)$/.exec(line)?.[1];
    assert.ok(name || !line.startsWith('WAI_PASS'), line);
    return name ? [{ name, above: lines[i - 1] }] : [];
  });
  assert.ok(rows.length > 5);
  assert.equal(new Set(rows.map(({ name }) => name)).size, rows.length);
  for (const { name, above } of rows) {
    const file = `core/passes/${name}.c`;
    assert.ok(existsSync(join(root, file)), file);
    assert.match(withoutComments(text(file)), new RegExp(`\\bwai_pass_${name}\\(wai_graph \\*`));
    // Rows one below the other share the reason above them.
    assert.match(above, /\*\/$|^WAI_PASS/, `${name} has a reason above it`);
  }
});

test('headers compile alone: the public ones as C11 and C++17, the others as C11', async (t) => {
  const toolchain = await ensureToolchain();
  const libraries = await ensureLibraries(toolchain, 'native');
  const folder = mkdtempSync('/tmp/wai-headers-');
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const headers = core.filter((file) => file.endsWith('.h')).map((file) => file.slice(5));
  const write = (name, header) => {
    const file = join(folder, name);
    writeFileSync(file, `#include "${header}"\n#include "${header}"\ntypedef int not_empty;\n`);
    return file;
  };
  const strict = ['-Wall', '-Wextra', '-Werror', '-fsyntax-only'];
  const shim = `${root}harness/toolchain/xnnpack/shim/native`; // wasm_simd128.h
  const system = [`${libraries}/include`, shim].flatMap((path) => ['-isystem', path]);
  const roots = [`-I${root}core`, `-I${root}core/include`, ...system];
  const c = headers.map((header, i) => write(`${i}.c`, header));
  await run('clang', [...strict, '-std=c11', ...roots, ...c]);
  const pedantic = PUBLIC.map((header, i) => write(`public${i}.c`, header));
  await run('clang', [...strict, '-pedantic', '-std=c11', `-I${root}core/include`, ...pedantic]);
  const cpp = PUBLIC.map((header, i) => write(`${i}.cpp`, header));
  await run('clang++', [...strict, '-pedantic', '-std=c++17', `-I${root}core/include`, ...cpp]);
});
