/* fuse_norm and the scale of attention: what each leaves, and that results stay. */
#include "net.h"

#include "ops/layer_norm.h"

typedef struct norm_case {
    const char *name;
    void (*build)(net *n, wai_value *x);
    uint32_t nodes; /* left, one of them a layer_norm; 0: nothing is fused */
    uint32_t rms;
} norm_case;

#define EPSILON 1e-3f

static wai_value *mean(net *n, wai_value *x, uint32_t axes) {
    return wai_emit_reduce(&n->graph, WAI_REDUCE_MEAN, x, axes, true);
}

static wai_value *mul(net *n, wai_value *a, wai_value *b) {
    return net_binary(n, WAI_BINARY_MUL, a, b);
}

static wai_value *add(net *n, wai_value *a, wai_value *b) {
    return net_binary(n, WAI_BINARY_ADD, a, b);
}

static wai_value *sub(net *n, wai_value *a, wai_value *b) {
    return net_binary(n, WAI_BINARY_SUB, a, b);
}

static wai_value *variance(net *n, wai_value *square, uint32_t axes) {
    return add(n, mean(n, square, axes), net_scalar(n, EPSILON));
}

static wai_value *list(net *n) {
    return net_constant(n, NET_DIMS(7), 1);
}

/* x is [3,5,7]; bit 2 is its last axis. */
#define LAST 4u

static void torch(net *n, wai_value *x) {
    wai_value *c = sub(n, x, mean(n, x, LAST));
    wai_value *square = net_binary(n, WAI_BINARY_POW, c, net_scalar(n, 2));
    wai_value *root = net_unary(n, WAI_UNARY_SQRT, variance(n, square, LAST));
    wai_value *y = net_binary(n, WAI_BINARY_DIV, c, root);
    net_output(n, add(n, mul(n, y, list(n)), list(n)));
}

/* Constants first, a scale as [1,1,7], x - mean(x) twice. */
static void turned(net *n, wai_value *x) {
    wai_value *c = sub(n, x, mean(n, x, LAST)), *again = sub(n, x, mean(n, x, LAST));
    wai_value *v = add(n, net_scalar(n, EPSILON), mean(n, mul(n, c, c), LAST));
    wai_value *scale = net_constant(n, NET_DIMS(1, 1, 7), 1);
    wai_value *y = mul(n, net_unary(n, WAI_UNARY_RSQRT, v), again);
    net_output(n, add(n, list(n), mul(n, scale, y)));
}

static void two_axes(net *n, wai_value *x) {
    wai_value *c = sub(n, x, mean(n, x, 6));
    wai_value *v = variance(n, mul(n, c, c), 6);
    wai_value *y = mul(n, c, net_binary(n, WAI_BINARY_POW, v, net_scalar(n, -0.5f)));
    net_output(n, mul(n, y, net_constant(n, NET_DIMS(5, 7), 1)));
}

static void rms(net *n, wai_value *x) {
    wai_value *root = net_unary(n, WAI_UNARY_SQRT, variance(n, mul(n, x, x), LAST));
    wai_value *y = mul(n, x, net_unary(n, WAI_UNARY_RECIPROCAL, root));
    net_output(n, mul(n, list(n), y));
}

static void one_over(net *n, wai_value *x) {
    wai_value *root = net_unary(n, WAI_UNARY_SQRT, variance(n, mul(n, x, x), LAST));
    net_output(n, mul(n, x, net_binary(n, WAI_BINARY_DIV, net_scalar(n, 1), root)));
}

/* As layout leaves the numbers of rows: their ones elsewhere. */
static void moved_ones(net *n, wai_value *x) {
    wai_value *c = sub(n, x, mean(n, x, LAST));
    wai_value *m = wai_emit_reshape(&n->graph, mean(n, mul(n, c, c), LAST), NET_DIMS(1, 3, 5));
    wai_value *root = net_unary(n, WAI_UNARY_SQRT, add(n, m, net_scalar(n, EPSILON)));
    root = wai_emit_reshape(&n->graph, root, NET_DIMS(3, 5, 1));
    net_output(n, net_binary(n, WAI_BINARY_DIV, c, root));
}

