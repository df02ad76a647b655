/* Passes: what each leaves of a small graph, and that results stay. */
#include "net.h"

/* Build the same graph twice, run `passes` on one of them, compare. */
typedef void (*builder)(net *n);

static void expect_same(net *changed, builder build, float tolerance) {
    net plain;
    net_open(&plain, 1);
    build(&plain);
    net_run(&plain, 5);
    net_run(changed, 5);
    net_compare(&plain, changed, tolerance);
    net_close(&plain);
}

static void open_built(net *n, builder build) {
    net_open(n, 1);
    build(n);
}

static const uint32_t first_last[4] = {0, 2, 3, 1};
static const uint32_t last_first[4] = {0, 3, 1, 2};

/* ---- simplify -------------------------------------------------------------- */

static void build_idle(net *n) {
    wai_graph *g = &n->graph;
    wai_value *x = net_input(n, NET_DIMS(2, 3, 4, 5));
    x = net_transpose(n, net_transpose(n, x, first_last), last_first);
    x = wai_emit_reshape(g, wai_emit_reshape(g, x, NET_DIMS(6, 20)), NET_DIMS(2, 3, 4, 5));
    x = net_binary(n, WAI_BINARY_MUL, x, net_scalar(n, 1));
    x = net_binary(n, WAI_BINARY_DIV, x, net_scalar(n, 1));
    x = net_binary(n, WAI_BINARY_SUB, x, net_scalar(n, 0));
    x = net_binary(n, WAI_BINARY_POW, x, net_scalar(n, 1));
    x = net_slice(n, x, 1, 0, 1);
    wai_concat_params concat = {2};
    x = wai_emit(g, &wai_op_concat, &concat, &x, 1);
    wai_tile_params tile = {{1, 1, 1, 1}};
    x = wai_emit(g, &wai_op_tile, &tile, &x, 1);
    wai_expand_params expand = {4, {2, 3, 4, 5}};
    x = wai_emit(g, &wai_op_expand, &expand, &x, 1);
    x = net_pad(n, x, 0, NULL);
    x = wai_emit_clamp(g, wai_emit_clamp(g, x, -1, 4), -3, 1);
    net_output(n, x);
}

static void test_simplify_idle(void **state) {
    (void)state;
    net n;
    open_built(&n, build_idle);
    net_pass(&n, wai_pass_simplify);
    assert_int_equal(n.graph.node_count, 1);
    const wai_clamp_params *clamp = n.graph.first->params;
    assert_true(clamp->min == -1 && clamp->max == 1);
    expect_same(&n, build_idle, 0);
    net_close(&n);
}

/* What looks idle but is not. */
static void build_busy(net *n) {
    wai_graph *g = &n->graph;
    wai_value *x = net_input(n, NET_DIMS(3, 1));
    x = net_binary(n, WAI_BINARY_ADD, x, net_scalar(n, 0)); /* -0 becomes +0 */
    x = net_binary(n, WAI_BINARY_SUB, net_scalar(n, 0), x);
    x = net_binary(n, WAI_BINARY_DIV, net_scalar(n, 1), x);
    x = net_binary(n, WAI_BINARY_MUL, x, wai_emit_reshape(g, net_scalar(n, 1), NET_DIMS(1, 1, 1)));
    net_output(n, x);
}

static void test_simplify_leaves(void **state) {
    (void)state;
    net n;
    open_built(&n, build_busy);
    net_pass(&n, wai_pass_simplify);
    assert_int_equal(net_count(&n, &wai_op_binary), 4);
    expect_same(&n, build_busy, 0);
    net_close(&n);
}

static void build_small_moves(net *n) {
    wai_graph *g = &n->graph;
    wai_value *x = net_input(n, NET_DIMS(1, 8, 1, 6));
    wai_value *y = net_transpose(n, x, (uint32_t[]){0, 3, 1, 2}); /* moves 6 over 8 */
    wai_value *z = net_transpose(n, x, (uint32_t[]){2, 1, 3, 0}); /* moves ones only */
    net_output(n, net_unary(n, WAI_UNARY_ABS, y));
    net_output(n, net_unary(n, WAI_UNARY_ABS, z));
    wai_value *s = net_slice(n, net_slice(n, x, 1, 6, -2), 1, 1, 2);
    net_output(n, net_slice(n, s, 3, 1, 3));
    net_output(n, net_binary(n, WAI_BINARY_POW, x, net_scalar(n, 2)));
    net_output(n, net_binary(n, WAI_BINARY_MAX, x, net_scalar(n, 0.5f)));
    wai_expand_params expand = {4, {1, 8, 1, 6}};
    wai_value *c = net_input(n, NET_DIMS(6));
    net_output(n, net_binary(n, WAI_BINARY_SUB, x, wai_emit(g, &wai_op_expand, &expand, &c, 1)));
}

