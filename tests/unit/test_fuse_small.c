/* fuse_one_hot and simplify of gather: what each leaves, and that results stay. */
#include "net.h"

typedef void builder(net *n);

/* How many nodes of `op` the pass leaves of the net, and whether all bits stay. */
static void expect(builder *build, wai_pass_function pass, const wai_op *op, uint32_t count) {
    net plain, fused;
    net_open(&plain, 3);
    net_open(&fused, 3);
    build(&plain);
    build(&fused);
    net_pass(&fused, pass);
    if (net_count(&fused, op) != count) {
        fail_msg("%u of %s are left:\n%s", net_count(&fused, op), op->name,
                 wai_graph_dump(&fused.graph));
    }
    net_run(&plain, 5);
    net_run(&fused, 5);
    net_compare(&plain, &fused, 0);
    net_close(&plain);
    net_close(&fused);
}

/* ---- fuse_one_hot ------------------------------------------------------------ */

#define CLASSES 4u

static wai_value *dense(net *n, wai_value *x, bool bias, float min) {
    wai_fully_connected_params p = {CLASSES, 6, 0, min, INFINITY};
    wai_value *in[] = {x, net_constant(n, NET_DIMS(6, CLASSES), 1),
                       bias ? net_constant(n, NET_DIMS(6), 1) : NULL};
    return wai_emit(&n->graph, &wai_op_fully_connected, &p, in, 3);
}

/* `first`: what the classes count from. */
static wai_value *one_hot(net *n, wai_value *x, int64_t first) {
    wai_graph *g = &n->graph;
    const wai_type type = wai_type_make(WAI_I64, 1, (uint32_t[]){CLASSES});
    const int64_t numbers[CLASSES] = {first, first + 1, first + 2, first + 3};
    const wai_compare_params equal = {WAI_COMPARE_EQUAL};
    wai_value *in[] = {wai_emit_constant(g, &type, numbers), wai_emit_cast(g, x, WAI_I64)};
    return wai_emit_cast(g, wai_emit(g, &wai_op_compare, &equal, in, 2), WAI_F32);
}

/* Whole numbers from -7 to 7: most are no class. */
static wai_value *classes(net *n) {
    return net_binary(n, WAI_BINARY_MUL, net_input(n, NET_DIMS(5, 7, 1)), net_scalar(n, 8));
}

static void embed(net *n) {
    net_output(n, dense(n, one_hot(n, classes(n), 0), false, -INFINITY));
}

static void embed_bias_relu(net *n) {
    net_output(n, dense(n, one_hot(n, classes(n), 0), true, 0));
}

static void no_embed(net *n) {
    wai_value *x = net_input(n, NET_DIMS(5, 7, CLASSES)); /* a number for each class */
    net_output(n, dense(n, one_hot(n, x, 0), true, 0));
    net_output(n, dense(n, one_hot(n, classes(n), 1), true, 0));
}

static void test_one_hot(void **state) {
    (void)state;
    expect(embed, wai_pass_fuse_one_hot, &wai_op_fully_connected, 0);
    expect(embed_bias_relu, wai_pass_fuse_one_hot, &wai_op_fully_connected, 0);
    expect(no_embed, wai_pass_fuse_one_hot, &wai_op_fully_connected, 2);
}

/* ---- gather of an axis of 1 ---------------------------------------------------- */

static void gathers(net *n) {
    const wai_type type = wai_type_make(WAI_I64, 1, (uint32_t[]){1});
    const int64_t numbers[] = {0, -1, 2};
    for (uint32_t i = 0; i < 3; i++) {
        const wai_gather_params p = {i};
        wai_value *x = net_input(n, NET_DIMS(1, 1, 3));
        wai_value *in[] = {x, wai_emit_constant(&n->graph, &type, &numbers[i])};
        net_output(n, wai_emit(&n->graph, &wai_op_gather, &p, in, 2));
    }
}

static void test_gather(void **state) {
    (void)state;
    expect(gathers, wai_pass_simplify, &wai_op_gather, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_hot),
        cmocka_unit_test(test_gather),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
