#include "ops/broadcast.h"

#include <string.h>

#include "base/limits.h"

/* Axis `i` steps over the inputs as axis `j` inside it does as a whole. */
static bool joins(const wai_broadcast *b, uint32_t i, size_t strides[][WAI_MAX_RANK],
                  const uint32_t *dims, uint32_t axis) {
    for (uint32_t k = 0; k < b->inputs; k++) {
        if (b->strides[k][i] != strides[k][axis] * dims[axis]) {
            return false;
        }
    }
    return true;
}

void wai_broadcast_init(wai_broadcast *b, const wai_type *out, const wai_type *const *in,
                        uint32_t inputs) {
    size_t strides[WAI_BROADCAST_INPUTS][WAI_MAX_RANK];
    memset(b, 0, sizeof *b);
    b->inputs = inputs;
    for (uint32_t k = 0; k < inputs; k++) {
        wai_broadcast_strides(in[k], out, strides[k]);
    }
    for (uint32_t axis = 0; axis < out->rank; axis++) {
        if (out->dims[axis] == 1) {
            continue;
        }
        if (b->rank > 0 && joins(b, b->rank - 1, strides, out->dims, axis)) {
            b->dims[b->rank - 1] *= out->dims[axis];
        } else {
            b->dims[b->rank++] = out->dims[axis];
        }
        for (uint32_t k = 0; k < inputs; k++) {
            b->strides[k][b->rank - 1] = strides[k][axis];
        }
    }
    b->count = 1;
    if (b->rank > 0) {
        b->rank--;
        b->count = b->dims[b->rank];
        for (uint32_t k = 0; k < inputs; k++) {
            b->inner[k] = b->strides[k][b->rank];
        }
    }
    b->outer = b->count != 0;
    for (uint32_t i = 0; i < b->rank; i++) {
        b->outer *= b->dims[i];
    }
}

void wai_broadcast_next(const wai_broadcast *b, wai_broadcast_place *place) {
    for (uint32_t i = b->rank; i-- > 0;) {
        for (uint32_t k = 0; k < b->inputs; k++) {
            place->at[k] += b->strides[k][i];
        }
        if (++place->index[i] < b->dims[i]) {
            return;
        }
        for (uint32_t k = 0; k < b->inputs; k++) {
            place->at[k] -= b->strides[k][i] * b->dims[i];
        }
        place->index[i] = 0;
    }
}

wai_status wai_broadcast_infer(wai_signature *s, const char *name, wai_dtype dtype) {
    const wai_type *a = s->in[0], *b = s->in[1];
    char text_a[WAI_TYPE_TEXT], text_b[WAI_TYPE_TEXT];
    if (a == NULL || b == NULL) {
        return WAI_REFUSE(s, "input %d is absent", a == NULL ? 0 : 1);
    }
    if (a->dtype != b->dtype) {
        return WAI_REFUSE(s, "%s of %s and %s: dtypes differ", name, wai_dtype_name(a->dtype),
                          wai_dtype_name(b->dtype));
    }
    if (!wai_type_broadcast(&s->out[0], a, b)) {
        return WAI_REFUSE(s, "%s and %s do not broadcast", wai_type_text(a, text_a),
                          wai_type_text(b, text_b));
    }
    s->out[0].dtype = dtype != 0 ? dtype : a->dtype;
    if (!wai_type_is_valid(&s->out[0])) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "%s and %s broadcast to over %u bytes",
                        wai_type_text(a, text_a), wai_type_text(b, text_b), WAI_MAX_TENSOR_SIZE);
    }
    return WAI_OK;
}

wai_status wai_broadcast_prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    wai_broadcast *b = wai_pool_alloc(pool, sizeof *b);
    if (b == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, step->where, "no memory for %zu bytes", sizeof *b);
    }
    const wai_type *in[WAI_BROADCAST_INPUTS];
    for (uint32_t i = 0; i < step->in_count; i++) {
        in[i] = &step->in[i].type;
    }
    wai_broadcast_init(b, &step->out[0].type, in, step->in_count);
    step->state = b;
    return WAI_OK;
}
