// The sandboxed frame: what it is denied, that its policy comes with its file, and for whom it works.
const DENIED =
  "A model in the sandboxed frame has no origin of the page's: no storage, no cookies, whatever it reaches.";
const POLICY =
  'The sandboxed frame brings its policy along: on any host it is closed, or lets no model in.';
const PAGES = 'The sandboxed frame works for pages of its own site, and ends when they say so.';
const FRAME = 'tests/browser/frame.test.mjs';
const ESCAPE = 'tests/browser/escape.test.mjs';
const RUNS =
  'frame: runs under the strict policy with Trusted Types, without one violation (chromium)';
const SHUT = 'frame: nothing leads out of the locked worker (chromium)';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'frame-sandbox',
    promise: DENIED,
    file: 'web/framed.js',
    find: "'sandbox', 'allow-scripts'",
    replace: "'sandbox', 'allow-scripts allow-popups allow-forms'",
    test: FRAME,
    fails: RUNS,
  },
  {
    name: 'frame-own-policy',
    promise: POLICY,
    file: 'harness/frame_page.mjs',
    find: '<meta http-equiv="Content-Security-Policy" content="${framePolicy(script)}">',
    replace: '',
    test: FRAME,
    fails:
      'a host that sends no headers: the frame runs, the worker refuses and points to it (chromium)',
  },
  {
    name: 'frame-no-address',
    promise: POLICY,
    file: 'harness/server/policies.mjs',
    find: "`script-src '${script}' ",
    replace: "`script-src 'self' '${script}' ",
    test: ESCAPE,
    fails: SHUT,
  },
  {
    name: 'frame-canary',
    promise: POLICY,
    file: 'web/worker.js',
    find: 'await requirePolicy();',
    replace: '',
    test: FRAME,
    fails:
      'a frame with a policy that allows connections is noticed by the worker in it, and no model is let in (chromium)',
  },
  {
    name: 'frame-exact-address',
    promise: PAGES,
    file: 'harness/server/policies.mjs',
    find: 'frames: exact(frame ? [frame.file] : []),',
    replace: '',
    test: FRAME,
    fails: "our server names the worker's and the frame's very files in the policy",
  },
  {
    name: 'frame-of-others',
    promise: PAGES,
    file: 'web/frame.js',
    find: 'origin !== location.origin || ',
    replace: '',
    test: FRAME,
    fails: 'the frame starts nothing for a page of another site (chromium)',
  },
  {
    name: 'frame-gone',
    promise: PAGES,
    file: 'web/framed.js',
    find: 'this.#watch.observe(document.documentElement, { childList: true });',
    replace: '',
    test: FRAME,
    fails: 'a frame that is gone ends its runs, and the next run gets a new one (chromium)',
    hangs: true,
  },
];
