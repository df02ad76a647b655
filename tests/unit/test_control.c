/* If, Loop and Scan: what is imported of them, and what is refused. That the
 * numbers are right is for tests/conformance. */
#include "onnx_build.h"
#include "wasmai_compile.h"

static const int64_t four[] = {4};
static const int64_t open_size[] = {1};

static msg graph_of(const msg *nodes, int count, const char *inputs, const char *outputs) {
    msg graph = {{0}, 0};
    char copy[256];
    for (int i = 0; i < count; i++) {
        msg_put(&graph, GRAPH_NODE, &nodes[i]);
    }
    snprintf(copy, sizeof copy, "%s", inputs);
    for (char *name = strtok(copy, " "); name != NULL; name = strtok(NULL, " ")) {
        msg io = onnx_io(name, 1, 1, four);
        msg_put(&graph, GRAPH_INPUT, &io);
    }
    snprintf(copy, sizeof copy, "%s", outputs);
    for (char *name = strtok(copy, " "); name != NULL; name = strtok(NULL, " ")) {
        msg io = {{0}, 0};
        msg_text(&io, 1, name);
        msg_put(&graph, GRAPH_OUTPUT, &io);
    }
    return graph;
}

static void attr_graph(msg *node, const char *name, const msg *graph) {
    msg attr = {{0}, 0};
    msg_text(&attr, 1, name);
    msg_put(&attr, 6, graph);
    msg_int(&attr, 20, 5);
    msg_put(node, 5, &attr);
}

static void add_bool(msg *graph, const char *name, uint8_t value) {
    msg tensor = onnx_tensor(name, 9, 0, NULL, &value, 1);
    msg_put(graph, GRAPH_INITIALIZER, &tensor);
}

static void add_i64(msg *graph, const char *name, int64_t value) {
    msg tensor = onnx_tensor(name, 7, 1, open_size, &value, 8);
    msg_put(graph, GRAPH_INITIALIZER, &tensor);
}

/* `text` NULL: it must compile. */
static void check(const msg *graph, int opset, wai_status status, const char *text) {
    msg model = onnx_model(graph, opset);
    wai_package *package;
    wai_diag diag = {0};
    wai_compile_options options = {.optimize = 1};
    wai_status got = wai_compile(&package, (wai_bytes){model.data, model.size}, &options, &diag);
    if (got != status || (text != NULL && strstr(diag.message, text) == NULL)) {
        fail_msg("status %d, wanted %d; \"%s\" in \"%s\"", (int)got, (int)status,
                 text != NULL ? text : "", diag.message);
    }
    wai_package_free(package);
}

/* ---- If ---- */

static msg if_node(const msg *then_graph, const msg *else_graph) {
    msg node = onnx_node("choose", "If", "condition", "y");
    attr_graph(&node, "then_branch", then_graph);
    attr_graph(&node, "else_branch", else_graph);
    return node;
}

static void test_constant_condition(void **state) {
    (void)state;
    msg good = onnx_node("sees_x", "Relu", "x", "t"), bad = onnx_node("b", "Frobnicate", "x", "t");
    msg taken = graph_of(&good, 1, "", "t"), other = graph_of(&bad, 1, "", "t");
    msg node = if_node(&taken, &other);
    msg graph = graph_of(&node, 1, "x", "y");
    msg wrong = graph;
    add_bool(&graph, "condition", 1);
    check(&graph, 13, WAI_OK, NULL);
    add_bool(&wrong, "condition", 0);
    check(&wrong, 13, WAI_ERR_UNSUPPORTED, "operator Frobnicate");
}

/* ReduceMax(x) > x[0..] as one bool. */
static msg computed(const msg *node) {
    msg nodes[] = {onnx_node("m", "ReduceMax", "x", "m"), onnx_node("g", "Greater", "m zero", "c"),
                   onnx_node("r", "Reshape", "c none", "condition"), *node};
    msg graph = graph_of(nodes, 4, "x", "y");
    float zero = 0;
    msg tensor = onnx_tensor("zero", 1, 0, NULL, &zero, 4);
    msg_put(&graph, GRAPH_INITIALIZER, &tensor);
    const int64_t no_dims[] = {0};
    msg none = onnx_tensor("none", 7, 1, no_dims, "", 0);
    msg_put(&graph, GRAPH_INITIALIZER, &none);
    return graph;
}

static void test_computed_condition(void **state) {
    (void)state;
    msg first = onnx_node("a", "Relu", "x", "t"), second = onnx_node("b", "Neg", "x", "t");
    msg third = onnx_node("c", "ReduceMax", "x", "t");
    msg one = graph_of(&first, 1, "", "t"), two = graph_of(&second, 1, "", "t");
    msg three = graph_of(&third, 1, "", "t");
    msg same = if_node(&one, &two), differs = if_node(&one, &three);
    msg graph = computed(&same);
    check(&graph, 13, WAI_OK, NULL);
    graph = computed(&differs);
    check(&graph, 13, WAI_ERR_UNSUPPORTED, "f32[4] in one branch and f32[1] in the other");
}

static void test_bad_branches(void **state) {
    (void)state;
    msg relu = onnx_node("a", "Relu", "x", "t");
    msg no_output = graph_of(&relu, 1, "", ""), unwritten = graph_of(&relu, 1, "", "u");
    msg with_input = graph_of(&relu, 1, "i", "t"), good = graph_of(&relu, 1, "", "t");
    const msg *branches[] = {&no_output, &unwritten, &with_input};
    const char *messages[] = {"0 inputs and 0 outputs", "no node writes output u",
                              "1 inputs and 1 outputs"};
    for (int i = 0; i < 3; i++) {
        msg node = if_node(branches[i], &good);
        msg graph = graph_of(&node, 1, "x", "y");
        add_bool(&graph, "condition", 1);
        check(&graph, 13, WAI_ERR_MALFORMED, messages[i]);
    }
    msg node = onnx_node("choose", "If", "condition", "y");
    msg graph = graph_of(&node, 1, "x", "y");
    add_bool(&graph, "condition", 1);
    check(&graph, 13, WAI_ERR_MALFORMED, "If has no graph then_branch");
}

