/* recurrent: LSTM, GRU and RNN, one time after the other. */
#include "ops/recurrent.h"

#include <string.h>

#include "base/limits.h"
#include "ops/vector.h"

#define BLOCK WAI_RECURRENT_BLOCK

enum { X, R, H0, C0, PEEPHOLES, LENGTHS, BIAS, HIDDEN_BIAS, INPUTS };
enum { Y, H_LAST, C_LAST };

/* ---- meaning ------------------------------------------------------------ */

static const char *const kinds[] = {NULL, "rnn", "gru", "lstm", NULL};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_recurrent_params, kind, kinds),
    WAI_FIELD(wai_recurrent_params, WAI_FIELD_U32, hidden),
    WAI_FIELD(wai_recurrent_params, WAI_FIELD_U32, directions),
    WAI_FIELD(wai_recurrent_params, WAI_FIELD_U32, reverse),
    WAI_FIELD(wai_recurrent_params, WAI_FIELD_U32, coupled),
    WAI_FIELD(wai_recurrent_params, WAI_FIELD_U32, reset_after),
    WAI_FIELD(wai_recurrent_params, WAI_FIELD_F32, clip),
    WAI_FIELD(wai_recurrent_params, WAI_FIELD_U32, activation),
    WAI_FIELD(wai_recurrent_params, WAI_FIELD_F32, alpha),
    WAI_FIELD(wai_recurrent_params, WAI_FIELD_F32, beta),
};

static wai_status check_params(wai_signature *s) {
    const wai_recurrent_params *p = s->params;
    const uint32_t gates = wai_recurrent_gates(p->kind);
    if (gates == 0 || p->hidden == 0 || p->hidden > WAI_MAX_DIM / (2 * gates)) {
        return WAI_REFUSE(s, "kind %u with %u hidden units", p->kind, p->hidden);
    }
    if (p->directions < 1 || p->directions > 2 || p->reverse > 2 - p->directions) {
        return WAI_REFUSE(s, "%u directions, reverse %u", p->directions, p->reverse);
    }
    if (p->coupled > (p->kind == WAI_RECURRENT_LSTM) ||
        p->reset_after > (p->kind == WAI_RECURRENT_GRU) || !(p->clip > 0)) {
        return WAI_REFUSE(s, "coupled %u, reset_after %u or the clip do not fit the kind",
                          p->coupled, p->reset_after);
    }
    for (uint32_t i = 0; i < 6; i++) {
        bool used = i / 3 < p->directions && i % 3 < wai_recurrent_activations(p->kind);
        if (used ? p->activation[i] < 1 || p->activation[i] > WAI_ACTIVATION_SOFTPLUS
                 : p->activation[i] != 0) {
            return WAI_REFUSE(s, "activation %u is %u", i, p->activation[i]);
        }
    }
    return WAI_OK;
}

/* Input `i` must be there or not, and of that type when it is. */
static wai_status check_input(wai_signature *s, uint32_t i, bool needed, bool allowed,
                              wai_dtype dtype, uint32_t rank, const uint32_t *dims) {
    const wai_type *in = i < s->in_count ? s->in[i] : NULL;
    if (in == NULL ? needed : !allowed) {
        return WAI_REFUSE(s, "input %u must%s be there", i, in == NULL ? "" : " not");
    }
    const wai_type wanted = wai_type_make(dtype, rank, dims);
    if (in != NULL && !wai_type_equal(in, &wanted)) {
        char have[WAI_TYPE_TEXT], want[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "input %u is %s, expected %s", i, wai_type_text(in, have),
                          wai_type_text(&wanted, want));
    }
    return WAI_OK;
}

