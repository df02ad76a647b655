/* dft: Fourier transforms of any length by mixed radices (Stockham's order, so
 * that nothing is permuted); a prime length costs its square. In f64: where
 * terms cancel, f32 leaves noise that ONNX's tests do not allow. */
#include "ops/dft.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_dft_params, WAI_FIELD_U32, frames),
    WAI_FIELD(wai_dft_params, WAI_FIELD_U32, frame_step),
    WAI_FIELD(wai_dft_params, WAI_FIELD_U32, bins),
    WAI_FIELD(wai_dft_params, WAI_FIELD_F32, scale),
};

static wai_status infer(wai_signature *s) {
    const wai_dft_params *p = s->params;
    const wai_type *x = s->in[0], *roots = s->in[1], *window = s->in_count > 2 ? s->in[2] : NULL;
    if (x == NULL || roots == NULL) {
        return WAI_REFUSE(s, "input or roots are missing");
    }
    if (x->dtype != WAI_F32 || roots->dtype != WAI_F64 || x->rank >= WAI_MAX_RANK) {
        return WAI_DECLINE(s, "dft of %s, rank %u", wai_dtype_name(x->dtype), x->rank);
    }
    const uint32_t last = x->rank - 1;
    if (x->rank < 2 || x->dims[last] < 1 || x->dims[last] > 2 || roots->rank != 2 ||
        roots->dims[0] == 0 || roots->dims[1] != 2 || p->bins > roots->dims[0]) {
        char is[WAI_TYPE_TEXT], text[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "%u bins of input %s with roots %s", p->bins, wai_type_text(x, is),
                          wai_type_text(roots, text));
    }
    if (window != NULL &&
        (window->dtype != WAI_F32 || window->rank != 1 || window->dims[0] != roots->dims[0])) {
        char text[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "the window is %s, expected f32[%u]", wai_type_text(window, text),
                          roots->dims[0]);
    }
    if (p->frames > WAI_MAX_DIM || roots->dims[0] > WAI_MAX_DFT) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "%u frames of %u", p->frames,
                        roots->dims[0]);
    }
    s->out[0] = *x;
    s->out[0].rank = x->rank + 1;
    s->out[0].dims[last - 1] = p->frames;
    s->out[0].dims[last] = p->bins;
    s->out[0].dims[last + 1] = 2;
    if (!wai_type_is_valid(&s->out[0])) {
        char text[WAI_TYPE_TEXT];
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "the output %s is too large",
                        wai_type_text(&s->out[0], text));
    }
    return WAI_OK;
}

static uint32_t smallest_factor(uint32_t n) {
    for (uint32_t p = 2; (uint64_t)p * p <= n; p++) {
        if (n % p == 0) {
            return p;
        }
    }
    return n;
}

static uint64_t flops(const wai_signature *s) {
    const wai_type *x = s->in[0];
    const uint32_t length = s->in[1]->dims[0];
    uint64_t radices = 1, frames = wai_dims_product(s->out[0].dims, 0, x->rank - 1);
    for (uint32_t rest = length; rest > 1;) {
        uint32_t factor = smallest_factor(rest);
        radices += factor;
        rest /= factor;
    }
    radices = 8 * radices * length; /* below 2^56 */
    return frames < UINT64_MAX / radices ? frames * radices : UINT64_MAX;
}

const wai_op wai_op_dft = {
    .name = "dft",
    .params_size = sizeof(wai_dft_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

/* Real and imaginary parts apart: the inner loops are over consecutive ones. */
typedef struct signal {
    double *re, *im;
} signal;

/* y[.., j, q] = sum over i of x[i, .., q] * root, i, j < radix. */
static void stage(signal x, signal y, const double *roots, uint32_t length, uint32_t radix,
                  uint32_t stride) {
    const uint32_t groups = length / stride / radix;
    for (uint32_t k = 0; k < groups; k++) {
        for (uint32_t j = 0; j < radix; j++) {
            const size_t to = ((size_t)radix * k + j) * stride;
            double *restrict re = y.re + to, *restrict im = y.im + to;
            memset(re, 0, stride * sizeof *re);
            memset(im, 0, stride * sizeof *im);
            for (uint32_t i = 0; i < radix; i++) {
                const uint64_t turns = (uint64_t)i * j % radix * (length / radix);
                const double *root = roots + 2 * ((turns + (uint64_t)j * k * stride) % length);
                const double c = root[0], s = root[1];
                const size_t from = ((size_t)groups * i + k) * stride;
                const double *a = x.re + from, *b = x.im + from;
                for (uint32_t q = 0; q < stride; q++) {
                    re[q] += a[q] * c - b[q] * s;
                    im[q] += a[q] * s + b[q] * c;
                }
            }
        }
    }
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    (void)pool;
    (void)diag;
    step->workspace_size = 4 * sizeof(double) * step->in[1].type.dims[0];
    return WAI_OK;
}

/* Frame at `start` of a signal of `count` numbers or pairs. */
static void load(const wai_step *step, const float *x, size_t count, uint64_t start, signal to) {
    const wai_type *type = &step->in[0].type;
    const size_t parts = type->dims[type->rank - 1], length = step->in[1].type.dims[0];
    const float *window = step->in_count > 2 ? step->in[2].data : NULL;
    for (size_t i = 0; i < length; i++) {
        const bool inside = start < count && i < count - start;
        const float *at = inside ? x + (size_t)(start + i) * parts : NULL;
        const double factor = window != NULL ? window[i] : 1;
        to.re[i] = inside ? at[0] * factor : 0;
        to.im[i] = inside && parts == 2 ? at[1] * factor : 0;
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_dft_params *p = step->params;
    const wai_type *type = &step->in[0].type;
    const uint32_t length = step->in[1].type.dims[0];
    const size_t count = type->dims[type->rank - 2], size = count * type->dims[type->rank - 1];
    const size_t signals = wai_dims_product(type->dims, 0, type->rank - 2);
    const float *x = step->in[0].data;
    double *work = step->workspace;
    float *out = step->out[0].data;
    if (wai_type_count(&step->out[0].type) == 0) {
        return WAI_OK;
    }
    for (size_t i = 0; i < signals; i++, x += size) {
        for (uint32_t frame = 0; frame < p->frames; frame++) {
            signal a = {work, work + length}, b = {a.im + length, a.im + 2 * (size_t)length};
            load(step, x, count, (uint64_t)frame * p->frame_step, a);
            for (uint32_t stride = 1; stride < length;) {
                const uint32_t radix = smallest_factor(length / stride);
                stage(a, b, step->in[1].data, length, radix, stride);
                signal swap = a;
                a = b;
                b = swap;
                stride *= radix;
            }
            for (uint32_t k = 0; k < p->bins; k++) {
                *out++ = (float)(a.re[k] * p->scale);
                *out++ = (float)(a.im[k] * p->scale);
            }
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_dft_kernel = {.prepare = prepare, .run = run};
