/* Runs the f32 operators that core/ uses on seeded data and prints one line per case:
 *     name  count of outputs  hash of the output bits
 * The lines must be equal for the wasm build and both native builds: that is the promise that
 * native tests exercise what is shipped. check-xnnpack.mjs compares them. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xnnpack.h>

static uint32_t seed = 1;

static float next_float(void) {
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)seed * (1.0f / 1073741824.0f);
}

/* Buffers carry the XNN_EXTRA_BYTES that kernels may read past the end. */
static float *buffer(size_t count, int fill) {
    float *p = calloc(count * sizeof(float) + XNN_EXTRA_BYTES, 1);
    if (p == NULL)
        abort();
    for (size_t i = 0; fill && i < count; i++)
        p[i] = next_float();
    return p;
}

static void must(enum xnn_status status, const char *name) {
    if (status == xnn_status_success)
        return;
    printf("%s failed with status %d\n", name, (int)status);
    exit(1);
}

static void finish(const char *name, xnn_operator_t op, const float *out, size_t count) {
    must(xnn_run_operator(op, NULL), name);
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, out + i, 4);
        hash = (hash ^ bits) * 16777619u;
    }
    printf("%s %zu %08x\n", name, count, (unsigned)hash);
    must(xnn_delete_operator(op), name);
}

static void conv(const char *name, uint32_t k, uint32_t stride, uint32_t pad, uint32_t groups,
                 size_t gin, size_t gout, float lo, float hi) {
    const size_t side = 13, cin = groups * gin, cout = groups * gout;
    float *in = buffer(side * side * cin, 1);
    float *w = buffer(cout * k * k * gin, 1);
    float *bias = buffer(cout, 1);
    xnn_operator_t op = NULL;
    size_t bytes = 0, align = 0, oh = 0, ow = 0;
    /* Depthwise weights are k,k,groups by flag; as data any order will do here. */
    must(xnn_create_convolution2d_nhwc_f32(pad, pad, pad, pad, k, k, stride, stride, 1, 1, groups,
                                           gin, gout, cin, cout, w, bias, lo, hi, 0, NULL, NULL,
                                           &op),
         name);
    must(xnn_reshape_convolution2d_nhwc_f32(op, 1, side, side, &bytes, &align, &oh, &ow, NULL),
         name);
    float *space = buffer(bytes / 4 + 1, 0);
    float *out = buffer(oh * ow * cout, 0);
    must(xnn_setup_convolution2d_nhwc_f32(op, space, in, out), name);
    finish(name, op, out, oh * ow * cout);
    free(in), free(w), free(bias), free(space), free(out);
}

static void deconv(void) {
    float *in = buffer(7 * 7 * 5, 1), *w = buffer(6 * 3 * 3 * 5, 1), *bias = buffer(6, 1);
    xnn_operator_t op = NULL;
    size_t oh = 0, ow = 0;
    must(xnn_create_deconvolution2d_nhwc_f32(1, 1, 1, 1, 3, 3, 2, 2, 1, 1, 1, 5, 6, 5, 6, w, bias,
                                             -INFINITY, INFINITY, 0, NULL, NULL, &op),
         "deconv");
    must(xnn_reshape_deconvolution2d_nhwc_f32(op, 1, 7, 7, 1, 1, &oh, &ow, NULL), "deconv");
    float *out = buffer(oh * ow * 6, 0);
    must(xnn_setup_deconvolution2d_nhwc_f32(op, in, out), "deconv");
    finish("deconv", op, out, oh * ow * 6);
    free(in), free(w), free(bias), free(out);
}

static void fc(void) {
    float *in = buffer(7 * 33, 1), *w = buffer(33 * 21, 1), *bias = buffer(21, 1);
    float *out = buffer(7 * 21, 0);
    xnn_operator_t op = NULL;
    must(xnn_create_fully_connected_nc_f32(33, 21, 33, 21, w, bias, -1, 1, 0, NULL, NULL, &op),
         "fc");
    must(xnn_reshape_fully_connected_nc_f32(op, 7, NULL), "fc");
    must(xnn_setup_fully_connected_nc_f32(op, in, out), "fc");
    finish("fc", op, out, 7 * 21);
    free(in), free(w), free(bias), free(out);
}

static void bmm(void) {
    const size_t batch[1] = {3};
    float *a = buffer(3 * 5 * 17, 1), *b = buffer(3 * 17 * 11, 1), *out = buffer(3 * 5 * 11, 0);
    xnn_operator_t op = NULL;
    size_t bytes = 0, align = 0;
    must(xnn_create_batch_matrix_multiply_nc_f32(0, &op), "bmm");
    must(xnn_reshape_batch_matrix_multiply_nc_f32(op, 1, batch, batch, 5, 17, 11, &bytes, &align,
                                                  NULL),
         "bmm");
    void *space = NULL;
    if (posix_memalign(&space, 64, bytes + 64) != 0)
        abort();
    must(xnn_setup_batch_matrix_multiply_nc_f32(op, space, a, b, out), "bmm");
    finish("bmm", op, out, 3 * 5 * 11);
    free(a), free(b), free(space), free(out);
}

