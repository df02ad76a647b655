// The ONNX project's tests on the shipped wasm, loader and locked worker, in Chromium.
import { existsSync } from 'node:fs';
import { RUNTIME } from '../../harness/dist.mjs';
import { findChromium } from '../../harness/toolchain/chromium.mjs';
import { testAgainst } from './against.mjs';
import { openSite } from './places/site.mjs';

const missing = findChromium() === null && 'Chromium is not installed';
await testAgainst('chromium', {
  missing: missing || (!existsSync(RUNTIME) && 'build/wasm/runtime-simd.wasm is not built'),
  openSite,
});
