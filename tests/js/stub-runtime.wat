;; A runtime with the interface of core/wasm/glue.c and no model: y = 2 x, four
;; floats. It misbehaves on demand, which a real runtime never does.
;;   first byte behind the head: 0 well, 1 trap in open, 2 refuse, 3 endless loop in open,
;;     4 input outside memory, 5 size outside memory, 6 name outside memory, 7 unknown dtype,
;;     8 size unlike dims, 9 more dims than there can be, 10 too little memory
;;   x[0]: -1 trap, -2 endless loop, -3 fail with a diagnosis, -4 work for x[1] million turns,
;;     -5 answer with the count of runs of this instance, -6 answer with more than there is room for,
;;     -7 find damage when it wipes
;;   carry: y to x, as the table behind the slots says
(module
  (import "env" "memory" (memory 1 65536))
  (global $next (mut i32) (i32.const 16384))
  (global $runs (mut i32) (i32.const 0))
  (global $turns (mut i32) (i32.const 0))
  ;; io table at 1024: layout, inputs, outputs, then two slots of 30 words
  (data (i32.const 1024)
    "\02\00\00\00" "\01\00\00\00" "\01\00\00\00"
    "\00\05\00\00" "\01\00\00\00" "\01\00\00\00" "\02\00\00\00"
    "\01\00\00\00" "\04\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
    "\00\10\00\00" "\10\00\00\00"
    "\04\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
    "\02\05\00\00" "\01\00\00\00" "\01\00\00\00" "\02\00\00\00"
    "\01\00\00\00" "\04\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
    "\00\20\00\00" "\10\00\00\00"
    "\04\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 1280) "x\00y\00")
  ;; diagnosis at 2048: status, pad, offset, where[128], message[256]
  (data (i32.const 2056) "\ff\ff\ff\ff\ff\ff\ff\ff")
  (data (i32.const 2064) "stub node")
  (data (i32.const 2192) "failed because it was asked to")
  (func (export "wai_glue_alloc") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (if (i32.gt_u (local.get $size) (i32.sub (i32.shl (memory.size) (i32.const 16)) (local.get $at)))
      (then (return (i32.const 0))))
    (global.set $next (i32.add (local.get $at)
      (i32.and (i32.add (local.get $size) (i32.const 63)) (i32.const -64))))
    (local.get $at))
  (func $forever (loop $again (global.set $turns (i32.add (global.get $turns) (i32.const 1))) (br $again)))
  (func (export "wai_glue_open") (param $at i32) (param $size i32) (result i32)
    (local $mode i32)
    (local.set $mode (i32.load8_u (i32.add (local.get $at) (i32.load offset=136 (local.get $at)))))
    (if (i32.eq (local.get $mode) (i32.const 1)) (then (unreachable)))
    (if (i32.eq (local.get $mode) (i32.const 2)) (then (return (i32.const 4))))
    (if (i32.eq (local.get $mode) (i32.const 3)) (then (call $forever)))
    (if (i32.eq (local.get $mode) (i32.const 4)) (then (i32.store (i32.const 1084) (i32.const 0xfffffff8))))
    (if (i32.eq (local.get $mode) (i32.const 5)) (then (i32.store (i32.const 1088) (i32.const 0x00ffffff))))
    (if (i32.eq (local.get $mode) (i32.const 6)) (then (i32.store (i32.const 1036) (i32.const 0xffffffff))))
    (if (i32.eq (local.get $mode) (i32.const 7)) (then (i32.store (i32.const 1044) (i32.const 99))))
    (if (i32.eq (local.get $mode) (i32.const 8)) (then (i32.store (i32.const 1088) (i32.const 8))))
    (if (i32.eq (local.get $mode) (i32.const 9)) (then (i32.store (i32.const 1048) (i32.const 9))))
    (if (i32.eq (local.get $mode) (i32.const 10)) (then (return (i32.const 6))))
    (i32.const 0))
  (func (export "wai_glue_harden") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "wai_glue_wipe") (result i32)
    (if (result i32) (f32.eq (f32.load (i32.const 4096)) (f32.const -7)) (then (i32.const 7)) (else (i32.const 0))))
  (func (export "wai_glue_io") (result i32) (i32.const 1024))
  (func (export "wai_glue_diag") (result i32) (i32.const 2048))
  (func (export "wai_glue_memory") (result i32) (global.get $next))
  (func (export "wai_glue_carry") (result i32)
    (if (i32.eqz (i32.load (i32.const 1276)))
      (then (memory.copy (i32.const 4096) (i32.const 8192) (i32.const 16))))
    (i32.const 0))
  (func (export "wai_glue_run") (result i32)
    (local $i i32) (local $what f32)
    (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
    (local.set $what (f32.load (i32.const 4096)))
    (if (f32.eq (local.get $what) (f32.const -1)) (then (unreachable)))
    (if (f32.eq (local.get $what) (f32.const -2)) (then (call $forever)))
    (if (f32.eq (local.get $what) (f32.const -3)) (then (return (i32.const 8))))
    (if (f32.eq (local.get $what) (f32.const -6)) (then (i32.store (i32.const 1172) (i32.const 0x00ffffff))))
    (if (f32.eq (local.get $what) (f32.const -4)) (then
      (local.set $i (i32.mul (i32.trunc_f32_u (f32.load (i32.const 4100))) (i32.const 1000000)))
      (loop $turn
        (global.set $turns (i32.mul (i32.add (global.get $turns) (local.get $i)) (i32.const 31)))
        (br_if $turn (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))
    (local.set $i (i32.const 0))
    (loop $each
      (f32.store (i32.add (i32.const 8192) (local.get $i))
        (f32.mul (f32.const 2) (f32.load (i32.add (i32.const 4096) (local.get $i)))))
      (br_if $each (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 16))))
    (if (f32.eq (local.get $what) (f32.const -5)) (then
      (f32.store (i32.const 8192) (f32.convert_i32_u (global.get $runs)))))
    (i32.const 0)))
