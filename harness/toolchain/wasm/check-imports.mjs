// node check-imports.mjs FILE.wasm [IMPORTS.txt]: fails when the module imports anything that is not a
// line `module.name` of the list. libc has functions that are imports by attribute, so the linker
// alone would not complain.

import fs from 'node:fs';
import { allowRelaxedSimd } from '../../runtimes.mjs';

const [file, list] = process.argv.slice(2);
const allowed = list ? fs.readFileSync(list, 'utf8').split('\n') : [];
allowRelaxedSimd();
const module = new WebAssembly.Module(fs.readFileSync(file));
const names = WebAssembly.Module.imports(module).map((entry) => `${entry.module}.${entry.name}`);
const extra = names.filter((name) => !allowed.includes(name));
if (extra.length) {
  console.error(`error: ${file} imports ${extra.join(', ')}, which is not allowed`);
  process.exit(1);
}
