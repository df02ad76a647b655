/* reshape: same bytes, other dims. Also what ONNX's Reshape, Flatten, Squeeze,
 * Unsqueeze, Identity and Dropout (at inference) come down to. */
#include <string.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/move.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_reshape_params, WAI_FIELD_U32, rank),
    WAI_FIELD(wai_reshape_params, WAI_FIELD_U32, dims),
};

static wai_status infer(wai_signature *s) {
    const wai_reshape_params *p = s->params;
    const wai_type *in = s->in[0];
    if (in == NULL) {
        return WAI_REFUSE(s, "reshape has no input");
    }
    if (p->rank > WAI_MAX_RANK || !wai_move_tail_is_zero(p->dims, p->rank)) {
        return WAI_REFUSE(s, "reshape to rank %u does not fit its dims", p->rank);
    }
    wai_type out = wai_type_make(in->dtype, p->rank, p->dims);
    if (!wai_type_is_valid(&out)) {
        return WAI_REFUSE(s, "reshape to dims whose product is out of range");
    }
    if (wai_type_count(&out) != wai_type_count(in)) {
        return WAI_REFUSE(s, "reshape of %zu elements to %zu elements", wai_type_count(in),
                          wai_type_count(&out));
    }
    s->out[0] = out;
    return WAI_OK;
}

const wai_op wai_op_reshape = {
    .name = "reshape",
    .params_size = sizeof(wai_reshape_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1,
    .same_bytes = true,
    .infer = infer,
    .flops = wai_move_flops,
};

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    if (step->out[0].data != step->in[0].data) {
        memcpy(step->out[0].data, step->in[0].data, wai_type_size(&step->in[0].type));
    }
    return WAI_OK;
}

const wai_kernel wai_op_reshape_kernel = {.run = run};

/* ---- ONNX ------------------------------------------------------------------ */

/* Replaces the one -1 among `wanted` by what is left of `x`'s elements. */
static bool solve_unknown(wai_lower *l, const wai_value *x, int64_t *wanted, uint32_t count) {
    uint32_t unknown = WAI_MAX_RANK;
    uint64_t known = 1;
    for (uint32_t i = 0; i < count; i++) {
        if (wanted[i] == -1) {
            if (unknown != WAI_MAX_RANK) {
                WAI_LOWER_REFUSE(l, "`shape` has more than one -1");
                return false;
            }
            unknown = i;
            continue;
        }
        uint64_t dim = wai_lower_dim(l, wanted[i], "shape");
        if (wai_lower_failed(l)) {
            return false;
        }
        /* Two factors below 2^31 each cannot wrap; more than a tensor may
         * have is wrong in any case. */
        known *= dim;
        if (known > WAI_MAX_DIM) {
            WAI_LOWER_REFUSE(l, "`shape` has more elements than any tensor");
            return false;
        }
    }
    if (unknown == WAI_MAX_RANK) {
        return true;
    }
    uint64_t elements = wai_type_count(&x->type);
    if (known == 0 || elements % known != 0) {
        WAI_LOWER_REFUSE(l, "no dim for the -1 in `shape` makes %llu elements out of %llu",
                         (unsigned long long)elements, (unsigned long long)known);
        return false;
    }
    wanted[unknown] = (int64_t)(elements / known);
    return true;
}

void wai_lower_reshape(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    bool allow_zero = wai_attr_int(l, "allowzero", 0) != 0;
    int64_t wanted[WAI_MAX_RANK];
    bool there = false;
    uint32_t count = wai_lower_ints(l, 1, wanted, WAI_MAX_RANK, &there);
    if (wai_lower_failed(l)) {
        return;
    }
    if (!there) {
        WAI_LOWER_REFUSE(l, "input `shape` is missing");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (wanted[i] == 0 && !allow_zero) {
            if (i >= x->type.rank) {
                WAI_LOWER_REFUSE(l, "`shape` copies dim %u of an input of rank %u", i,
                                 x->type.rank);
                return;
            }
            wanted[i] = x->type.dims[i];
        }
    }
    if (!solve_unknown(l, x, wanted, count)) {
        return;
    }
    uint32_t dims[WAI_MAX_RANK];
    for (uint32_t i = 0; i < count; i++) {
        dims[i] = (uint32_t)wanted[i];
    }
    l->out[0] = wai_emit_reshape(l->graph, x, count, dims);
}

void wai_lower_flatten(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    int64_t axis = wai_attr_int(l, "axis", 1);
    if (wai_lower_failed(l)) {
        return;
    }
    /* axis may be the rank itself: everything in the first dim. */
    int64_t rank = x->type.rank;
    if (axis < -rank || axis > rank) {
        WAI_LOWER_REFUSE(l, "axis %lld is outside -%u..%u", (long long)axis, x->type.rank,
                         x->type.rank);
        return;
    }
    uint32_t split = (uint32_t)(axis < 0 ? axis + rank : axis);
    size_t rows = wai_dims_product(x->type.dims, 0, split);
    size_t columns = wai_dims_product(x->type.dims, split, x->type.rank);
    uint32_t dims[2] = {(uint32_t)rows, (uint32_t)columns};
    l->out[0] = wai_emit_reshape(l->graph, x, 2, dims);
}

