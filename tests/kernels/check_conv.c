/*
 * conv2d, deconv2d and fully_connected against dull references over seeded
 * random geometry: raw and packed weights, hostile packed sizes, and every
 * allocation failing once.
 *
 *   check_conv [rounds] [seed]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "ops/emit.h"
#include "runtime/xnn.h"

extern const wai_kernel wai_op_conv2d_kernel, wai_op_deconv2d_kernel, wai_op_fully_connected_kernel;

static uint32_t seed = 1;
static unsigned failures, compared, packed_count, plain_count;

static uint32_t next(uint32_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (seed >> 4) % below;
}

static float next_float(void) {
    return (float)next(2001) / 1000.0f - 1.0f;
}

/* 64-byte aligned, `size` bytes and 16 readable ones behind them. */
static void *buffer(size_t size) {
    void *p = NULL;
    if (posix_memalign(&p, WAI_ALIGN, size + WAI_SPARE_SIZE) != 0) {
        abort();
    }
    memset(p, 0x7f, size + WAI_SPARE_SIZE); /* a large float, where nothing should be read */
    return p;
}

static float *random_floats(size_t count) {
    float *p = buffer(count * sizeof *p);
    for (size_t i = 0; i < count; i++) {
        p[i] = next_float();
    }
    return p;
}

/* ---- references ----------------------------------------------------------- */

static void conv_reference(const wai_conv_params *p, const wai_operand *in, const wai_operand *out,
                           double *y) {
    const uint32_t *xd = in[0].type.dims, *yd = out->type.dims;
    const float *x = in[0].data, *w = in[1].data, *bias = in[2].data;
    size_t at = 0;
    for (uint32_t n = 0; n < yd[0]; n++)
        for (uint32_t oy = 0; oy < yd[1]; oy++)
            for (uint32_t ox = 0; ox < yd[2]; ox++)
                for (uint32_t o = 0; o < yd[3]; o++, at++) {
                    y[at] = bias != NULL ? bias[o] : 0;
                    for (uint32_t ky = 0; ky < p->kernel_h; ky++)
                        for (uint32_t kx = 0; kx < p->kernel_w; kx++)
                            for (uint32_t i = 0; i < p->group_in; i++) {
                                int iy =
                                    (int)(oy * p->stride_h + ky * p->dilation_h) - (int)p->pad_top;
                                int ix =
                                    (int)(ox * p->stride_w + kx * p->dilation_w) - (int)p->pad_left;
                                if (iy < 0 || iy >= (int)xd[1] || ix < 0 || ix >= (int)xd[2])
                                    continue;
                                uint32_t c = o / p->group_out * p->group_in + i;
                                y[at] +=
                                    (double)x[((n * xd[1] + (uint32_t)iy) * xd[2] + (uint32_t)ix) *
                                                  xd[3] +
                                              c] *
                                    w[((o * p->kernel_h + ky) * p->kernel_w + kx) * p->group_in +
                                      i];
                            }
                }
}

static void deconv_reference(const wai_conv_params *p, const wai_operand *in,
                             const wai_operand *out, double *y) {
    const uint32_t *xd = in[0].type.dims, *yd = out->type.dims;
    const float *x = in[0].data, *w = in[1].data, *bias = in[2].data;
    const size_t count = wai_type_count(&out->type);
    for (size_t i = 0; i < count; i++)
        y[i] = bias != NULL ? bias[i % yd[3]] : 0;
    for (uint32_t n = 0; n < xd[0]; n++)
        for (uint32_t iy = 0; iy < xd[1]; iy++)
            for (uint32_t ix = 0; ix < xd[2]; ix++)
                for (uint32_t c = 0; c < xd[3]; c++)
                    for (uint32_t ky = 0; ky < p->kernel_h; ky++)
                        for (uint32_t kx = 0; kx < p->kernel_w; kx++)
                            for (uint32_t j = 0; j < p->group_out; j++) {
                                int oy =
                                    (int)(iy * p->stride_h + ky * p->dilation_h) - (int)p->pad_top;
                                int ox =
                                    (int)(ix * p->stride_w + kx * p->dilation_w) - (int)p->pad_left;
                                if (oy < 0 || oy >= (int)yd[1] || ox < 0 || ox >= (int)yd[2])
                                    continue;
                                uint32_t o = c / p->group_in * p->group_out + j;
                                y[((n * yd[1] + (uint32_t)oy) * yd[2] + (uint32_t)ox) * yd[3] +
                                  o] +=
                                    (double)x[((n * xd[1] + iy) * xd[2] + ix) * xd[3] + c] *
                                    w[((o * p->kernel_h + ky) * p->kernel_w + kx) * p->group_in +
                                      c % p->group_in];
                            }
}

