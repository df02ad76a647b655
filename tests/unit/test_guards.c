/* Guards and passes: what may have been skipped reaches nobody that was not. */
#include "net.h"

static wai_value *guard_above(net *n, wai_value *x, float number) {
    wai_value *top = wai_emit_reduce(&n->graph, WAI_REDUCE_MAX, x, (1u << x->type.rank) - 1, false);
    wai_compare_params params = {WAI_COMPARE_GREATER};
    return wai_emit(&n->graph, &wai_op_compare, &params,
                    (wai_value *[]){top, net_scalar(n, number)}, 2);
}

static wai_value *relu(net *n, wai_value *x) {
    return wai_emit_clamp(&n->graph, x, 0, INFINITY);
}

static wai_value *either(net *n, wai_value *g, wai_value *yes, wai_value *no) {
    return wai_emit(&n->graph, &wai_op_where, NULL, (wai_value *[]){g, yes, no}, 3);
}

/* As graph.h says. */
static void expect_guarded(const net *n) {
    const wai_op *may[] = {&wai_op_where, &wai_op_transpose, &wai_op_reshape, &wai_op_concat,
                           &wai_op_slice};
    for (const wai_node *node = n->graph.first; node != NULL; node = node->next) {
        bool moves = false;
        for (size_t i = 0; i < sizeof may / sizeof may[0]; i++) {
            moves = moves || node->op == may[i];
        }
        for (uint32_t i = 0; i < node->in_count && !moves; i++) {
            const wai_node *from = node->in[i] != NULL ? node->in[i]->producer : NULL;
            if (from != NULL && !wai_node_covers(from, node)) {
                fail_msg("%%%u reads %%%u\n%s", node->out[0]->id, node->in[i]->id,
                         wai_graph_dump((wai_graph *)(uintptr_t)&n->graph));
            }
        }
    }
}

static uint32_t count_guarded(const net *n) {
    uint32_t count = 0;
    for (const wai_node *node = n->graph.first; node != NULL; node = node->next) {
        count += node->guard != NULL;
    }
    return count;
}

/* ---- merge_equal ---------------------------------------------------------- */

/* exp(x) under no guard (0), one (1) and another (2), in any order. */
static uint32_t exps_left(const uint32_t *order, uint32_t count) {
    net n;
    net_open(&n, 1);
    wai_value *x = net_input(&n, NET_DIMS(2, 6));
    wai_value *guards[] = {NULL, guard_above(&n, x, 0), guard_above(&n, x, 1)};
    for (uint32_t i = 0; i < count; i++) {
        n.graph.guard = guards[order[i]];
        net_output(&n, net_unary(&n, WAI_UNARY_EXP, x));
    }
    net_pass(&n, wai_pass_merge_equal);
    uint32_t left = net_count(&n, &wai_op_unary);
    net_close(&n);
    return left;
}

static void test_merge(void **state) {
    (void)state;
    assert_int_equal(exps_left((uint32_t[]){1, 1}, 2), 1);
    assert_int_equal(exps_left((uint32_t[]){1, 2}, 2), 2);
    assert_int_equal(exps_left((uint32_t[]){0, 1, 2}, 3), 1);
    assert_int_equal(exps_left((uint32_t[]){1, 0, 1}, 3), 2);
    assert_int_equal(exps_left((uint32_t[]){1, 2, 1, 2, 0, 0}, 6), 3);
}

/* ---- all passes ----------------------------------------------------------- */

/* Both branches and the rest want the same value channels-last, and the first to
 * want it is guarded. */
static void build_shared(net *n) {
    wai_value *x = net_input(n, NET_DIMS(1, 4, 6, 6));
    wai_value *shared = net_unary(n, WAI_UNARY_TANH, x);
    wai_value *g = guard_above(n, x, 1.5f), *not_g = net_unary(n, WAI_UNARY_NOT, g);
    n->graph.guard = g;
    wai_value *yes = relu(n, net_conv(n, shared, 1, 4, 3, 1, 1, true));
    yes = net_binary(n, WAI_BINARY_MUL, yes, net_unary(n, WAI_UNARY_SIGMOID, yes));
    n->graph.guard = not_g;
    wai_value *no = net_conv(n, net_conv(n, shared, 1, 4, 3, 1, 1, true), 1, 4, 1, 1, 0, true);
    no = net_binary(n, WAI_BINARY_MUL, no, net_scalar(n, 2));
    n->graph.guard = NULL;
    wai_value *one = either(n, g, yes, no), *rest = net_conv(n, shared, 1, 4, 3, 1, 1, true);
    net_output(n, net_binary(n, WAI_BINARY_ADD, one, rest));
    net_output(n, net_pool(n, one, WAI_POOL_MAX, 3, 1, 1));
}

