/*
 * index.h - what the operators that pick and place by run-time indices share.
 * Not an operator; has no row in ops.def.
 *
 * Indices are i32 or i64, negative from the end. They are tensors that may be
 * computed in the same run, so each is checked where it is used; one out of
 * range fails the run.
 */
#ifndef WAI_INDEX_H
#define WAI_INDEX_H

#include "graph/graph.h"
#include "ops/op.h"

/* ---- gather_elements ----------------------------------------------------
 * in: data any dtype, indices of its rank; out: data[.., indices[i], ..] with
 * the index in place of position i along `axis`. On every other axis indices
 * are at most as long as data. */
typedef struct wai_gather_elements_params {
    uint32_t axis;
} wai_gather_elements_params;

/* ---- gather_nd ----------------------------------------------------------
 * in: data any dtype, indices [batch.., places.., K]: each tuple of K names a
 * slice of data behind its `batch_dims` leading axes, which both share. */
typedef struct wai_gather_nd_params {
    uint32_t batch_dims;
} wai_gather_nd_params;

/* ---- scatter_elements, scatter_nd ---------------------------------------
 * in: data, indices, updates; out: data with updates set (or added, ...) at
 * the places gather_elements and gather_nd would read; in order, so of two
 * that set one place the last stays. Set: any dtype; else f32 and integers
 * (which wrap). min, max: NaN if either is. */
typedef enum wai_scatter_kind {
    WAI_SCATTER_SET = 1,
    WAI_SCATTER_ADD,
    WAI_SCATTER_MUL,
    WAI_SCATTER_MIN,
    WAI_SCATTER_MAX,
} wai_scatter_kind;

typedef struct wai_scatter_elements_params {
    uint32_t kind, axis;
} wai_scatter_elements_params;

typedef struct wai_scatter_nd_params {
    uint32_t kind;
} wai_scatter_nd_params;

/* Names of wai_scatter_kind, as wai_field.values wants them. */
extern const char *const wai_scatter_kinds[];

/* For infer: kind and dtype of data and updates. */
wai_status wai_scatter_check(wai_signature *s, uint32_t kind);

/* out[i] = in[i], or the two combined, for `count` elements. */
void wai_scatter_write(void *out, const void *in, wai_dtype dtype, size_t count, uint32_t kind);

/* data into out, unless they are one buffer. */
void wai_scatter_begin(wai_step *step);

uint64_t wai_scatter_flops(const wai_signature *s);

static inline bool wai_index_is(const wai_type *type) {
    return type->dtype == WAI_I32 || type->dtype == WAI_I64;
}

static inline int64_t wai_index_at(const wai_operand *indices, size_t i) {
    return indices->type.dtype == WAI_I32 ? ((const int32_t *)indices->data)[i]
                                          : ((const int64_t *)indices->data)[i];
}

/* Index number i, counted from the front. False when it is not below `dim`. */
static inline bool wai_index_get(const wai_operand *indices, size_t i, uint32_t dim, size_t *out) {
    int64_t index = wai_index_at(indices, i);
    *out = (size_t)(index < 0 ? index + dim : index);
    return index >= -(int64_t)dim && index < (int64_t)dim;
}

/* The failure of a run whose index number i is outside `axis`. */
wai_status wai_index_fail(const wai_step *step, wai_diag *diag, size_t i, uint32_t axis);

/*
 * Element numbers of `type` row by row (the last axis) in the order of the
 * indices of gather_elements and scatter_elements, with 0 along `axis`: `base`
 * is that of the row's first element, `step` the distance to its next one.
 */
typedef struct wai_index_walk {
    uint32_t rank, axis;
    const uint32_t *dims; /* of the indices */
    uint32_t at[WAI_MAX_RANK];
    size_t strides[WAI_MAX_RANK]; /* of the tensor, 0 along axis */
    size_t base, step, axis_stride, length, rows;
} wai_index_walk;

void wai_index_walk_begin(wai_index_walk *w, const wai_type *type, const wai_type *indices,
                          uint32_t axis);
void wai_index_walk_next(wai_index_walk *w);

/* For infer: what data and indices of the two must agree in. */
wai_status wai_index_check_elements(wai_signature *s, uint32_t axis);

static inline void wai_index_copy(uint8_t *out, const uint8_t *in, size_t element) {
    switch (element) {
    case 4:
        __builtin_memcpy(out, in, 4);
        break;
    case 8:
        __builtin_memcpy(out, in, 8);
        break;
    case 2:
        __builtin_memcpy(out, in, 2);
        break;
    default:
        *out = *in;
    }
}

/* ---- compiler only (index_lower.c) --------------------------------------- */

/*
 * What constant index tuples name, said with one index each and in blocks as
 * long as possible: `data`, seen as [.., block], by `rows` i32[n]. Exporters
 * write every slice assignment as one tuple per element.
 */
typedef struct wai_index_rows {
    wai_value *rows; /* NULL: not constant, or nothing is named */
    uint32_t count, total, block;
} wai_index_rows;

wai_index_rows wai_index_rows_of(wai_graph *g, const wai_value *data, const wai_value *indices);

struct wai_lower;
/* ONNX attribute reduction -> wai_scatter_kind (scatter_nd.c). */
uint32_t wai_lower_scatter_kind(struct wai_lower *l);

#endif
