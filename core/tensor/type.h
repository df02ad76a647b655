/* type.h - dtype, rank and dims of a tensor, and its sizes.
 *
 * Tensors are dense and row-major: the last dim is contiguous. A rank-0
 * tensor is a scalar of one element. A dim may be 0. */
#ifndef WAI_TYPE_H
#define WAI_TYPE_H

#include <stdbool.h>

#include "wasmai.h"

typedef struct wai_type {
    wai_dtype dtype;
    uint32_t rank;
    uint32_t dims[WAI_MAX_RANK]; /* dims[rank..] are 0 */
} wai_type;

/* Bytes of one element; 0 for a number that is no dtype. */
size_t wai_dtype_size(wai_dtype dtype);

/* Name per dtype, index 0 and the last NULL: what wai_field.values wants. */
extern const char *const wai_dtype_names[];

/* "f32", "i64", ...; "?" for a number that is no dtype. */
const char *wai_dtype_name(wai_dtype dtype);

/* True for I8..U64, not for BOOL. */
bool wai_dtype_is_integer(wai_dtype dtype);

/* What a dtype that is only stored and converted is computed in: F32 for the
 * floats narrower than that, U8 and I8 for U4 and I4; others themselves. */
wai_dtype wai_dtype_computed(wai_dtype dtype);

/* True for those that are only stored and converted. */
bool wai_dtype_is_storage(wai_dtype dtype);

wai_type wai_type_make(wai_dtype dtype, uint32_t rank, const uint32_t *dims);

/*
 * True if dtype and rank are known, every dim is at most WAI_MAX_DIM and the
 * tensor is at most WAI_MAX_TENSOR_SIZE bytes. Everything below may be
 * called, and every product of dims taken, only on a type that passed here.
 */
bool wai_type_is_valid(const wai_type *type);

/* Elements; 1 for a scalar, 0 if any dim is 0. */
size_t wai_type_count(const wai_type *type);

/* Bytes without spare. */
size_t wai_type_size(const wai_type *type);

/* Bytes to reserve: size plus the spare bytes that XNNPACK may read past the
 * end, rounded up to WAI_ALIGN. The only place that adds spare bytes. */
size_t wai_slot_size(size_t size);

bool wai_type_equal(const wai_type *a, const wai_type *b);

/* Product of dims[from..to). */
size_t wai_dims_product(const uint32_t *dims, uint32_t from, uint32_t to);

/* Row-major strides in elements for `type`. */
void wai_type_strides(const wai_type *type, size_t strides[WAI_MAX_RANK]);

/*
 * NumPy broadcasting of a and b (dims aligned at the right; 1 stretches).
 * Sets out->rank and out->dims. False if they do not fit or the rank is over
 * WAI_MAX_RANK.
 */
bool wai_type_broadcast(wai_type *out, const wai_type *a, const wai_type *b);

/*
 * Strides in elements with which a walk over `out`'s dims reads `in`
 * (which broadcasts to out): 0 where `in` has 1 and `out` has more.
 */
void wai_broadcast_strides(const wai_type *in, const wai_type *out, size_t strides[WAI_MAX_RANK]);

/* "f32[1,3,224,224]" into text; for messages. Returns text. */
#define WAI_TYPE_TEXT 128
const char *wai_type_text(const wai_type *type, char text[WAI_TYPE_TEXT]);

#endif
