/* stem: which convolutions go over to it, and that results stay, bit for bit. */
#include "net.h"

#include "compiler/front.h"

static void stem_output(net *n, wai_value *x, uint32_t out, uint32_t kernel, uint32_t stride) {
    net_output(n, net_conv(n, x, 1, out, kernel, stride, kernel / 2, true));
}

static void build(net *n) {
    wai_value *one = net_input(n, NET_DIMS(1, 1, 17, 23));
    wai_value *three = net_input(n, NET_DIMS(1, 3, 17, 23));
    wai_value *five = net_input(n, NET_DIMS(1, 5, 17, 23));
    stem_output(n, three, 32, 3, 2);
    stem_output(n, three, 17, 7, 2);
    stem_output(n, three, 2, 3, 1);
    stem_output(n, one, 8, 5, 1);
    /* None: many channels, one channel each way. */
    stem_output(n, five, 16, 3, 2);
    stem_output(n, one, 1, 3, 2);
}

static void test_stem(void **state) {
    (void)state;
    net plain, n;
    net_open(&n, 1);
    build(&n);
    net_pass(&n, wai_pass_pack_weights);
    net_pass(&n, wai_pass_stem);
    assert_int_equal(net_count(&n, &wai_op_stem), 4);
    assert_int_equal(net_count(&n, &wai_op_conv2d), 2);
    net_open(&plain, 1);
    build(&plain);
    net_run(&plain, 5);
    net_run(&n, 5);
    net_compare(&plain, &n, 0);
    net_close(&plain);
    net_close(&n);
}

/* What open dims count on: examples are compared before weights are packed, and operators for
 * packed weights are chosen when that is over. */
static void test_front(void **state) {
    (void)state;
    const wai_compile_options options = {.optimize = 1};
    net n;
    net_open(&n, 1);
    build(&n);
    wai_status (*const parts[])(wai_graph *, const wai_compile_options *) = {
        wai_front_rewrite, wai_front_pack, wai_front_choose};
    static const uint32_t packed[] = {0, 6, 2}, stems[] = {0, 0, 4};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(parts[i](&n.graph, &options), WAI_OK);
        uint32_t count = 0;
        for (const wai_node *node = n.graph.first; node != NULL; node = node->next) {
            count += node->op == &wai_op_conv2d && ((const wai_conv_params *)node->params)->packed;
        }
        assert_int_equal(count, packed[i]);
        assert_int_equal(net_count(&n, &wai_op_stem), stems[i]);
    }
    net_close(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stem), cmocka_unit_test(test_front)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
