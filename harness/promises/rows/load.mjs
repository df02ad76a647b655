// What the loader checks before it lets anything be compiled.
const DIGEST =
  'A package or runtime that was changed on its way is refused before anything is compiled.';
const PINNED = 'A page takes the packages that it was built with, and no others, however valid.';
const MEMORY =
  'A model gets the memory that its package states and not a byte more, below MAX_HEAP_SIZE.';
const LOADER = 'tests/js/loader.test.mjs';
const SESSION = 'tests/browser/session.test.mjs';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'digest-package',
    promise: DIGEST,
    file: 'web/chunks.js',
    find: 'if (stated === (await this.#room.digest(from, to))) return;',
    replace: 'await this.#room.digest(from, to);\n    return;',
    test: 'tests/js/chunks.test.mjs',
    fails: 'damage is found without pin or signature, and nothing is compiled',
  },
  {
    name: 'digest-poured-again',
    promise: DIGEST,
    file: 'web/load.js',
    find: 'head: about.head }',
    replace: 'head: origin.head }',
    test: 'tests/browser/pour.test.mjs',
    fails: 'a lost worker: it is asked for again, and must be the same (chromium)',
  },
  {
    name: 'digest-head',
    promise: DIGEST,
    file: 'web/chunks.js',
    find: 'if (digest !== hex(head.subarray(end))) {',
    replace: 'if (false) {',
    test: 'tests/js/chunks.test.mjs',
    fails: 'damage is found without pin or signature, and nothing is compiled',
  },
  {
    name: 'digest-while-streaming',
    promise: DIGEST,
    file: 'web/chunks.js',
    find: 'this.#range(chunk)[1] <= loaded;',
    replace: 'loaded === this.#certificate.packageSize;',
    test: 'tests/js/chunks.test.mjs',
    fails: 'a server that sends a bad chunk is not asked for much more, and never again',
  },
  {
    name: 'digest-worker-of-frame',
    promise: DIGEST,
    file: 'web/load.js',
    find: 'sha384: frame.workerSha384',
    replace: 'sha384: null',
    test: 'tests/browser/frame.test.mjs',
    fails: 'another worker than the one that was built is not given to the frame (chromium)',
  },
  {
    name: 'digest-runtime',
    promise: DIGEST,
    file: 'web/load.js',
    find: 'if (sha384 && (await sha384Of(bytes, where)) !== sha384) {',
    replace: 'if (false) {',
    test: SESSION,
    fails: 'a changed runtime is refused before it is compiled (chromium)',
  },
  {
    name: 'pin-package',
    promise: PINNED,
    file: 'web/receive.js',
    find: 'if (source.head && source.head !== digest) throw notPinned(where);',
    replace: '',
    test: SESSION,
    fails:
      'a package pinned at build is refused when the file is another, also a valid one (chromium)',
  },
  {
    name: 'pin-of-caller',
    promise: PINNED,
    file: 'web/receive.js',
    find: 'if (source.sha384 !== whole)',
    replace: 'if (false)',
    test: 'tests/js/chunks.test.mjs',
    fails: 'the whole file is checked against a SHA-384 that the caller gives',
  },
  {
    name: 'pin-required',
    promise: PINNED,
    file: 'web/sources.js',
    find: 'if (assets.secure && !sha384 && !pin && !signed) {',
    replace: 'if (false) {',
    test: 'tests/js/signature.test.mjs',
    fails:
      'a --secure loader takes a package that it was not built with when a trusted key signed it',
  },
  {
    name: 'size-stated',
    promise: DIGEST,
    file: 'web/receive.js',
    find: 'if (loaded !== size) throw wrongSize(size, loaded, where);',
    replace: '',
    test: LOADER,
    fails: 'a package cut at any byte is refused as MALFORMED',
  },
  {
    name: 'memory-cap',
    promise: MEMORY,
    file: 'web/certificate.js',
    find: 'if (pages * PAGE_SIZE > cap) {',
    replace: 'if (false) {',
    test: LOADER,
    fails: 'options that this release does not have are refused by name, never ignored',
  },
  {
    name: 'memory-cap-of-build',
    promise: MEMORY,
    file: 'web/load.js',
    find: 'capMB: Math.min(maxHeapMB ?? Infinity, assets.maxHeapMB),',
    replace: 'capMB: maxHeapMB ?? 4096,',
    test: LOADER,
    fails: 'MAX_HEAP_SIZE of the build holds at load, whatever the page asks for',
  },
  {
    name: 'memory-maximum',
    promise: MEMORY,
    file: 'web/engine.js',
    find: 'initial: pages, maximum: pages',
    replace: 'initial: pages, maximum: 65536',
    test: LOADER,
    fails: 'the memory is what the certificate states, and cannot grow',
  },
  {
    name: 'memory-cap-of-compile',
    promise: MEMORY,
    file: 'core/compiler/compile.c',
    find: 'if (c->peak_size > limit) {',
    replace: 'if (false) {',
    test: 'tests/reject/onnx.test.mjs',
    fails: 'a model above MAX_HEAP_SIZE: flag, environment and file, each naming both numbers',
  },
];
