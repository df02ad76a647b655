/* fuse_attention: forms in which networks spell attention, what is left of them, and
 * that results stay. */
#include "net.h"

#include <float.h>

#include "ops/attention.h"

enum { BATCH = 2, HEADS = 3, SIZE = 5, WIDTH = HEADS * SIZE };

typedef struct attention_case {
    const char *name;
    void (*build)(net *n);
    uint32_t transposes; /* left beside the operator */
    uint32_t nodes;      /* left in all; 0: nothing is fused */
} attention_case;

static wai_value *reshape(net *n, wai_value *x, uint32_t rank, const uint32_t *dims) {
    return wai_emit_reshape(&n->graph, x, rank, dims);
}

static wai_value *matmul(net *n, wai_value *a, wai_value *b, bool turned) {
    const wai_matmul_params p = {turned};
    wai_value *in[] = {a, b};
    return wai_emit(&n->graph, &wai_op_matmul, &p, in, 2);
}

static wai_value *softmax(net *n, wai_value *x) {
    const wai_softmax_params p = {.axis = x->type.rank - 1};
    return wai_emit(&n->graph, &wai_op_softmax, &p, &x, 1);
}

/* [batch, length, width] -> [batch, heads, length, size] */
static wai_value *split(net *n, wai_value *x) {
    const uint32_t *d = x->type.dims, dims[] = {d[0], d[1], HEADS, SIZE};
    return net_transpose(n, reshape(n, x, 4, dims), (uint32_t[]){0, 2, 1, 3});
}

static wai_value *join(net *n, wai_value *x) {
    x = net_transpose(n, x, (uint32_t[]){0, 2, 1, 3});
    const uint32_t *d = x->type.dims, dims[] = {d[0], d[1], d[2] * d[3]};
    return reshape(n, x, 3, dims);
}

static wai_value *input(net *n, uint32_t length) {
    const uint32_t dims[] = {BATCH, length, WIDTH};
    return net_input(n, 3, dims);
}

static wai_value *turn(net *n, wai_value *x) {
    return net_transpose(n, x, (uint32_t[]){0, 1, 3, 2});
}

/* As HuggingFace's encoders: k turned, a number, a mask per key. */
static void plain(net *n) {
    wai_value *q = split(n, input(n, 7)), *k = split(n, input(n, 9)), *v = split(n, input(n, 9));
    wai_value *scores = matmul(n, q, turn(n, k), false);
    scores = net_binary(n, WAI_BINARY_DIV, scores, net_scalar(n, 2.5f));
    scores = net_binary(n, WAI_BINARY_ADD, scores, net_constant(n, NET_DIMS(BATCH, 1, 1, 9), 3));
    net_output(n, join(n, matmul(n, softmax(n, scores), v, false)));
}

/* As scaled_dot_product_attention: roots of the scale on both sides; k not turned. */
static void both_scaled(net *n) {
    wai_value *q = split(n, input(n, 7)), *k = split(n, input(n, 9)), *v = split(n, input(n, 9));
    q = net_binary(n, WAI_BINARY_MUL, q, net_scalar(n, 0.5f));
    k = net_binary(n, WAI_BINARY_MUL, k, net_scalar(n, 0.7f));
    net_output(n, join(n, matmul(n, softmax(n, matmul(n, q, k, true)), v, false)));
}

/* One projection [length, batch, 3 * width], as nn.MultiheadAttention has it. */
static void packed(net *n) {
    wai_value *x = net_input(n, NET_DIMS(7, BATCH, 3 * WIDTH)), *part[3];
    const wai_gather_params p = {.axis = 2};
    for (uint32_t i = 0; i < 3; i++) {
        wai_value *in[] = {reshape(n, x, NET_DIMS(7, BATCH, 3, WIDTH)),
                           wai_emit_scalar(&n->graph, WAI_I64, i)};
        part[i] = wai_emit(&n->graph, &wai_op_gather, &p, in, 2);
        part[i] = net_transpose(n, reshape(n, part[i], NET_DIMS(7, BATCH, HEADS, SIZE)),
                                (uint32_t[]){1, 2, 0, 3});
    }
    wai_value *y =
        matmul(n, softmax(n, matmul(n, part[0], turn(n, part[1]), false)), part[2], false);
    y = net_transpose(n, y, (uint32_t[]){2, 0, 1, 3});
    net_output(n, reshape(n, y, NET_DIMS(7 * BATCH, WIDTH)));
}

/* Heads in one axis with the batch: no strides say that, so they are read behind it. */
static void merged(net *n) {
    wai_value *heads[3];
    for (uint32_t i = 0; i < 3; i++) {
        heads[i] = reshape(n, split(n, input(n, 6)), NET_DIMS(BATCH * HEADS, 6, SIZE));
    }
    net_output(n, matmul(n, softmax(n, matmul(n, heads[0], heads[1], true)), heads[2], false));
}

