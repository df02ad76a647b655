/*
 * conv2d, deconv2d and fully_connected against dull references over seeded
 * random geometry: raw and packed weights, hostile packed sizes, and every
 * allocation failing once.
 *
 *   check_conv [rounds] [seed]
 */
#include "check.h"

#include <math.h>

#include "runtime/xnn.h"

static unsigned packed_count, plain_count, numbers;

/* ---- references ----------------------------------------------------------- */

/*
 * Both ways between a tensor in steps of the stride (the output of conv2d, the
 * input of deconv2d) and the tensor that its kernels lie on.
 */
static void conv_reference(const wai_conv_params *p, const wai_operand *in, const wai_operand *out,
                           bool deconv, double *y) {
    const float *x = in[0].data, *w = in[1].data, *bias = in[2].data;
    const uint32_t *xd = in[0].type.dims, *yd = out->type.dims;
    const uint32_t *coarse = deconv ? xd : yd, *fine = deconv ? yd : xd;
    const size_t count = wai_type_count(&out->type);
    for (size_t i = 0; i < count; i++)
        y[i] = bias != NULL ? bias[i % yd[3]] : 0;
    uint32_t at[WAI_MAX_RANK] = {0}; /* image, coarse row and column, kernel row and column, o, i */
    wai_type walk = {
        WAI_F32,
        7,
        {coarse[0], coarse[1], coarse[2], p->kernel_h, p->kernel_w, yd[3], p->group_in}};
    for (size_t left = wai_type_count(&walk); left > 0; left--, next_index(&walk, at)) {
        int row = (int)(at[1] * p->stride_h + at[3] * p->dilation_h) - (int)p->pad_top;
        int column = (int)(at[2] * p->stride_w + at[4] * p->dilation_w) - (int)p->pad_left;
        if (row < 0 || row >= (int)fine[1] || column < 0 || column >= (int)fine[2])
            continue;
        size_t near = (at[0] * coarse[1] + at[1]) * coarse[2] + at[2];
        size_t far = (at[0] * fine[1] + (size_t)row) * fine[2] + (size_t)column;
        uint32_t o = at[5], c = o / p->group_out * p->group_in + at[6];
        y[(deconv ? far : near) * yd[3] + o] +=
            (double)x[(deconv ? near : far) * xd[3] + c] *
            w[((o * p->kernel_h + at[3]) * p->kernel_w + at[4]) * p->group_in + at[6]];
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

static wai_step step_of(subject *s, wai_operand *in, uint32_t in_count) {
    return make_step(s->op, &s->params, in, in_count, &s->out);
}

static uint32_t *packed_flag(subject *s) {
    return s->op == &wai_op_fully_connected ? &s->params.fc.packed : &s->params.conv.packed;
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

static wai_status run(subject *s, wai_operand *in, uint32_t in_count, long allocations) {
    counter c = {allocations};
    wai_allocator allocator = {&c, counted_alloc, counted_free};
    wai_step step = step_of(s, in, in_count);
    wai_diag diag = {0};
    wai_status status = run_step(&step, &allocator, &diag);
    if (status != WAI_OK && allocations < 0 && status != WAI_ERR_MALFORMED)
        fail(s, "status", diag.message);
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
        numbers++;
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
    wai_step step = step_of(s, s->in, 3);
    wai_diag diag = {0};
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
        wai_type raw = s->out.type;
        step = step_of(s, in, 2);
        if (infer_step(&step, NULL, &diag) != WAI_OK || !wai_type_equal(&raw, &s->out.type))
            fail(s, "infer of packed", diag.message);
        status = run(s, in, 2, -1);
        if (status != (deltas[i] == 0 ? WAI_OK : WAI_ERR_MALFORMED))
            fail(s, "packed size", wai_status_name(status));
        if (deltas[i] == 0 && memcmp(s->out.data, raw_result, size) != 0)
            fail(s, "packed", "differs from raw");
        for (long n = 0; deltas[i] == 0 && n < 20 && next(8) == 0; n++) {
            status = run(s, in, 2, n);
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
    wai_diag diag = {0};
    wai_step step = step_of(s, s->in, 3);
    if (infer_step(&step, NULL, &diag) != WAI_OK) {
        /* Random geometry may leave nothing; reference: too small an input. */
        if (diag.status != WAI_ERR_MALFORMED || strstr(diag.message, "no output") == NULL)
            fail(s, "infer", diag.message);
        return;
    }
    const size_t count = wai_type_count(&s->out.type);
    s->out.data = buffer(count * sizeof(float));
    double *expected = malloc((count + 1) * sizeof *expected);
    if (s->op == &wai_op_fully_connected)
        fc_reference(&s->params.fc, s->in, expected, count);
    else
        conv_reference(&s->params.conv, s->in, &s->out, s->op == &wai_op_deconv2d, expected);
    for (long n = 0; n < 20 && next(8) == 0; n++) {
        wai_status status = run(s, s->in, 3, n);
        if (status != WAI_OK && status != WAI_ERR_MEMORY)
            fail(s, "no memory", wai_status_name(status));
    }
    if (run(s, s->in, 3, -1) == WAI_OK)
        compare(s, expected, "raw");
    check_packed(s);
    free(expected);
    free(s->out.data);
}

/* Input and weights of these dims, and mostly a bias. */
static void check_random(subject *s, uint32_t x_rank, const uint32_t *x, uint32_t w_rank,
                         const uint32_t *w) {
    s->in[0] = random_operand(x_rank, x, false);
    s->in[1] = random_operand(w_rank, w, true);
    s->in[2] = next(3) ? random_operand(1, w, true) : (wai_operand){.data = NULL};
    check(s);
    free(s->in[0].data), free(s->in[1].data), free(s->in[2].data);
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
    check_random(&s, 4, xd, 4, wd);
}

/* 1x1 with so many weights that conv2d takes product.h. */
static void check_random_wide(void) {
    subject s = {.op = &wai_op_conv2d};
    wai_conv_params *p = &s.params.conv;
    *p = (wai_conv_params){.groups = 1,
                           .group_in = 200 + next(300),
                           .group_out = 330 + next(40),
                           .kernel_h = 1,
                           .kernel_w = 1,
                           .stride_h = 1,
                           .stride_w = 1,
                           .dilation_h = 1,
                           .dilation_w = 1};
    random_range(&p->min, &p->max);
    uint32_t xd[4] = {1 + next(2), 1 + next(3), 1 + next(4), p->group_in};
    uint32_t wd[4] = {p->group_out, 1, 1, p->group_in};
    snprintf(s.text, sizeof s.text, "conv2d 1x1 x %ux%ux%ux%u o %u", xd[0], xd[1], xd[2], xd[3],
             p->group_out);
    check_random(&s, 4, xd, 4, wd);
}

static void check_random_fc(void) {
    subject s = {.op = &wai_op_fully_connected};
    wai_fully_connected_params *p = &s.params.fc;
    const bool large = next(10) == 0;
    p->in_features = next(20) == 0 ? 0 : 1 + next(large ? 900 : 50);
    p->out_features = next(20) == 0 ? 0 : 1 + next(30);
    random_range(&p->min, &p->max);
    uint32_t rank = 1 + next(4), xd[4] = {next(large ? 50 : 5), 1 + next(3), 1 + next(3)};
    xd[rank - 1] = p->in_features;
    uint32_t wd[2] = {p->out_features, p->in_features};
    snprintf(s.text, sizeof s.text, "fully_connected %u -> %u, rank %u", p->in_features,
             p->out_features, rank);
    check_random(&s, rank, xd, 2, wd);
}

/* The layout that wai_xnn_layout() names: changes of XNNPACK must not pass
 * unseen. One tile of 8 output channels, bias first, then one row per input. */
static void check_layout(void) {
    subject s = {.op = &wai_op_conv2d, .text = "layout"};
    s.params.conv =
        (wai_conv_params){1, 2, 8, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, -INFINITY, INFINITY};
    uint32_t xd[4] = {1, 1, 1, 2}, wd[4] = {8, 1, 1, 2};
    s.in[0] = random_operand(4, xd, false);
    s.in[1] = random_operand(4, wd, true);
    s.in[2] = random_operand(1, wd, true);
    wai_step step = step_of(&s, s.in, 3);
    infer_step(&step, NULL, NULL);
    wai_pool scratch;
    wai_pool_init(&scratch, NULL, 1u << 20);
    const uint8_t *packed = NULL;
    size_t size = 0;
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

int main(int argc, char **argv) {
    unsigned rounds = start(argc, argv, 400);
    check_layout();
    for (unsigned i = 0; i < rounds; i++) {
        check_random_conv();
        if (i % 4 == 0)
            check_random_fc();
        if (i % 40 == 0)
            check_random_wide();
    }
    printf("%u rounds: %u numbers, %u packed, %u plain, %u failures\n", rounds, numbers,
           packed_count, plain_count, failures);
    compared = packed_count + plain_count;
    return finish();
}