/* The number of row i at column i: as many columns as rows. */
static void misplaced(net *n, wai_value *x) {
    x = add(n, wai_emit_reshape(&n->graph, x, NET_DIMS(105, 1)),
            net_constant(n, NET_DIMS(1, 105), 1));
    wai_value *root = net_unary(n, WAI_UNARY_SQRT, variance(n, mul(n, x, x), 2));
    root = wai_emit_reshape(&n->graph, root, NET_DIMS(1, 105));
    net_output(n, net_binary(n, WAI_BINARY_DIV, x, root));
}

static void tensorflow(net *n, wai_value *x) {
    wai_value *m = mean(n, x, LAST), *c = sub(n, x, m);
    wai_value *k = net_unary(n, WAI_UNARY_RSQRT, variance(n, mul(n, c, c), LAST));
    k = mul(n, k, list(n));
    net_output(n, add(n, mul(n, x, k), sub(n, list(n), mul(n, m, k))));
}

/* The normalised rows have a use of their own: scale and bias stay. */
static void shared(net *n, wai_value *x) {
    wai_value *root = net_unary(n, WAI_UNARY_RSQRT, variance(n, mul(n, x, x), LAST));
    wai_value *y = mul(n, x, root);
    net_output(n, y);
    net_output(n, add(n, mul(n, y, list(n)), list(n)));
}

/* A scale per row is none per column; the norm itself is fused. */
static void per_row(net *n, wai_value *x) {
    wai_value *root = net_unary(n, WAI_UNARY_RSQRT, variance(n, mul(n, x, x), LAST));
    net_output(n, mul(n, mul(n, x, root), net_constant(n, NET_DIMS(5, 1), 1)));
}

static void other_axis(net *n, wai_value *x) {
    wai_value *c = sub(n, x, mean(n, x, 2));
    net_output(n, mul(n, c, net_unary(n, WAI_UNARY_RSQRT, variance(n, mul(n, c, c), 2))));
}

static void other_numerator(net *n, wai_value *x) {
    wai_value *c = sub(n, x, mean(n, x, LAST));
    net_output(n, mul(n, x, net_unary(n, WAI_UNARY_RSQRT, variance(n, mul(n, c, c), LAST))));
}

static void epsilon_per_row(net *n, wai_value *x) {
    wai_value *v = add(n, mean(n, mul(n, x, x), LAST),
                       mul(n, net_scalar(n, EPSILON), net_unary(n, WAI_UNARY_ABS, x)));
    net_output(n, mul(n, x, net_unary(n, WAI_UNARY_RSQRT, v)));
}

static void no_root(net *n, wai_value *x) {
    wai_value *v = variance(n, mul(n, x, x), LAST);
    net_output(n, mul(n, x, net_unary(n, WAI_UNARY_RECIPROCAL, v)));
}

static void other_mean(net *n, wai_value *x) {
    wai_value *m = mean(n, x, LAST), *c = sub(n, x, m);
    wai_value *k = net_unary(n, WAI_UNARY_RSQRT, variance(n, mul(n, c, c), LAST));
    net_output(n, add(n, mul(n, x, k), sub(n, list(n), mul(n, mean(n, c, LAST), k))));
}

static const norm_case norms[] = {
    {"torch", torch, 1, 0},
    {"turned", turned, 1, 0},
    {"two axes", two_axes, 1, 0},
    {"rms", rms, 1, 1},
    {"1 / root", one_over, 1, 1},
    {"moved ones", moved_ones, 1, 0},
    {"tensorflow", tensorflow, 1, 0},
    {"shared", shared, 3, 1},
    {"scale per row", per_row, 2, 1},
    {"other axis", other_axis, 0, 0},
    {"other numerator", other_numerator, 0, 0},
    {"epsilon per row", epsilon_per_row, 0, 0},
    {"no root", no_root, 0, 0},
    {"other mean", other_mean, 0, 0},
    {"misplaced", misplaced, 0, 0},
};

