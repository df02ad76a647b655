/*
 * Rotary embedding, of com.microsoft and of ai.onnx, and for the operators that
 * have it inside. A pair (a, b) becomes (a cos - b sin, b cos + a sin): x times
 * the cosines plus x with its pairs swapped times the sines, half of them negated.
 */
#include <string.h>

#include "ops/attention_lower.h"

/* ---- parts -------------------------------------------------------------------- */

static wai_value *joined(wai_lower *l, wai_value *a, wai_value *b, uint32_t axis) {
    const wai_concat_params p = {axis};
    wai_value *in[] = {a, b};
    return a != NULL && b != NULL ? wai_emit(l->graph, &wai_op_concat, &p, in, 2) : NULL;
}

/* x[..., R] with the two of a pair apart: [..., 2, R/2] or [..., R/2, 2]; *axis is
 * the one of 2. Ranks are at most 4. */
static wai_value *pairs(wai_lower *l, wai_value *x, bool interleaved, uint32_t *axis) {
    if (x == NULL) {
        return NULL;
    }
    uint32_t dims[WAI_MAX_RANK];
    const uint32_t rank = x->type.rank, half = x->type.dims[rank - 1] / 2;
    memcpy(dims, x->type.dims, sizeof dims);
    dims[rank - 1] = interleaved ? half : 2;
    dims[rank] = interleaved ? 2 : half;
    *axis = interleaved ? rank : rank - 1;
    return wai_emit_reshape(l->graph, x, rank + 1, dims);
}

static wai_value *swapped(wai_lower *l, wai_value *x, bool interleaved) {
    uint32_t axis;
    wai_value *both = pairs(l, x, interleaved, &axis);
    if (both == NULL) {
        return NULL;
    }
    both =
        joined(l, wai_lower_part(l, both, axis, 1, 1), wai_lower_part(l, both, axis, 0, 1), axis);
    return wai_emit_reshape(l->graph, both, x->type.rank, x->type.dims);
}

/* A list of R/2 numbers per row as one of R: `first` and `second` of each pair. */
static wai_value *doubled(wai_lower *l, wai_value *first, wai_value *second, bool interleaved) {
    if (first == NULL || second == NULL) {
        return NULL;
    }
    const uint32_t rank = first->type.rank, half = first->type.dims[rank - 1];
    const uint32_t axis = interleaved ? rank : rank - 1;
    uint32_t dims[WAI_MAX_RANK], whole[WAI_MAX_RANK];
    memcpy(dims, first->type.dims, sizeof dims);
    memcpy(whole, first->type.dims, sizeof whole);
    whole[rank - 1] = 2 * half;
    dims[rank - 1] = interleaved ? half : 1;
    dims[rank] = interleaved ? 1 : half;
    wai_value *both = joined(l, wai_emit_reshape(l->graph, first, rank + 1, dims),
                             wai_emit_reshape(l->graph, second, rank + 1, dims), axis);
    return wai_emit_reshape(l->graph, both, rank, whole);
}

wai_rotary wai_rotary_of(wai_lower *l, wai_value *cos, wai_value *sin, wai_value *positions,
                         bool interleaved) {
    wai_rotary r = {NULL, NULL, interleaved};
    if (cos == NULL || sin == NULL || wai_lower_failed(l)) {
        return r;
    }
    if (cos->type.rank != (positions != NULL ? 2 : 3) || cos->type.dtype != WAI_F32 ||
        !wai_type_equal(&cos->type, &sin->type)) {
        char text[WAI_TYPE_TEXT], of_sin[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "the caches of %s are %s and %s, expected two of f32[%s, pairs]",
                         l->op_type, wai_type_text(&cos->type, text),
                         wai_type_text(&sin->type, of_sin),
                         positions != NULL ? "positions" : "batch, length");
        return r;
    }
    /* On the whole cache, which is a constant: it folds. */
    cos = doubled(l, cos, cos, interleaved);
    sin = doubled(l, wai_emit_unary(l->graph, WAI_UNARY_NEG, 0, 0, sin), sin, interleaved);
    if (positions != NULL && cos != NULL && sin != NULL) {
        const wai_gather_params p = {.axis = 0};
        wai_value *of_cos[] = {cos, positions}, *of_sin[] = {sin, positions};
        cos = wai_emit(l->graph, &wai_op_gather, &p, of_cos, 2);
        sin = wai_emit(l->graph, &wai_op_gather, &p, of_sin, 2);
    }
    r.cos = cos;
    r.sin = sin;
    return r;
}

wai_value *wai_rotary_emit(wai_lower *l, const wai_rotary *r, wai_value *x, uint32_t head_axis) {
    wai_graph *g = l->graph;
    if (x == NULL || r->cos == NULL || r->sin == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    const uint32_t *dims = r->cos->type.dims, turned = dims[2], size = x->type.dims[3];
    const uint32_t length = x->type.dims[3 - head_axis];
    if (turned > size || dims[1] != length || (dims[0] != 1 && dims[0] != x->type.dims[0])) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "%s turns %u numbers at [%u,%u] positions of %s", l->op_type, turned,
                         dims[0], dims[1], wai_type_text(&x->type, text));
        return NULL;
    }
    const uint32_t row[] = {dims[0], head_axis == 1 ? 1 : length, head_axis == 1 ? length : 1,
                            turned};
    wai_value *front = wai_lower_part(l, x, 3, 0, turned);
    wai_value *y = wai_emit_binary(g, WAI_BINARY_MUL, front, wai_emit_reshape(g, r->cos, 4, row));
    wai_value *other = wai_emit_binary(g, WAI_BINARY_MUL, swapped(l, front, r->interleaved),
                                       wai_emit_reshape(g, r->sin, 4, row));
    y = wai_emit_binary(g, WAI_BINARY_ADD, y, other);
    return turned < size ? joined(l, y, wai_lower_part(l, x, 3, turned, size - turned), 3) : y;
}

