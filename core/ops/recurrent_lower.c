/*
 * ONNX LSTM, GRU and RNN: the product of input and weights for all times and
 * directions is one fully_connected; `recurrent` does the rest.
 */
#include <math.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/recurrent.h"

enum { X, W, R, B, LENGTHS, H0, C0, PEEPHOLES };

/* ---- attributes --------------------------------------------------------- */

/* How many of alpha and beta a function takes from the lists, and ONNX's
 * values when the lists are too short. */
static const struct {
    const char *name;
    uint32_t kind, alphas, betas;
    float alpha, beta;
} activations[] = {
    {"affine", WAI_ACTIVATION_AFFINE, 1, 1, 1, 0},
    {"elu", WAI_ACTIVATION_ELU, 1, 0, 1, 0},
    {"hardsigmoid", WAI_ACTIVATION_HARD_SIGMOID, 1, 1, 0.2f, 0.5f},
    {"leakyrelu", WAI_ACTIVATION_LEAKY_RELU, 1, 0, 0.01f, 0},
    {"relu", WAI_ACTIVATION_RELU, 0, 0, 0, 0},
    {"scaledtanh", WAI_ACTIVATION_SCALED_TANH, 1, 1, 1, 1},
    {"sigmoid", WAI_ACTIVATION_SIGMOID, 0, 0, 0, 0},
    {"softplus", WAI_ACTIVATION_SOFTPLUS, 0, 0, 0, 0},
    {"softsign", WAI_ACTIVATION_SOFTSIGN, 0, 0, 0, 0},
    {"tanh", WAI_ACTIVATION_TANH, 0, 0, 0, 0},
    {"thresholdedrelu", WAI_ACTIVATION_THRESHOLDED_RELU, 1, 0, 1, 0},
};

/* ONNX says nothing of upper and lower case here; exporters write both. */
static bool same_word(const char *lower, const char *text) {
    while (*lower != 0 && *lower == (*text >= 'A' && *text <= 'Z' ? *text + 32 : *text)) {
        lower++;
        text++;
    }
    return *lower == 0 && *text == 0;
}

static void read_activations(wai_lower *l, wai_recurrent_params *p) {
    static const char *const defaults[4][3] = {
        {NULL}, {"Tanh"}, {"Sigmoid", "Tanh"}, {"Sigmoid", "Tanh", "Tanh"}};
    const uint32_t each = wai_recurrent_activations(p->kind);
    const char *names[6] = {NULL};
    float alphas[6], betas[6];
    uint32_t count = wai_attr_strings(l, "activations", names, each * p->directions);
    const uint32_t alpha_count = wai_attr_floats(l, "activation_alpha", alphas, 6);
    const uint32_t beta_count = wai_attr_floats(l, "activation_beta", betas, 6);
    if (count != 0 && count != each * p->directions) {
        WAI_LOWER_REFUSE(l, "%u activations for %u directions of %s", count, p->directions,
                         l->op_type);
        return;
    }
    uint32_t alpha = 0, beta = 0;
    const uint32_t known = sizeof activations / sizeof activations[0];
    for (uint32_t i = 0; i < each * p->directions; i++) {
        const char *name = count != 0 ? names[i] : defaults[p->kind][i % each];
        uint32_t row = 0, to = i / each * 3 + i % each;
        while (row < known && !same_word(activations[row].name, name)) {
            row++;
        }
        if (row == known) {
            WAI_LOWER_DECLINE(l, "activation %s of %s", name, l->op_type);
            return;
        }
        p->activation[to] = activations[row].kind;
        p->alpha[to] = activations[row].alphas != 0 && alpha < alpha_count ? alphas[alpha++]
                                                                           : activations[row].alpha;
        p->beta[to] = activations[row].betas != 0 && beta < beta_count ? betas[beta++]
                                                                       : activations[row].beta;
    }
}

static bool read_params(wai_lower *l, wai_recurrent_params *p) {
    const char *direction = wai_attr_string(l, "direction", "forward");
    const float clip = wai_attr_float(l, "clip", 0);
    p->clip = clip > 0 ? clip : INFINITY;
    p->directions = same_word("bidirectional", direction) ? 2 : 1;
    p->reverse = same_word("reverse", direction);
    if (p->directions == 1 && p->reverse == 0 && !same_word("forward", direction)) {
        WAI_LOWER_REFUSE(l, "direction %s", direction);
    }
    if (p->kind == WAI_RECURRENT_LSTM) {
        p->coupled = wai_attr_int(l, "input_forget", 0) != 0;
    } else if (p->kind == WAI_RECURRENT_GRU) {
        p->reset_after = wai_attr_int(l, "linear_before_reset", 0) != 0;
    }
    read_activations(l, p);
    return !wai_lower_failed(l);
}

/* ---- shapes ------------------------------------------------------------- */