static void fc_reference(const wai_fully_connected_params *p, const wai_operand *in, double *y,
                         size_t count) {
    const float *x = in[0].data, *w = in[1].data, *bias = in[2].data;
    for (size_t i = 0; i < count; i++) {
        size_t row = i / p->out_features, o = i % p->out_features;
        y[i] = bias != NULL ? bias[o] : 0;
        for (size_t k = 0; k < p->in_features; k++)
            y[i] += (double)x[row * p->in_features + k] * w[o * p->in_features + k];
    }
}

/* ---- one operator ----------------------------------------------------------- */

typedef struct subject {
    const wai_op *op;
    const wai_kernel *kernel;
    union {
        wai_conv_params conv;
        wai_fully_connected_params fc;
    } params;
    wai_operand in[3], out;
    char text[256];
} subject;

static void fail(const subject *s, const char *what, const char *detail) {
    if (failures++ < 20) {
        printf("FAIL %s: %s: %s\n", s->text, what, detail);
    }
}

static wai_step make_step(subject *s, wai_operand *in, uint32_t in_count) {
    return (wai_step){.op = s->op,
                      .kernel = s->kernel,
                      .params = &s->params,
                      .where = "test",
                      .in = in,
                      .out = &s->out,
                      .in_count = in_count,
                      .out_count = 1};
}

static uint32_t *packed_flag(subject *s) {
    return s->op == &wai_op_fully_connected ? &s->params.fc.packed : &s->params.conv.packed;
}

static wai_status infer(subject *s, const wai_operand *in, uint32_t in_count, wai_type *out,
                        wai_diag *diag) {
    const wai_type *types[3];
    for (uint32_t i = 0; i < in_count; i++)
        types[i] = in[i].data != NULL ? &in[i].type : NULL;
    wai_signature signature = {&s->params, types, in_count, out, 1, "test", diag};
    return s->op->infer(&signature);
}

typedef struct counter {
    long left; /* allocations until one fails; negative: never */
} counter;

static void *counted_alloc(void *context, size_t size, size_t align) {
    counter *c = context;
    void *p = NULL;
    if (c->left == 0 || posix_memalign(&p, align, size) != 0) {
        return NULL;
    }
    c->left -= c->left > 0;
    return p;
}

static void counted_free(void *context, void *pointer) {
    (void)context;
    free(pointer);
}

/* Prepare, set up, seal, run twice. */
static wai_status run_step(subject *s, wai_operand *in, uint32_t in_count, long allocations) {
    counter c = {allocations};
    wai_allocator allocator = {&c, counted_alloc, counted_free};
    wai_pool pool;
    wai_pool_init(&pool, &allocator, 1u << 30);
    wai_step step = make_step(s, in, in_count);
    wai_diag diag;
    wai_diag_clear(&diag);
    wai_status status = step.kernel->prepare(&step, &pool, &diag);
    if (status == WAI_OK) {
        step.workspace = buffer(step.workspace_size);
        status = step.kernel->setup(&step, &diag);
        pool.sealed = true;
        for (int i = 0; i < 2 && status == WAI_OK; i++) {
            memset(s->out.data, 0xff, wai_type_size(&s->out.type));
            status = step.kernel->run(&step, &diag);
        }
        free(step.workspace);
    }
    if (pool.violated)
        fail(s, "run", "allocates");
    if (status != WAI_OK && allocations < 0 && status != WAI_ERR_MALFORMED)
        fail(s, "status", diag.message);
    wai_pool_free(&pool);
    return status;
}