/* Six heads read two of keys, as rows of one product. */
static void shared(net *n) {
    wai_value *q = net_input(n, NET_DIMS(BATCH, 6, 4, SIZE));
    wai_value *k = net_input(n, NET_DIMS(BATCH, 2, 8, SIZE));
    wai_value *v = net_input(n, NET_DIMS(BATCH, 2, 8, SIZE + 1));
    wai_value *scores = matmul(n, reshape(n, q, NET_DIMS(BATCH, 2, 12, SIZE)), k, true);
    scores = reshape(n, scores, NET_DIMS(BATCH, 6, 4, 8));
    scores = net_binary(n, WAI_BINARY_ADD, scores, net_constant(n, NET_DIMS(6, 4, 8), 3));
    wai_value *y = matmul(n, reshape(n, softmax(n, scores), NET_DIMS(BATCH, 2, 12, 8)), v, false);
    net_output(n, join(n, reshape(n, y, NET_DIMS(BATCH, 6, 4, SIZE + 1))));
}

/* masked_fill: where the condition holds the score is shut. */
static void filled(net *n) {
    wai_value *q = split(n, input(n, 7)), *k = split(n, input(n, 7));
    const wai_compare_params less = {WAI_COMPARE_LESS};
    wai_value *sides[] = {net_input(n, NET_DIMS(7, 1)), net_constant(n, NET_DIMS(1, 7), 0.9f)};
    wai_value *shut = wai_emit(&n->graph, &wai_op_compare, &less, sides, 2);
    wai_value *in[] = {shut, net_scalar(n, -FLT_MAX), matmul(n, q, k, true)};
    wai_value *scores = wai_emit(&n->graph, &wai_op_where, NULL, in, 3);
    net_output(n, join(n, matmul(n, softmax(n, scores), k, false)));
}

/* k is computed from heads that are parted already: so it is read there. */
static void opaque(net *n) {
    wai_value *x = split(n, input(n, 7));
    wai_value *k = net_unary(n, WAI_UNARY_TANH, x);
    net_output(n, join(n, matmul(n, softmax(n, matmul(n, x, turn(n, k), false)), k, false)));
}

/* The weights are looked at: they must be there. */
static void seen(net *n) {
    wai_value *x = split(n, input(n, 7)), *weights = softmax(n, matmul(n, x, x, true));
    net_output(n, weights);
    net_output(n, join(n, matmul(n, weights, x, false)));
}

static void bias_then_scale(net *n) {
    wai_value *x = split(n, input(n, 7)), *scores = matmul(n, x, x, true);
    scores = net_binary(n, WAI_BINARY_ADD, scores, net_constant(n, NET_DIMS(7, 7), 3));
    scores = net_binary(n, WAI_BINARY_MUL, scores, net_scalar(n, 0.5f));
    net_output(n, join(n, matmul(n, softmax(n, scores), x, false)));
}

static void wide(net *n) {
    wai_value *x = net_input(n, NET_DIMS(1, 4, WAI_ATTENTION_MAX_SIZE + 1));
    net_output(n, matmul(n, softmax(n, matmul(n, x, x, true)), x, false));
}

static void other_axis(net *n) {
    wai_value *x = split(n, input(n, 7)), *scores = matmul(n, x, x, true);
    const wai_softmax_params p = {.axis = 2};
    scores = wai_emit(&n->graph, &wai_op_softmax, &p, &scores, 1);
    net_output(n, join(n, matmul(n, scores, x, false)));
}

static const attention_case cases[] = {
    {"plain", plain, 0, 1},
    {"both scaled", both_scaled, 0, 1},
    {"packed", packed, 0, 2},
    {"merged", merged, 4, 16},
    {"shared", shared, 0, 1},
    {"filled", filled, 0, 3},
    {"opaque", opaque, 1, 4},
    {"seen", seen, 0, 0},
    {"bias, then scale", bias_then_scale, 0, 0},
    {"wide", wide, 0, 0},
    {"other axis", other_axis, 0, 0},
};

static void test_attention(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const attention_case *c = &cases[i];
        net whole, fused;
        net_open(&whole, 1);
        net_open(&fused, 1);
        c->build(&whole);
        c->build(&fused);
        net_pass(&fused, wai_pass_fuse_attention);
        const uint32_t count = net_count(&fused, &wai_op_attention);
        if (count != (c->nodes != 0) ||
            (count != 0 && (fused.graph.node_count != c->nodes ||
                            net_count(&fused, &wai_op_transpose) != c->transposes))) {
            fail_msg("%s: %u nodes are left:\n%s", c->name, fused.graph.node_count,
                     wai_graph_dump(&fused.graph));
        }
        net_run(&whole, 5);
        net_run(&fused, 5);
        net_compare(&whole, &fused, 2e-6f);
        net_close(&whole);
        net_close(&fused);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_attention)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