static bool check_weights(wai_lower *l, const wai_recurrent_params *p, const wai_value *x,
                          const wai_value *w, const wai_value *r, const wai_value *b) {
    const uint32_t rows = wai_recurrent_gates(p->kind) * p->hidden;
    const uint32_t w_dims[] = {p->directions, rows, x->type.dims[2]};
    const uint32_t r_dims[] = {p->directions, rows, p->hidden};
    const uint32_t b_dims[] = {p->directions, 2 * rows};
    const struct {
        const char *name;
        const wai_value *value;
        wai_type wanted;
    } checks[] = {{"W", w, wai_type_make(WAI_F32, 3, w_dims)},
                  {"R", r, wai_type_make(WAI_F32, 3, r_dims)},
                  {"B", b, wai_type_make(WAI_F32, 2, b_dims)}};
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        if (checks[i].value != NULL && !wai_type_equal(&checks[i].value->type, &checks[i].wanted)) {
            char have[WAI_TYPE_TEXT], want[WAI_TYPE_TEXT];
            WAI_LOWER_REFUSE(l, "%s of %s is %s, expected %s", checks[i].name, l->op_type,
                             wai_type_text(&checks[i].value->type, have),
                             wai_type_text(&checks[i].wanted, want));
            return false;
        }
    }
    return true;
}

/* The number of hidden units: R's last dim, which must be the attribute. */
static bool read_hidden(wai_lower *l, wai_recurrent_params *p, const wai_value *x,
                        const wai_value *r) {
    if (wai_lower_failed(l)) {
        return false;
    }
    if (x->type.dtype != WAI_F32) {
        WAI_LOWER_DECLINE(l, "%s of %s", l->op_type, wai_dtype_name(x->type.dtype));
        return false;
    }
    if (x->type.rank != 3 || r->type.rank != 3) {
        WAI_LOWER_REFUSE(l, "X of rank %u and R of rank %u, both must be 3", x->type.rank,
                         r->type.rank);
        return false;
    }
    p->hidden = r->type.dims[2];
    const int64_t stated = wai_attr_int(l, "hidden_size", p->hidden);
    if (stated != p->hidden || p->hidden == 0 || p->hidden > WAI_MAX_DIM / 8) {
        WAI_LOWER_REFUSE(l, "hidden_size is %lld and R has %u columns", (long long)stated,
                         p->hidden);
        return false;
    }
    return true;
}

/* ---- operands ----------------------------------------------------------- */

/* Part `first`..`last` of axis `axis`. */
static wai_value *cut(wai_lower *l, wai_value *x, uint32_t axis, uint32_t first, uint32_t last) {
    if (x == NULL) {
        return NULL;
    }
    wai_slice_params p = {.step = {0}};
    for (uint32_t i = 0; i < x->type.rank; i++) {
        p.step[i] = 1;
        p.dims[i] = x->type.dims[i];
    }
    p.start[axis] = first;
    p.dims[axis] = last - first + 1;
    return wai_emit(l->graph, &wai_op_slice, &p, &x, 1);
}

/* B[D, 2*G*H] to Wb + Rb in [D,G,H]. With reset_after the last gate's Rb is
 * kept apart, in *hidden_bias[D,H]. */
static wai_value *split_bias(wai_lower *l, const wai_recurrent_params *p, wai_value *b,
                             wai_value **hidden_bias) {
    const uint32_t d = p->directions, gates = wai_recurrent_gates(p->kind), h = p->hidden;
    const uint32_t dims[] = {d, 2, gates, h}, sum[] = {d, gates, h}, one[] = {d, h};
    b = wai_emit_reshape(l->graph, b, 4, dims);
    if (p->reset_after != 0) {
        wai_value *last = cut(l, b, 2, gates - 1, gates - 1);
        *hidden_bias = wai_emit_reshape(l->graph, cut(l, last, 1, 1, 1), 2, one);
        b = wai_emit_reduce(l->graph, WAI_REDUCE_SUM, cut(l, b, 2, 0, gates - 2), 1u << 1, true);
        wai_value *parts[] = {b, cut(l, last, 1, 0, 0)};
        wai_concat_params concat = {2};
        b = wai_lower_failed(l) ? NULL : wai_emit(l->graph, &wai_op_concat, &concat, parts, 2);
    } else {
        b = wai_emit_reduce(l->graph, WAI_REDUCE_SUM, b, 1u << 1, true);
    }
    return wai_emit_reshape(l->graph, b, 3, sum);
}

