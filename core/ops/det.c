/* det.c - determinants of the matrices in the last two axes; f32, no params. */
#include <math.h>

#include "base/checked.h"
#include "onnx/lower.h"
#include "ops/emit.h"

static wai_status infer(wai_signature *s) {
    const wai_type *x = s->in[0];
    char text[WAI_TYPE_TEXT];
    if (x == NULL) {
        return WAI_REFUSE(s, "input 0 is absent");
    }
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2]) {
        return WAI_REFUSE(s, "%s has no square matrices", wai_type_text(x, text));
    }
    if (x->dtype != WAI_F32) {
        return WAI_DECLINE(s, "det of %s is not supported", wai_dtype_name(x->dtype));
    }
    s->out[0] = wai_type_make(x->dtype, x->rank - 2, x->dims);
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    const uint64_t size = s->in[0]->dims[s->in[0]->rank - 1];
    return wai_type_count(s->in[0]) * size;
}

const wai_op wai_op_det = {
    .name = "det",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel --------------------------------------------------------------
 * Gaussian elimination with row pivots, in f64 on a copy. */

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    (void)pool;
    const size_t size = step->in[0].type.dims[step->in[0].type.rank - 1];
    size_t bytes;
    if (!wai_mul_size(size, size, &bytes) || !wai_mul_size(bytes, sizeof(double), &bytes)) {
        return wai_fail(diag, WAI_ERR_LIMIT, step->where, "a matrix of %zu rows is too large",
                        size);
    }
    step->workspace_size = bytes;
    return WAI_OK;
}

static double determinant(double *m, size_t size) {
    double product = 1;
    for (size_t c = 0; c < size; c++) {
        size_t pivot = c;
        for (size_t r = c + 1; r < size; r++) {
            pivot = fabs(m[r * size + c]) > fabs(m[pivot * size + c]) ? r : pivot;
        }
        for (size_t j = c; pivot != c && j < size; j++) {
            const double kept = m[c * size + j];
            m[c * size + j] = m[pivot * size + j];
            m[pivot * size + j] = -kept; /* the swap turns the sign */
        }
        const double top = m[c * size + c];
        product *= top;
        for (size_t r = c + 1; r < size && top != 0; r++) {
            const double factor = m[r * size + c] / top;
            for (size_t j = c + 1; j < size; j++) {
                m[r * size + j] -= factor * m[c * size + j];
            }
        }
    }
    return product;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const size_t size = step->in[0].type.dims[step->in[0].type.rank - 1];
    const size_t count = wai_type_count(&step->out[0].type);
    const float *in = step->in[0].data;
    float *out = step->out[0].data;
    double *m = step->workspace;
    for (size_t i = 0; i < count; i++, in += size * size) {
        for (size_t j = 0; j < size * size; j++) {
            m[j] = in[j];
        }
        out[i] = (float)determinant(m, size);
    }
    return WAI_OK;
}

const wai_kernel wai_op_det_kernel = {.prepare = prepare, .run = run};

/* ---- ONNX ---------------------------------------------------------------- */

void wai_lower_det(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    l->out[0] = x != NULL ? wai_emit(l->graph, &wai_op_det, NULL, &x, 1) : NULL;
}