static void pool(void) {
    float *in = buffer(12 * 12 * 19, 1), *out = buffer(12 * 12 * 19, 0);
    xnn_operator_t op = NULL;
    size_t oh = 0, ow = 0, bytes = 0, align = 0;
    must(xnn_create_max_pooling2d_nhwc_f32(1, 1, 1, 1, 3, 3, 2, 2, 1, 1, -INFINITY, INFINITY, 0,
                                           &op),
         "maxpool");
    must(xnn_reshape_max_pooling2d_nhwc_f32(op, 1, 12, 12, 19, 19, 19, &oh, &ow, NULL), "maxpool");
    must(xnn_setup_max_pooling2d_nhwc_f32(op, in, out), "maxpool");
    finish("maxpool", op, out, oh * ow * 19);

    for (uint32_t pad = 0; pad < 2; pad++) {
        must(xnn_create_average_pooling2d_nhwc_f32(pad, pad, pad, pad, 3, 3, 2, 2, -INFINITY,
                                                   INFINITY, 0, &op),
             "avgpool");
        must(xnn_reshape_average_pooling2d_nhwc_f32(op, 1, 12, 12, 19, 19, 19, &bytes, &align, &oh,
                                                    &ow, NULL),
             "avgpool");
        float *space = buffer(bytes / 4 + 1, 0);
        must(xnn_setup_average_pooling2d_nhwc_f32(op, space, in, out), "avgpool");
        finish(pad ? "avgpool-pad" : "avgpool", op, out, oh * ow * 19);
        free(space);
    }

    const int64_t axes[2] = {1, 2};
    const size_t shape[4] = {1, 12, 12, 19};
    must(xnn_create_reduce_nd(xnn_reduce_mean, xnn_datatype_fp32, NULL, NULL, 0, &op), "mean");
    must(xnn_reshape_reduce_nd(op, 2, axes, 4, shape, &bytes, &align, NULL), "mean");
    /* No workspace for f32: with one XNNPACK calls a conversion that f32 does not have. */
    must(xnn_setup_reduce_nd(op, NULL, in, out), "mean");
    finish("mean", op, out, 19);
    free(in), free(out);
}

static void unary(const char *name, enum xnn_unary_operator type) {
    union xnn_unary_params params;
    memset(&params, 0, sizeof params);
    if (type == xnn_unary_clamp)
        params.clamp.max = 0.75f;
    if (type == xnn_unary_elu)
        params.elu.alpha = 1.25f;
    if (type == xnn_unary_leaky_relu)
        params.leaky_relu.negative_slope = 0.1f;
    const int positive = type == xnn_unary_log || type == xnn_unary_square_root ||
                         type == xnn_unary_reciprocal_square_root;
    float *in = buffer(1003, 1), *out = buffer(1003, 0);
    for (size_t i = 0; i < 1003; i++)
        in[i] = positive ? fabsf(in[i]) + 0.001f : in[i] * 6;
    in[0] = INFINITY, in[1] = positive ? 0.0f : -INFINITY, in[2] = positive ? 0.0f : -0.0f;
    xnn_operator_t op = NULL;
    must(xnn_create_unary_elementwise_nc(type, xnn_datatype_fp32, xnn_datatype_fp32, &params, NULL,
                                         NULL, 0, &op),
         name);
    must(xnn_reshape_unary_elementwise_nc(op, 17, 59, 59, 59, NULL), name);
    must(xnn_setup_unary_elementwise_nc(op, in, out), name);
    finish(name, op, out, 1003);
    free(in), free(out);
}

static void binary(const char *name, enum xnn_binary_operator type) {
    const size_t a_shape[3] = {5, 7, 13}, b_shape[2] = {7, 1};
    float *a = buffer(455, 1), *b = buffer(7, 1), *out = buffer(455, 0);
    xnn_operator_t op = NULL;
    must(xnn_create_binary_elementwise_nd(type, xnn_datatype_fp32, NULL, NULL, NULL, 0, &op), name);
    must(xnn_reshape_binary_elementwise_nd(op, 3, a_shape, 2, b_shape, NULL), name);
    must(xnn_setup_binary_elementwise_nd(op, a, b, out), name);
    finish(name, op, out, 455);
    free(a), free(b), free(out);
}

