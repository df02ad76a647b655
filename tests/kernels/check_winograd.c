/*
 * winograd against a dull direct convolution in double, over seeded random geometry and both tiles,
 * on the bytes that conv2d's weights are packed into; blocks, chunks of channels and slots as sizes
 * give them.
 *
 *   check_winograd [rounds] [seed]
 */
#include "packed_conv.h"

#include <math.h>

#include "ops/winograd.h"

/* Of the outputs' root mean square: what winograd.h states, with room for the largest of millions.
 */
#define TOLERANCE 1e-5

/* Output `at` (image, row, column, channel). */
static double reference(const wai_conv_params *p, const wai_operand *in, const uint32_t *at) {
    const uint32_t *dims = in[0].type.dims;
    const float *x = in[0].data, *w = in[1].data, *bias = in[2].data;
    double sum = bias[at[3]];
    for (int tap = 0; tap < 9; tap++) {
        const int row = (int)at[1] + tap / 3 - (int)p->pad_top;
        const int column = (int)at[2] + tap % 3 - (int)p->pad_left;
        if (row < 0 || row >= (int)dims[1] || column < 0 || column >= (int)dims[2]) {
            continue;
        }
        const float *pixel =
            x + ((at[0] * dims[1] + (size_t)row) * dims[2] + (size_t)column) * dims[3];
        for (uint32_t i = 0; i < dims[3]; i++) {
            sum += (double)pixel[i] * w[(at[3] * 9 + (uint32_t)tap) * dims[3] + i];
        }
    }
    return sum < p->min ? p->min : sum > p->max ? p->max : sum;
}

static void compare(const wai_conv_params *p, const wai_operand *in, const wai_operand *out,
                    uint32_t tile) {
    const uint32_t *dims = in[0].type.dims;
    const float *y = out->data;
    uint32_t at[WAI_MAX_RANK] = {0};
    for (size_t i = 0; i < wai_type_count(&out->type); i++, next_index(&out->type, at)) {
        const double wanted = reference(p, in, at);
        compared++;
        if (!(fabs(y[i] - wanted) <= TOLERANCE * (1 + sqrt(dims[3]))) && failures++ < 20) {
            printf("FAIL tile %u x %ux%ux%ux%u out %u pads %u %u %u %u: [%u %u %u %u] is %.9g, "
                   "expected %.9g\n",
                   tile, dims[0], dims[1], dims[2], dims[3], p->group_out, p->pad_top, p->pad_left,
                   p->pad_bottom, p->pad_right, at[0], at[1], at[2], at[3], (double)y[i], wanted);
            return;
        }
    }
}

static void check(const wai_conv_params *p, wai_operand *in) {
    wai_operand out = {0};
    wai_operand operands[2] = {
        in[0], packed_weights(p, in, wai_winograd_weights_size(p->group_in, p->group_out))};
    if (operands[1].data == NULL) {
        return;
    }
    for (uint32_t tile = 2; tile <= 4; tile += 2) {
        const wai_winograd_params w = {tile,         p->group_in, p->group_out,
                                       p->pad_top,   p->pad_left, p->pad_bottom,
                                       p->pad_right, p->min,      p->max};
        execute(&wai_op_winograd, &w, operands, 2, &out);
        compare(p, in, &out, tile);
        free(out.data);
    }
    free(operands[1].data);
}

static void check_random(void) {
    static const float lows[] = {-INFINITY, 0, -0.5f}, highs[] = {INFINITY, 6, 0.25f};
    const uint32_t wide = next(8) == 0, range = next(3);
    const wai_conv_params p = {.groups = 1,
                               .group_in = 2 + next(wide ? 200 : 12),
                               .group_out = 1 + next(wide ? 12 : 40),
                               .kernel_h = 3,
                               .kernel_w = 3,
                               .stride_h = 1,
                               .stride_w = 1,
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .pad_top = next(4),
                               .pad_left = next(4),
                               .pad_bottom = next(4),
                               .pad_right = next(4),
                               .min = lows[range],
                               .max = highs[range]};
    const uint32_t large = next(6) == 0; /* more tiles than a block */
    wai_operand in[3];
    random_inputs(&p, 1 + next(large ? 40 : 12), 1 + next(large ? 40 : 12), in);
    check(&p, in);
    free_inputs(in);
}

int main(int argc, char **argv) {
    const unsigned rounds = start(argc, argv, 150);
    for (unsigned i = 0; i < rounds; i++) {
        check_random();
    }
    return finish();
}
