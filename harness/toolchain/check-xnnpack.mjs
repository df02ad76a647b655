// Test suite: xnnpack/selftest.c gives the same bits as wasm, natively and under sanitizers.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { projectDir, toolchainDir } from './cache.mjs';
import { ensureLibraries } from './libraries.mjs';
import { ensureToolchain, failSetup, run } from './setup.mjs';

const source = path.join(toolchainDir, 'xnnpack', 'selftest.c');
const out = path.join(projectDir, 'build', 'selftest');

/** @param {string} text @returns {Map<string, string>} */
function results(text) {
  const lines = text
    .trim()
    .split('\n')
    .map((line) => /** @type {[string, string]} */ (line.split(/ (.*)/).slice(0, 2)));
  return new Map(lines);
}

async function main() {
  const toolchain = await ensureToolchain();
  fs.mkdirSync(out, { recursive: true });
  fs.writeFileSync(path.join(out, 'package.json'), '{ "type": "commonjs" }\n');
  const wasm = path.join(out, 'wasm.js');
  /** @type {Map<string, Map<string, string>>} */
  const all = new Map();
  for (const variant of /** @type {const} */ (['wasm', 'native', 'asan'])) {
    const libraries = await ensureLibraries(toolchain, variant);
    const common = ['-O1', `-I${libraries}/include`, source, `${libraries}/lib/libxnnpack.a`];
    if (variant === 'wasm') {
      await run('emcc', [
        ...common,
        '-msimd128',
        '-sENVIRONMENT=node',
        '-sALLOW_MEMORY_GROWTH',
        '-o',
        wasm,
      ]);
      const answer = spawnSync(process.execPath, [wasm], { encoding: 'utf8' });
      if (answer.status !== 0) throw new Error(answer.stderr);
      all.set(variant, results(answer.stdout));
      continue;
    }
    const program = path.join(out, variant);
    const sanitize =
      variant === 'asan' ? ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'] : [];
    await run('clang', [
      ...common,
      ...sanitize,
      '-ffp-contract=off',
      '-fuse-ld=lld',
      '-Wl,--gc-sections',
      '-lm',
      '-o',
      program,
    ]);
    all.set(variant, results((await run(program, [])).stdout.toString()));
  }
  let passed = 0;
  let failed = 0;
  const shipped = all.get('wasm') ?? new Map();
  for (const [name, value] of shipped) {
    const differing = [...all]
      .filter(([, lines]) => lines.get(name) !== value)
      .map(([variant]) => variant);
    if (differing.length === 0) passed++;
    else {
      failed++;
      console.log(`FAILED ${name}: ${differing.join(' and ')} differ from wasm`);
    }
  }
  console.log(`${passed} passed, ${failed} failed, 0 skipped`);
  process.exitCode = failed || passed === 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  failSetup(error);
}
