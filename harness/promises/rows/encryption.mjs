// Encrypted packages.
const SEALED =
  'An encrypted package opens with its key, whole and unchanged, or not at all; a plain one does not pass for it.';
const HIDDEN =
  'What was encrypted is decrypted where the model runs: no message to the page has a byte of it.';
const TEST = 'tests/js/encryption.test.mjs';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'encryption-last-record',
    promise: SEALED,
    file: 'web/records.js',
    find: 'if (record[end] !== (isLast ? LAST : 1)) {',
    replace: 'if (false) {',
    test: TEST,
    fails: 'contents of every length round a record come back',
  },
  {
    name: 'encryption-key-id',
    promise: SEALED,
    file: 'web/encryption.js',
    find: 'if (named !== keyId)',
    replace: 'if (false)',
    test: TEST,
    fails: 'any byte of the header changed is refused',
  },
  {
    name: 'encryption-record-size',
    promise: SEALED,
    file: 'web/encryption.js',
    find: 'if (recordSize !== RECORD_SIZE)',
    replace: 'if (false)',
    test: TEST,
    fails: 'any byte of the header changed is refused',
  },
  {
    name: 'encryption-inside',
    promise: SEALED,
    file: 'web/encryption.js',
    find: 'await checkPackage(plain, where);',
    replace: "{ certificate: null, head: '' };",
    test: TEST,
    fails: 'a package that is damaged inside its records is refused, whoever encrypted it',
  },
  {
    name: 'encryption-key-named',
    promise: SEALED,
    file: 'web/encryption.js',
    find: "if (!('decryptionKey' in options)) return null;",
    replace: 'if (!options.decryptionKey) return null;',
    test: TEST,
    fails: 'a key of another kind switches nothing off',
  },
  {
    name: 'encryption-signed',
    promise: SEALED,
    file: 'web/receive.js',
    find: 'if (proof) checkContent(proof.claims, { size: total, sha384: digest, head: null }, where);',
    replace: '',
    test: TEST,
    fails: 'signatures and digests are of the encrypted file',
  },
  {
    name: 'encryption-pinned',
    promise: SEALED,
    file: 'web/receive.js',
    find: 'if (sha384 && sha384 !== digest) throw notPinned(where);',
    replace: '',
    test: TEST,
    fails: 'a folder with encrypted packages pins the file, and opens with the key',
  },
  {
    name: 'encryption-page',
    promise: HIDDEN,
    file: 'web/worker.js',
    find: '{ about: aboutOf(plain) }',
    replace: '{ about: aboutOf(plain), plain }',
    test: 'tests/browser/integrity.test.mjs',
    fails:
      "isolation 'worker': an encrypted package runs, and the page sees nothing of it (chromium)",
  },
];
