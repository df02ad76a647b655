/*
 * Direct convolution (core/ops/conv_direct.h), which conv2d takes for packed weights, against
 * XNNPACK's igemm, which it takes for raw ones, over seeded random geometry: bit for bit. That
 * conv2d is right at all is check_conv's.
 *
 *   check_direct [rounds] [seed]
 */
#include "packed_conv.h"

#include <math.h>

#include "ops/conv_common.h"
#include "ops/conv_direct.h"

static unsigned taken;

static void check(const wai_conv_params *p, wai_operand *in) {
    wai_conv_params packed = *p;
    packed.packed = 1;
    const uint64_t size = wai_conv_packed_size(p);
    wai_operand operands[2] = {in[0], packed_weights(p, in, size)};
    if (operands[1].data == NULL) {
        return;
    }
    taken += wai_direct_takes(&packed, size);
    wai_operand igemm = {0}, direct = {0};
    execute(&wai_op_conv2d, p, in, 3, &igemm);
    execute(&wai_op_conv2d, &packed, operands, 2, &direct);
    const size_t bytes = wai_type_size(&direct.type);
    compared += (unsigned)(bytes / sizeof(float));
    bool spoilt = false;
    for (size_t i = 0; i < WAI_SPARE_SIZE; i++) {
        spoilt = spoilt || ((const uint8_t *)direct.data + bytes)[i] != POISON;
    }
    if ((spoilt || memcmp(direct.data, igemm.data, bytes) != 0) && failures++ < 20) {
        const uint32_t *x = in[0].type.dims;
        printf("FAIL %s: x %ux%ux%ux%u out %u kernel %ux%u strides %u %u dilations %u %u pads %u "
               "%u %u %u\n",
               spoilt ? "written behind the output" : "not XNNPACK's bits", x[0], x[1], x[2], x[3],
               p->group_out, p->kernel_h, p->kernel_w, p->stride_h, p->stride_w, p->dilation_h,
               p->dilation_w, p->pad_top, p->pad_left, p->pad_bottom, p->pad_right);
    }
    free(igemm.data), free(direct.data), free(operands[1].data);
}

/* A few channels more than it takes at least, some of them in the last tile alone. */
static void check_random(void) {
    static const float lows[] = {-INFINITY, 0, -0.5f, 0}, highs[] = {INFINITY, 6, 0.25f, INFINITY};
    static const float strange[] = {NAN, INFINITY, -INFINITY, -0.0f, 1e-40f, 3e38f};
    const uint32_t range = next(4), deep = next(6) == 0;
    const wai_conv_params p = {.groups = 1,
                               .group_in = 16 + next(deep ? 200 : 8),
                               .group_out = 32 + next(deep ? 300 : 20),
                               .kernel_h = 1 + next(5),
                               .kernel_w = 1 + next(5),
                               .stride_h = 1 + next(3),
                               .stride_w = 1 + next(3),
                               .dilation_h = 1 + next(2),
                               .dilation_w = 1 + next(2),
                               .pad_top = next(4),
                               .pad_left = next(4),
                               .pad_bottom = next(4),
                               .pad_right = next(4),
                               .min = lows[range],
                               .max = highs[range]};
    wai_operand in[3];
    random_inputs(&p, 1 + next(20), 1 + next(20), in);
    ((float *)in[0].data)[next((uint32_t)wai_type_count(&in[0].type))] = strange[next(6)];
    check(&p, in);
    free_inputs(in);
}

int main(int argc, char **argv) {
    const unsigned rounds = start(argc, argv, 60);
    for (unsigned i = 0; i < rounds; i++) {
        check_random();
    }
    if (taken < rounds / 4) {
        printf("FAIL only %u of %u convolutions were direct\n", taken, rounds);
        failures++;
    }
    return finish();
}
