/* TreeEnsemble: trees that are none. That the numbers are right is for
 * tests/conformance. */
#include "onnx_build.h"
#include "wasmai_compile.h"

static void attr_ints(msg *node, const char *name, int count, const int64_t *values) {
    msg attr = {{0}, 0};
    msg_text(&attr, 1, name);
    for (int i = 0; i < count; i++) {
        msg_int(&attr, 8, (uint64_t)values[i]);
    }
    msg_int(&attr, 20, 7);
    msg_put(node, 5, &attr);
}

static void attr_tensor(msg *node, const char *name, int type, int64_t count, const void *data,
                        size_t size) {
    msg attr = {{0}, 0}, tensor = onnx_tensor("", type, 1, &count, data, size);
    msg_text(&attr, 1, name);
    msg_put(&attr, 5, &tensor);
    msg_int(&attr, 20, 4);
    msg_put(node, 5, &attr);
}

typedef struct tree { /* two nodes, two leaves; every left child is leaf 0 */
    int64_t features[2], right[2], right_is_leaf[2], root, target;
    uint8_t modes[2];
} tree;

static const tree good = {.features = {0, 1}, .right = {1, 1}, .right_is_leaf = {0, 1}};

static void check(const tree *t, wai_status status, const char *text) {
    const int64_t zeros[] = {0, 0}, ones[] = {1, 1}, targets[] = {0, t->target}, dims[] = {3, 2};
    const float splits[] = {0.5f, 0.25f};
    msg node = onnx_node("trees", "TreeEnsemble", "x", "y"), graph = {{0}, 0};
    msg_text(&node, 7, "ai.onnx.ml");
    attr_ints(&node, "nodes_featureids", 2, t->features);
    attr_ints(&node, "nodes_truenodeids", 2, zeros);
    attr_ints(&node, "nodes_trueleafs", 2, ones);
    attr_ints(&node, "nodes_falsenodeids", 2, t->right);
    attr_ints(&node, "nodes_falseleafs", 2, t->right_is_leaf);
    attr_ints(&node, "tree_roots", 1, &t->root);
    attr_ints(&node, "leaf_targetids", 2, targets);
    attr_tensor(&node, "nodes_modes", 2, 2, t->modes, sizeof t->modes);
    attr_tensor(&node, "nodes_splits", 1, 2, splits, sizeof splits);
    attr_tensor(&node, "leaf_weights", 1, 2, splits, sizeof splits);
    msg in = onnx_io("x", 1, 2, dims), out = {{0}, 0};
    msg_text(&out, 1, "y");
    msg_put(&graph, GRAPH_NODE, &node);
    msg_put(&graph, GRAPH_INPUT, &in);
    msg_put(&graph, GRAPH_OUTPUT, &out);
    msg model = onnx_model(&graph, 17);
    wai_package *package;
    wai_diag diag = {0};
    wai_compile_options options = {.optimize = 1};
    wai_status got = wai_compile(&package, (wai_bytes){model.data, model.size}, &options, &diag);
    if (got != status || strstr(diag.message, text) == NULL) {
        fail_msg("status %d, wanted %d; \"%s\" in \"%s\"", (int)got, (int)status, text,
                 diag.message);
    }
    wai_package_free(package);
}

static void test_trees(void **state) {
    (void)state;
    check(&good, WAI_OK, "");
    tree t = good;
    t.right_is_leaf[1] = 0; /* node 1 is its own child */
    check(&t, WAI_ERR_MALFORMED, "node 1 of TreeEnsemble is in two trees or is none");
    t = good;
    t.right[0] = 2;
    check(&t, WAI_ERR_MALFORMED, "a child of node 0 of TreeEnsemble is 2");
    t = good;
    t.right[1] = -1;
    check(&t, WAI_ERR_MALFORMED, "a child of node 1 of TreeEnsemble is -1");
    t = good;
    t.root = INT64_MAX;
    check(&t, WAI_ERR_MALFORMED, "is in two trees or is none");
    t = good;
    t.features[1] = 2;
    check(&t, WAI_ERR_MALFORMED, "node 1 of TreeEnsemble");
    t = good;
    t.modes[0] = 7;
    check(&t, WAI_ERR_MALFORMED, "node 0 of TreeEnsemble");
    t = good;
    t.target = 1;
    check(&t, WAI_ERR_MALFORMED, "leaf 1 of TreeEnsemble is for target 1 of 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trees)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