static wai_value *random_node(net *n, wai_value *x, wai_value *y) {
    static const uint32_t first_last[] = {0, 2, 3, 1}, last_first[] = {0, 3, 1, 2};
    switch (net_below(n, 8)) {
    case 0:
        return net_conv(n, x, 1, 4, 3, 1, 1, true);
    case 1:
        return relu(n, x);
    case 2:
        return net_binary(n, WAI_BINARY_ADD, x, y);
    case 3:
        return net_binary(n, WAI_BINARY_MUL, x, net_scalar(n, 0.5f));
    case 4:
        return net_transpose(n, net_unary(n, WAI_UNARY_ABS, net_transpose(n, x, first_last)),
                             last_first);
    case 5:
        return net_binary(n, WAI_BINARY_MUL, x, net_unary(n, WAI_UNARY_SIGMOID, x));
    case 6:
        return net_pool(n, x, WAI_POOL_MAX, 3, 1, 1);
    default:
        return net_unary(n, WAI_UNARY_TANH, x);
    }
}

/* Straight code with Ifs of which each reads what was there before it. */
static void build_random(net *n) {
    wai_value *values[24] = {net_input(n, NET_DIMS(1, 4, 6, 6))};
    uint32_t count = 1;
    while (count < 20) {
        wai_value *g =
            net_below(n, 3) == 0 ? NULL : guard_above(n, values[net_below(n, count)], 1.2f);
        wai_value *ends[2] = {values[net_below(n, count)], values[net_below(n, count)]};
        if (g == NULL) {
            values[count++] = random_node(n, ends[0], ends[1]);
            continue;
        }
        wai_value *not_g = net_unary(n, WAI_UNARY_NOT, g);
        for (uint32_t side = 0; side < 2; side++) {
            n->graph.guard = side == 0 ? g : not_g;
            for (uint32_t i = 0; i < 1 + net_below(n, 3); i++) {
                ends[side] = random_node(n, ends[side], values[net_below(n, count)]);
            }
            n->graph.guard = NULL;
        }
        values[count++] = either(n, g, ends[0], ends[1]);
    }
    net_output(n, values[count - 1]);
    net_output(n, net_conv(n, values[count - 2], 1, 4, 1, 1, 0, false));
}

static void try_passes(void (*build)(net *), uint32_t seed, uint32_t least_guarded) {
    net plain, passed;
    net_open(&passed, seed);
    build(&passed);
    for (size_t i = 0; i < wai_pass_count; i++) {
        passed.graph.guard = NULL;
        net_pass(&passed, wai_passes[i].run);
        expect_guarded(&passed);
    }
    assert_true(count_guarded(&passed) >= least_guarded);
    net_open(&plain, seed);
    build(&plain);
    net_run(&plain, seed);
    net_run(&passed, seed);
    net_compare(&plain, &passed, 1e-4f);
    net_close(&plain);
    net_close(&passed);
}

static void test_passes(void **state) {
    (void)state;
    try_passes(build_shared, 1, 4); /* three convolutions and a silu */
    for (uint32_t seed = 1; seed <= 150; seed++) {
        try_passes(build_random, seed, 0);
    }
}

/* A value that nobody reads but as a guard is no dead code, and its last reader is
 * the node that it guards. */
static void test_links(void **state) {
    (void)state;
    net n;
    net_open(&n, 1);
    wai_value *x = net_input(&n, NET_DIMS(2, 6));
    wai_value *g = guard_above(&n, x, 0), *other = guard_above(&n, x, 1);
    n.graph.guard = g;
    wai_value *y = net_unary(&n, WAI_UNARY_EXP, x);
    n.graph.guard = NULL;
    net_output(&n, y);
    net_pass(&n, wai_pass_dead_code);
    assert_ptr_equal(y->producer->guard, g);
    assert_int_equal(net_count(&n, &wai_op_compare), 1); /* `other` has gone */
    assert_int_equal(wai_value_use_count(g), 1);
    assert_int_equal(wai_value_use_count(other), 0);
    wai_type type = wai_type_make(WAI_BOOL, 0, NULL);
    uint8_t yes = 1;
    wai_value_replace(&n.graph, g, wai_emit_constant(&n.graph, &type, &yes));
    assert_int_equal(wai_value_use_count(g), 0);
    assert_int_equal(wai_graph_check(&n.graph), WAI_OK);
    wai_node_set_guard(&n.graph, y->producer, x); /* twelve floats */
    assert_int_equal(wai_graph_check(&n.graph), WAI_ERR_INTERNAL);
    net_close(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