/* The axes of Squeeze and Unsqueeze as bits: an attribute before opset 13, an
 * input since. `rank` is what negative ones count from. */
static uint32_t read_axes(wai_lower *l, uint32_t rank, bool *there) {
    int64_t axes[WAI_MAX_RANK];
    uint32_t count;
    if (l->opset >= 13) {
        count = wai_lower_ints(l, 1, axes, WAI_MAX_RANK, there);
    } else {
        *there = wai_attr_has(l, "axes");
        count = wai_attr_ints(l, "axes", axes, WAI_MAX_RANK);
    }
    uint32_t bits = 0;
    for (uint32_t i = 0; i < count && !wai_lower_failed(l); i++) {
        uint32_t bit = 1u << wai_lower_axis(l, axes[i], rank);
        if (!wai_lower_failed(l) && (bits & bit) != 0) {
            WAI_LOWER_REFUSE(l, "axis %lld stands twice in `axes`", (long long)axes[i]);
        }
        bits |= bit;
    }
    return bits;
}

void wai_lower_squeeze(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (wai_lower_failed(l)) {
        return;
    }
    bool there = false;
    uint32_t axes = read_axes(l, x->type.rank, &there);
    uint32_t dims[WAI_MAX_RANK], rank = 0;
    for (uint32_t i = 0; i < x->type.rank && !wai_lower_failed(l); i++) {
        bool wanted = there ? (axes >> i & 1) != 0 : x->type.dims[i] == 1;
        if (wanted && x->type.dims[i] != 1) {
            WAI_LOWER_REFUSE(l, "axis %u is squeezed but has %u elements", i, x->type.dims[i]);
        } else if (!wanted) {
            dims[rank++] = x->type.dims[i];
        }
    }
    if (!wai_lower_failed(l)) {
        l->out[0] = wai_emit_reshape(l->graph, x, rank, dims);
    }
}

/* How many axes Unsqueeze adds: the rank of its output depends on it. */
static uint32_t count_axes(wai_lower *l) {
    int64_t axes[WAI_MAX_RANK];
    bool there = true;
    uint32_t count = l->opset >= 13 ? wai_lower_ints(l, 1, axes, WAI_MAX_RANK, &there)
                                    : wai_attr_ints(l, "axes", axes, WAI_MAX_RANK);
    if (!there || (l->opset < 13 && !wai_attr_has(l, "axes"))) {
        WAI_LOWER_REFUSE(l, "`axes` is missing");
    }
    return count;
}

void wai_lower_unsqueeze(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    uint32_t count = count_axes(l);
    if (wai_lower_failed(l)) {
        return;
    }
    uint32_t rank = x->type.rank + count;
    if (rank > WAI_MAX_RANK) {
        WAI_LOWER_DECLINE(l, "the output has rank %u, more than %u", rank, WAI_MAX_RANK);
        return;
    }
    bool there;
    uint32_t axes = read_axes(l, rank, &there);
    if (wai_lower_failed(l)) {
        return;
    }
    uint32_t dims[WAI_MAX_RANK], from = 0;
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = (axes >> i & 1) != 0 ? 1 : x->type.dims[from++];
    }
    l->out[0] = wai_emit_reshape(l->graph, x, rank, dims);
}

void wai_lower_identity(wai_lower *l) {
    l->out[0] = wai_lower_input(l, 0);
}

/* True if Dropout would really drop: training mode, and a ratio that is not a
 * known 0. */
static bool dropout_is_training(wai_lower *l) {
    wai_value *mode = wai_lower_optional(l, 2);
    if (mode == NULL) {
        return false;
    }
    if (mode->type.dtype != WAI_BOOL || wai_type_count(&mode->type) != 1) {
        WAI_LOWER_REFUSE(l, "input `training_mode` is not one bool");
        return false;
    }
    if (!wai_value_is_constant(mode)) {
        return true;
    }
    if (*(const uint8_t *)mode->data == 0) {
        return false;
    }
    float ratio = 0.5f;
    bool there = false;
    wai_lower_floats(l, 1, &ratio, 1, &there);
    return !there || ratio != 0;
}

void wai_lower_dropout(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    wai_lower_optional(l, 1); /* ratio: without effect on inference */
    wai_attr_ignore(l, "ratio");
    wai_attr_ignore(l, "seed");
    if (l->opset < 7 && wai_attr_int(l, "is_test", 0) == 0) {
        WAI_LOWER_DECLINE(l, "Dropout in training mode (is_test is not set)");
        return;
    }
    bool training = dropout_is_training(l);
    if (wai_lower_failed(l)) {
        return;
    }
    if (training) {
        WAI_LOWER_DECLINE(l, "training_mode must be a constant false: export the model for "
                             "inference");
        return;
    }
    l->out[0] = x;
    if (!wai_lower_wants(l, 1)) {
        return;
    }
    /* Nothing is dropped. Before opset 10 the mask has the type of x. */
    wai_value *one = wai_emit_scalar(l->graph, l->opset >= 10 ? WAI_BOOL : x->type.dtype, 1);
    wai_expand_params params = {.rank = x->type.rank};
    memcpy(params.dims, x->type.dims, sizeof params.dims);
    l->out[1] = wai_emit(l->graph, &wai_op_expand, &params, &one, 1);
}
