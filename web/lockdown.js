/**
 * What the worker does before it lets any wasm in: prove that its own
 * Content-Security-Policy is in force, then remove from its global scope all
 * that the policy does not cover (storage, messaging, navigator).
 *
 * A worker file that is served without a policy has none, however strict the
 * page is: so a missing header must stop us, not go unnoticed.
 */
import { WasmAIError } from './errors.js';

export const WORKER_POLICY =
  "default-src 'none'; script-src 'wasm-unsafe-eval'; require-trusted-types-for 'script'; trusted-types 'none'";

/** Started by the sandboxed frame: with an opaque origin, and under the frame's policy. */
export const inFrame = () => self.origin === 'null';

/** Each attempt must fail; the policy must name its reason. */
const CANARIES = [
  {
    name: 'eval',
    escapes: () => {
      // biome-ignore lint/security/noGlobalEval: that it throws is the proof
      globalThis.eval('0');
      return true;
    },
  },
  { name: 'fetch', escapes: () => fetch(self.location.href).then(() => true) },
  {
    name: 'import() of data',
    escapes: () => importSource('data:text/javascript,').then(() => true),
  },
  // With 'self' in script-src this file would run again, as a module (see start() in worker.js).
  {
    name: 'import() of this origin',
    escapes: () => importSource(self.location.href).then(() => true),
  },
];

/** A variable keeps bundlers from following it. @param {string} source */
function importSource(source) {
  return import(/* @vite-ignore */ /* webpackIgnore: true */ source);
}

/** Throws CSP unless eval, fetch and import() are all refused here. */
export async function requirePolicy() {
  for (const { name, escapes } of CANARIES) {
    let escaped = false;
    try {
      escaped = await escapes();
    } catch {
      continue; // refused, as it must be
    }
    if (escaped) {
      throw new WasmAIError(
        'CSP',
        self.location.pathname,
        inFrame()
          ? `the frame came without the policy that its file has (${name} works in it), so no model is ` +
              'let in: deploy the file as it was built'
          : `the worker file came without its policy (${name} works in it), so no model is let in: serve ` +
              `this file with the header \`Content-Security-Policy: ${WORKER_POLICY}\`, or, on a host ` +
              "that cannot send headers, use isolation 'frame'",
      );
    }
  }
}

/** What stays on the global scope: the language, and WebAssembly. */
export const KEPT = new Set([
  'globalThis',
  'self',
  'undefined',
  'NaN',
  'Infinity',
  'WebAssembly',
  'Object',
  'Array',
  'Map',
  'Set',
  'WeakMap',
  'Promise',
  'Symbol',
  'String',
  'Number',
  'BigInt',
  'Boolean',
  'Math',
  'JSON',
  'ArrayBuffer',
  'DataView',
  'Uint8Array',
  'Int8Array',
  'Uint8ClampedArray',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'Float16Array',
  'BigInt64Array',
  'BigUint64Array',
  'Error',
  'TypeError',
  'RangeError',
  'SyntaxError',
  'EvalError',
  'ReferenceError',
  'URIError',
  'AggregateError',
]);

/** Of WebAssembly: what engine.js uses. */
const KEPT_WASM = new Set([
  'Module',
  'Instance',
  'Memory',
  'validate',
  'CompileError',
  'LinkError',
  'RuntimeError',
]);

/** Syntax leads to their constructors, which make code from text, by whatever name. */
const CALLABLE = [() => {}, async () => {}, function* () {}, async function* () {}];

/** Names that must be gone afterwards, whatever engine this is. */
const FEARED = [
  'fetch',
  'XMLHttpRequest',
  'WebSocket',
  'EventSource',
  'WebTransport',
  'importScripts',
  'Worker',
  'SharedWorker',
  'indexedDB',
  'caches',
  'navigator',
  'BroadcastChannel',
  'MessageChannel',
  'FileReaderSync',
  'FontFace',
  'crypto',
  'eval',
  'Function',
  'setTimeout',
  'postMessage',
  'RTCPeerConnection',
  'cookieStore',
  'localStorage',
];

/**
 * Delete every other name on the global scope and its prototypes.
 * @param {string[]} [alsoKept]
 */
export function lockDown(alsoKept = []) {
  const scope = /** @type {any} */ (globalThis);
  const { ownKeys, deleteProperty, set } = Reflect; // goes too
  const strip = (/** @type {any} */ owner, /** @type {(name: string) => boolean} */ keeps) => {
    for (const name of ownKeys(owner)) {
      if (typeof name === 'symbol' || keeps(name)) continue;
      try {
        if (!deleteProperty(owner, name)) set(owner, name, undefined);
      } catch {
        // what is left is looked at below
      }
    }
  };
  for (const work of CALLABLE) strip(Object.getPrototypeOf(work), (name) => name !== 'constructor');
  strip(scope.WebAssembly, (name) => KEPT_WASM.has(name));
  /** @type {any[]} */
  const owners = [];
  for (let owner = scope; owner && owner !== Object.prototype; owner = Object.getPrototypeOf(owner))
    owners.push(owner);
  for (const owner of owners) strip(owner, (name) => KEPT.has(name) || alsoKept.includes(name));
  const left = FEARED.filter((name) => scope[name] !== undefined);
  left.push(
    ...CALLABLE.map((work) => work.constructor)
      .filter((maker) => maker !== Object)
      .map(String),
  );
  if (left.length > 0) {
    throw new WasmAIError(
      'INTERNAL',
      'worker',
      `this browser does not let ${left.join(', ')} be removed from the worker, so no model is let in`,
    );
  }
}