static void compare(subject *s, const double *expected, const char *what) {
    const size_t count = wai_type_count(&s->out.type);
    const float *y = s->out.data;
    bool conv = s->op != &wai_op_fully_connected;
    float min = conv ? s->params.conv.min : s->params.fc.min;
    float max = conv ? s->params.conv.max : s->params.fc.max;
    for (size_t i = 0; i < count; i++) {
        double e = expected[i] < min ? min : expected[i] > max ? max : expected[i];
        compared++;
        if (!(fabs(y[i] - e) <= 2e-5 + 2e-5 * fabs(e))) {
            char text[128];
            snprintf(text, sizeof text, "[%zu] is %.9g, expected %.9g", i, (double)y[i], e);
            fail(s, what, text);
            return;
        }
    }
}

static void check_packed(subject *s) {
    const size_t size = wai_type_size(&s->out.type);
    wai_pool scratch;
    wai_pool_init(&scratch, NULL, 1u << 30);
    const uint8_t *packed;
    size_t packed_size;
    wai_step step = make_step(s, s->in, 3);
    wai_diag diag;
    wai_diag_clear(&diag);
    wai_status status = wai_xnn_pack(&step, &scratch, &packed, &packed_size, &diag);
    if (status == WAI_ERR_UNSUPPORTED && diag.status == WAI_OK) {
        plain_count++;
        wai_pool_free(&scratch);
        return;
    }
    if (status != WAI_OK) {
        fail(s, "pack", diag.message);
        wai_pool_free(&scratch);
        return;
    }
    packed_count++;
    uint8_t *raw_result = buffer(size);
    memcpy(raw_result, s->out.data, size);
    static const int deltas[] = {0, 16, -16, 1, -1, 64};
    *packed_flag(s) = 1;
    for (size_t i = 0; i < sizeof deltas / sizeof deltas[0]; i++) {
        size_t claimed = packed_size + (size_t)deltas[i];
        uint32_t dims[1] = {(uint32_t)claimed};
        uint8_t *blob = buffer(claimed);
        memcpy(blob, packed, claimed < packed_size ? claimed : packed_size);
        wai_operand in[3] = {s->in[0], {wai_type_make(WAI_U8, 1, dims), blob, true}};
        wai_type out;
        if (infer(s, in, 2, &out, &diag) != WAI_OK || !wai_type_equal(&out, &s->out.type))
            fail(s, "infer of packed", diag.message);
        status = run_step(s, in, 2, -1);
        if (status != (deltas[i] == 0 ? WAI_OK : WAI_ERR_MALFORMED))
            fail(s, "packed size", wai_status_name(status));
        if (deltas[i] == 0 && memcmp(s->out.data, raw_result, size) != 0)
            fail(s, "packed", "differs from raw");
        for (long n = 0; deltas[i] == 0 && n < 20 && next(8) == 0; n++) {
            status = run_step(s, in, 2, n);
            if (status != WAI_OK && status != WAI_ERR_MEMORY)
                fail(s, "no memory, packed", wai_status_name(status));
        }
        free(blob);
    }
    *packed_flag(s) = 0;
    free(raw_result);
    wai_pool_free(&scratch);
}

