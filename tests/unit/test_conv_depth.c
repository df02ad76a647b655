/* 3-D convolutions, both ways, against sums by definition: random sizes. The numbers are small
 * and whole, so that every order of summing gives the same bits. */
#include "unit.h"

#include <math.h>

#include "compiler/fold.h"
#include "ops/conv_depth.h"

typedef struct shape {
    uint32_t n, groups, in, out;
    uint32_t dims[3], kernel[3], stride[3], dilation[3], before[3], after[3], adjust[3], result[3];
} shape;

static wai_value *numbers(wai_graph *g, uint32_t rank, const uint32_t *dims, uint32_t *random) {
    wai_type type = wai_type_make(WAI_F32, rank, dims);
    float data[8192];
    const size_t count = wai_type_count(&type);
    assert_true(count <= 8192);
    for (size_t i = 0; i < count; i++) {
        data[i] = (float)(unit_random(random) % 7) - 3;
    }
    return wai_emit_constant(g, &type, data);
}

static shape random_shape(uint32_t *random, bool transposed) {
    shape s = {.n = 1 + unit_random(random) % 2,
               .groups = 1 + unit_random(random) % 2,
               .in = 1 + unit_random(random) % 3,
               .out = 1 + unit_random(random) % 3};
    for (uint32_t a = 0; a < 3; a++) {
        s.kernel[a] = 1 + unit_random(random) % 3;
        s.dilation[a] = 1 + unit_random(random) % 2;
        s.stride[a] = 1 + unit_random(random) % 3;
        const uint32_t extent = (s.kernel[a] - 1) * s.dilation[a] + 1;
        s.before[a] = unit_random(random) % 3;
        s.after[a] = unit_random(random) % 3;
        if (transposed) {
            s.dims[a] = 3 + unit_random(random) % 2;
            s.before[a] = s.before[a] < 2 ? s.before[a] : 0;
            s.after[a] = s.after[a] < 2 ? s.after[a] : 0;
            s.adjust[a] = unit_random(random) % s.stride[a];
            s.result[a] =
                (s.dims[a] - 1) * s.stride[a] + extent + s.adjust[a] - s.before[a] - s.after[a];
        } else {
            s.dims[a] = extent + unit_random(random) % 3;
            s.result[a] = (s.dims[a] + s.before[a] + s.after[a] - extent) / s.stride[a] + 1;
        }
    }
    return s;
}

static wai_conv_params params_of(const shape *s, uint32_t depth) {
    return (wai_conv_params){.groups = s->groups,
                             .group_in = s->in * depth,
                             .group_out = s->out,
                             .kernel_h = s->kernel[1],
                             .kernel_w = s->kernel[2],
                             .stride_h = s->stride[1],
                             .stride_w = s->stride[2],
                             .dilation_h = s->dilation[1],
                             .dilation_w = s->dilation[2],
                             .pad_top = s->before[1],
                             .pad_left = s->before[2],
                             .pad_bottom = s->after[1],
                             .pad_right = s->after[2],
                             .adjust_h = s->adjust[1],
                             .adjust_w = s->adjust[2],
                             .min = -INFINITY,
                             .max = INFINITY};
}

/* Position `at` of axis a in the input for tap k of output position `o`; false when there is
 * none. */
static bool position(const shape *s, uint32_t a, uint32_t o, uint32_t k, bool transposed,
                     uint32_t *at) {
    const int64_t reach = (int64_t)k * s->dilation[a];
    int64_t i = transposed ? (int64_t)o + s->before[a] - reach
                           : (int64_t)o * s->stride[a] + reach - s->before[a];
    if (i < 0 || (transposed && i % s->stride[a] != 0)) {
        return false;
    }
    i = transposed ? i / s->stride[a] : i;
    *at = (uint32_t)i;
    return i < s->dims[a];
}

