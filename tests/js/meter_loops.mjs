// Loops that never end, in the forms that compilers and attackers write them. Run in Node and in
// Chromium, which must stop at the same count.

const f = (/** @type {string} */ body, more = '') => `(module (memory 1) ${more}
  (func (export "f") (local $i i32) (local $n i32) (local $w i64) ${body}))`;

/** @type {Record<string, string>} */
export const endlessLoops = {
  'an empty loop': f('(loop (br 0))'),
  'a loop with a condition that always holds': f('(loop (br_if 0 (i32.const 1)))'),
  'a loop by a table': f('(loop (br_table 0 0 0 (i32.const 5)))'),
  'a loop that goes on in an if': f('(loop (if (i32.eqz (local.get $i)) (then (br 1))))'),
  'a loop with work': f('(loop (i32.store (i32.const 0) (local.get $i)) (br 0))'),
  'a counter that steps over its bound': f(
    '(local.set $i (i32.const 1)) (loop (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 2))) (i32.const 0))))',
  ),
  'a bound from memory that is stepped over': f(
    '(local.set $n (i32.load (i32.const 0))) (local.set $i (i32.const 1)) ' +
      '(loop (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n))))',
  ),
  'a counter that is always below': f(
    '(loop (br_if 0 (i32.le_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const -1))))',
  ),
  'a counter that is always above': f(
    '(local.set $n (i32.load (i32.const 0))) ' +
      '(loop (br_if 0 (i32.ge_u (local.tee $i (i32.sub (local.get $i) (i32.const 1))) (local.get $n))))',
  ),
  'a counter that is set back': f(
    '(loop (local.set $i (i32.const 0)) (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))',
  ),
  'a counter of 64 bits': f(
    '(loop (br_if 0 (i64.ne (local.tee $w (i64.add (local.get $w) (i64.const 2))) (i64.const 1))))',
  ),
  'a loop in a counted loop': f(
    '(loop (loop (br 0)) (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))',
  ),
  'counted loops in an endless one': f(
    '(loop (local.set $i (i32.const 0)) (loop (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 99)))) (br 0))',
  ),
  'a long counted loop': f(
    '(loop (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 0))))',
  ),
  'an endless loop that calls': f('(loop (call $g) (br 0))', '(func $g)'),
  'filling memory for ever': f(
    '(loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) (br 0))',
  ),
};