static wai_status check_inputs(wai_signature *s, uint32_t batch) {
    const wai_recurrent_params *p = s->params;
    const uint32_t gates = wai_recurrent_gates(p->kind), d = p->directions, h = p->hidden;
    const bool lstm = p->kind == WAI_RECURRENT_LSTM;
    const uint32_t r[] = {d, gates, (h + BLOCK - 1) / BLOCK, h, BLOCK};
    const uint32_t state[] = {d, batch, h}, peepholes[] = {d, 3, h};
    const uint32_t bias[] = {d, gates, h}, hidden_bias[] = {d, h};
    const struct {
        uint32_t index;
        bool needed, allowed;
        wai_dtype dtype;
        uint32_t rank;
        const uint32_t *dims;
    } rows[] = {
        {R, true, true, WAI_F32, 5, r},
        {H0, false, true, WAI_F32, 3, state},
        {C0, false, lstm, WAI_F32, 3, state},
        {PEEPHOLES, false, lstm, WAI_F32, 3, peepholes},
        {LENGTHS, false, true, WAI_I32, 1, &batch},
        {BIAS, false, true, WAI_F32, 3, bias},
        {HIDDEN_BIAS, p->reset_after, p->reset_after, WAI_F32, 2, hidden_bias},
    };
    wai_status status = WAI_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && status == WAI_OK; i++) {
        status = check_input(s, rows[i].index, rows[i].needed, rows[i].allowed, rows[i].dtype,
                             rows[i].rank, rows[i].dims);
    }
    return status;
}

/* Floats of one gate of one direction, of the whole batch. */
static uint64_t gate_size(uint32_t batch, uint32_t hidden) {
    return (uint64_t)batch * ((hidden + BLOCK - 1) / BLOCK * BLOCK);
}

static wai_status infer(wai_signature *s) {
    const wai_recurrent_params *p = s->params;
    const wai_type *x = s->in[X];
    wai_status status = check_params(s);
    if (status != WAI_OK) {
        return status;
    }
    const uint32_t width = p->directions * wai_recurrent_gates(p->kind) * p->hidden;
    if (x == NULL || x->dtype != WAI_F32 || x->rank != 3 || x->dims[2] != width) {
        return WAI_REFUSE(s, "the input must be f32 of rank 3 with a last dim of %u", width);
    }
    status = check_inputs(s, x->dims[1]);
    if (status != WAI_OK) {
        return status;
    }
    if (s->out_count != 2u + (p->kind == WAI_RECURRENT_LSTM)) {
        return WAI_REFUSE(s, "%u outputs", s->out_count);
    }
    const uint32_t y[] = {x->dims[0], p->directions, x->dims[1], p->hidden};
    s->out[Y] = wai_type_make(WAI_F32, 4, y);
    for (uint32_t i = H_LAST; i < s->out_count; i++) {
        s->out[i] = wai_type_make(WAI_F32, 3, y + 1);
    }
    /* States are no larger than r and x, but with no times x is empty. */
    if (!wai_type_is_valid(&s->out[Y]) || !wai_type_is_valid(&s->out[H_LAST]) ||
        gate_size(x->dims[1], p->hidden) > WAI_MAX_TENSOR_SIZE / (4 * sizeof(float))) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "a batch of %u with %u hidden units",
                        x->dims[1], p->hidden);
    }
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    const wai_recurrent_params *p = s->params;
    return 2 * wai_type_count(s->in[X]) * ((uint64_t)p->hidden + 4);
}

