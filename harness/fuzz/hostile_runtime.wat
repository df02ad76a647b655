;; A runtime that was taken over: each export answers with the word at its place, and a run or a
;; carry puts other bytes in place of the io table. Memory beyond that is the input's.
;;   0 alloc  4 open  8 io  12 run  16 carry  20 diag  24 memory  28 harden  32 wipe   answers
;;   1024 io table    3072 what a run puts there
(module
  (import "env" "memory" (memory 1 65536))
  (func $swap (memory.copy (i32.const 1024) (i32.const 3072) (i32.const 1024)))
  (func (export "wai_glue_alloc") (param i32) (result i32) (i32.load (i32.const 0)))
  (func (export "wai_glue_open") (param i32 i32) (result i32) (i32.load (i32.const 4)))
  (func (export "wai_glue_io") (result i32) (i32.load (i32.const 8)))
  (func (export "wai_glue_run") (result i32) (call $swap) (i32.load (i32.const 12)))
  (func (export "wai_glue_carry") (result i32) (call $swap) (i32.load (i32.const 16)))
  (func (export "wai_glue_diag") (result i32) (i32.load (i32.const 20)))
  (func (export "wai_glue_harden") (param i32 i32 i32) (result i32) (i32.load (i32.const 28)))
  (func (export "wai_glue_wipe") (result i32) (call $swap) (i32.load (i32.const 32)))
  (func (export "wai_glue_memory") (result i32) (i32.load (i32.const 24))))
