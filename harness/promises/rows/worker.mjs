// The worker: its own policy, proved at start, and what it deletes before wasm comes in.
const POLICY =
  'A worker file that is served without its own policy lets no model in, and names the header.';
const LOCKED = 'A model can reach no network, no storage and no other page or worker.';
const PAGE = 'The page can compile no WebAssembly, and its policy starts no other worker.';
const BROWSER = 'tests/browser/locked.test.mjs';
const ESCAPE = 'tests/browser/escape.test.mjs';
const SHUT = 'worker: nothing leads out of the locked worker (chromium)';
const STRICT =
  'a strict page (Trusted Types, exact worker-src) runs, and its policy makes no other worker (chromium)';

/** @param {string} served */
const refused = (served) =>
  `a worker served with ${served} refuses to start and names the header (chromium)`;

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'canary-eval',
    promise: POLICY,
    file: 'web/lockdown.js',
    find: "globalThis.eval('0');",
    replace: 'throw 0;',
    test: BROWSER,
    fails: refused('a policy that allows eval'),
  },
  {
    name: 'canary-fetch',
    promise: POLICY,
    file: 'web/lockdown.js',
    find: 'fetch(self.location.href).then(() => true)',
    replace: 'Promise.reject()',
    test: BROWSER,
    fails: refused('a policy that allows connections'),
  },
  {
    name: 'canary-import-data',
    promise: POLICY,
    file: 'web/lockdown.js',
    find: "importSource('data:text/javascript,').then(() => true)",
    replace: 'Promise.reject()',
    test: BROWSER,
    fails: refused('a policy with data: for scripts'),
  },
  {
    name: 'canary-import-self',
    promise: POLICY,
    file: 'web/lockdown.js',
    find: 'importSource(self.location.href).then(() => true)',
    replace: 'Promise.reject()',
    test: BROWSER,
    fails: refused("a policy with 'self' for scripts"),
  },
  {
    name: 'worker-trusted-types',
    promise: LOCKED,
    file: 'web/lockdown.js',
    find: "; require-trusted-types-for 'script'; trusted-types 'none'",
    replace: '',
    test: BROWSER,
    fails: "under the worker's own policy no script makes a Trusted Types policy (chromium)",
  },
  {
    name: 'lockdown',
    promise: LOCKED,
    file: 'web/worker.js',
    find: 'lockDown();',
    replace: '',
    test: ESCAPE,
    fails: SHUT,
  },
  {
    name: 'lockdown-prototypes',
    promise: LOCKED,
    file: 'web/lockdown.js',
    find: 'owner = Object.getPrototypeOf(owner))',
    replace: 'owner = null)',
    test: ESCAPE,
    fails: SHUT,
  },
  {
    name: 'lockdown-makers-of-code',
    promise: LOCKED,
    file: 'web/lockdown.js',
    find: "for (const work of CALLABLE) strip(Object.getPrototypeOf(work), (name) => name !== 'constructor');",
    replace: '',
    test: ESCAPE,
    fails: SHUT,
  },
  {
    name: 'lockdown-wasm',
    promise: LOCKED,
    file: 'web/lockdown.js',
    find: 'strip(scope.WebAssembly, (name) => KEPT_WASM.has(name));',
    replace: '',
    test: ESCAPE,
    fails: SHUT,
  },
  {
    name: 'lockdown-looks-again',
    promise: LOCKED,
    file: 'web/lockdown.js',
    find: 'if (left.length > 0) {',
    replace: 'if (false) {',
    test: BROWSER,
    fails: 'a browser that does not let a name go gets no model (chromium)',
  },
  {
    name: 'policy-without-wasm',
    promise: POLICY,
    file: 'web/engine.js',
    find: "refuseIfBlocked(cause);\n    throw new WasmAIError(\n      'MEMORY'",
    replace: "throw new WasmAIError(\n      'MEMORY'",
    test: BROWSER,
    fails: 'a policy without wasm is named too (webkit)',
  },
  {
    name: 'page-policy-wasm',
    promise: PAGE,
    file: 'harness/server/policies.mjs',
    find: "\"default-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'\"",
    replace:
      "\"default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src 'self'\"",
    test: BROWSER,
    fails: 'the page itself cannot compile wasm under the literal policy (chromium)',
  },
  {
    name: 'page-own-policy',
    promise: PAGE,
    file: 'web/places.js',
    find: 'if (text === url.href && url.origin === globalThis.location?.origin) return text;',
    replace: 'return text;',
    test: BROWSER,
    fails:
      "the loader's Trusted Types policy makes the address of its worker and no other (chromium)",
  },
  {
    name: 'page-trusted-types',
    promise: PAGE,
    file: 'harness/server/policies.mjs',
    find: '"require-trusted-types-for \'script\'",\n    `trusted-types ${',
    replace: '`trusted-types ${',
    test: BROWSER,
    fails: STRICT,
  },
];