static void test_simplify_cheaper(void **state) {
    (void)state;
    net n;
    open_built(&n, build_small_moves);
    net_pass(&n, wai_pass_simplify);
    assert_int_equal(net_count(&n, &wai_op_transpose), 1);
    assert_int_equal(net_count(&n, &wai_op_slice), 1);
    assert_int_equal(net_count(&n, &wai_op_expand), 0);
    assert_int_equal(net_count(&n, &wai_op_clamp), 1);
    expect_same(&n, build_small_moves, 1e-6f);
    net_close(&n);
}

static void build_equal(net *n) {
    wai_value *x = net_input(n, NET_DIMS(2, 6));
    wai_value *a = net_unary(n, WAI_UNARY_EXP, net_transpose(n, x, (uint32_t[]){1, 0}));
    wai_value *b = net_unary(n, WAI_UNARY_EXP, net_transpose(n, x, (uint32_t[]){1, 0}));
    wai_value *c = net_unary(n, WAI_UNARY_NEG, net_transpose(n, x, (uint32_t[]){1, 0}));
    net_output(n, net_binary(n, WAI_BINARY_ADD, net_binary(n, WAI_BINARY_MUL, a, b), c));
}

static void test_merge_equal(void **state) {
    (void)state;
    net n;
    open_built(&n, build_equal);
    net_pass(&n, wai_pass_merge_equal);
    assert_int_equal(net_count(&n, &wai_op_transpose), 1);
    assert_int_equal(net_count(&n, &wai_op_unary), 2);
    expect_same(&n, build_equal, 0);
    net_close(&n);
}

/* ---- activations ------------------------------------------------------------ */

static void build_activations(net *n) {
    wai_graph *g = &n->graph;
    wai_value *x = net_input(n, NET_DIMS(3, 7));
    net_output(n, net_binary(n, WAI_BINARY_MUL, net_unary(n, WAI_UNARY_SIGMOID, x), x));
    net_output(n, net_binary(n, WAI_BINARY_MUL, x,
                             wai_emit_unary(g, WAI_UNARY_HARD_SIGMOID, 1.0f / 6, 0.5f, x)));
    wai_value *six = wai_emit_clamp(g, net_binary(n, WAI_BINARY_ADD, x, net_scalar(n, 3)), 0, 6);
    net_output(
        n, net_binary(n, WAI_BINARY_DIV, net_binary(n, WAI_BINARY_MUL, x, six), net_scalar(n, 6)));
    wai_value *sixth = net_binary(n, WAI_BINARY_MUL, six, net_scalar(n, 0.166666672f));
    net_output(n, net_binary(n, WAI_BINARY_MUL, x, sixth));
    net_output(n, net_binary(n, WAI_BINARY_MUL, x,
                             net_unary(n, WAI_UNARY_TANH, net_unary(n, WAI_UNARY_SOFTPLUS, x))));
    wai_value *erf =
        net_unary(n, WAI_UNARY_ERF, net_binary(n, WAI_BINARY_DIV, x, net_scalar(n, 1.41421356f)));
    wai_value *bent = net_binary(n, WAI_BINARY_ADD, erf, net_scalar(n, 1));
    net_output(n, net_binary(n, WAI_BINARY_MUL, net_binary(n, WAI_BINARY_MUL, x, bent),
                             net_scalar(n, 0.5f)));
    wai_value *cube = net_binary(n, WAI_BINARY_POW, x, net_scalar(n, 3));
    wai_value *inner = net_binary(n, WAI_BINARY_ADD, x,
                                  net_binary(n, WAI_BINARY_MUL, cube, net_scalar(n, 0.044715f)));
    wai_value *tanh = net_unary(n, WAI_UNARY_TANH,
                                net_binary(n, WAI_BINARY_MUL, inner, net_scalar(n, 0.7978846f)));
    net_output(n,
               net_binary(n, WAI_BINARY_MUL, net_binary(n, WAI_BINARY_MUL, net_scalar(n, 0.5f), x),
                          net_binary(n, WAI_BINARY_ADD, tanh, net_scalar(n, 1))));
}

