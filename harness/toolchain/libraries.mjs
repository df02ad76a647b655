// XNNPACK and nanopb for each kind of build, and tiles/ for wasm, built once and kept in the cache.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  cacheRoot,
  contentKey,
  makeOnce,
  runLogged,
  SetupError,
  step,
  toolchainDir,
} from './cache.mjs';
import { commandLine } from './env.mjs';
import { ensureSources, sourcesKey } from './sources.mjs';

/** @typedef {import('./env.mjs').Toolchain} Toolchain */

const recipe = path.join(toolchainDir, 'xnnpack');

const settings = {
  wasm: { configure: ['emcmake', 'cmake'], options: /** @type {string[]} */ ([]) },
  native: {
    configure: ['cmake'],
    options: ['-DCMAKE_C_COMPILER=clang', '-DCMAKE_CXX_COMPILER=clang++'],
  },
  asan: {
    configure: ['cmake'],
    options: ['-DCMAKE_C_COMPILER=clang', '-DCMAKE_CXX_COMPILER=clang++', '-DWAI_SANITIZE=ON'],
  },
};

/** @typedef {keyof typeof settings} Variant */

export const variants = /** @type {Variant[]} */ (Object.keys(settings));

/** Names and bytes of the files that decide what comes out. @param {string} dir @returns {string} */
function recipeText(dir) {
  return fs
    .readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.name !== 'selftest.c')
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((entry) => {
      const file = path.join(dir, entry.name);
      return entry.isDirectory()
        ? recipeText(file)
        : `${path.relative(recipe, file)}\n${fs.readFileSync(file, 'utf8')}`;
    })
    .join('\n');
}

/**
 * @param {Toolchain} toolchain
 * @param {Variant} variant
 * @returns {Promise<string>} a folder with include/ and lib/
 */
export function ensureLibraries(toolchain, variant) {
  return buildOnce(toolchain, {
    name: `xnnpack-${variant}`,
    folder: recipe,
    about: `XNNPACK and nanopb: ${variant} (once, about a minute)`,
    text: recipeText(recipe),
    settings: settings[variant],
  });
}

/** Kernels beyond XNNPACK's choice, for wasm. @param {Toolchain} toolchain @returns {Promise<string>} a folder with lib/ */
export function ensureTiles(toolchain) {
  const folder = path.join(toolchainDir, 'tiles');
  return buildOnce(toolchain, {
    name: 'tiles',
    folder,
    about: 'tiles of GEMM (once)',
    text: recipeText(folder) + recipeText(path.join(recipe, 'shim')),
    settings: settings.wasm,
  });
}

/**
 * @param {Toolchain} toolchain
 * @param {{ name: string, folder: string, about: string, text: string,
 *   settings: { configure: string[], options: string[] } }} what  text: all that decides what comes out
 */
async function buildOnce(toolchain, { name, folder, about, text, settings: how }) {
  const { configure, options } = how;
  const key = contentKey(text, sourcesKey(), toolchain.id, JSON.stringify(how), os.arch());
  return makeOnce(path.join(cacheRoot(), `${name}-${key}`), async (temporary) => {
    const sources = await ensureSources();
    step(`building ${about}`);
    const build = `${temporary}.build`;
    fs.rmSync(build, { recursive: true, force: true });
    /** @param {string} cmd @param {string[]} args */
    const go = async (cmd, args) => {
      const line = commandLine(toolchain, cmd, args);
      return runLogged(line.file, line.args, {
        cwd: line.cwd,
        env: line.env,
        label: name,
      });
    };
    try {
      await go(configure[0], [
        ...configure.slice(1),
        '-G',
        'Ninja',
        '-S',
        folder,
        '-B',
        build,
        '-DCMAKE_BUILD_TYPE=',
        `-DWAI_SOURCES=${sources}`,
        `-DCMAKE_INSTALL_PREFIX=${temporary}`,
        ...options,
      ]);
      await go('ninja', ['-j', String(os.availableParallelism()), '-C', build, 'install']);
    } catch (error) {
      const log = `${cacheRoot()}/${name}.log`;
      fs.writeFileSync(log, /** @type {{ log?: string }} */ (error).log ?? String(error));
      throw new SetupError(`${name} did not build: the compiler's words are in ${log}.`);
    } finally {
      fs.rmSync(build, { recursive: true, force: true });
    }
  });
}
