// What a page notices when a model misbehaves: the next run works.
const RECOVERS = 'A run that fails, hangs or is stopped takes no other run with it.';
const QUEUE = 'A session that is asked for more than it can do says so, and keeps what it took.';
const APART = 'No worker ever holds two models, and none outlives the last session for long.';
const SESSION = 'tests/browser/session.test.mjs';
const RECOVERY = 'tests/browser/recovery.test.mjs';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'deadline',
    promise: RECOVERS,
    file: 'web/session.js',
    find: 'if (deadlineMs !== undefined) {',
    replace: 'if (false) {',
    test: SESSION,
    fails: 'a deadline stops an endless run, and the next run works (chromium)',
    hangs: true,
  },
  {
    name: 'signal',
    promise: RECOVERS,
    file: 'web/session.js',
    find: "signal?.addEventListener('abort', onAbort, { once: true });",
    replace: '',
    test: SESSION,
    fails: 'a signal stops a run, a queued run and a load (chromium)',
    hangs: true,
  },
  {
    name: 'respawn',
    promise: RECOVERS,
    file: 'web/session.js',
    find: 'if (this.#active === job && this.#running) this.#replace(error);',
    replace: '',
    test: SESSION,
    fails: 'a trap and a failed run name themselves, and the next run works (chromium)',
  },
  {
    name: 'carried-state',
    promise: RECOVERS,
    file: 'web/session.js',
    find: 'if (takes === 0 || takes === this.#held) return;',
    replace: 'return;',
    test: SESSION,
    fails:
      'carried state is lost with a run that fails or is stopped, and never an older one is used (chromium)',
  },
  {
    name: 'close-rejects',
    promise: RECOVERS,
    file: 'web/session.js',
    find: 'for (const job of jobs) this.#settle(job, error);',
    replace: '',
    test: SESSION,
    fails:
      'close rejects what runs and what waits with STATE, and so does use after close (chromium)',
    hangs: true,
  },
  {
    name: 'stop-ends-worker',
    promise: RECOVERS,
    file: 'web/rpc.js',
    find: 'this.#link.end();',
    replace: '',
    test: RECOVERY,
    fails: 'a stopped worker is gone with its thread',
  },
  {
    name: 'open-gives-back',
    promise: RECOVERS,
    file: 'web/worker.js',
    find: 'post({ id, ...answer, pack }, pack ? [pack] : []);',
    replace: 'post({ id, ...answer, pack: answer.failed ? null : pack });',
    test: RECOVERY,
    fails: 'a worker that cannot open gives the package back for the next try (chromium)',
  },
  {
    name: 'turns-in-one-process',
    promise: RECOVERS,
    file: 'web/session.js',
    find: 'await runner.turn?.();',
    replace: '',
    test: 'tests/js/load.test.mjs',
    fails: 'queued runs in this process leave timers and signals their turn',
  },
  {
    name: 'reserve-taken-once',
    promise: APART,
    file: 'web/reserve.js',
    find: 'this.#kept = null;\n    const abort',
    replace: 'const abort',
    test: RECOVERY,
    fails: 'two that need a worker at once get two (chromium)',
  },
  {
    name: 'reserve-ends',
    promise: APART,
    file: 'web/reserve.js',
    find: '(client) => client.stop(),',
    replace: '() => {},',
    test: RECOVERY,
    fails: 'nothing outlives the last session for long, and two keep one reserve (chromium)',
  },
  {
    name: 'queue-runs',
    promise: QUEUE,
    file: 'web/waiting.js',
    find: 'count >= MAX_RUNS || this.#bytes',
    replace: 'this.#bytes',
    test: 'tests/js/load.test.mjs',
    fails:
      '1,000 runs wait on one session; beyond the bound the error names it, and all are answered',
  },
  {
    name: 'queue-bytes',
    promise: QUEUE,
    file: 'web/waiting.js',
    find: '|| this.#bytes + bytes > MAX_MIB * 2 ** 20',
    replace: '',
    test: 'tests/js/load.test.mjs',
    fails: 'what waits is bounded in bytes too, but one run may wait however large',
    hangs: true,
  },
];