static void test_activations(void **state) {
    (void)state;
    static const uint32_t kinds[] = {
        WAI_UNARY_SILU, WAI_UNARY_HARD_SWISH, WAI_UNARY_HARD_SWISH, WAI_UNARY_HARD_SWISH,
        WAI_UNARY_MISH, WAI_UNARY_GELU,       WAI_UNARY_GELU_TANH};
    net n;
    open_built(&n, build_activations);
    net_pass(&n, wai_pass_fuse_activation);
    assert_int_equal(n.graph.node_count, 7);
    for (uint32_t i = 0; i < 7; i++) {
        const wai_node *node = n.outputs[i].value->producer;
        assert_ptr_equal(node->op, &wai_op_unary);
        assert_int_equal(((const wai_unary_params *)node->params)->kind, kinds[i]);
    }
    expect_same(&n, build_activations, 2e-6f);
    net_close(&n);
}

/* One number off, or another x: not the function that it looks like. */
static void build_impostors(net *n) {
    wai_graph *g = &n->graph;
    wai_value *x = net_input(n, NET_DIMS(3, 7));
    wai_value *y = net_input(n, NET_DIMS(3, 7));
    net_output(n, net_binary(n, WAI_BINARY_MUL, net_unary(n, WAI_UNARY_SIGMOID, x), y));
    net_output(n, net_binary(n, WAI_BINARY_MUL, x,
                             wai_emit_unary(g, WAI_UNARY_HARD_SIGMOID, 0.2f, 0.5f, x)));
    wai_value *six = wai_emit_clamp(g, net_binary(n, WAI_BINARY_ADD, x, net_scalar(n, 3)), 0, 6);
    net_output(
        n, net_binary(n, WAI_BINARY_DIV, net_binary(n, WAI_BINARY_MUL, x, six), net_scalar(n, 5)));
    net_output(
        n, net_binary(n, WAI_BINARY_DIV, net_binary(n, WAI_BINARY_MUL, y, six), net_scalar(n, 6)));
}

static void test_activations_not(void **state) {
    (void)state;
    net n;
    open_built(&n, build_impostors);
    uint32_t before = n.graph.node_count;
    net_pass(&n, wai_pass_fuse_activation);
    assert_int_equal(n.graph.node_count, before);
    net_close(&n);
}

/* ---- layout ------------------------------------------------------------------ */

static wai_value *relu(net *n, wai_value *x) {
    return wai_emit_clamp(&n->graph, x, 0, INFINITY);
}

/* Two residual blocks, squeeze-and-excite, concat, resize, slices: the body of
 * what is used. Input and output are channels-first. */
static void build_body(net *n) {
    wai_graph *g = &n->graph;
    wai_value *x = net_input(n, NET_DIMS(2, 3, 12, 14));
    wai_value *a = relu(n, net_conv(n, x, 1, 8, 3, 1, 1, true));
    for (int i = 0; i < 2; i++) {
        wai_value *b = relu(n, net_conv(n, a, 8, 8, 3, 1, 1, true));
        b = net_conv(n, b, 1, 8, 1, 1, 0, false);
        wai_value *s = wai_emit_reduce(g, WAI_REDUCE_MEAN, b, 12, true);
        s = net_unary(n, WAI_UNARY_SIGMOID, net_conv(n, s, 1, 8, 1, 1, 0, true));
        b = net_binary(n, WAI_BINARY_MUL, b, s);
        b = net_binary(n, WAI_BINARY_ADD, b, net_constant(n, NET_DIMS(8, 1, 1), 1));
        a = net_binary(n, WAI_BINARY_ADD, a, b);
    }
    wai_value *half = net_pool(n, a, WAI_POOL_MAX, 2, 2, 0);
    wai_resize_params up = {.mode = WAI_RESIZE_NEAREST,
                            .coordinates = WAI_RESIZE_ASYMMETRIC,
                            .rounding = WAI_RESIZE_FLOOR,
                            .dims = {2, 8, 12, 14},
                            .scale = {1, 1, 2, 2},
                            .roi_end = {1, 1, 1, 1},
                            .cubic_a = -0.75f};
    wai_value *wide = wai_emit(g, &wai_op_resize, &up, &half, 1);
    wai_value *both = net_concat(n, net_slice(n, a, 1, 1, 2), wide, 1);
    wai_softmax_params softmax = {.axis = 1};
    both = wai_emit(g, &wai_op_softmax, &softmax, &both, 1);
    net_output(n, net_conv(n, both, 1, 5, 3, 2, 1, true));
}

static void test_layout_body(void **state) {
    (void)state;
    net n;
    open_built(&n, build_body);
    net_pass(&n, wai_pass_simplify);
    net_pass(&n, wai_pass_layout);
    assert_int_equal(net_count(&n, &wai_op_transpose), 2); /* at the two ends */
    assert_ptr_equal(n.graph.first->op, &wai_op_transpose);
    assert_ptr_equal(n.outputs[0].value->producer->op, &wai_op_transpose);
    expect_same(&n, build_body, 1e-5f);
    net_close(&n);
}