static const wai_node *only_norm(const net *n) {
    for (const wai_node *node = n->graph.first; node != NULL; node = node->next) {
        if (node->op == &wai_op_layer_norm) {
            return node;
        }
    }
    return NULL;
}

static void test_norms(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof norms / sizeof norms[0]; i++) {
        const norm_case *c = &norms[i];
        net plain, fused;
        net_open(&plain, 1);
        net_open(&fused, 1);
        c->build(&plain, net_input(&plain, NET_DIMS(3, 5, 7)));
        c->build(&fused, net_input(&fused, NET_DIMS(3, 5, 7)));
        net_pass(&fused, wai_pass_merge_equal);
        net_pass(&fused, wai_pass_fuse_norm);
        const wai_node *norm = only_norm(&fused);
        if (norm == NULL ? c->nodes != 0 : fused.graph.node_count != c->nodes) {
            fail_msg("%s: %u nodes are left:\n%s", c->name, fused.graph.node_count,
                     wai_graph_dump(&fused.graph));
        }
        if (norm != NULL) {
            const wai_layer_norm_params *p = norm->params;
            assert_int_equal(p->rms, c->rms);
            assert_true(p->epsilon == EPSILON);
        }
        net_run(&plain, 5);
        net_run(&fused, 5);
        net_compare(&plain, &fused, 2e-6f);
        net_close(&plain);
        net_close(&fused);
    }
}

/* ---- the scale of attention ----------------------------------------------- */

static wai_value *dense(net *n, wai_value *x, bool bias) {
    wai_fully_connected_params p = {8, 8, 0, -INFINITY, INFINITY};
    wai_value *in[] = {x, net_constant(n, NET_DIMS(8, 8), 0.5f),
                       bias ? net_constant(n, NET_DIMS(8), 1) : NULL};
    return wai_emit(&n->graph, &wai_op_fully_connected, &p, in, 3);
}

static wai_value *heads(net *n, wai_value *x) {
    return net_transpose(n, wai_emit_reshape(&n->graph, x, NET_DIMS(5, 2, 4)),
                         (uint32_t[]){1, 0, 2});
}

static wai_value *scores(net *n, wai_value *q, wai_value *k) {
    wai_value *in[] = {heads(n, q), net_transpose(n, heads(n, k), (uint32_t[]){0, 2, 1})};
    wai_matmul_params p = {0};
    return wai_emit(&n->graph, &wai_op_matmul, &p, in, 2);
}

/* 0: q is dense; 1: only k is; 2: neither, so the scale stays; 3: q is seen. */
static void build_scores(net *n, uint32_t form) {
    wai_value *x = net_input(n, NET_DIMS(5, 8));
    wai_value *q = form == 0 || form == 3 ? dense(n, x, true) : net_unary(n, WAI_UNARY_ABS, x);
    wai_value *k = form == 1 ? dense(n, x, false) : net_unary(n, WAI_UNARY_NEG, x);
    if (form == 3) {
        net_output(n, q);
    }
    net_output(n, net_binary(n, WAI_BINARY_DIV, scores(n, q, k), net_scalar(n, 2)));
}

static void test_scores(void **state) {
    (void)state;
    for (uint32_t form = 0; form < 4; form++) {
        net plain, fused;
        net_open(&plain, 1);
        net_open(&fused, 1);
        build_scores(&plain, form);
        build_scores(&fused, form);
        net_pass(&fused, wai_pass_fuse_scale);
        assert_int_equal(net_count(&fused, &wai_op_binary), form < 2 ? 0 : 1);
        net_run(&plain, 5);
        net_run(&fused, 5);
        net_compare(&plain, &fused, 0); /* a power of two: the same bits */
        net_close(&plain);
        net_close(&fused);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
