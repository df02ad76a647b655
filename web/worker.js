/**
 * The worker: the only place where a model runs. Built into one classic file,
 * served with its own policy or started in the sandboxed frame, under the frame's
 * (see lockdown.js). It answers these requests, one at a time, and never asks for anything:
 *
 *   { id, op: 'prepare', runtime }                  -> { id }
 *   { id, op: 'decrypt', pack, key, where }         -> { id, about, pack }, or { id, failed, pack }; then open has no pack
 *   { id, op: 'begin', size, pages, hardening, ports } -> { id }: room for a package that comes in pieces;
 *   { id, op: 'pour', at, bytes, hash }             -> { id, digest, spare }: one of them, and so on; then open has no pack
 *   { id, op: 'open', pack, pages, hardening, ports } -> { id, inputs, outputs, metered, memoryBytes, pack }, or { id, failed, pack }
 *   { id, op: 'run', feeds, wanted, carry, fuel, apart, shown, profile }
 *                                                   -> { id, outputs, carried, ms, fuel, memoryBytes, steps }
 *   { id, op: 'help', port }                        -> nothing, or { id, error }: it is a thread of whoever calls on the port
 *   { id, op: 'close' }                             -> nothing; the worker ends
 *
 * Before any of them it says { ready: true }, or { error } and ends.
 */

import { aboutOf } from './certificate.js';
import { sha384Of } from './chunks.js';
import { decrypted } from './encryption.js';
import { beginEngine, compileRuntime, help } from './engine.js';
import { errorToData, WasmAIError } from './errors.js';
import { inFrame, lockDown, requirePolicy } from './lockdown.js';

// Kept before the lock-down removes the names.
const scope = /** @type {any} */ (globalThis);
/** @type {(message: any, transfer?: Transferable[]) => void} */
let post = scope.postMessage.bind(scope);
/** @type {() => void} */
const end = scope.close.bind(scope);
const now = performance.now.bind(performance);

/** @type {ReturnType<typeof compileRuntime> | null} */
let runtime = null;
/** @type {ReturnType<ReturnType<typeof beginEngine>['open']> | null} */
let engine = null;

/** Memory into which a package is poured, until it is opened. @type {ReturnType<typeof beginEngine> | null} */
let begun = null;

/** A package that came encrypted, until it is opened. @type {Uint8Array | null} */
let plain = null;

/** It was decrypted, here or by the frame around this worker, or could not be. @param {any} outcome */
function keep({ id, pack, plain: bytes, failed }) {
  if (bytes) plain = /** @type {Uint8Array} */ (bytes);
  post({ id, pack, ...(plain ? { about: aboutOf(plain) } : { failed }) }, [pack]);
}

/** Memory for a package, and the threads that work in it. @param {any} request */
function begin({ size, pages, hardening, ports }) {
  if (!runtime || engine || begun) throw new WasmAIError('STATE', 'worker', 'not ready to begin');
  const helpers = ports.map((/** @type {MessagePort} */ port) => port.postMessage.bind(port));
  return beginEngine({ runtime, size, pages, hardening, helpers });
}

/** @type {Record<string, (request: any) => void | Promise<void>>} */
const requests = {
  prepare({ id, runtime: bytes }) {
    runtime = compileRuntime(bytes);
    post({ id });
  },
  async decrypt({ id, pack, key, where }) {
    keep({ id, pack, ...(await decrypted(pack, key, where)) });
  },
  begin({ id, size, pages, hardening, ports }) {
    begun = begin({ size, pages, hardening, ports });
    post({ id });
  },
  async pour({ id, at, bytes, hash }) {
    if (!begun) throw new WasmAIError('STATE', 'worker', 'pour before begin');
    const piece = new Uint8Array(bytes);
    begun.put(at, piece);
    const digest = hash ? await sha384Of(piece, 'package') : null;
    post({ id, digest, spare: bytes }, [bytes]);
  },
  open({ id, pack, pages, hardening, ports = [] }) {
    if (!runtime || engine) throw new WasmAIError('STATE', 'worker', 'not ready to open');
    /** @type {object} */
    let answer;
    try {
      const given = plain ?? new Uint8Array(pack ?? 0);
      if (!begun) {
        begun = begin({ size: given.byteLength, pages, hardening, ports });
        begun.put(0, given);
      }
      engine = begun.open();
      const { inputs, outputs, metered } = engine;
      answer = { inputs, outputs, metered, memoryBytes: engine.memoryBytes() };
    } catch (error) {
      answer = { failed: errorToData(error) };
    }
    plain = begun = null;
    // The page gets its verified bytes back, for the next worker.
    post({ id, ...answer, pack }, pack ? [pack] : []);
  },
  run({ id, feeds, wanted, carry, fuel, apart, shown, profile }) {
    if (!engine) throw new WasmAIError('STATE', 'worker', 'run before open');
    const carried = shown ? engine.carried() : [];
    const start = now();
    const outputs = engine.run({ feeds, wanted, carry, fuel, apart, profile });
    const ms = now() - start;
    const buffers = outputs.map(({ data }) => data);
    const [used, memoryBytes, steps] = [engine.fuel(), engine.memoryBytes(), engine.steps()];
    post({ id, outputs, carried, ms, fuel: used, memoryBytes, steps }, buffers);
  },
  help({ id, port }) {
    if (runtime || engine) throw new WasmAIError('STATE', 'worker', 'it has a model of its own');
    port.onmessage = (/** @type {MessageEvent} */ { data }) => {
      try {
        help(data);
      } catch (error) {
        post({ id, error: errorToData(error) });
      }
    };
  },
  close() {
    end();
  },
};

/** @param {any} channel */
function listen(channel) {
  channel.addEventListener('message', (/** @type {MessageEvent} */ { data }) => {
    const failed = (/** @type {unknown} */ error) =>
      post({ id: data.id, error: errorToData(error) });
    try {
      const answer = Object.hasOwn(requests, data.op) ? requests[data.op] : null;
      if (!answer) throw new WasmAIError('ARGUMENT', 'worker', 'unknown request');
      answer(data)?.catch(failed);
    } catch (error) {
      failed(error);
    }
  });
  channel.start?.();
}

/** In the frame: the page's port, so that no message goes through the frame's window. @returns {Promise<any>} */
async function channelToPage() {
  if (!inFrame()) return scope;
  /** @type {MessagePort} */
  const port = await new Promise((resolve) =>
    scope.addEventListener(
      'message',
      (/** @type {MessageEvent} */ { ports }) => resolve(ports[0]),
      { once: true },
    ),
  );
  post = (message, transfer = []) => port.postMessage(message, transfer);
  scope.addEventListener('message', (/** @type {MessageEvent} */ { data }) => keep(data));
  return port;
}

const STARTED = Symbol.for('wasm-ai worker');

async function start() {
  if (scope[STARTED]) return; // the import() canary got through; the first run says so
  scope[STARTED] = true;
  try {
    const channel = await channelToPage();
    await requirePolicy();
    listen(channel);
    lockDown();
    post({ ready: true });
  } catch (error) {
    post({ error: errorToData(error) });
    end();
  }
}

start();