/* As tf2onnx writes it: channels-last outside, transposes at both ends. */
static void build_channels_last(net *n) {
    wai_value *x = net_transpose(n, net_input(n, NET_DIMS(1, 9, 9, 3)), last_first);
    x = relu(n, net_conv(n, x, 1, 6, 3, 1, 1, true));
    net_output(n, net_transpose(n, x, first_last));
}

static void test_layout_ends_cancel(void **state) {
    (void)state;
    net n;
    open_built(&n, build_channels_last);
    net_pass(&n, wai_pass_simplify);
    net_pass(&n, wai_pass_layout);
    assert_int_equal(net_count(&n, &wai_op_transpose), 0);
    expect_same(&n, build_channels_last, 0);
    net_close(&n);
}

/* [N,C,H,W] -> [N,C,H*W] -> [N,H*W,C], as detectors end; and flattening in
 * channels-first order, which must keep a transpose. */
static void build_heads(net *n) {
    wai_graph *g = &n->graph;
    wai_value *x = net_input(n, NET_DIMS(1, 3, 6, 8));
    wai_value *c = net_conv(n, x, 1, 4, 3, 1, 1, true);
    wai_value *d = net_conv(n, c, 1, 4, 3, 2, 1, true);
    wai_value *left = wai_emit_reshape(g, c, NET_DIMS(1, 4, 48));
    wai_value *right = wai_emit_reshape(g, d, NET_DIMS(1, 4, 12));
    wai_value *both = net_transpose(n, net_concat(n, left, right, 2), (uint32_t[]){0, 2, 1});
    net_output(n, net_unary(n, WAI_UNARY_SIGMOID, both));
    net_output(n, wai_emit_reshape(g, relu(n, d), NET_DIMS(1, 48)));
}

static void test_layout_heads(void **state) {
    (void)state;
    net n;
    open_built(&n, build_heads);
    net_pass(&n, wai_pass_simplify);
    net_pass(&n, wai_pass_merge_equal);
    net_pass(&n, wai_pass_layout);
    assert_int_equal(net_count(&n, &wai_op_transpose), 2); /* input, flatten */
    expect_same(&n, build_heads, 0);
    net_close(&n);
}

/* The wish to move ends at a matrix product, and it is cheaper to transpose the
 * small tensor than the large one. */
static void build_uneven(net *n) {
    wai_graph *g = &n->graph;
    wai_value *x = net_input(n, NET_DIMS(1, 8, 16, 16));
    wai_value *big = net_unary(n, WAI_UNARY_TANH, x);
    net_output(n, big);
    wai_value *small = wai_emit_reduce(g, WAI_REDUCE_MAX, big, 4, true);
    small = net_unary(n, WAI_UNARY_EXP, small);
    net_output(n, net_conv(n, small, 1, 8, 1, 1, 0, true));
}

static void test_layout_moves_the_small_one(void **state) {
    (void)state;
    net n;
    open_built(&n, build_uneven);
    net_pass(&n, wai_pass_layout);
    assert_int_equal(net_count(&n, &wai_op_transpose), 2);
    for (const wai_node *node = n.graph.first; node != NULL; node = node->next) {
        if (node->op == &wai_op_transpose) {
            assert_true(wai_type_count(&node->out[0]->type) <= 128);
        }
    }
    expect_same(&n, build_uneven, 0);
    net_close(&n);
}

/* ---- fusions ------------------------------------------------------------------ */

static void build_norm(net *n) {
    wai_value *x = net_input(n, NET_DIMS(1, 4, 7, 7));
    wai_value *y = net_conv(n, net_pad(n, x, 1, NULL), 2, 6, 3, 1, 0, false);
    y = net_binary(n, WAI_BINARY_MUL, y, net_constant(n, NET_DIMS(6, 1, 1), 2));
    y = net_binary(n, WAI_BINARY_ADD, net_constant(n, NET_DIMS(1, 6, 1, 1), 2), y);
    y = net_binary(n, WAI_BINARY_DIV, y, net_scalar(n, 3));
    y = net_binary(n, WAI_BINARY_SUB, net_scalar(n, 0.25f), y);
    y = wai_emit_clamp(&n->graph, relu(n, y), -1, 6);
    net_output(n, net_transpose(n, y, first_last));
}

