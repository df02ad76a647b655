// Links a runtime that holds only what some models use: the tables of operators are compiled again
// with fewer rows, parts that no model needs (core/ops/parts.h) have stand-ins, and the linker leaves
// out what nothing names any more. The commands and the archives are those of the full runtime
// (wasm/link.cmake writes them beside it); nothing else is compiled.

import fs from 'node:fs';
import path from 'node:path';
import { meteredFile, runtimeFile } from '../runtimes.mjs';
import { cacheRoot, contentKey, makeOnce, projectDir } from './cache.mjs';
import { runIn } from './env.mjs';
import { meter } from './meter/index.mjs';
import { toolchainAtHand } from './setup.mjs';

/** Tables in core/ops: the start of a row, and the file that is compiled with it. */
const tables = {
  operators: { def: 'ops/ops.def', row: 'WAI_OP', source: 'runtime/registry.c' },
  functions: { def: 'ops/unary.def', row: 'WAI_UNARY', source: 'ops/unary_kernel.c' },
  reductions: { def: 'ops/reduce.def', row: 'WAI_REDUCE', source: 'ops/reduce_kernel.c' },
};
/** What wasm/without_PART.c stands in for. */
const parts = ['depthwise', 'raw_weights', 'packing', 'live', 'hardening'];
/** Functions and constants of a shorter table's file that no row names any more. */
const moreFlags = ['-Wno-unused-function', '-Wno-unused-const-variable'];

/**
 * @typedef {object} Uses
 * @property {Iterable<string>} operators  symbols of ops.def
 * @property {Iterable<string>} functions  names of unary.def; others are of no table
 * @property {Iterable<string>} reductions  names of reduce.def
 * @property {Iterable<string>} parts  names of `parts`
 *
 * @typedef {Record<'compile' | 'include' | 'link' | 'optimize' | 'check' | 'imports', string[]>} Recipe
 */

/**
 * A folder with the runtime of that name (simd: and the one with instruction limits), made once for the same archives and
 * rows; null where there is no toolchain or no built archive. Makes neither.
 * @param {Uses} uses
 * @param {import('../../web/variants.js').RuntimeName} [runtime]
 * @returns {Promise<string | null>} the path of the one without limits
 */
export async function linkModelRuntime(uses, runtime = 'simd') {
  const name = runtimeFile(runtime);
  const recipeFile = path.join(projectDir, 'build/wasm', name.replace(/\.wasm$/, '.link.json'));
  const toolchain = fs.existsSync(recipeFile) ? toolchainAtHand() : null;
  if (!toolchain) return null;
  const recipeText = fs.readFileSync(recipeFile, 'utf8');
  /** @type {Recipe} */
  const recipe = JSON.parse(recipeText);
  const shorter = Object.entries(tables).map(([kind, table]) => ({
    ...table,
    source: path.join(projectDir, 'core', table.source),
    text: selectRows(table, new Set(uses[/** @type {keyof Uses} */ (kind)])),
  }));
  const present = new Set(uses.parts);
  const without = parts
    .filter((part) => !present.has(part))
    .map((part) => path.join(projectDir, `harness/toolchain/wasm/without_${part}.c`));
  const sources = [...shorter.map(({ source }) => source), ...without];
  const inputs = recipe.link.filter((part) => /\.[ao]$/.test(part));
  // What lies inside the environment changes with its id.
  const never = path.join(projectDir, 'harness/toolchain/wasm/never.h');
  const contents = [...inputs, ...sources, ...meterSources(), never]
    .filter((file) => fs.existsSync(file))
    .map((file) => fs.readFileSync(file));
  const key = contentKey(
    recipeText,
    toolchain.id,
    moreFlags.join(),
    ...shorter.map(({ text }) => text),
    ...contents,
  );
  const folder = await makeOnce(path.join(cacheRoot(), `runtime-${key}`), async (temporary) => {
    for (const { def, text } of shorter) {
      fs.mkdirSync(path.dirname(path.join(temporary, def)), { recursive: true });
      fs.writeFileSync(path.join(temporary, def), text);
    }
    /** @param {string[]} command @param {...string} more */
    const go = ([cmd, ...args], ...more) =>
      runIn(toolchain, cmd, [...args, ...more], { cwd: temporary });
    const include = [temporary, ...recipe.include].map((dir) => `-I${dir}`);
    await go(recipe.compile, ...moreFlags, ...include, '-c', ...sources);
    // In front of the archives, so that their full tables are not taken.
    const [linker, ...linked] = recipe.link;
    const objects = sources.map((source) => `${path.basename(source, '.c')}.o`);
    await go([linker, ...objects, ...without.flatMap(wraps), ...linked], '-o', 'linked.wasm');
    await go(recipe.optimize, 'linked.wasm', '-o', name);
    await go(['node', ...recipe.check], name, ...recipe.imports);
    const made = path.join(temporary, name);
    if (runtime === 'simd') fs.writeFileSync(meteredFile(made), meter(fs.readFileSync(made)).bytes);
    for (const file of [...objects, 'linked.wasm']) fs.rmSync(path.join(temporary, file));
  });
  return path.join(folder, name);
}

/**
 * The lines of a .def file whose last argument is wanted.
 * @param {{ def: string, row: string }} table @param {Set<string>} wanted
 */
function selectRows({ def, row }, wanted) {
  return fs
    .readFileSync(path.join(projectDir, 'core', def), 'utf8')
    .split('\n')
    .filter((line) => {
      const found = /^(\w+)\(\w+, (\w+)\)$/.exec(line);
      return found?.[1].startsWith(row) && wanted.has(found[2]);
    })
    .map((line) => `${line}\n`)
    .join('');
}

function meterSources() {
  const folder = path.join(projectDir, 'harness/toolchain/meter');
  return fs
    .readdirSync(folder)
    .filter((name) => name.endsWith('.mjs'))
    .sort()
    .map((name) => path.join(folder, name));
}

/** The linker's flags for a file of stand-ins: each `__wrap_NAME(void);` and each `NEVER(NAME`, `NEVER_INT(NAME`. */
function wraps(/** @type {string} */ file) {
  const names = fs
    .readFileSync(file, 'utf8')
    .matchAll(/^(?:.*\b__wrap_(\w+)\(void\);|NEVER(?:_INT)?\((\w+),)/gm);
  return [...names].map(([, asked, never]) => `--wrap=${asked ?? never}`);
}