/* x[T,B,I] * transpose(w[D,G*H,I]). */
static wai_value *project(wai_lower *l, wai_value *x, wai_value *w) {
    if (wai_lower_failed(l)) {
        return NULL;
    }
    const uint32_t dims[] = {w->type.dims[0] * w->type.dims[1], w->type.dims[2]};
    wai_value *in[] = {x, wai_emit_reshape(l->graph, w, 2, dims)};
    if (wai_value_is_constant(in[1])) {
        wai_fully_connected_params p = {dims[1], dims[0], 0, -INFINITY, INFINITY};
        return wai_emit(l->graph, &wai_op_fully_connected, &p, in, 2);
    }
    wai_matmul_params p = {.transpose_b = 1};
    return in[1] != NULL ? wai_emit(l->graph, &wai_op_matmul, &p, in, 2) : NULL;
}

/* R[D,G*H,H] as `recurrent` wants it: [D,G,n,H,16]. */
static wai_value *pack(wai_lower *l, const wai_recurrent_params *p, wai_value *r) {
    static const uint32_t perm[] = {0, 1, 2, 4, 3};
    const uint32_t d = p->directions, gates = wai_recurrent_gates(p->kind), h = p->hidden;
    const uint32_t blocks = (h + WAI_RECURRENT_BLOCK - 1) / WAI_RECURRENT_BLOCK;
    const uint32_t by_gate[] = {d, gates, h, h};
    const uint32_t by_block[] = {d, gates, blocks, WAI_RECURRENT_BLOCK, h};
    r = wai_emit_reshape(l->graph, r, 4, by_gate);
    wai_pad_params pad = {.mode = WAI_PAD_CONSTANT};
    pad.after[2] = blocks * WAI_RECURRENT_BLOCK - h;
    if (r != NULL && pad.after[2] != 0) {
        r = wai_emit(l->graph, &wai_op_pad, &pad, &r, 1);
    }
    return wai_emit_transpose(l->graph, wai_emit_reshape(l->graph, r, 5, by_block), perm);
}

/* P[D,3*H] to [D,3,H]; infer judges what does not fit. */
static wai_value *peepholes(wai_lower *l, const wai_recurrent_params *p) {
    wai_value *value = wai_lower_optional(l, PEEPHOLES);
    const uint32_t dims[] = {p->directions, 3, p->hidden};
    return wai_emit_reshape(l->graph, value, 3, dims);
}

/* ---- nodes ---------------------------------------------------------------- */

/* `layout` 1 has the batch in front. */
static wai_value *turn(wai_lower *l, wai_value *value, bool batch_first) {
    static const uint32_t perm[] = {1, 0, 2};
    if (!batch_first || value == NULL || value->type.rank != 3) {
        return value;
    }
    return wai_emit_transpose(l->graph, value, perm);
}

static void lower(wai_lower *l, uint32_t kind) {
    wai_recurrent_params p = {.kind = kind};
    wai_value *x = wai_lower_input(l, X), *w = wai_lower_input(l, W), *r = wai_lower_input(l, R);
    wai_value *b = wai_lower_optional(l, B), *hidden_bias = NULL;
    const bool batch_first = wai_attr_int(l, "layout", 0) != 0;
    if (!read_params(l, &p) || !read_hidden(l, &p, x, r) || !check_weights(l, &p, x, w, r, b)) {
        return;
    }
    if (b == NULL && p.reset_after != 0) {
        wai_expand_params expand = {2, {p.directions, p.hidden}};
        wai_value *zero = wai_emit_scalar_f32(l->graph, 0);
        hidden_bias = wai_emit(l->graph, &wai_op_expand, &expand, &zero, 1);
    } else {
        b = split_bias(l, &p, b, &hidden_bias);
    }
    wai_value *in[] = {
        project(l, turn(l, x, batch_first), w),
        pack(l, &p, r),
        turn(l, wai_lower_optional(l, H0), batch_first),
        NULL,
        NULL,
        wai_lower_optional(l, LENGTHS),
        b,
        hidden_bias,
    };
    if (kind == WAI_RECURRENT_LSTM) {
        in[3] = turn(l, wai_lower_optional(l, C0), batch_first);
        in[4] = peepholes(l, &p);
    }
    const uint32_t outputs = kind == WAI_RECURRENT_LSTM ? 3 : 2;
    wai_node *node = wai_emit_node(l->graph, &wai_op_recurrent, &p, in, 8, outputs);
    if (node == NULL) {
        return;
    }
    static const uint32_t perm[] = {2, 0, 1, 3};
    for (uint32_t i = 0; i < outputs && i < l->out_count; i++) {
        wai_value *out = node->out[i];
        if (wai_lower_wants(l, i)) {
            l->out[i] = i > 0         ? turn(l, out, batch_first)
                        : batch_first ? wai_emit_transpose(l->graph, out, perm)
                                      : out;
        }
    }
}

void wai_lower_lstm(wai_lower *l) {
    lower(l, WAI_RECURRENT_LSTM);
}

void wai_lower_gru(wai_lower *l) {
    lower(l, WAI_RECURRENT_GRU);
}

void wai_lower_rnn(wai_lower *l) {
    lower(l, WAI_RECURRENT_RNN);
}
