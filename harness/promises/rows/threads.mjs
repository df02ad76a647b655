// Several threads on one model: as far apart, as bounded and as right as one.
const TEST = 'tests/js/threads.test.mjs';
const BROWSER = 'tests/browser/threads.test.mjs';
const BITS = 'Answers are the same bits, for the same fuel, in every engine.';
const TOLD = 'who gets one thread is told why';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'threads-waited-for',
    promise: BITS,
    file: 'core/runtime/threads.c',
    find: 'for (int looks = 0; (gate & INSIDE) != 0; looks++) {',
    replace: 'for (int looks = 0; false; looks++) {',
    test: TEST,
    fails: 'the pool does every tile once, on 2, 4 and 16 threads, under ThreadSanitizer',
    builds: [],
  },
  {
    name: 'threads-fuel',
    promise: BITS,
    file: 'web/threads.js',
    find: 'if (secure)',
    replace: 'if (false)',
    test: TEST,
    fails: TOLD,
  },
  {
    name: 'threads-stack',
    promise: 'A stack that overflows traps before it reaches a byte of anything else.',
    file: 'web/engine.js',
    find: 'index === 0 ? STACK_FLOOR : top - THREAD_STACK',
    replace: '0',
    test: TEST,
    fails: 'a thread whose stack overflows traps, and the run with it',
    hangs: true,
  },
  {
    name: 'threads-lost',
    promise: 'A run that fails, hangs or is stopped takes no other run with it.',
    file: 'web/engine.js',
    find: 'wasm.wai_glue_break();',
    replace: '',
    test: TEST,
    fails: 'a thread whose stack overflows traps, and the run with it',
    hangs: true,
  },
  {
    name: 'threads-memory',
    promise:
      'A model gets the memory that its package states and not a byte more, below MAX_HEAP_SIZE.',
    file: 'web/threads.js',
    find: 'if (room + 1 < most)',
    replace: 'if (false)',
    test: TEST,
    fails: 'small models and little memory get fewer threads',
  },
  {
    name: 'threads-encrypted',
    promise:
      'What was encrypted is decrypted where the model runs: no message to the page has a byte of it.',
    file: 'web/threads.js',
    find: 'if (encrypted)',
    replace: 'if (false)',
    test: TEST,
    fails: TOLD,
  },
  {
    name: 'threads-end',
    promise: 'No worker ever holds two models, and none outlives the last session for long.',
    file: 'web/runners.js',
    find: '      client.stop(error);\n      helpers.stop();\n    },\n    alive',
    replace: '      client.stop(error);\n    },\n    alive',
    test: BROWSER,
    fails: 'a run that is stopped ends every thread, and the next has new ones (chromium)',
  },
];