static void check(subject *s) {
    wai_diag diag;
    wai_diag_clear(&diag);
    if (infer(s, s->in, 3, &s->out.type, &diag) != WAI_OK) {
        /* Random geometry may leave nothing; reference: too small an input. */
        if (diag.status != WAI_ERR_MALFORMED || strstr(diag.message, "no output") == NULL)
            fail(s, "infer", diag.message);
        return;
    }
    const size_t count = wai_type_count(&s->out.type);
    s->out.data = buffer(count * sizeof(float));
    double *expected = malloc((count + 1) * sizeof *expected);
    if (s->op == &wai_op_conv2d)
        conv_reference(&s->params.conv, s->in, &s->out, expected);
    else if (s->op == &wai_op_deconv2d)
        deconv_reference(&s->params.conv, s->in, &s->out, expected);
    else
        fc_reference(&s->params.fc, s->in, expected, count);
    for (long n = 0; n < 20 && next(8) == 0; n++) {
        wai_status status = run_step(s, s->in, 3, n);
        if (status != WAI_OK && status != WAI_ERR_MEMORY)
            fail(s, "no memory", wai_status_name(status));
    }
    if (run_step(s, s->in, 3, -1) == WAI_OK)
        compare(s, expected, "raw");
    check_packed(s);
    free(expected);
    free(s->out.data);
}

static void random_range(float *min, float *max) {
    static const float lows[] = {-INFINITY, 0, -0.5f, -INFINITY};
    static const float highs[] = {INFINITY, INFINITY, 0.75f, 0.25f};
    uint32_t i = next(4);
    *min = lows[i];
    *max = highs[i];
}

static void check_random_conv(void) {
    subject s = {0};
    wai_conv_params *p = &s.params.conv;
    const bool deconv = next(3) == 0, depthwise = next(4) == 0, pointwise = next(5) == 0;
    s.op = deconv ? &wai_op_deconv2d : &wai_op_conv2d;
    s.kernel = deconv ? &wai_op_deconv2d_kernel : &wai_op_conv2d_kernel;
    p->groups = depthwise ? 1 + next(20) : next(3) == 0 ? 1 + next(4) : 1;
    p->group_in = depthwise ? 1 : 1 + next(next(4) == 0 ? 40 : 9);
    p->group_out = depthwise ? 1 : 1 + next(next(4) == 0 ? 40 : 12);
    p->kernel_h = pointwise ? 1 : 1 + next(6);
    p->kernel_w = pointwise ? 1 : 1 + next(next(8) == 0 ? 12 : 5);
    p->stride_h = next(2) ? 1 : 1 + next(4);
    p->stride_w = next(2) ? 1 : 1 + next(4);
    p->dilation_h = next(3) ? 1 : 1 + next(3);
    p->dilation_w = next(3) ? 1 : 1 + next(3);
    if (!pointwise || next(3) == 0) {
        p->pad_top = next(4), p->pad_left = next(4), p->pad_bottom = next(4);
        p->pad_right = next(next(6) == 0 ? 12 : 4);
    }
    if (deconv) {
        p->adjust_h = next(3) == 0 ? next(p->stride_h + 1) : 0;
        p->adjust_w = next(3) == 0 ? next(p->stride_w + 1) : 0;
    }
    random_range(&p->min, &p->max);
    uint32_t xd[4] = {1 + next(2), 1 + next(10), 1 + next(14), p->groups * p->group_in};
    if (next(12) == 0)
        xd[next(3)] = 0;
    uint32_t wd[4] = {p->groups * p->group_out, p->kernel_h, p->kernel_w, p->group_in};
    snprintf(s.text, sizeof s.text,
             "%s x %ux%ux%ux%u g %u i %u o %u k %ux%u s %ux%u d %ux%u pads %u %u %u %u adj %u %u",
             s.op->name, xd[0], xd[1], xd[2], xd[3], p->groups, p->group_in, p->group_out,
             p->kernel_h, p->kernel_w, p->stride_h, p->stride_w, p->dilation_h, p->dilation_w,
             p->pad_top, p->pad_left, p->pad_bottom, p->pad_right, p->adjust_h, p->adjust_w);
    s.in[0].type = wai_type_make(WAI_F32, 4, xd);
    s.in[1] = (wai_operand){wai_type_make(WAI_F32, 4, wd), NULL, true};
    s.in[2] = (wai_operand){wai_type_make(WAI_F32, 1, wd), NULL, true};
    s.in[0].data = random_floats(wai_type_count(&s.in[0].type));
    s.in[1].data = random_floats(wai_type_count(&s.in[1].type));
    s.in[2].data = next(3) ? random_floats(wd[0]) : NULL;
    check(&s);
    free(s.in[0].data), free(s.in[1].data), free(s.in[2].data);
}

