// What once broke something: tests/fuzz/regressions/NNNN-TARGET-WHAT, one file each. A file is the
// input itself, or a module (.mjs) that makes it, where the input is a package: those are compiled
// anew, so that they are of the present format.

import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectDir } from '../toolchain/cache.mjs';

const folder = path.join(projectDir, 'tests/fuzz/regressions');
const made = path.join(projectDir, 'build/fuzz/regressions');

/** @typedef {{ number: string, target: string, input: Buffer, file: string }} Regression */

/** @returns {Promise<Regression[]>} */
export async function regressions() {
  const names = fs.existsSync(folder) ? fs.readdirSync(folder).sort() : [];
  return Promise.all(
    names.map(async (name) => {
      const [, number, target] = /^(\d{4})-([a-z]+)-/.exec(name) ?? [];
      if (!target) throw new Error(`${name} is not called NNNN-TARGET-WHAT`);
      const file = path.join(folder, name);
      if (!name.endsWith('.mjs')) return { number, target, input: fs.readFileSync(file), file };
      const { make } = await import(pathToFileURL(file).href);
      const input = Buffer.from(await make());
      fs.mkdirSync(made, { recursive: true });
      fs.writeFileSync(path.join(made, name), input);
      return { number, target, input, file: path.join(made, name) };
    }),
  );
}