static void test_fuse_into_conv(void **state) {
    (void)state;
    net n;
    open_built(&n, build_norm);
    net_all_passes(&n);
    assert_int_equal(n.graph.node_count, 2);
    const wai_node *conv = n.graph.last;
    const wai_conv_params *params = conv->params;
    assert_ptr_equal(conv->op, &wai_op_conv2d);
    assert_true(params->min == 0 && params->max == 6);
    assert_int_equal(params->pad_top, 1);
    assert_int_equal(params->packed, 1);
    expect_same(&n, build_norm, 1e-5f);
    net_close(&n);
}

/* The convolution's output is wanted as it is, too; a scale behind a clamp; a
 * scale along the width; an infinite one. */
static void build_unscalable(net *n) {
    wai_value *x = net_input(n, NET_DIMS(1, 4, 6, 6));
    wai_value *y = net_conv(n, x, 1, 6, 1, 1, 0, true);
    net_output(n, y);
    net_output(n, net_binary(n, WAI_BINARY_MUL, y, net_scalar(n, 2)));
    wai_value *z = relu(n, net_conv(n, x, 1, 6, 1, 1, 0, true));
    net_output(n, net_binary(n, WAI_BINARY_MUL, z, net_scalar(n, -2)));
    wai_value *w = net_conv(n, x, 1, 6, 1, 1, 0, true);
    net_output(n, net_binary(n, WAI_BINARY_MUL, w, net_constant(n, NET_DIMS(6), 1)));
    wai_value *v = net_conv(n, x, 1, 6, 1, 1, 0, true);
    net_output(n, net_binary(n, WAI_BINARY_DIV, v, net_scalar(n, 0)));
}

static void test_fuse_scale_not(void **state) {
    (void)state;
    net n;
    open_built(&n, build_unscalable);
    net_pass(&n, wai_pass_layout);
    net_pass(&n, wai_pass_fuse_scale);
    assert_int_equal(net_count(&n, &wai_op_binary), 4);
    net_close(&n);
}

static void build_pads(net *n) {
    wai_value *x = net_input(n, NET_DIMS(1, 4, 7, 7));
    float low = -INFINITY;
    float one = 1;
    net_output(n, net_pool(n, net_pad(n, relu(n, x), 1, NULL), WAI_POOL_MAX, 3, 2, 0));
    net_output(n, net_pool(n, net_pad(n, x, 1, &low), WAI_POOL_MAX, 3, 2, 0));
    net_output(n, net_pool(n, net_pad(n, x, 1, NULL), WAI_POOL_AVERAGE, 3, 1, 0));
    net_output(n, net_pool(n, net_pad(n, x, 1, NULL), WAI_POOL_AVERAGE_INCLUDE_PAD, 3, 1, 1));
    /* Not exact, so they stay: */
    net_output(n, net_pool(n, net_pad(n, x, 1, NULL), WAI_POOL_MAX, 3, 1, 0));
    net_output(n, net_pool(n, net_pad(n, relu(n, x), 3, NULL), WAI_POOL_MAX, 3, 1, 0));
    net_output(n, net_pool(n, net_pad(n, x, 1, NULL), WAI_POOL_AVERAGE, 3, 1, 1));
    net_output(n, net_conv(n, net_pad(n, x, 1, &one), 1, 4, 3, 1, 0, true));
}

static void test_fuse_pad(void **state) {
    (void)state;
    net n;
    open_built(&n, build_pads);
    net_pass(&n, wai_pass_merge_equal);
    net_pass(&n, wai_pass_layout);
    net_pass(&n, wai_pass_fuse_pad);
    for (uint32_t i = 0; i < 8; i++) {
        const wai_node *node = n.outputs[i].value->producer; /* a transpose */
        const wai_value *in = node->in[0]->producer->in[0];
        if ((wai_pass_producer(in, &wai_op_pad) != NULL) != (i >= 4)) {
            fail_msg("output %u:\n%s", i, wai_graph_dump(&n.graph));
        }
    }
    expect_same(&n, build_pads, 1e-6f);
    net_close(&n);
}

static void build_flatten(net *n) {
    wai_graph *g = &n->graph;
    wai_value *x = net_conv(n, net_input(n, NET_DIMS(3, 2, 4, 5)), 1, 3, 1, 1, 0, true);
    wai_value *in[3] = {wai_emit_reshape(g, x, NET_DIMS(3, 60)),
                        net_constant(n, NET_DIMS(7, 60), 0.2f), NULL};
    wai_fully_connected_params params = {60, 7, 0, -INFINITY, INFINITY};
    net_output(n, wai_emit(g, &wai_op_fully_connected, &params, in, 2));
}

