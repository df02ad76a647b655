/*
 * formula.h - a number that follows from dims: what a params word or a dim of
 * a package with symbolic dims is at run.
 *
 *     floor((constant + sum of factor * product of dims) / divisor) + offset
 *
 * or with what a modulus leaves of the sum in its place (pads that follow a stride),
 *
 * held between least and most. That is enough for what shapes are computed by:
 * sums (past + present), products (heads * batch), parts of an axis, windows that
 * slide, and cuts (the first 50, if there are as many).
 */
#ifndef WAI_FORMULA_H
#define WAI_FORMULA_H

#include "tensor/type.h"

#define WAI_FORMULA_TERMS   3u
#define WAI_FORMULA_FACTORS 3u
#define WAI_NO_VALUE        UINT32_MAX /* in place of a dim: the number 1          */

/* A dim: axis `axis` of value number `value`. */
typedef struct wai_dim_of {
    uint32_t value, axis;
} wai_dim_of;

typedef struct wai_formula_term {
    int32_t factor; /* 0: the term is not there                             */
    wai_dim_of dims[WAI_FORMULA_FACTORS];
} wai_formula_term;

/* 4-byte members only: packages hold it as it is. */
typedef struct wai_formula {
    int32_t constant;
    wai_formula_term terms[WAI_FORMULA_TERMS];
    uint32_t divisor; /* not 0; with WAI_FORMULA_EXACT: nothing may be left over */
    int32_t offset;
    int32_t least, most;
    uint32_t modulus; /* 0: none; else the sum becomes 0 .. modulus - 1          */
} wai_formula;

#define WAI_FORMULA_EXACT 0x80000000u
#define WAI_FORMULA_WORDS (sizeof(wai_formula) / 4)

/* Whether every dim that the formula names is there: values below
 * `value_count`, axes below WAI_MAX_RANK, and the divisor is one. */
bool wai_formula_is_valid(const wai_formula *f, uint32_t value_count);

/* The formula over the current types of all values; an axis past a value's rank
 * is 0. False when a product or the result leaves what 32 bits with sign hold, or
 * an exact division is none. */
bool wai_formula_evaluate(const wai_formula *f, const wai_type *types, int32_t *out);

/* The word of params that it gives: the formula's value, or where `over` is not
 * NULL the bits of the f32 quotient of the two. False as above. */
bool wai_formula_word(const wai_formula *f, const wai_formula *over, const wai_type *types,
                      uint32_t *word);

#endif
