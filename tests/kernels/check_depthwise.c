/*
 * depthwise against a dull reference in double over seeded random geometry: every kernel, stride
 * and dilation, rows of all lengths that tiles cover in their own way, pads beyond the kernel.
 *
 *   check_depthwise [rounds] [seed]
 */
#include "check.h"

#include <math.h>

/* Output `at` (image, row, column, channel). */
static double reference(const wai_depthwise_params *p, const wai_operand *in, const uint32_t *at) {
    const uint32_t *dims = in[0].type.dims;
    const float *x = in[0].data, *w = in[1].data;
    w += (size_t)(at[3] / 4) * (1 + p->kernel * p->kernel) * 4 + at[3] % 4;
    double sum = w[0];
    for (uint32_t ky = 0; ky < p->kernel; ky++) {
        for (uint32_t kx = 0; kx < p->kernel; kx++) {
            const int row = (int)(at[1] * p->stride + ky * p->dilation) - (int)p->pad_top;
            const int column = (int)(at[2] * p->stride + kx * p->dilation) - (int)p->pad_left;
            if (row >= 0 && row < (int)dims[1] && column >= 0 && column < (int)dims[2]) {
                const size_t pixel = (at[0] * dims[1] + (size_t)row) * dims[2] + (size_t)column;
                sum += (double)x[pixel * dims[3] + at[3]] * w[(1 + ky * p->kernel + kx) * 4];
            }
        }
    }
    return sum < p->min ? p->min : sum > p->max ? p->max : sum;
}

static void check(const wai_depthwise_params *p, wai_operand *in) {
    const uint32_t *dims = in[0].type.dims;
    wai_operand out = {0};
    wai_step step = make_step(&wai_op_depthwise, p, in, 2, &out);
    wai_diag diag = {0};
    if (infer_step(&step, NULL, &diag) != WAI_OK) {
        /* Random geometry may leave nothing. */
        if (strstr(diag.message, "no output") == NULL) {
            failures++;
            printf("FAIL infer: %s\n", diag.message);
        }
        return;
    }
    const float *y = execute(&wai_op_depthwise, p, in, 2, &out);
    uint32_t at[WAI_MAX_RANK] = {0};
    for (size_t i = 0; i < wai_type_count(&out.type); i++, next_index(&out.type, at)) {
        const double wanted = reference(p, in, at);
        compared++;
        if (!(fabs(y[i] - wanted) <= 1e-5) && failures++ < 20) {
            printf("FAIL x %ux%ux%ux%u k %u s %u d %u pads %u %u %u %u: [%u %u %u %u] is %.9g, "
                   "expected %.9g\n",
                   dims[0], dims[1], dims[2], dims[3], p->kernel, p->stride, p->dilation,
                   p->pad_top, p->pad_left, p->pad_bottom, p->pad_right, at[0], at[1], at[2], at[3],
                   (double)y[i], wanted);
        }
    }
    free(out.data);
}

static void check_random(void) {
    const bool clamped = next(2) == 0;
    wai_depthwise_params p = {.kernel = next(2) ? 3 : 5,
                              .stride = 1 + next(2),
                              .dilation = 1,
                              .pad_top = next(4),
                              .pad_left = next(4),
                              .pad_bottom = next(4),
                              .pad_right = next(next(6) == 0 ? 12 : 4),
                              .min = clamped ? -0.5f : -INFINITY,
                              .max = clamped ? 0.75f : INFINITY};
    if (p.stride == 1 && next(3) == 0) {
        p.dilation = 1 + next(4);
    }
    const uint32_t dims[4] = {1 + next(2), 1 + next(9), 1 + next(next(2) ? 10 : 50),
                              4 * (1 + next(5))};
    wai_operand in[2] = {
        random_operand(4, dims, false),
        random_operand(3, (uint32_t[]){dims[3] / 4, 1 + p.kernel * p.kernel, 4}, true)};
    check(&p, in);
    free(in[0].data), free(in[1].data);
}

int main(int argc, char **argv) {
    const unsigned rounds = start(argc, argv, 600);
    for (unsigned i = 0; i < rounds; i++) {
        check_random();
    }
    return finish();
}
