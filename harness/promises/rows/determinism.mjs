// The same answer everywhere. See ../README.md.
const BITS = 'Answers are the same bits, for the same fuel, in every engine.';
const TEST = 'tests/browser/determinism.test.mjs';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'bits-one-nan',
    promise: BITS,
    file: 'core/runtime/session.c',
    find: 'wai_canonical_nans(o.type.dtype, o.data, wai_type_size(&o.type));',
    replace: '(void)o;',
    test: TEST,
    // V8 and JavaScriptCore happen to agree; Firefox's Tanh hands on another NaN.
    fails: "arithmetic-with-nans: bits and fuel are Node's (firefox)",
  },
];
