// `npm start`: set-up, build, then the demo. `npm start -- --check` ends after one right answer.
// Only Node's own modules are imported before ensureNodeModules() has run.

import { build } from './toolchain/build.mjs';
import { step, together } from './toolchain/cache.mjs';
import { ensureChromium } from './toolchain/chromium.mjs';
import { ensureNodeModules } from './toolchain/node_modules.mjs';
import { failSetup } from './toolchain/setup.mjs';

try {
  const chromium = await ensureChromium();
  await together([ensureNodeModules(), build(['wasm'])]);
  step('build is complete');
  const { startDemo } = await import('./demo.mjs');
  process.exitCode = await startDemo({ args: process.argv.slice(2), chromium, step });
} catch (error) {
  failSetup(error);
}
