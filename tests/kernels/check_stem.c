/*
 * stem against a dull loop that sums in the same order, and against XNNPACK's igemm on the same
 * bytes, over seeded random geometry: bit for bit.
 *
 *   check_stem [rounds] [seed]
 */
#include "packed_conv.h"

#include <math.h>

#include "ops/conv_common.h"
#include "ops/stem.h"

/* Output `at` (image, row, column, channel); what lies in the padding is 0. */
static float reference(const wai_conv_params *p, const wai_operand *in, const uint32_t *at) {
    const uint32_t *dims = in[0].type.dims;
    const float *w =
        (const float *)in[1].data + (size_t)at[3] * p->kernel_h * p->kernel_w * dims[3];
    float sum = ((const float *)in[2].data)[at[3]];
    for (uint32_t tap = 0; tap < p->kernel_h * p->kernel_w; tap++, w += dims[3]) {
        const int row = (int)(at[1] * p->stride_h + tap / p->kernel_w) - (int)p->pad_top;
        const int column = (int)(at[2] * p->stride_w + tap % p->kernel_w) - (int)p->pad_left;
        const bool inside = row >= 0 && row < (int)dims[1] && column >= 0 && column < (int)dims[2];
        const float *pixel =
            (const float *)in[0].data +
            (inside ? ((at[0] * dims[1] + (size_t)row) * dims[2] + (size_t)column) * dims[3] : 0);
        for (uint32_t i = 0; i < dims[3]; i++) {
            const float product = (inside ? pixel[i] : 0) * w[i];
            sum += product;
        }
    }
    return sum < p->min ? p->min : sum > p->max ? p->max : sum;
}

static void fail(const wai_conv_params *p, const wai_operand *in, const char *what) {
    const uint32_t *dims = in[0].type.dims;
    if (failures++ < 20) {
        printf("FAIL %s: x %ux%ux%ux%u out %u kernel %ux%u strides %u %u pads %u %u %u %u\n", what,
               dims[0], dims[1], dims[2], dims[3], p->group_out, p->kernel_h, p->kernel_w,
               p->stride_h, p->stride_w, p->pad_top, p->pad_left, p->pad_bottom, p->pad_right);
    }
}

static void check(const wai_conv_params *p, wai_operand *in) {
    wai_operand igemm = {0}, out = {0};
    wai_conv_params packed = *p;
    packed.packed = 1;
    wai_operand operands[2] = {in[0], packed_weights(p, in, wai_conv_packed_size(p))};
    if (operands[1].data == NULL) {
        return;
    }
    execute(&wai_op_conv2d, &packed, operands, 2, &igemm);
    execute(&wai_op_stem, &packed, operands, 2, &out);
    if (memcmp(out.data, igemm.data, wai_type_size(&out.type)) != 0) {
        fail(p, in, "not XNNPACK's bits");
    }
    uint32_t at[WAI_MAX_RANK] = {0};
    for (size_t i = 0; i < wai_type_count(&out.type); i++, next_index(&out.type, at)) {
        const float wanted = reference(p, in, at);
        compared++;
        if (((const float *)out.data)[i] != wanted) {
            fail(p, in, "not the reference's number");
            break;
        }
    }
    free(igemm.data), free(out.data), free(operands[1].data);
}

static void check_random(void) {
    static const float lows[] = {-INFINITY, 0, -0.5f}, highs[] = {INFINITY, 6, 0.25f};
    const uint32_t range = next(3), in_channels = 1 + next(5);
    const wai_conv_params p = {.groups = 1,
                               .group_in = in_channels,
                               /* One channel each way is packed as depthwise. */
                               .group_out = (in_channels == 1) + 1 + next(34),
                               .kernel_h = 1 + next(7),
                               .kernel_w = 1 + next(7),
                               .stride_h = 1 + next(4),
                               .stride_w = 1 + next(3),
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .pad_top = next(5),
                               .pad_left = next(5),
                               .pad_bottom = next(5),
                               .pad_right = next(5),
                               .min = lows[range],
                               .max = highs[range]};
    wai_operand in[3];
    random_inputs(&p, 1 + next(20), 1 + next(40), in);
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
