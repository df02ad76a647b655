// Builds the C core, incrementally.
//
//   node harness/toolchain/build.mjs [wasm|native|asan|all]...      default: all

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BuildError, projectDir, step } from './cache.mjs';
import { commandLine } from './env.mjs';
import { ensureLibraries, ensureTiles } from './libraries.mjs';
import { ensureToolchain, failSetup } from './setup.mjs';

/** @typedef {import('./libraries.mjs').Variant} Variant */

/** Where a variant is built, under build/. */
export const buildDirs = { wasm: 'build/wasm', native: 'build/native', asan: 'build/native-asan' };

const clang = ['-DCMAKE_C_COMPILER=clang'];
const configure = {
  wasm: ['emcmake', 'cmake'],
  native: ['cmake', ...clang],
  asan: ['cmake', ...clang, '-DWAI_SANITIZE=ON'],
};

/** @param {Variant[]} variants */
export async function build(variants = /** @type {Variant[]} */ (Object.keys(buildDirs))) {
  const toolchain = await ensureToolchain();
  for (const variant of variants) {
    const libraries = await ensureLibraries(toolchain, variant);
    const dir = path.join(projectDir, buildDirs[variant]);
    const [cmd, ...first] = configure[variant];
    const args = [
      ...first,
      '-G',
      'Ninja',
      '-S',
      projectDir,
      '-B',
      dir,
      '-DCMAKE_BUILD_TYPE=',
      `-DWAI_LIBRARIES=${libraries}`,
      ...(variant === 'wasm' ? [`-DWAI_TILES=${await ensureTiles(toolchain)}`] : []),
    ];
    const wanted = JSON.stringify([toolchain, cmd, args]);
    const note = path.join(dir, '.configured');
    if (!fs.existsSync(note) || fs.readFileSync(note, 'utf8') !== wanted) {
      step(`configuring ${buildDirs[variant]}`);
      fs.rmSync(path.join(dir, 'CMakeCache.txt'), { force: true });
      await compile(toolchain, variant, cmd, args);
      fs.writeFileSync(note, wanted);
    }
    await compile(toolchain, variant, 'ninja', [
      '-k',
      '20',
      '-j',
      String(os.availableParallelism()),
      '-C',
      dir,
    ]);
  }
}

/**
 * Shows the output as it comes, but not that there was nothing to do.
 * @param {import('./env.mjs').Toolchain} toolchain
 * @param {Variant} variant
 * @param {string} cmd
 * @param {string[]} args
 */
function compile(toolchain, variant, cmd, args) {
  const line = commandLine(toolchain, cmd, args, { env: { NINJA_STATUS: '[%f/%t] ' } });
  return new Promise((resolve, reject) => {
    const child = spawn(line.file, line.args, {
      cwd: line.cwd,
      env: line.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let log = '';
    let shown = Date.now();
    /** @param {Buffer} chunk */
    const take = (chunk) => {
      log += chunk;
      const count = [...String(chunk).matchAll(/^\[(\d+)\/(\d+)\] /gm)].pop();
      if (count && Date.now() - shown > 2000) {
        shown = Date.now();
        step(`  ${variant}: ${count[1]} of ${count[2]}`);
      }
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) {
        resolve(log);
        return;
      }
      process.stderr.write(
        log.replace(
          /^(\[\d+\/\d+\] (Building|Linking|Re-checking|Re-running).*|ninja: Entering.*)\n/gm,
          '',
        ),
      );
      reject(new BuildError(`${variant}: the compiler's words are above.`));
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2).filter((name) => name !== 'all');
  const unknown = names.find((name) => !(name in buildDirs));
  if (unknown) {
    process.stderr.write(`error: unknown build "${unknown}": wasm, native, asan or all\n`);
    process.exit(2);
  }
  try {
    await build(names.length ? /** @type {Variant[]} */ (names) : undefined);
    step('build is complete');
  } catch (error) {
    failSetup(error);
  }
}