static void test_fuse_flatten(void **state) {
    (void)state;
    net n;
    open_built(&n, build_flatten);
    net_all_passes(&n);
    assert_int_equal(net_count(&n, &wai_op_transpose), 1); /* of the input */
    expect_same(&n, build_flatten, 1e-5f);
    net_close(&n);
}

/* ---- weights, outputs, constants ------------------------------------------------ */

static void build_twins(net *n) {
    wai_value *x = net_input(n, NET_DIMS(1, 4, 6, 6));
    n->random = 77;
    wai_value *a = net_conv(n, x, 1, 6, 3, 1, 1, true);
    n->random = 77;
    wai_value *b = net_conv(n, net_unary(n, WAI_UNARY_NEG, x), 1, 6, 3, 1, 1, true);
    net_output(n, net_binary(n, WAI_BINARY_ADD, a, b));
}

static void test_pack_shares(void **state) {
    (void)state;
    net n;
    open_built(&n, build_twins);
    net_all_passes(&n);
    const wai_value *packed = NULL;
    for (const wai_node *node = n.graph.first; node != NULL; node = node->next) {
        if (node->op == &wai_op_conv2d || node->op == &wai_op_stem) {
            assert_int_equal(node->in_count, 2);
            assert_int_equal(node->in[1]->type.dtype, WAI_U8);
            assert_int_equal((uintptr_t)node->in[1]->data % 64, 0);
            assert_true(packed == NULL || packed == node->in[1]);
            packed = node->in[1];
        }
    }
    assert_non_null(packed);
    expect_same(&n, build_twins, 1e-5f);
    net_close(&n);
}

static void test_separate_outputs(void **state) {
    (void)state;
    net n;
    net_open(&n, 1);
    wai_value *x = net_input(&n, NET_DIMS(5));
    wai_value *y = net_unary(&n, WAI_UNARY_NEG, x);
    wai_value *c = net_constant(&n, NET_DIMS(5), 1);
    net_output(&n, x);
    net_output(&n, y);
    net_output(&n, y);
    net_output(&n, c);
    net_pass(&n, wai_pass_separate_outputs);
    for (uint32_t i = 0; i < 4; i++) {
        assert_non_null(n.outputs[i].value->producer);
        assert_int_equal(n.outputs[i].value->output_count, 1);
        assert_null(n.outputs[i].value->data);
    }
    assert_int_equal(n.graph.node_count, 4);
    net_close(&n);
}

static void test_fold_late_constants(void **state) {
    (void)state;
    net n;
    net_open(&n, 1);
    wai_value *x = net_input(&n, NET_DIMS(5));
    wai_value *y = net_unary(&n, WAI_UNARY_EXP, net_unary(&n, WAI_UNARY_NEG, x));
    wai_value *dead = net_unary(&n, WAI_UNARY_ABS, y);
    (void)dead;
    net_output(&n, net_binary(&n, WAI_BINARY_ADD, y, x));
    wai_value_replace(&n.graph, x, net_constant(&n, NET_DIMS(5), 1));
    net_pass(&n, wai_pass_dead_code);
    assert_int_equal(n.graph.node_count, 3);
    net_pass(&n, wai_pass_fold_constants);
    assert_int_equal(n.graph.node_count, 0);
    assert_non_null(n.outputs[0].value->data);
    net_close(&n);
}

/* ---- random nets ------------------------------------------------------------------ */

typedef struct stock {
    wai_value *values[96];
    uint32_t count;
} stock;

static void keep(stock *s, wai_value *value) {
    if (value != NULL && wai_type_count(&value->type) <= 4096 && s->count < 96) {
        s->values[s->count++] = value;
    }
}

static void add_spatial(net *n, stock *s, wai_value *x, uint32_t pick) {
    uint32_t channels = x->type.dims[1];
    bool wide = x->type.dims[2] >= 3 && x->type.dims[3] >= 3;
    uint32_t out = 1 + net_below(n, 9);
    switch (pick) {
    case 0:
        keep(s, net_conv(n, x, 1, out, 1, 1, 0, net_below(n, 2)));
        break;
    case 1:
        keep(s, net_conv(n, x, 1, out, 3, 1 + net_below(n, 2), 1, net_below(n, 2)));
        break;
    case 2:
        keep(s, net_conv(n, x, channels, channels, 3, 1, 1, true));
        break;
    case 3:
        if (wide) {
            keep(s, net_pool(n, x, 1 + net_below(n, 3), 3, 1 + net_below(n, 2), net_below(n, 2)));
        }
        break;
    case 4:
        keep(s, net_pad(n, x, net_below(n, 3), NULL));
        break;
    case 5:
        keep(s, net_binary(n, WAI_BINARY_MUL, x, net_constant(n, NET_DIMS(channels, 1, 1), 1)));
        break;
    default: {
        wai_value *mean = wai_emit_reduce(&n->graph, WAI_REDUCE_MEAN, x, 12, true);
        mean = net_unary(n, WAI_UNARY_SIGMOID, net_conv(n, mean, 1, channels, 1, 1, 0, true));
        keep(s, net_binary(n, WAI_BINARY_MUL, x, mean));
    }
    }
}