const wai_op wai_op_recurrent = {
    .name = "recurrent",
    .params_size = sizeof(wai_recurrent_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = INPUTS,
    .min_out = 2,
    .max_out = 3,
    .infer = infer,
    .flops = flops,
};

/* ---- activations -------------------------------------------------------- */

struct xnn_f32_default_params;
void xnn_f32_vsigmoid_ukernel__wasmsimd_rr2_p5_div_u16(size_t size, const float *in, float *out,
                                                       const struct xnn_f32_default_params *params);
void xnn_f32_vtanh_ukernel__wasmsimd_rational_9_8_div_u16(
    size_t size, const float *in, float *out, const struct xnn_f32_default_params *params);

static void sigmoid(float *x, size_t count) {
    xnn_f32_vsigmoid_ukernel__wasmsimd_rr2_p5_div_u16(count * sizeof(float), x, x, NULL);
}

static void hyperbolic(float *x, size_t count) {
    xnn_f32_vtanh_ukernel__wasmsimd_rational_9_8_div_u16(count * sizeof(float), x, x, NULL);
}

/* The rare ones, one number at a time. Inline, eight loops of it are 6 KB of wasm. */
__attribute__((noinline)) static float rare(uint32_t kind, float x, float alpha, float beta) {
    float y;
    switch (kind) {
    case WAI_ACTIVATION_RELU:
        return x < 0.0f ? 0.0f : x;
    case WAI_ACTIVATION_AFFINE:
        return alpha * x + beta;
    case WAI_ACTIVATION_LEAKY_RELU:
        return x < 0.0f ? alpha * x : x;
    case WAI_ACTIVATION_THRESHOLDED_RELU:
        return x <= alpha ? 0.0f : x;
    case WAI_ACTIVATION_HARD_SIGMOID:
        y = alpha * x + beta;
        y = y < 0.0f ? 0.0f : y;
        return y > 1.0f ? 1.0f : y;
    case WAI_ACTIVATION_ELU:
        return x < 0.0f ? alpha * wai_expm1_negative(x) : x;
    case WAI_ACTIVATION_SOFTSIGN:
        return x / (1.0f + wai_abs(x));
    default: /* softplus */
        return (x > 0.0f ? x : 0.0f) + wai_log1p(wai_exp(-wai_abs(x)));
    }
}

/* Function `which` (f, g, h) of direction d; count > 0. */
static void activate(const wai_recurrent_params *p, uint32_t d, uint32_t which, float *x,
                     size_t count) {
    const uint32_t kind = p->activation[3 * d + which];
    const float alpha = p->alpha[3 * d + which], beta = p->beta[3 * d + which];
    if (kind == WAI_ACTIVATION_SIGMOID) {
        sigmoid(x, count);
    } else if (kind == WAI_ACTIVATION_TANH) {
        hyperbolic(x, count);
    } else if (kind == WAI_ACTIVATION_SCALED_TANH) {
        for (size_t i = 0; i < count; i++) {
            x[i] *= beta;
        }
        hyperbolic(x, count);
        for (size_t i = 0; i < count; i++) {
            x[i] *= alpha;
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            x[i] = rare(kind, x[i], alpha, beta);
        }
    }
}

/* ---- one time ------------------------------------------------------------- */

/* Where the walk is. Gates lie as [G][batch][padded] in the workspace; rows
 * behind a sequence's end are left as they are, and never read for a result. */
typedef struct walk {
    const wai_step *step;
    const wai_recurrent_params *p;
    uint32_t d, time; /* time counts from where the direction starts */
    uint32_t times, batch, hidden, padded, gates;
    const int32_t *lengths;
    float *h, *c; /* of direction d: [batch][hidden] */
} walk;

static const float *optional(const walk *w, uint32_t input, size_t offset) {
    const float *data = input < w->step->in_count ? w->step->in[input].data : NULL;
    return data != NULL ? data + offset : NULL;
}

static uint32_t length_of(const walk *w, uint32_t b) {
    return w->lengths != NULL ? (uint32_t)w->lengths[b] : w->times;
}

static bool is_over(const walk *w, uint32_t b) {
    return w->time >= length_of(w, b);
}

/* The position in x and y at which row b is now. */
static uint32_t position(const walk *w, uint32_t b) {
    bool reverse = w->p->reverse != 0 || w->d == 1;
    return reverse ? length_of(w, b) - 1 - w->time : w->time;
}

static float *gate(const walk *w, uint32_t g, uint32_t b) {
    return (float *)w->step->workspace + ((size_t)g * w->batch + b) * w->padded;
}

static const float *x_row(const walk *w, uint32_t g, uint32_t b) {
    size_t row = ((size_t)position(w, b) * w->batch + b) * w->p->directions + w->d;
    return (const float *)w->step->in[X].data + (row * w->gates + g) * w->hidden;
}

typedef float f32x4 __attribute__((vector_size(16)));

static inline f32x4 load(const float *p) {
    f32x4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/*
 * Two blocks of outputs, h[count] * r[count][16] each. Every output is one sum
 * from the first unit to the last; two blocks keep eight sums in flight.
 */
static void product(float *out0, float *out1, const float *h, const float *r0, const float *r1,
                    uint32_t count) {
    f32x4 a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0}, b0 = {0}, b1 = {0}, b2 = {0}, b3 = {0};
    for (; count > 0; count--, h++, r0 += BLOCK, r1 += BLOCK) {
        const f32x4 unit = {*h, *h, *h, *h};
        a0 += unit * load(r0);
        a1 += unit * load(r0 + 4);
        a2 += unit * load(r0 + 8);
        a3 += unit * load(r0 + 12);
        b0 += unit * load(r1);
        b1 += unit * load(r1 + 4);
        b2 += unit * load(r1 + 8);
        b3 += unit * load(r1 + 12);
    }
    const f32x4 a[] = {a0, a1, a2, a3}, b[] = {b0, b1, b2, b3};
    memcpy(out0, a, sizeof a);
    memcpy(out1, b, sizeof b);
}

/* Gates first..last = h * R, h in rows of `stride`. The last of an odd number
 * of blocks is computed twice. */
static void multiply(const walk *w, uint32_t first, uint32_t last, const float *h, size_t stride) {
    const size_t block = (size_t)w->hidden * BLOCK;
    const uint32_t each = w->padded / BLOCK, end = (last + 1) * each;
    const float *r = (const float *)w->step->in[R].data + (size_t)w->d * w->gates * each * block;
    for (uint32_t n = first * each; n < end; n += 2) {
        const uint32_t m = n + 1 < end ? n + 1 : n;
        for (uint32_t b = 0; b < w->batch; b++) {
            if (!is_over(w, b)) {
                product(gate(w, n / each, b) + n % each * BLOCK,
                        gate(w, m / each, b) + m % each * BLOCK, h + b * stride, r + n * block,
                        r + m * block, w->hidden);
            }
        }
    }
}

/* Gate g = function(clip(gate + x + peephole * c + bias)). */
static void finish(const walk *w, uint32_t g, uint32_t function, const float *peephole) {
    const float clip = w->p->clip;
    const float *bias = optional(w, BIAS, ((size_t)w->d * w->gates + g) * w->hidden);
    for (uint32_t b = 0; b < w->batch; b++) {
        if (is_over(w, b)) {
            continue;
        }
        float *out = gate(w, g, b);
        const float *x = x_row(w, g, b);
        WAI_VECTOR_LOOP
        for (uint32_t j = 0; j < w->hidden; j++) {
            out[j] += x[j];
        }
        for (uint32_t j = 0; peephole != NULL && j < w->hidden; j++) {
            out[j] += peephole[j] * w->c[(size_t)b * w->hidden + j];
        }
        for (uint32_t j = 0; bias != NULL && j < w->hidden; j++) {
            out[j] += bias[j];
        }
        WAI_VECTOR_LOOP
        for (uint32_t j = 0; j < w->hidden; j++) {
            float v = out[j] > clip ? clip : out[j];
            out[j] = v < -clip ? -clip : v;
        }
    }
    activate(w->p, w->d, function, gate(w, g, 0), (size_t)w->batch * w->padded);
}

static void step_rnn(const walk *w) {
    multiply(w, 0, 0, w->h, w->hidden);
    finish(w, 0, 0, NULL);
    for (uint32_t b = 0; b < w->batch; b++) {
        if (!is_over(w, b)) {
            memcpy(w->h + (size_t)b * w->hidden, gate(w, 0, b), w->hidden * sizeof(float));
        }
    }
}

static void step_gru(const walk *w) {
    enum { Z, RESET, N };
    const float *bias = optional(w, HIDDEN_BIAS, (size_t)w->d * w->hidden);
    const bool after = w->p->reset_after != 0;
    multiply(w, Z, after ? N : RESET, w->h, w->hidden);
    finish(w, Z, 0, NULL);
    finish(w, RESET, 0, NULL);
    for (uint32_t b = 0; b < w->batch; b++) {
        float *reset = gate(w, RESET, b), *n = gate(w, N, b);
        const float *h = w->h + (size_t)b * w->hidden;
        for (uint32_t j = 0; !is_over(w, b) && j < w->hidden; j++) {
            if (after) {
                n[j] = reset[j] * (n[j] + bias[j]);
            } else {
                reset[j] *= h[j];
            }
        }
    }
    if (!after) {
        multiply(w, N, N, gate(w, RESET, 0), w->padded);
    }
    finish(w, N, 1, NULL);
    for (uint32_t b = 0; b < w->batch; b++) {
        const float *z = gate(w, Z, b), *n = gate(w, N, b);
        float *h = w->h + (size_t)b * w->hidden;
        for (uint32_t j = 0; !is_over(w, b) && j < w->hidden; j++) {
            h[j] = (1.0f - z[j]) * n[j] + z[j] * h[j];
        }
    }
}

static void step_lstm(const walk *w) {
    enum { I, O, F, C };
    const size_t hidden = w->hidden;
    const float *peep = optional(w, PEEPHOLES, w->d * 3 * hidden);
    multiply(w, I, C, w->h, hidden);
    finish(w, I, 0, peep);
    if (w->p->coupled == 0) {
        finish(w, F, 0, peep != NULL ? peep + 2 * hidden : NULL);
    }
    finish(w, C, 1, NULL);
    for (uint32_t b = 0; b < w->batch; b++) {
        const float *i = gate(w, I, b), *f = gate(w, F, b), *n = gate(w, C, b);
        float *c = w->c + b * hidden;
        for (uint32_t j = 0; !is_over(w, b) && j < hidden; j++) {
            float keep = w->p->coupled != 0 ? 1.0f - i[j] : f[j];
            c[j] = keep * c[j] + i[j] * n[j];
        }
        if (!is_over(w, b)) {
            memcpy(gate(w, C, b), c, hidden * sizeof(float));
        }
    }
    finish(w, O, 0, peep != NULL ? peep + hidden : NULL); /* sees the new c */
    activate(w->p, w->d, 2, gate(w, C, 0), (size_t)w->batch * w->padded);
    for (uint32_t b = 0; b < w->batch; b++) {
        const float *o = gate(w, O, b), *n = gate(w, C, b);
        float *h = w->h + b * hidden;
        for (uint32_t j = 0; !is_over(w, b) && j < hidden; j++) {
            h[j] = o[j] * n[j];
        }
    }
}

/* ---- kernel --------------------------------------------------------------- */

static wai_status check_lengths(const walk *w, wai_diag *diag) {
    for (uint32_t b = 0; w->lengths != NULL && b < w->batch; b++) {
        if (w->lengths[b] < 0 || (uint32_t)w->lengths[b] > w->times) {
            return wai_fail(diag, WAI_ERR_ARGUMENT, w->step->where,
                            "the length of sequence %u is %d, outside 0..%u", b, w->lengths[b],
                            w->times);
        }
    }
    return WAI_OK;
}

/* The state before the first time; out takes it from here on. */
static float *start(const walk *w, uint32_t input, uint32_t output) {
    const size_t count = (size_t)w->batch * w->hidden;
    float *state = (float *)w->step->out[output].data + w->d * count;
    const float *from = optional(w, input, w->d * count);
    if (from != NULL) {
        memcpy(state, from, count * sizeof(float));
    } else {
        memset(state, 0, count * sizeof(float));
    }
    return state;
}

static void store(const walk *w) {
    float *y = w->step->out[Y].data;
    for (uint32_t b = 0; b < w->batch; b++) {
        const bool over = is_over(w, b);
        const size_t at = over ? w->time : position(w, b);
        float *row = y + ((at * w->p->directions + w->d) * w->batch + b) * w->hidden;
        if (over) {
            memset(row, 0, w->hidden * sizeof(float));
        } else {
            memcpy(row, w->h + (size_t)b * w->hidden, w->hidden * sizeof(float));
        }
    }
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    (void)pool;
    (void)diag;
    const wai_recurrent_params *p = step->params;
    step->workspace_size = (size_t)gate_size(step->in[X].type.dims[1], p->hidden) *
                           wai_recurrent_gates(p->kind) * sizeof(float);
    return WAI_OK;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    const wai_recurrent_params *p = step->params;
    walk w = {.step = step,
              .p = p,
              .times = step->in[X].type.dims[0],
              .batch = step->in[X].type.dims[1],
              .hidden = p->hidden,
              .padded = (p->hidden + BLOCK - 1) / BLOCK * BLOCK,
              .gates = wai_recurrent_gates(p->kind)};
    w.lengths = LENGTHS < step->in_count ? step->in[LENGTHS].data : NULL;
    wai_status status = check_lengths(&w, diag);
    if (status != WAI_OK || w.batch == 0) {
        return status;
    }
    for (w.d = 0; w.d < p->directions; w.d++) {
        w.h = start(&w, H0, H_LAST);
        w.c = p->kind == WAI_RECURRENT_LSTM ? start(&w, C0, C_LAST) : NULL;
        for (w.time = 0; w.time < w.times; w.time++) {
            switch (p->kind) {
            case WAI_RECURRENT_RNN:
                step_rnn(&w);
                break;
            case WAI_RECURRENT_GRU:
                step_gru(&w);
                break;
            default:
                step_lstm(&w);
                break;
            }
            store(&w);
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_recurrent_kernel = {.prepare = prepare, .run = run};
