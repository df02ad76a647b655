// `build`, `verify`, `audit` and the linked runtime.
const AUDIT = '`audit` names every weakness of its table and finds nothing in a `--secure` folder.';
const VERIFY =
  '`verify` finds every file of a signed folder that was changed, taken away or swapped.';
const LINKED = 'A runtime linked for some models refuses, by name, a package that needs more.';
const KEYS = 'A private key is readable by its owner alone and never overwritten.';
const BUILD = 'What the loader would refuse is refused at build, and nothing is written.';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'audit-worker-policy',
    promise: AUDIT,
    file: 'harness/audit/index.mjs',
    find: "if (!policies.length) report.add('worker-no-policy', path);",
    replace: 'if (!policies.length) return;',
    test: 'tests/js/audit.test.mjs',
    fails: 'headers: worker-no-policy',
  },
  {
    name: 'audit-imports',
    promise: AUDIT,
    file: 'harness/audit/index.mjs',
    find: 'if (functions.length) report.add(',
    replace: 'if (false) report.add(',
    test: 'tests/js/audit.test.mjs',
    fails: 'wasm: wasm-function-imports',
  },
  {
    name: 'audit-pins',
    promise: AUDIT,
    file: 'harness/audit/index.mjs',
    find: 'if (pins.has(path) && !scripts.includes(pins.get(path)))',
    replace: 'if (false)',
    test: 'tests/js/audit.test.mjs',
    fails: 'a built folder that somebody changed',
  },
  {
    name: 'audit-quiet',
    promise: AUDIT,
    file: 'harness/dist.mjs',
    find: "const policy = secure ? 'strict' : 'literal';",
    replace: "const policy = 'literal';",
    test: 'tests/js/audit.test.mjs',
    fails: 'our --secure folder has no finding, as a folder and live',
  },
  {
    name: 'verify-files',
    promise: VERIFY,
    file: 'harness/signing.mjs',
    find: 'if (content.length !== size || sha384(content) !== digest) {',
    replace: 'if (false) {',
    test: 'tests/js/cli_sign.test.mjs',
    fails: 'a folder: every file changed, taken away or swapped is found',
  },
  {
    name: 'verify-key',
    promise: VERIFY,
    file: 'harness/signing.mjs',
    find: 'if (!isMadeBy(keys, jws)) {',
    replace: 'if (false) {',
    test: 'tests/js/cli_sign.test.mjs',
    fails: 'verify refuses any byte changed, other keys, old versions, swapped files',
  },
  {
    name: 'keygen-mode',
    promise: KEYS,
    file: 'harness/signing.mjs',
    find: 'const PRIVATE_MODE = 0o600;',
    replace: 'const PRIVATE_MODE = 0o644;',
    test: 'tests/js/cli_sign.test.mjs',
    fails: 'keygen makes a pair that its owner alone can read, and never overwrites one',
  },
  {
    name: 'keygen-overwrites',
    promise: KEYS,
    file: 'harness/signing.mjs',
    find: "{ flag: 'wx', mode }",
    replace: '{ mode }',
    test: 'tests/js/cli_sign.test.mjs',
    fails: 'keygen makes a pair that its owner alone can read, and never overwrites one',
  },
  {
    name: 'linked-refuses',
    promise: LINKED,
    file: 'core/package/read.c',
    find: 'if (s->row == NULL) {',
    replace: 'if (false) {',
    test: 'tests/js/linked_runtime.test.mjs',
    fails: 'what is not linked is refused, naming the step',
  },
  {
    name: 'build-digest',
    promise: BUILD,
    file: 'harness/dist.mjs',
    find: 'const { certificate, head } = await checkPackage(plain, path);',
    replace: "const certificate = { peakSize: 1 };\n  const head = '';",
    test: 'tests/js/server.test.mjs',
    fails: 'a package that the loader would refuse is refused at build, and nothing is written',
  },
  {
    name: 'build-cap',
    promise: BUILD,
    file: 'harness/dist.mjs',
    find: 'pagesOf(certificate, maxHeapMB, path);',
    replace: '',
    test: 'tests/js/server.test.mjs',
    fails: 'a package that the loader would refuse is refused at build, and nothing is written',
  },
];
