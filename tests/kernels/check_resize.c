/*
 * resize against a dull reference over seeded random shapes, ranks, axes and
 * options: all output elements one by one, in double, from the definition in
 * ONNX's Resize; no tables, no separation into axes.
 *
 *   check_resize [rounds] [seed]
 */
#include "check.h"

#include <math.h>

/* ---- reference ------------------------------------------------------------- */

/* In float32 where nearest has to fall on the same side; see resize_table.c. */
static double source(const wai_resize_params *p, const wai_type *type, uint32_t axis, uint32_t at) {
    float in = (float)type->dims[axis], out = (float)p->dims[axis], x = (float)at;
    float scale = p->scale[axis], start = p->roi_start[axis], end = p->roi_end[axis];
    switch (p->coordinates) {
    case WAI_RESIZE_HALF_PIXEL:
        return (x + 0.5f) / scale - 0.5f;
    case WAI_RESIZE_HALF_PIXEL_SYMMETRIC:
        return in / 2.0f * (1.0f - out / (scale * in)) + (x + 0.5f) / scale - 0.5f;
    case WAI_RESIZE_PYTORCH_HALF_PIXEL:
        return out > 1 ? (x + 0.5f) / scale - 0.5f : 0;
    case WAI_RESIZE_ALIGN_CORNERS: /* sizes only: scale * in is out */
        return out == 1 ? 0 : x * (in - 1) / (out - 1);
    case WAI_RESIZE_ASYMMETRIC:
        return x / scale;
    case WAI_RESIZE_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5f) / scale;
    default:
        return out > 1 ? start * (in - 1) + x * (end - start) * (in - 1) / (out - 1)
                       : 0.5f * (start + end) * (in - 1);
    }
}

static double kernel(const wai_resize_params *p, double distance) {
    double d = fabs(distance), a = p->cubic_a;
    if (p->mode == WAI_RESIZE_LINEAR) {
        return d < 1 ? 1 - d : 0;
    }
    return d <= 1  ? (a + 2) * d * d * d - (a + 3) * d * d + 1
           : d < 2 ? a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a
                   : 0;
}

/* The weight of input position `i` in output position `x` of one axis: the
 * window runs past the borders, where it meets copies of the border pixel. */
static double weight_of(const wai_resize_params *p, double x, double scale, int64_t i,
                        int64_t dim) {
    double shrink = p->antialias && scale < 1 ? scale : 1, sum = 0, mine = 0;
    int64_t reach = (int64_t)(2 / shrink) + 2;
    for (int64_t at = (int64_t)floor(x) - reach; at <= (int64_t)floor(x) + reach; at++) {
        bool outside = at < 0 || at >= dim;
        int64_t pixel = at < 0 ? 0 : at >= dim ? dim - 1 : at;
        double w = p->exclude_outside && outside ? 0 : kernel(p, ((double)at - x) * shrink);
        sum += w;
        mine += pixel == i ? w : 0;
    }
    return p->exclude_outside || p->antialias ? mine / sum : mine;
}

static int64_t nearest_of(uint32_t rounding, double x, int64_t dim) {
    double i = rounding == WAI_RESIZE_FLOOR                ? floor(x)
               : rounding == WAI_RESIZE_CEIL               ? ceil(x)
               : rounding == WAI_RESIZE_ROUND_PREFER_FLOOR ? ceil(x - 0.5)
                                                           : floor(x + 0.5);
    return i < 0 ? 0 : i >= (double)dim ? dim - 1 : (int64_t)i;
}

/* weights[axis][output position][input position], or a column of NAN where
 * the position is outside. */
typedef struct weights {
    double *of[WAI_MAX_RANK];
} weights;

static void fill_axis(const wai_resize_params *p, const wai_type *in, uint32_t axis, double *w) {
    int64_t dim = in->dims[axis];
    bool same = p->dims[axis] == in->dims[axis] && p->scale[axis] == 1 && p->roi_start[axis] == 0 &&
                p->roi_end[axis] == 1;
    for (uint32_t o = 0; o < p->dims[axis]; o++, w += dim) {
        double x = same ? o : source(p, in, axis, o);
        bool outside = p->coordinates == WAI_RESIZE_TF_CROP && (x < 0 || x > (double)(dim - 1));
        for (int64_t i = 0; i < dim; i++) {
            w[i] = outside                         ? NAN
                   : same                          ? i == o
                   : p->mode == WAI_RESIZE_NEAREST ? i == nearest_of(p->rounding, x, dim)
                                                   : weight_of(p, x, p->scale[axis], i, dim);
        }
    }
}

