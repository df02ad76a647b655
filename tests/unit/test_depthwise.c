/* depthwise: which convolutions become ours, and that results stay. */
#include "net.h"

/* A convolution of one channel per group, with another stride or dilation across. */
static wai_value *net_depthwise(net *n, wai_value *x, uint32_t kernel, uint32_t stride,
                                uint32_t stride_w, uint32_t dilation) {
    const uint32_t channels = x->type.dims[3];
    wai_conv_params params = net_conv_params(channels, channels, channels, kernel, stride);
    params.stride_w = stride_w;
    params.dilation_h = params.dilation_w = dilation;
    params.pad_top = params.pad_right = 1;
    params.pad_left = params.pad_bottom = 2;
    params.min = -0.5f;
    wai_value *in[3] = {x, net_constant(n, NET_DIMS(channels, kernel, kernel, 1), 0.3f),
                        kernel == 3 ? net_constant(n, NET_DIMS(channels), 1) : NULL};
    return wai_emit(&n->graph, &wai_op_conv2d, &params, in, 3);
}

static void build_depthwise(net *n) {
    wai_value *x = net_input(n, NET_DIMS(2, 9, 12, 8));
    wai_value *odd = net_slice(n, x, 3, 2, 1); /* 6 channels */
    net_output(n, net_depthwise(n, x, 3, 1, 1, 1));
    net_output(n, net_depthwise(n, x, 5, 2, 2, 1));
    net_output(n, net_depthwise(n, x, 3, 1, 1, 2));
    /* None of ours: */
    net_output(n, net_depthwise(n, x, 3, 1, 2, 1));
    net_output(n, net_depthwise(n, x, 3, 2, 2, 2));
    net_output(n, net_depthwise(n, x, 2, 1, 1, 1));
    net_output(n, net_depthwise(n, odd, 3, 1, 1, 1));
}

static void test_depthwise(void **state) {
    (void)state;
    net plain, n;
    net_open(&n, 1);
    build_depthwise(&n);
    net_pass(&n, wai_pass_depthwise);
    for (uint32_t i = 0; i < 7; i++) {
        const wai_op *op = n.outputs[i].value->producer->op;
        assert_ptr_equal(op, i < 3 ? &wai_op_depthwise : &wai_op_conv2d);
    }
    net_open(&plain, 1);
    build_depthwise(&plain);
    net_run(&plain, 5);
    net_run(&n, 5);
    net_compare(&plain, &n, 1e-6f);
    net_close(&plain);
    net_close(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_depthwise)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
