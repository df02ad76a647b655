// A thread of threads.test.mjs that behaves as it is told.
import { workerData } from 'node:worker_threads';
import { help } from '../../web/engine.js';

const { module, memory, index, how } = workerData;
if (how === 'well') help(workerData);
if (how === 'small stack') {
  const wasm = /** @type {any} */ (new WebAssembly.Instance(module, { env: { memory } }).exports);
  const top = wasm.wai_glue_stack(index);
  wasm.__set_stack_limits(top, top - 16);
  wasm.wai_glue_use_stack(top);
  try {
    wasm.wai_glue_help(index);
  } catch {
    wasm.wai_glue_break();
  }
}
