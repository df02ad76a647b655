/**
 * The compiler in a locked worker: the same policy, canary and lock-down as the
 * worker that runs models. One request: { id, op: 'compile', compiler, onnx }.
 */
import { Compiler } from '../../harness/compiler.mjs';
import { errorToData, WasmAIError } from '../errors.js';
import { lockDown, requirePolicy } from '../lockdown.js';

const scope = /** @type {any} */ (globalThis);
/** @type {(message: any, transfer?: Transferable[]) => void} */
const post = scope.postMessage.bind(scope);
/** @type {() => void} */
const end = scope.close.bind(scope);
const STARTED = Symbol.for('wasm-ai worker');

/** @param {{ id: number, compiler: Uint8Array<ArrayBuffer>, onnx: Uint8Array }} request */
function compile({ id, compiler, onnx }) {
  const { error, bytes } = Compiler.fromBytes(compiler).compile(onnx, { optimize: true });
  if (error) throw error;
  if (!bytes) throw new WasmAIError('INTERNAL', 'compiler', 'no package came out');
  post({ id, pack: bytes.buffer }, [bytes.buffer]);
}

async function start() {
  if (scope[STARTED]) return;
  scope[STARTED] = true;
  try {
    await requirePolicy();
    scope.addEventListener('message', (/** @type {MessageEvent} */ { data }) => {
      try {
        compile(data);
      } catch (error) {
        post({ id: data.id, error: errorToData(error) });
      }
    });
    lockDown(['TextEncoder', 'TextDecoder']);
    post({ ready: true });
  } catch (error) {
    post({ error: errorToData(error) });
    end();
  }
}

start();