static void shuffle(net *n, uint32_t *perm, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        perm[i] = i;
    }
    for (uint32_t i = count; i-- > 1;) {
        uint32_t k = net_below(n, i + 1);
        uint32_t swap = perm[i];
        perm[i] = perm[k];
        perm[k] = swap;
    }
}

/* Merge two neighbouring axes, split one, or put in a 1. */
static wai_value *refold(net *n, wai_value *x) {
    uint32_t dims[WAI_MAX_RANK + 1];
    uint32_t rank = x->type.rank;
    memcpy(dims, x->type.dims, rank * sizeof *dims);
    uint32_t at = rank > 0 ? net_below(n, rank) : 0;
    uint32_t what = net_below(n, 3);
    if (what == 0 && rank >= 2 && at + 1 < rank) {
        dims[at] *= dims[at + 1];
        memmove(&dims[at + 1], &dims[at + 2], (rank - at - 2) * sizeof *dims);
        return wai_emit_reshape(&n->graph, x, rank - 1, dims);
    }
    if (rank == 0 || rank > 5) {
        return x;
    }
    uint32_t factor = what == 1 && dims[at] % 2 == 0 ? 2 : 1;
    memmove(&dims[at + 1], &dims[at], (rank - at) * sizeof *dims);
    dims[at] = factor;
    dims[at + 1] /= factor;
    return wai_emit_reshape(&n->graph, x, rank + 1, dims);
}

static wai_value *gather(net *n, wai_value *x, uint32_t axis) {
    int64_t numbers[4];
    uint32_t rank = net_below(n, 3);
    uint32_t dims[2] = {2, 2};
    for (int i = 0; i < 4; i++) {
        numbers[i] = net_below(n, x->type.dims[axis]);
    }
    wai_type type = wai_type_make(WAI_I64, rank, dims);
    wai_gather_params params = {axis};
    wai_value *in[2] = {x, wai_emit_constant(&n->graph, &type, numbers)};
    return x->type.rank + rank <= 6 ? wai_emit(&n->graph, &wai_op_gather, &params, in, 2) : x;
}

static wai_value *add_axis_op(net *n, wai_value *x, uint32_t axis) {
    wai_softmax_params softmax = {.axis = axis, .log = net_below(n, 2)};
    wai_tile_params tile = {{0}};
    wai_pad_params pad = {.mode = WAI_PAD_EDGE};
    pad.before[axis] = 1;
    uint32_t dim = x->type.dims[axis];
    for (uint32_t i = 0; i < x->type.rank; i++) {
        tile.repeats[i] = i == axis ? 2 : 1;
    }
    switch (net_below(n, 7)) {
    case 0:
        return wai_emit(&n->graph, &wai_op_softmax, &softmax, &x, 1);
    case 1:
        return wai_emit(&n->graph, &wai_op_tile, &tile, &x, 1);
    case 2:
        return wai_emit(&n->graph, &wai_op_pad, &pad, &x, 1);
    case 3:
        return gather(n, x, axis);
    case 4:
        return net_slice(n, x, axis, dim - 1, -2);
    case 5:
        return net_slice(n, x, axis, net_below(n, dim), 1 + (int32_t)net_below(n, 2));
    default:
        return wai_emit_reduce(&n->graph, WAI_REDUCE_SUM + net_below(n, 4), x, 1u << axis,
                               net_below(n, 2));
    }
}

static void add_pair(net *n, stock *s, wai_value *x, wai_value *y) {
    wai_type type;
    if (wai_type_broadcast(&type, &x->type, &y->type) && wai_type_count(&type) <= 4096) {
        keep(s, net_binary(n, WAI_BINARY_ADD + net_below(n, 3), x, y));
    }
    uint32_t axis = x->type.rank > 0 ? net_below(n, x->type.rank) : 0;
    if (x->type.rank == y->type.rank && x->type.rank > 0) {
        type = y->type;
        type.dims[axis] = x->type.dims[axis];
        if (wai_type_equal(&type, &x->type)) {
            keep(s, net_concat(n, x, y, axis));
        }
    }
}