static void test_depth(void **state) {
    (void)state;
    msg relu = onnx_node("a", "Relu", "x", "y");
    msg graph = graph_of(&relu, 1, "", "y");
    for (int i = 0; i < 9; i++) {
        msg node = onnx_node("choose", "If", "condition", "y");
        attr_graph(&node, "then_branch", &graph);
        graph = graph_of(&node, 1, i == 8 ? "x" : "", "y");
    }
    add_bool(&graph, "condition", 1);
    check(&graph, 13, WAI_ERR_LIMIT, "graphs nest more than 8 deep");
}

/* ---- Loop ---- */

/* s = relu(s), each iteration; the condition goes on as `next`. */
static msg loop_body(const char *next) {
    msg nodes[] = {onnx_node("i", "Identity", next, "go"), onnx_node("r", "Relu", "s", "s2")};
    return graph_of(nodes, 2, "i c s", "go s2 s2");
}

static msg loop_graph(const char *in, const char *out, const msg *body) {
    msg node = onnx_node("repeat", "Loop", in, out);
    attr_graph(&node, "body", body);
    return graph_of(&node, 1, "x", "y");
}

static void test_loop(void **state) {
    (void)state;
    msg body = loop_body("c");
    static const struct {
        int64_t trips;
        const char *in, *out;
        wai_status status;
        const char *text;
    } rows[] = {
        {3, "n yes x", "y", WAI_OK, NULL},
        {3, "n - x", "unused y", WAI_OK, NULL},
        {-5, "n yes x", "y", WAI_OK, NULL},
        {1024, "n - x", "y", WAI_OK, NULL},
        {1025, "n - x", "y", WAI_ERR_LIMIT, "Loop runs more than 1024 times"},
        {INT64_MAX, "n - x", "y", WAI_ERR_LIMIT, "Loop runs more than 1024 times"},
        {0, "- yes x", "y", WAI_ERR_LIMIT, "Loop runs more than 1024 times"},
        {0, "n - x", "unused y", WAI_ERR_UNSUPPORTED, "Loop never runs"},
        {3, "n yes", "y", WAI_ERR_MALFORMED, "the body has 3 inputs"},
        {3, "n yes x", "a b y", WAI_ERR_MALFORMED, "the body has 3 inputs"},
        {3, "n x x", "y", WAI_ERR_MALFORMED, "not one bool"},
        {3, "x yes x", "y", WAI_ERR_UNSUPPORTED, "must be a constant"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        msg graph = loop_graph(rows[i].in, rows[i].out, &body);
        add_i64(&graph, "n", rows[i].trips);
        add_bool(&graph, "yes", 1);
        check(&graph, 13, rows[i].status, rows[i].text);
    }
}

static void test_loops_in_loops(void **state) {
    (void)state;
    msg inner = loop_body("c");
    msg node = onnx_node("inner", "Loop", "n - s", "s2");
    attr_graph(&node, "body", &inner);
    msg nodes[] = {onnx_node("i", "Identity", "c", "go"), node};
    msg outer = graph_of(nodes, 2, "i c s", "go s2");
    msg graph = loop_graph("n - x", "y", &outer);
    add_i64(&graph, "n", 1000);
    check(&graph, 13, WAI_ERR_LIMIT, "unrolled loops hold more than");
}

/* ---- Scan ---- */

static void test_scan(void **state) {
    (void)state;
    msg add = onnx_node("a", "Add", "s v", "s2");
    msg body = graph_of(&add, 1, "s v", "s2 s2");
    msg node = onnx_node("walk", "Scan", "zero x", "last y");
    attr_graph(&node, "body", &body);
    msg missing = node;
    onnx_attr_int(&node, "num_scan_inputs", 1);
    float zero = 0;
    msg tensor = onnx_tensor("zero", 1, 0, NULL, &zero, 4);
    msg graph = graph_of(&node, 1, "x", "y last");
    msg_put(&graph, GRAPH_INITIALIZER, &tensor);
    check(&graph, 11, WAI_OK, NULL);
    msg bad = graph_of(&missing, 1, "x", "y");
    msg_put(&bad, GRAPH_INITIALIZER, &tensor);
    check(&bad, 11, WAI_ERR_MALFORMED, "0 of them scanned");
}

/* ---- below opset 7 ---- */

static void test_old_broadcast(void **state) {
    (void)state;
    msg add = onnx_node("a", "Add", "x one", "y");
    msg strict = add;
    onnx_attr_int(&add, "broadcast", 1);
    msg beyond = add;
    onnx_attr_int(&add, "axis", 0);
    onnx_attr_int(&beyond, "axis", 1);
    const msg *nodes[] = {&add, &strict, &beyond};
    const wai_status statuses[] = {WAI_OK, WAI_ERR_MALFORMED, WAI_ERR_MALFORMED};
    const char *messages[] = {NULL, "broadcast is not set", "outside rank 1"};
    float one = 1;
    msg tensor = onnx_tensor("one", 1, 1, open_size, &one, 4);
    for (int i = 0; i < 3; i++) {
        msg graph = graph_of(nodes[i], 1, "x", "y");
        msg_put(&graph, GRAPH_INITIALIZER, &tensor);
        check(&graph, 6, statuses[i], messages[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_condition),
        cmocka_unit_test(test_computed_condition),
        cmocka_unit_test(test_bad_branches),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_loops_in_loops),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_old_broadcast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