static void movement(void) {
    const size_t shape[4] = {2, 9, 5, 7}, perm[4] = {0, 3, 1, 2};
    const size_t before[4] = {0, 1, 2, 0}, after[4] = {0, 3, 1, 2};
    float *in = buffer(630, 1), *out = buffer(4000, 0);
    const float value = 0.5f;
    xnn_operator_t op = NULL;
    size_t bytes = 0, align = 0;
    must(xnn_create_transpose_nd_x32(0, &op), "transpose");
    must(xnn_reshape_transpose_nd_x32(op, 4, shape, perm, NULL), "transpose");
    must(xnn_setup_transpose_nd_x32(op, in, out), "transpose");
    finish("transpose", op, out, 630);
    must(xnn_create_constant_pad_nd_x32(&value, 0, &op), "pad");
    must(xnn_reshape_constant_pad_nd_x32(op, 4, shape, before, after, NULL), "pad");
    must(xnn_setup_constant_pad_nd_x32(op, in, out), "pad");
    finish("pad", op, out, 2 * 13 * 8 * 9);
    must(xnn_create_resize_bilinear2d_nhwc_f32(11, 17, 0, &op), "resize");
    must(xnn_reshape_resize_bilinear2d_nhwc_f32(op, 2, 9, 5, 7, 7, 7, &bytes, &align, NULL),
         "resize");
    void *space = NULL;
    if (posix_memalign(&space, 64, bytes + 64) != 0)
        abort();
    must(xnn_setup_resize_bilinear2d_nhwc_f32(op, space, in, out), "resize");
    finish("resize", op, out, 2 * 11 * 17 * 7);
    must(xnn_create_softmax_nc_f32(0, &op), "softmax");
    must(xnn_reshape_softmax_nc_f32(op, 35, 35, 35, 18, NULL), "softmax");
    must(xnn_setup_softmax_nc_f32(op, in, out), "softmax");
    finish("softmax", op, out, 630);
    free(in), free(out), free(space);
}

static void *allocate(void *context, size_t size) {
    (void)context;
    return malloc(size);
}

static void *reallocate(void *context, void *pointer, size_t size) {
    (void)context;
    return realloc(pointer, size);
}

static void *allocate_aligned(void *context, size_t alignment, size_t size) {
    void *pointer = NULL;
    (void)context;
    return posix_memalign(&pointer, alignment, size) == 0 ? pointer : NULL;
}

static void deallocate(void *context, void *pointer) {
    (void)context;
    free(pointer);
}

int main(void) {
    static const struct xnn_allocator allocator = {NULL,       allocate,         reallocate,
                                                   deallocate, allocate_aligned, deallocate};
    must(xnn_initialize(&allocator), "initialize");
    conv("conv1x1", 1, 1, 0, 1, 19, 21, -INFINITY, INFINITY);
    conv("conv3x3", 3, 1, 1, 1, 5, 9, 0, INFINITY);
    conv("conv3x3s2-clamp", 3, 2, 1, 1, 3, 16, 0, 6);
    conv("conv-grouped", 3, 1, 1, 3, 4, 6, -INFINITY, INFINITY);
    conv("conv-2-out", 3, 1, 1, 1, 5, 2, -1, 1);
    conv("dw3x3", 3, 1, 1, 21, 1, 1, -INFINITY, INFINITY);
    conv("dw3x3-clamp", 3, 2, 1, 21, 1, 1, 0, 6);
    conv("dw5x5", 5, 1, 2, 21, 1, 1, 0, INFINITY);
    deconv();
    fc();
    bmm();
    pool();
    unary("clamp", xnn_unary_clamp);
    unary("abs", xnn_unary_abs);
    unary("round", xnn_unary_bankers_rounding);
    unary("ceil", xnn_unary_ceiling);
    unary("floor", xnn_unary_floor);
    unary("elu", xnn_unary_elu);
    unary("exp", xnn_unary_exp);
    unary("gelu", xnn_unary_gelu);
    unary("hardswish", xnn_unary_hardswish);
    unary("leaky-relu", xnn_unary_leaky_relu);
    unary("log", xnn_unary_log);
    unary("neg", xnn_unary_negate);
    unary("sigmoid", xnn_unary_sigmoid);
    unary("square", xnn_unary_square);
    unary("sqrt", xnn_unary_square_root);
    unary("rsqrt", xnn_unary_reciprocal_square_root);
    unary("tanh", xnn_unary_tanh);
    binary("add", xnn_binary_add);
    binary("sub", xnn_binary_subtract);
    binary("mul", xnn_binary_multiply);
    binary("div", xnn_binary_divide);
    binary("max", xnn_binary_maximum);
    binary("min", xnn_binary_minimum);
    binary("prelu", xnn_binary_prelu);
    movement();
    return 0;
}