/* ---- RotaryEmbedding ------------------------------------------------------------- */

/* Positions of com.microsoft: one number, where the first element stands, or one
 * per element, [B,S]. */
static wai_value *read_positions(wai_lower *l, wai_value *positions, uint32_t batch,
                                 uint32_t length) {
    if (positions == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    const wai_type *type = &positions->type;
    if (type->rank <= 1 && wai_type_count(type) == 1) {
        const uint32_t row[] = {1, length};
        positions = wai_emit_reshape(l->graph, positions, 0, NULL);
        wai_value *steps = wai_lower_iota(l, type->dtype, length);
        positions = wai_emit_binary(l->graph, WAI_BINARY_ADD, positions, steps);
        return wai_emit_reshape(l->graph, positions, 2, row);
    }
    if (type->rank != 2 || (type->dims[0] != batch && type->dims[0] != 1) ||
        type->dims[1] != length) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "position_ids of %s are %s, expected [1] or [%u,%u]", l->op_type,
                         wai_type_text(type, text), batch, length);
        return NULL;
    }
    return positions;
}

/* Numbers of one head of x[B,S,H*D]. */
static uint32_t head_size(wai_lower *l, const wai_value *x, const wai_value *cos, int64_t heads,
                          int64_t turned) {
    const uint32_t hidden = x->type.dims[2], pairs_of = cos->type.dims[cos->type.rank - 1];
    int64_t size = heads > 0 ? hidden / heads : 2 * (int64_t)pairs_of;
    if (size <= 0 || hidden % size != 0 || (heads > 0 && hidden % heads != 0) ||
        (heads <= 0 && turned != 0)) {
        WAI_LOWER_REFUSE(l, "%s of %u numbers in %lld heads, %u pairs each", l->op_type, hidden,
                         (long long)heads, pairs_of);
        return 0;
    }
    return (uint32_t)size;
}

static void rotary_embedding(wai_lower *l, wai_value *cos, wai_value *sin, wai_value *positions) {
    wai_value *x = wai_lower_input(l, 0);
    const bool interleaved = wai_attr_int(l, "interleaved", 0) != 0;
    const int64_t heads = wai_attr_int(l, "num_heads", 0);
    const int64_t turned = wai_attr_int(l, "rotary_embedding_dim", 0);
    if (wai_lower_failed(l)) {
        return;
    }
    const wai_type type = x->type;
    char text[WAI_TYPE_TEXT];
    if (type.dtype != WAI_F32 || type.rank < 3 || type.rank > 4 || cos->type.rank < 2) {
        WAI_LOWER_REFUSE(l, "%s of %s, expected f32 of rank 3 or 4", l->op_type,
                         wai_type_text(&type, text));
        return;
    }
    if (turned != 0 && turned != 2 * (int64_t)cos->type.dims[cos->type.rank - 1]) {
        WAI_LOWER_REFUSE(l, "rotary_embedding_dim of %s is %lld, the caches have %u pairs",
                         l->op_type, (long long)turned, cos->type.dims[cos->type.rank - 1]);
        return;
    }
    const uint32_t head_axis = type.rank == 3 ? 2 : 1;
    if (type.rank == 3) {
        const uint32_t size = head_size(l, x, cos, heads, turned);
        const uint32_t dims[] = {type.dims[0], type.dims[1], size != 0 ? type.dims[2] / size : 0,
                                 size};
        x = wai_lower_failed(l) ? NULL : wai_emit_reshape(l->graph, x, 4, dims);
    }
    positions = read_positions(l, positions, type.dims[0], type.dims[3 - head_axis]);
    const wai_rotary r = wai_rotary_of(l, cos, sin, positions, interleaved);
    l->out[0] =
        wai_emit_reshape(l->graph, wai_rotary_emit(l, &r, x, head_axis), type.rank, type.dims);
}

/* X, positions, cos, sin */
void wai_lower_microsoft_rotary_embedding(wai_lower *l) {
    if (wai_attr_float(l, "scale", 1) != 1 || wai_attr_int(l, "is_packed_batching", 0) != 0) {
        WAI_LOWER_DECLINE(l, "%s with scale or is_packed_batching", l->op_type);
    }
    wai_value *positions = wai_lower_input(l, 1);
    rotary_embedding(l, wai_lower_input(l, 2), wai_lower_input(l, 3), positions);
}

/* X, cos, sin, and positions or none: caches are [B,S,R/2] then. Since opset 23. */
void wai_lower_rotary_embedding(wai_lower *l) {
    rotary_embedding(l, wai_lower_input(l, 1), wai_lower_input(l, 2), wai_lower_optional(l, 3));
}
