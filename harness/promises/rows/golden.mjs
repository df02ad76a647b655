// The same bits everywhere, and that they are: one NaN, golden outputs, receipts.
const SAME = 'A package gives the same bits from the same inputs on every engine and processor.';
const GOLDEN =
  'A package carries digests of its outputs for known inputs: a self-test finds a wrong runtime, engine or weight.';
const APART = 'A self-test leaves what is carried from run to run where it is.';
const RECEIPT = 'A receipt says what was run, to the bit, and can be run again.';
const STRAIN = 'tests/conformance/strain.test.mjs';
const JS = 'tests/js/golden.test.mjs';
const UNIT = 'tests/unit/test_golden.c';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'golden-nan',
    promise: SAME,
    file: 'core/runtime/session.c',
    find: 'finish_outputs(s);',
    replace: '(void)finish_outputs;',
    test: STRAIN,
    fails: 'all NaNs go out as one',
  },
  {
    name: 'golden-nan-kinds',
    promise: SAME,
    file: 'core/runtime/canonical.c',
    find: 'REPLACE(uint16_t, 0x7fffu, 0x7c00u, 0x7e00u)',
    replace: 'break;',
    test: UNIT,
    fails: 'test_one_nan',
  },
  {
    name: 'golden-nan-folded',
    promise: SAME,
    file: 'core/compiler/fold.c',
    find: 'wai_canonical_nans(step.out[i].type.dtype, step.out[i].data,',
    replace: 'wai_canonical_nans(WAI_U8, step.out[i].data,',
    test: JS,
    fails: 'a NaN that was folded when it was compiled is the one NaN',
  },
  {
    name: 'golden-nan-bits',
    promise: SAME,
    file: 'core/ops/keys.c',
    find: 'magnitude > infinity ? INT64_MAX : keys[i] < 0',
    replace: 'magnitude > infinity ? keys[i] : keys[i] < 0',
    test: STRAIN,
    fails: 'a NaN is sorted by being one, not by its bits',
  },
  {
    name: 'golden-old-bytes',
    promise: SAME,
    file: 'core/ops/unique.c',
    find: 'size[found] = 0;',
    replace: '',
    test: STRAIN,
    fails: 'what a run before left is not counted',
  },
  {
    name: 'golden-opcodes',
    promise: SAME,
    file: 'harness/toolchain/meter/body.mjs',
    find: 'if (code > 0xff) throw new MeterError(`opcode 0xfd ${code} (relaxed SIMD) is not known`);',
    replace: 'if (code > 0xff) return op.NOP;',
    test: 'tests/rules/wasm.test.mjs',
    fails: 'relaxed SIMD and atomics are found: the reader knows deterministic instructions only',
  },
  {
    name: 'golden-written',
    promise: GOLDEN,
    file: 'harness/index.mjs',
    find: 'compiler.stateGolden(written, measured.golden)',
    replace: 'written',
    test: JS,
    fails: 'the largest dims, the smallest and one between',
  },
  {
    name: 'golden-weight',
    promise: GOLDEN,
    file: 'web/golden.js',
    find: 'const ok = got.every(({ sha384 }, i) => sha384 === one.outputs[i].sha384);',
    replace: 'const ok = true;',
    test: JS,
    fails: 'a changed weight does not pass: the output is named',
  },
  {
    name: 'golden-runtime',
    promise: GOLDEN,
    file: 'web/golden.js',
    find: 'passed: done.every(({ ok }) => ok)',
    replace: 'passed: true',
    test: JS,
    fails: 'a changed runtime does not pass',
  },
  {
    name: 'golden-bits',
    promise: GOLDEN,
    file: 'web/receipt.js',
    find: 'all.set(new Uint8Array(buffer, byteOffset, byteLength), head.length);',
    replace: 'void [buffer, byteOffset];',
    test: JS,
    fails: 'a changed weight does not pass: the output is named',
  },
  {
    name: 'golden-section',
    promise: GOLDEN,
    file: 'core/package/read.c',
    find: 'return good && !c.failed && all_zero(c.next, c.end)',
    replace: 'return true',
    test: UNIT,
    fails: 'test_damaged',
  },
  {
    name: 'golden-apart',
    promise: APART,
    file: 'web/engine.js',
    find: 'const before = apart ? carried() : [];',
    replace: 'const before = /** @type {(Bytes | null)[]} */ ([]);',
    test: JS,
    fails: 'a self-test leaves what is carried where it is',
  },
  {
    name: 'golden-receipt-inputs',
    promise: RECEIPT,
    file: 'harness/replay.mjs',
    find: 'if (text(other) !== wanted)',
    replace: 'if (false)',
    test: 'tests/js/receipt.test.mjs',
    fails: 'verify --receipt runs it again, and names what differs',
  },
  {
    name: 'golden-receipt-package',
    promise: RECEIPT,
    file: 'harness/replay.mjs',
    find: 'if (head === receipt.package.head) return;',
    replace: 'if (head !== null) return;',
    test: 'tests/js/receipt.test.mjs',
    fails: 'verify --receipt runs it again, and names what differs',
  },
  {
    name: 'golden-receipt-state',
    promise: RECEIPT,
    file: 'web/session.js',
    find: 'shown: receipt === true,',
    replace: 'shown: false,',
    test: 'tests/js/receipt.test.mjs',
    fails:
      'a state has one digest as an output and as the next input; only what was asked for is in it',
  },
];