static void add_random_node(net *n, stock *s) {
    static const wai_unary_kind kinds[] = {WAI_UNARY_TANH, WAI_UNARY_SIGMOID, WAI_UNARY_NEG,
                                           WAI_UNARY_HARD_SWISH};
    /* Mostly the newest, so that nets are deep. */
    uint32_t back = net_below(n, net_below(n, 3) == 0 ? s->count : s->count < 4 ? s->count : 4);
    wai_value *x = s->values[s->count - 1 - back];
    uint32_t perm[WAI_MAX_RANK];
    if (x->type.rank == 4 && net_below(n, 2) == 0) {
        add_spatial(n, s, x, net_below(n, 7));
        return;
    }
    switch (net_below(n, 8)) {
    case 0:
        keep(s, net_unary(n, kinds[net_below(n, 4)], x));
        break;
    case 1:
        keep(s, relu(n, x));
        break;
    case 2:
        shuffle(n, perm, x->type.rank);
        keep(s, net_transpose(n, x, perm));
        break;
    case 3:
        keep(s, refold(n, x));
        break;
    case 4:
    case 5:
        for (int i = 0; i < 4; i++) {
            add_pair(n, s, x, s->values[net_below(n, s->count)]);
        }
        break;
    case 6:
        keep(s, net_binary(n, WAI_BINARY_MUL, x, net_scalar(n, net_number(n))));
        break;
    default:
        if (x->type.rank > 0 && wai_type_count(&x->type) > 0) {
            keep(s, add_axis_op(n, x, net_below(n, x->type.rank)));
        }
    }
}

static void build_random(net *n) {
    stock s = {{NULL}, 0};
    keep(&s, net_input(n, NET_DIMS(1 + net_below(n, 2), 1 + net_below(n, 6), 4 + net_below(n, 6),
                                   4 + net_below(n, 6))));
    keep(&s, net_input(n, NET_DIMS(1, 1 + net_below(n, 6), 4 + net_below(n, 6), 6)));
    uint32_t nodes = 5 + net_below(n, 40);
    for (uint32_t i = 0; i < nodes; i++) {
        add_random_node(n, &s);
        if (n->graph.status != WAI_OK) {
            fail_msg("%s", n->diag.message);
        }
    }
    net_output(n, s.values[s.count - 1]);
    net_output(n, s.values[s.count - 1 - net_below(n, s.count)]);
}

static uint64_t transposed_bytes(const net *n) {
    uint64_t bytes = 0;
    for (const wai_node *node = n->graph.first; node != NULL; node = node->next) {
        if (node->op == &wai_op_transpose) {
            bytes += wai_type_size(&node->out[0]->type);
        }
    }
    return bytes;
}

static void test_random_nets(void **state) {
    (void)state;
    uint32_t rounds = 1500;
    uint64_t before = 0;
    uint64_t after = 0;
    for (uint32_t seed = 1; seed <= rounds; seed++) {
        net plain;
        net passed;
        net_open(&plain, seed);
        net_open(&passed, seed);
        build_random(&plain);
        build_random(&passed);
        net_pass(&passed, wai_pass_simplify);
        net_pass(&passed, wai_pass_merge_equal);
        uint64_t one = transposed_bytes(&passed);
        net_pass(&passed, wai_pass_layout);
        uint64_t other = transposed_bytes(&passed);
        if (other > one) {
            fail_msg("seed %u: %llu bytes to transpose became %llu", seed, (unsigned long long)one,
                     (unsigned long long)other);
        }
        before += one;
        after += other;
        net_all_passes(&passed);
        net_run(&plain, seed);
        net_run(&passed, seed);
        net_compare(&plain, &passed, 2e-4f);
        net_close(&plain);
        net_close(&passed);
    }
    print_message("transposed bytes: %llu before layout, %llu after\n", (unsigned long long)before,
                  (unsigned long long)after);
    assert_true(after * 10 < before * 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simplify_idle),
        cmocka_unit_test(test_simplify_leaves),
        cmocka_unit_test(test_simplify_cheaper),
        cmocka_unit_test(test_merge_equal),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_activations_not),
        cmocka_unit_test(test_layout_body),
        cmocka_unit_test(test_layout_ends_cancel),
        cmocka_unit_test(test_layout_heads),
        cmocka_unit_test(test_layout_moves_the_small_one),
        cmocka_unit_test(test_fuse_into_conv),
        cmocka_unit_test(test_fuse_scale_not),
        cmocka_unit_test(test_fuse_pad),
        cmocka_unit_test(test_fuse_flatten),
        cmocka_unit_test(test_pack_shares),
        cmocka_unit_test(test_separate_outputs),
        cmocka_unit_test(test_fold_late_constants),
        cmocka_unit_test(test_random_nets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