static double reference_at(const wai_resize_params *p, const wai_operand *in, const weights *w,
                           const uint32_t *at) {
    const wai_type *type = &in->type;
    uint32_t from[WAI_MAX_RANK] = {0};
    double sum = 0;
    for (size_t i = 0; i < wai_type_count(type); i++) {
        double weight = 1;
        for (uint32_t a = 0; a < type->rank; a++) {
            weight *= w->of[a][at[a] * type->dims[a] + from[a]];
        }
        if (isnan(weight)) {
            return p->extrapolation;
        }
        sum += weight != 0 ? weight * ((const float *)in->data)[i] : 0;
        next_index(type, from);
    }
    return sum;
}

/* ---- one case -------------------------------------------------------------- */

static void random_params(wai_resize_params *p, wai_type *in) {
    memset(p, 0, sizeof *p);
    *in = (wai_type){WAI_F32, 1 + next(5), {0}};
    p->mode = WAI_RESIZE_NEAREST + next(3);
    p->coordinates = WAI_RESIZE_HALF_PIXEL + next(7);
    p->rounding = WAI_RESIZE_ROUND_PREFER_FLOOR + next(4);
    p->antialias = p->mode != WAI_RESIZE_NEAREST && next(3) == 0;
    p->exclude_outside = next(3) == 0;
    p->cubic_a = next(2) == 0 ? -0.75f : -0.5f;
    p->extrapolation = 5.5f;
    /* far outside, exclude_outside leaves nothing to weigh: no case */
    p->exclude_outside &= p->coordinates != WAI_RESIZE_TF_CROP;
    uint32_t in_budget = 200, out_budget = 2000;
    for (uint32_t i = 0; i < in->rank; i++) {
        in->dims[i] = 1 + next(in_budget < 9 ? in_budget : 9);
        p->dims[i] = next(2) == 0 ? in->dims[i] : 1 + next(out_budget < 17 ? out_budget : 17);
        in_budget = in_budget / in->dims[i] + 1;
        out_budget = out_budget / p->dims[i] + 1;
        p->scale[i] = (float)p->dims[i] / (float)in->dims[i];
        p->roi_end[i] = 1;
        if (p->coordinates == WAI_RESIZE_TF_CROP && next(2) == 0) {
            p->roi_start[i] = (float)next(20) / 16.0f - 0.25f;
            p->roi_end[i] = (float)next(20) / 16.0f;
        }
    }
}

static void describe(const wai_resize_params *p, const wai_type *in) {
    char text[WAI_TYPE_TEXT], out[WAI_TYPE_TEXT];
    wai_type to = wai_type_make(in->dtype, in->rank, p->dims);
    printf("FAIL resize %s -> %s: mode %u coordinates %u rounding %u exclude %u antialias %u\n",
           wai_type_text(in, text), wai_type_text(&to, out), p->mode, p->coordinates, p->rounding,
           p->exclude_outside, p->antialias);
}

static bool is_right(const wai_resize_params *p, const wai_operand *in, const wai_operand *out) {
    weights w;
    uint32_t at[WAI_MAX_RANK] = {0};
    bool right = true;
    for (uint32_t a = 0; a < in->type.rank; a++) {
        w.of[a] = malloc((size_t)p->dims[a] * in->type.dims[a] * sizeof(double));
        fill_axis(p, &in->type, a, w.of[a]);
    }
    for (size_t i = 0; i < wai_type_count(&out->type) && right; i++) {
        double wanted = reference_at(p, in, &w, at), got = ((const float *)out->data)[i];
        double tolerance = p->mode == WAI_RESIZE_NEAREST ? 0 : 2e-4;
        right = fabs(wanted - got) <= tolerance;
        if (!right) {
            describe(p, &in->type);
            printf("  element %zu is %.9g, expected %.9g\n", i, got, wanted);
        }
        next_index(&out->type, at);
    }
    for (uint32_t a = 0; a < in->type.rank; a++) {
        free(w.of[a]);
    }
    return right;
}

static void check(void) {
    wai_resize_params p;
    wai_operand in = {.data = NULL}, out = {.data = NULL};
    random_params(&p, &in.type);
    wai_diag diag = {0};
    wai_step step = make_step(&wai_op_resize, &p, &in, 1, &out);
    if (infer_step(&step, NULL, &diag) != WAI_OK || !wai_type_is_valid(&out.type)) {
        /* Less than half a pixel left of an axis: rightly refused. */
        if (!p.antialias) {
            describe(&p, &in.type);
            printf("  refused: %s\n", diag.message);
            failures++;
        }
        return;
    }
    in = random_operand(in.type.rank, in.type.dims, false);
    out.data = buffer(wai_type_size(&out.type));
    compared++;
    if (run_step(&step, NULL, &diag) != WAI_OK || !is_right(&p, &in, &out)) {
        failures++;
    }
    free(in.data);
    free(out.data);
}

int main(int argc, char **argv) {
    unsigned rounds = start(argc, argv, 2000);
    for (unsigned i = 0; i < rounds; i++) {
        check();
    }
    return finish();
}
