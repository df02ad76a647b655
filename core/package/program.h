/* program.h - what a package holds, as records: written by package/write.c,
 * made again by package/read.c. */
#ifndef WAI_PROGRAM_H
#define WAI_PROGRAM_H

#include "ops/op.h"
#include "tensor/formula.h"

typedef struct wai_program_value {
    wai_type type;
    uint32_t offset; /* in the arena or in `data`                       */
    uint32_t size;   /* bytes reserved there, without spare             */
    bool constant;
    bool half;              /* constant that `data` holds as f16             */
    const uint8_t *widened; /* and what it is, from the pool                */
} wai_program_value;

typedef struct wai_program_step {
    const wai_op_row *row;
    const char *where;
    const void *params;
    const uint32_t *in; /* value index or WAI_FORMAT_ABSENT                */
    const uint32_t *out;
    uint32_t in_count, out_count;
} wai_program_step;

typedef struct wai_program_io {
    const char *name;
    uint32_t value;
} wai_program_io;

typedef struct wai_program_symbol {
    const char *name;
    uint32_t min, max;
} wai_program_symbol;

/* Axis `axis` of input number `input`. */
typedef struct wai_program_axis {
    uint32_t input, axis, symbol;
} wai_program_axis;

/* Word `word` of the step's params is the formula's value, or where `over` is
 * not WAI_FORMAT_ABSENT the f32 quotient of two formulas. */
typedef struct wai_program_use {
    uint32_t step, word, formula, over;
} wai_program_use;

/* The step is skipped when the value is 0. */
typedef struct wai_program_guard {
    uint32_t step, value;
} wai_program_guard;

typedef struct wai_program {
    wai_program_value *values;
    wai_program_step *steps;
    wai_program_io *inputs, *outputs;
    uint32_t value_count, step_count, input_count, output_count;
    uint64_t arena_size;
    wai_program_symbol *symbols;
    const wai_program_axis *axes;
    const wai_formula *formulas;
    const wai_program_use *uses;     /* steps ascending                         */
    const wai_program_guard *guards; /* steps ascending                     */
    uint32_t symbol_count, axis_count, formula_count, use_count, guard_count;
    const uint8_t *data; /* constants                                       */
    uint64_t data_size;
} wai_program;

static inline const uint8_t *wai_program_constant(const wai_program *p,
                                                  const wai_program_value *value) {
    return value->half ? value->widened : p->data + value->offset;
}

#endif
