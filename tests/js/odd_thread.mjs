// A thread of threads.test.mjs that behaves as it is told.
import { workerData } from 'node:worker_threads';
import { help } from '../../web/engine.js';

const { how, ...data } = workerData;

if (how === 'near its end') {
  // Where the engine puts the stack, it is nearly used up.
  const { Instance } = WebAssembly;
  WebAssembly.Instance = /** @type {any} */ (
    function make(module, imports) {
      const { exports } = new Instance(module, imports);
      const wasm = /** @type {any} */ (exports);
      const near = (/** @type {number} */ top) => wasm.wai_glue_use_stack(top - 65536 + 16);
      return { exports: { ...exports, wai_glue_use_stack: near } };
    }
  );
}
if (how !== 'absent') help(data);
