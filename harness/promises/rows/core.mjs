// The runtime in C, which trusts no package: structure, types, the memory plan, before a step runs.
const STRUCTURE =
  'A package may hold any bytes: nothing is read or written outside of it and its arena.';
const PROVED =
  'Types, shapes and the memory plan of a package are proven again before a step runs.';
const REFUSED =
  'A package that cannot be right is refused in words, never a trap or a wrong answer.';
const DEAD = 'After a failed run the instance answers nothing until it is opened again.';
const PACKAGE = 'tests/unit/test_package.c';
const ATTACK = 'tests/unit/test_attack.c';
const READ = 'core/package/read.c';

/** @type {import('../rows.mjs').Row[]} */
export default [
  {
    name: 'package-size',
    promise: STRUCTURE,
    file: READ,
    find: 'if (out->package_size != package.size) {',
    replace: 'if (false) {',
    test: PACKAGE,
    fails: 'test_size',
  },
  {
    name: 'package-cursor',
    promise: STRUCTURE,
    file: 'core/base/cursor.h',
    find: 'if (c->failed || size > wai_cursor_left(c)) {',
    replace: 'if (c->failed) {',
    test: PACKAGE,
    fails: 'test_cursor',
  },
  {
    name: 'package-sections',
    promise: STRUCTURE,
    file: READ,
    find: 'offset - end >= WAI_ALIGN || size > p.size - offset) {',
    replace: 'offset - end >= WAI_ALIGN) {',
    test: PACKAGE,
    fails: 'test_sections',
  },
  {
    name: 'package-values',
    promise: STRUCTURE,
    file: READ,
    find: 'if (v->offset % WAI_ALIGN != 0 || v->offset > room ||',
    replace: 'if (false &&',
    test: PACKAGE,
    fails: 'test_places',
  },
  {
    name: 'package-strings',
    promise: STRUCTURE,
    file: READ,
    find: 'return offset < s->size ? (const char *)s->data + offset : NULL;',
    replace: 'return (const char *)s->data + offset;',
    test: PACKAGE,
    fails: 'test_names',
  },
  {
    name: 'package-indices',
    promise: STRUCTURE,
    file: READ,
    find: 'if (list[i] >= p->value_count && !(may_be_absent && list[i] == WAI_FORMAT_ABSENT)) {',
    replace: 'if (list == NULL && may_be_absent && p->value_count > 0) {',
    test: PACKAGE,
    fails: 'test_indices',
  },
  {
    name: 'package-params',
    promise: STRUCTURE,
    file: READ,
    find: 'if (param_words * 4u != op->params_size) {',
    replace: 'if (false) {',
    test: PACKAGE,
    fails: 'test_params',
  },
  {
    name: 'package-io-constant',
    promise: STRUCTURE,
    file: READ,
    find: 'if (!good || (i < p->input_count && p->values[p->inputs[i].value].constant)) {',
    replace: 'if (!good) {',
    test: PACKAGE,
    fails: 'test_input_is_no_constant',
  },
  {
    name: 'proof-infer',
    promise: PROVED,
    file: 'core/runtime/session.c',
    find: '(status = infer_again(s, diag)) != WAI_OK ||',
    replace: '(false && infer_again(s, diag) != WAI_OK) ||',
    test: ATTACK,
    fails: 'test_package_flipped',
  },
  {
    name: 'proof-plan',
    promise: PROVED,
    file: 'core/runtime/session.c',
    find: '(status = prove(s, false, diag)) != WAI_OK ||',
    replace: '(false && prove(s, false, diag) != WAI_OK) ||',
    test: ATTACK,
    fails: 'test_package_flipped',
  },
  {
    name: 'proof-overlap',
    promise: PROVED,
    file: 'core/plan/prove.c',
    find: 'if (!aliases && busy_until(p, place) >= time) {',
    replace: 'if (!aliases && busy_until(p, place) > UINT32_MAX - 1) {',
    test: 'tests/unit/test_plan.c',
    fails: 'test_proof_refuses',
  },
  {
    name: 'proof-in-place',
    promise: PROVED,
    file: 'core/plan/prove.c',
    find: '} else if (i >= 32 || (step->in_place >> i & 1) == 0) {',
    replace: '} else if (i >= 32) {',
    test: 'tests/unit/test_plan.c',
    fails: 'test_proof_refuses',
  },
  {
    name: 'proof-order',
    promise: PROVED,
    file: 'core/plan/prove.c',
    find: 'if (!p->view->values[value].constant && p->written[value] == 0) {',
    replace: 'if (false) {',
    test: 'tests/unit/test_plan.c',
    fails: 'test_proof_refuses',
  },
  {
    name: 'refused-layout',
    promise: REFUSED,
    file: 'core/runtime/session.c',
    find: 'if (certificate.layout != wai_xnn_layout()) {',
    replace: 'if (false) {',
    test: 'tests/unit/test_session.c',
    fails: 'test_layout',
  },
  {
    name: 'refused-unknown-operator',
    promise: REFUSED,
    file: READ,
    find: 'if (s->row == NULL) {',
    replace: 'if (false) {',
    test: PACKAGE,
    fails: 'test_operator',
  },
  {
    name: 'dead-after-failure',
    promise: DEAD,
    file: 'core/runtime/session.c',
    find: 's->dead = true; /* until it came back well */',
    replace: '',
    test: 'tests/unit/test_session.c',
    fails: 'test_dead_after_failure',
  },
  {
    name: 'memory-cap-of-session',
    promise:
      'A model gets the memory that its package states and not a byte more, below MAX_HEAP_SIZE.',
    file: 'core/runtime/session.c',
    find: 'if (options->limits.max_memory != 0 && certificate.peak_size > options->limits.max_memory) {',
    replace: 'if (false) {',
    test: 'tests/unit/test_session.c',
    fails: 'test_limit',
  },
];