static void check_random_fc(void) {
    subject s = {.op = &wai_op_fully_connected, .kernel = &wai_op_fully_connected_kernel};
    wai_fully_connected_params *p = &s.params.fc;
    p->in_features = next(20) == 0 ? 0 : 1 + next(50);
    p->out_features = next(20) == 0 ? 0 : 1 + next(30);
    random_range(&p->min, &p->max);
    uint32_t rank = 1 + next(4), xd[4] = {next(5), 1 + next(3), 1 + next(3)};
    xd[rank - 1] = p->in_features;
    uint32_t wd[2] = {p->out_features, p->in_features};
    snprintf(s.text, sizeof s.text, "fully_connected %u -> %u, rank %u", p->in_features,
             p->out_features, rank);
    s.in[0].type = wai_type_make(WAI_F32, rank, xd);
    s.in[1] = (wai_operand){wai_type_make(WAI_F32, 2, wd), NULL, true};
    s.in[2] = (wai_operand){wai_type_make(WAI_F32, 1, wd), NULL, true};
    s.in[0].data = random_floats(wai_type_count(&s.in[0].type));
    s.in[1].data = random_floats(wai_type_count(&s.in[1].type));
    s.in[2].data = next(3) ? random_floats(wd[0]) : NULL;
    check(&s);
    free(s.in[0].data), free(s.in[1].data), free(s.in[2].data);
}

/* The layout that wai_xnn_layout() names: changes of XNNPACK must not pass
 * unseen. One tile of 8 output channels, bias first, then one row per input. */
static void check_layout(void) {
    subject s = {.op = &wai_op_conv2d, .kernel = &wai_op_conv2d_kernel, .text = "layout"};
    s.params.conv =
        (wai_conv_params){1, 2, 8, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, -INFINITY, INFINITY};
    uint32_t xd[4] = {1, 1, 1, 2}, wd[4] = {8, 1, 1, 2};
    s.in[0] = (wai_operand){wai_type_make(WAI_F32, 4, xd), random_floats(2), false};
    s.in[1] = (wai_operand){wai_type_make(WAI_F32, 4, wd), random_floats(16), true};
    s.in[2] = (wai_operand){wai_type_make(WAI_F32, 1, wd), random_floats(8), true};
    infer(&s, s.in, 3, &s.out.type, NULL);
    wai_pool scratch;
    wai_pool_init(&scratch, NULL, 1u << 20);
    const uint8_t *packed = NULL;
    size_t size = 0;
    wai_step step = make_step(&s, s.in, 3);
    if (wai_xnn_pack(&step, &scratch, &packed, &size, NULL) != WAI_OK || size != 96) {
        fail(&s, "pack", "not 96 bytes");
    } else {
        const float *w = s.in[1].data, *bias = s.in[2].data, *p = (const void *)packed;
        for (int o = 0; o < 8; o++)
            if (p[o] != bias[o] || p[8 + o] != w[2 * o] || p[16 + o] != w[2 * o + 1])
                fail(&s, "layout", "is not 8 x 1");
    }
    wai_pool_free(&scratch);
    free(s.in[0].data), free(s.in[1].data), free(s.in[2].data);
}

int main(int count, char **arguments) {
    unsigned rounds = count > 1 ? (unsigned)atoi(arguments[1]) : 400;
    seed = count > 2 ? (uint32_t)atoi(arguments[2]) : 1;
    check_layout();
    for (unsigned i = 0; i < rounds; i++) {
        check_random_conv();
        if (i % 4 == 0)
            check_random_fc();
    }
    printf("%u rounds: %u numbers, %u packed, %u plain, %u failures\n", rounds, compared,
           packed_count, plain_count, failures);
    unsigned checked = packed_count + plain_count;
    printf("%u passed, %u failed, 0 skipped\n", failures < checked ? checked - failures : 0,
           failures);
    return failures != 0;
}
