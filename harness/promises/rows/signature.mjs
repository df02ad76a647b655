// Signatures: who made a package, what for, and which version.
const SIGNED =
  'With `publicKey`, only packages that a trusted key signed, under this name and not an older ' +
  'version, reach the worker.';
const TEST = 'tests/js/signature.test.mjs';
const FORM =
  'claims and headers that `wasm-ai sign` does not make are refused, even if well signed';
const OTHER = 'a signature by somebody else, for something else or of another time is refused';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'signature-key',
    promise: SIGNED,
    file: 'web/signature.js',
    find: 'if (good !== true) continue;',
    replace: '',
    test: TEST,
    fails: OTHER,
  },
  {
    name: 'signature-key-undefined',
    promise: SIGNED,
    file: 'web/signature.js',
    find: "if (!('publicKey' in options)) {",
    replace: 'if (!publicKey) {',
    test: TEST,
    fails: 'a key that is no key switches nothing off',
  },
  {
    name: 'signature-name',
    promise: SIGNED,
    file: 'web/jws.js',
    find: 'if (name !== null && claims.name !== name)',
    replace: 'if (false)',
    test: TEST,
    fails: OTHER,
  },
  {
    name: 'signature-version',
    promise: SIGNED,
    file: 'web/jws.js',
    find: 'if (claims.version < minVersion)',
    replace: 'if (false)',
    test: TEST,
    fails: OTHER,
  },
  {
    name: 'signature-kind',
    promise: SIGNED,
    file: 'web/jws.js',
    find: 'if (claims.kind !== kind)',
    replace: 'if (false)',
    test: TEST,
    fails: FORM,
  },
  {
    name: 'signature-alg',
    promise: SIGNED,
    file: 'web/jws.js',
    find: 'if (header.alg !== ALGORITHM || header.typ !== TYPE)',
    replace: 'if (header.typ !== TYPE)',
    test: TEST,
    fails: FORM,
  },
  {
    name: 'signature-header-names',
    promise: SIGNED,
    file: 'web/jws.js',
    find: 'if (others.length || missing.length)',
    replace: 'if (missing.length)',
    test: TEST,
    fails: FORM,
  },
  {
    name: 'signature-size',
    promise: SIGNED,
    file: 'web/jws.js',
    find: 'if (claims.size !== size || claims.sha384 !== sha384 || claims.head !== head)',
    replace: 'if (claims.sha384 !== sha384 || claims.head !== head)',
    test: TEST,
    fails: FORM,
  },
  {
    name: 'signature-hash',
    promise: SIGNED,
    file: 'web/jws.js',
    find: 'if (claims.size !== size || claims.sha384 !== sha384 || claims.head !== head)',
    replace: 'if (claims.size !== size)',
    test: TEST,
    fails: 'a package with any byte changed is refused, its digest made right or not',
  },
  {
    name: 'signature-one-form',
    promise: SIGNED,
    file: 'web/jws.js',
    find: 'if (toBase64url(bytes) !== text)',
    replace: 'if (false)',
    test: TEST,
    fails: 'a signature with any byte changed, cut or added is refused',
  },
  {
    name: 'signature-before-worker',
    promise: SIGNED,
    file: 'web/receive.js',
    find: 'if (proof) checkContent(proof.claims, { size, head: digest }, where);',
    replace: '',
    test: 'tests/browser/signature.test.mjs',
    fails: 'anything else is refused before the worker gets a byte (chromium)',
  },
];
