// Memory hardening: guard words, weights looked at again, tensors wiped, and where the stack lies.
const PAST =
  'With hardening, a kernel that writes past its tensor is found in that run, by name, and the instance ends.';
const ROUND =
  'With hardening, damage round the arena, its workspace, operator state, weights, heap or stack is found in the run.';
const WEIGHTS =
  'With hardening, weights that were overwritten are found after so many runs as `integrityEvery` says.';
const GONE = 'With hardening, nothing of a run is left in memory when the next one begins.';
const ON = 'A secure folder is hardened, whatever the page that loads from it asks for.';
const STACK = 'A stack that overflows traps before it reaches a byte of anything else.';
const CORE = 'core/runtime/harden.c';
const UNIT = 'tests/unit/test_harden.c';
const JS = 'tests/js/harden.test.mjs';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'harden-output',
    promise: PAST,
    file: CORE,
    find: '        if (!holds(out, key)) {',
    replace: '        if (key == 0 && !holds(out, key)) {',
    test: UNIT,
    fails: 'test_output_overrun',
  },
  {
    name: 'harden-input',
    promise: PAST,
    file: CORE,
    find: '        if (!holds(&step->in[i], key)) {',
    replace: '        if (key == 0 && !holds(&step->in[i], key)) {',
    test: UNIT,
    fails: 'test_bystander',
  },
  {
    name: 'harden-in-place',
    promise: PAST,
    file: CORE,
    find: 'if (step->in[i].data == step->out[0].data && !holds(',
    replace: 'if (key == 0 && !holds(',
    test: UNIT,
    fails: 'test_bystander',
  },
  {
    name: 'harden-apart',
    promise: PAST,
    file: 'core/runtime/session.c',
    find: 'return prove(s, true, diag);',
    replace: 'return prove(s, false, diag);',
    test: UNIT,
    fails: 'test_slots_must_not_touch',
  },
  {
    name: 'harden-fed',
    promise: PAST,
    file: CORE,
    find: 'if (h->armed && !holds(&slot, h->key)) {',
    replace: 'if (false) {',
    test: UNIT,
    fails: 'test_places',
  },
  {
    name: 'harden-blocks',
    promise: ROUND,
    file: CORE,
    find: '    if (block == NULL) {',
    replace: '    if (block == NULL || h->key != 0) {',
    test: UNIT,
    fails: 'test_workspace',
  },
  {
    name: 'harden-weights-fence',
    promise: ROUND,
    file: CORE,
    find: 'if (size != 0 && !wai_fence_holds(h->key, at, size)) {',
    replace: 'if (size != 0 && h->key == 0 && *at == 0) {',
    test: UNIT,
    fails: 'test_places',
  },
  {
    name: 'harden-stack-fence',
    promise: ROUND,
    file: 'core/wasm/glue.c',
    find: 'return visit((ground){"stack", glue.bottom}) &&',
    replace: 'return',
    test: JS,
    fails: 'found: stack, its deepest bytes',
  },
  {
    name: 'harden-weights-hash',
    promise: WEIGHTS,
    file: CORE,
    find: 'hash_weights(h) != h->weights) {',
    replace: 'hash_weights(h) == h->weights + 1) {',
    test: UNIT,
    fails: 'test_weights',
  },
  {
    name: 'harden-wipe-arena',
    promise: GONE,
    file: CORE,
    find: '    wipe_arena(h);\n',
    replace: '    (void)wipe_arena;\n',
    test: UNIT,
    fails: 'test_wipe',
  },
  {
    name: 'harden-wipe-workspace',
    promise: GONE,
    file: CORE,
    find: 'memset(h->workspace, 0, wai_pool_block_size(h->workspace));',
    replace: '(void)h;',
    test: UNIT,
    fails: 'test_workspace',
  },
  {
    name: 'harden-poison',
    promise: GONE,
    file: 'core/base/pool.c',
    find: 'if (pool->fence != 0 && sealed) {',
    replace: 'if (false && sealed) {',
    test: UNIT,
    fails: 'test_pool',
  },
  {
    name: 'harden-wipe-asked',
    promise: GONE,
    file: 'web/engine.js',
    find: 'if (hardening) must(() => wasm.wai_glue_wipe(),',
    replace: 'if (!hardening && dead === null) must(() => wasm.wai_glue_wipe(),',
    test: JS,
    fails: 'behind a run nothing of its tensors is in memory, and at close nothing of the model',
  },
  {
    name: 'harden-secure',
    promise: ON,
    file: 'harness/dist.mjs',
    find: 'const hardened = secure || Boolean(options.hardened);',
    replace: 'const hardened = Boolean(options.hardened);',
    test: JS,
    fails: 'options: what is wrong is refused, and what was built in stays on',
  },
  {
    name: 'harden-stays-on',
    promise: ON,
    file: 'web/load.js',
    find: 'if (assets.hardened && !hardened)',
    replace: 'if (assets.hardened && hardened === null)',
    test: JS,
    fails: 'options: what is wrong is refused, and what was built in stays on',
  },
  {
    name: 'stack-first',
    promise: STACK,
    file: 'harness/toolchain/wasm/link.cmake',
    find: ' --stack-first ',
    replace: ' ',
    test: 'tests/js/stack.test.mjs',
    fails: 'runtime-simd.wasm: the stack is first, and data begins above it',
  },
];