/* Output channel c of image n at o, channels first. */
static float expected(const shape *s, const float *x, const float *w, uint32_t n, uint32_t c,
                      const uint32_t o[3], bool transposed) {
    const uint32_t group = c / s->out, taps = s->kernel[0] * s->kernel[1] * s->kernel[2];
    float sum = 0;
    for (uint32_t tap = 0; tap < taps; tap++) {
        const uint32_t k[3] = {tap / s->kernel[2] / s->kernel[1], tap / s->kernel[2] % s->kernel[1],
                               tap % s->kernel[2]};
        uint32_t at[3];
        bool inside = true;
        for (uint32_t a = 0; a < 3; a++) {
            inside = position(s, a, o[a], k[a], transposed, &at[a]) && inside;
        }
        for (uint32_t i = 0; inside && i < s->in; i++) {
            const size_t channel = (size_t)group * s->in + i;
            const size_t pixel =
                (((n * s->groups * s->in + channel) * s->dims[0] + at[0]) * s->dims[1] + at[1]) *
                    s->dims[2] +
                at[2];
            const size_t weight =
                (transposed ? channel * s->out + c % s->out : (size_t)c * s->in + i) * taps + tap;
            sum += x[pixel] * w[weight];
        }
    }
    return sum;
}

static void compare(const shape *s, const wai_value *x, const wai_value *w, const wai_value *y,
                    bool transposed) {
    const uint32_t channels = s->groups * s->out;
    const uint32_t dims[5] = {s->n, channels, s->result[0], s->result[1], s->result[2]};
    const wai_type type = wai_type_make(WAI_F32, 5, dims);
    assert_true(wai_type_equal(&y->type, &type));
    for (size_t i = 0; i < wai_type_count(&type); i++) {
        const size_t h = i / dims[4], d = h / dims[3], c = d / dims[2];
        const uint32_t o[3] = {(uint32_t)(d % dims[2]), (uint32_t)(h % dims[3]),
                               (uint32_t)(i % dims[4])};
        const float is = ((const float *)y->data)[i];
        const float wanted = expected(s, x->data, w->data, (uint32_t)(c / channels),
                                      (uint32_t)(c % channels), o, transposed);
        assert_true(is == wanted);
    }
}

static void try_one(uint32_t *random, bool transposed) {
    const shape s = random_shape(random, transposed);
    wai_arena arena;
    wai_diag diag = {0};
    wai_graph graph;
    wai_arena_init(&arena, NULL, UINT64_MAX);
    wai_graph_init(&graph, &arena, &diag);
    graph.fold = wai_fold_node;
    wai_lower l = {.graph = &graph, .op_type = "Conv"};
    const uint32_t channels = s.groups * s.in;
    const uint32_t x_dims[5] = {s.n, channels, s.dims[0], s.dims[1], s.dims[2]};
    const uint32_t w_dims[5] = {transposed ? channels : s.groups * s.out, transposed ? s.out : s.in,
                                s.kernel[0], s.kernel[1], s.kernel[2]};
    wai_window window = {.spatial = 3};
    memcpy(window.kernel, s.kernel, sizeof s.kernel);
    memcpy(window.stride, s.stride, sizeof s.stride);
    memcpy(window.dilation, s.dilation, sizeof s.dilation);
    memcpy(window.before, s.before, sizeof s.before);
    memcpy(window.after, s.after, sizeof s.after);
    wai_conv_depth d;
    assert_true(transposed ? wai_deconv_depth_read(&l, &d, &window, s.dims[0], s.adjust[0])
                           : wai_conv_depth_read(&l, &d, &window, s.dims[0]));
    wai_value *x = numbers(&graph, 5, x_dims, random), *w = numbers(&graph, 5, w_dims, random);
    wai_value *in[2] = {wai_conv_depth_enter(&l, &d, x, s.groups),
                        wai_conv_depth_weights(&l, &d, w, s.groups)};
    const wai_conv_params p = params_of(&s, s.kernel[0]);
    wai_value *y = wai_emit(&graph, transposed ? &wai_op_deconv2d : &wai_op_conv2d, &p, in, 2);
    y = wai_conv_depth_leave(&l, &d, y, s.n);
    assert_int_equal(graph.status, WAI_OK);
    assert_true(wai_value_is_constant(y));
    compare(&s, x, w, y, transposed);
    wai_arena_free(&arena);
}

static void test_conv(void **state) {
    (void)state;
    uint32_t random = 3;
    for (uint32_t i = 0; i < 200; i++) {
        try_one(&random, false);
    }
}

static void test_deconv(void **state) {
    (void)state;
    uint32_t random = 4;
    for (uint32_t i = 0; i < 200; i++) {
        try_one(&random, true);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_conv), cmocka_unit_test(test_deconv)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
