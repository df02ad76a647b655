/* If, Loop and Scan: what is imported of them, what is refused, and what runs
 * when only the run knows. More numbers are in tests/conformance. */
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
        {3, "x yes x", "y", WAI_ERR_MALFORMED, "not one whole number"},
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

/* ---- conditions that only the run knows ---- */

typedef struct result {
    wai_status status;
    wai_diag diag;
    float y[64];
    uint32_t count; /* of y: elements                                      */
} result;

/* Runs the model on {warm, ..} first, whose bytes stay behind in the arena, then on
 * {first, 1, -2, -3}, or {first, first, first, first} when that is below zero. */
static result answer_of(const msg *graph, int optimize, uint32_t most, float warm, float first) {
    msg model = onnx_model(graph, 13);
    wai_package *package;
    wai_session *session;
    result r = {.status = WAI_OK};
    wai_compile_options options = {.optimize = optimize, .max_iterations = most};
    if (wai_compile(&package, (wai_bytes){model.data, model.size}, &options, &r.diag) != WAI_OK) {
        fail_msg("%s: %s", r.diag.where, r.diag.message);
    }
    assert_int_equal(wai_session_open(&session, wai_package_bytes(package), NULL, &r.diag), WAI_OK);
    for (int i = 0; i < 2 && r.status == WAI_OK; i++) {
        const float n = i == 0 ? warm : first;
        wai_tensor x;
        wai_session_input(session, 0, &x);
        memcpy(x.data, n < 0 ? (float[]){n, n, n, n} : (float[]){n, 1, -2, -3}, 16);
        r.status = wai_session_run(session, &r.diag);
    }
    wai_tensor y;
    if (wai_session_output(session, 0, &y) == WAI_OK) {
        r.count = (uint32_t)(y.size / sizeof(float));
        assert_true(r.count <= 64);
        memcpy(r.y, y.data, y.size);
    }
    wai_session_close(session);
    wai_package_free(package);
    return r;
}

static void add_f32(msg *graph, const char *name, float value) {
    msg tensor = onnx_tensor(name, 1, 0, NULL, &value, 4);
    msg_put(graph, GRAPH_INITIALIZER, &tensor);
}

/* nodes, with the constants that they may name; output y, nothing declared of it. */
static msg program(const msg *nodes, int count) {
    msg graph = graph_of(nodes, count, "x", "y");
    add_f32(&graph, "zero", 0);
    add_f32(&graph, "ten", 10);
    add_f32(&graph, "hundred", 100);
    return graph;
}

static msg with_branches(const char *name, const char *condition, const msg *yes, const msg *no) {
    msg node = onnx_node(name, "If", condition, "y");
    attr_graph(&node, "then_branch", yes);
    attr_graph(&node, "else_branch", no);
    return node;
}

static msg cast_to(const char *in, const char *out, int type) {
    msg node = onnx_node("cast", "Cast", in, out);
    onnx_attr_int(&node, "to", type);
    return node;
}

/* m, the largest of x; its index i; whether m is above zero, c. */
static void put_condition(msg *nodes) {
    nodes[0] = onnx_node("m", "ReduceMax", "x", "m");
    nodes[1] = onnx_node("c", "Greater", "m zero", "c");
    nodes[2] = cast_to("m", "i", 7);
}

/* What would fail fails only where it is taken. */
static void test_branch_that_fails(void **state) {
    (void)state;
    msg pick = onnx_node("pick", "Gather", "x i", "p"), neg = onnx_node("neg", "Neg", "m", "n");
    msg yes = graph_of(&pick, 1, "", "p"), no = graph_of(&neg, 1, "", "n");
    msg nodes[4];
    put_condition(nodes);
    nodes[3] = with_branches("choose", "c", &yes, &no);
    msg graph = program(nodes, 4);
    for (int optimize = 0; optimize < 2; optimize++) {
        result r = answer_of(&graph, optimize, 0, -1, 2);
        assert_int_equal(r.status, WAI_OK);
        assert_true(r.count == 1 && r.y[0] == -2);
        r = answer_of(&graph, optimize, 0, 2, -9); /* x[-9] is not there */
        assert_int_equal(r.status, WAI_OK);
        assert_true(r.y[0] == 9);
        r = answer_of(&graph, optimize, 0, 2, 9);
        assert_int_equal(r.status, WAI_ERR_ARGUMENT);
        assert_string_equal(r.diag.where, "pick");
    }
}

/* Constants that do not compute, in a branch that a run may not take. */
static void test_constants_that_fail(void **state) {
    (void)state;
    msg pick = onnx_node("pick", "Gather", "three five", "p");
    msg neg = onnx_node("neg", "Neg", "m", "n");
    msg yes = graph_of(&pick, 1, "", "p"), no = graph_of(&neg, 1, "", "n");
    msg nodes[4];
    put_condition(nodes);
    nodes[3] = with_branches("choose", "c", &yes, &no);
    msg graph = program(nodes, 4);
    msg three = onnx_tensor("three", 1, 1, (int64_t[]){3}, (float[]){1, 2, 3}, 12);
    msg_put(&graph, GRAPH_INITIALIZER, &three);
    add_i64(&graph, "five", 5);
    msg always = onnx_node("pick", "Gather", "three five", "y");
    msg bare = program(&always, 1);
    msg_put(&bare, GRAPH_INITIALIZER, &three);
    add_i64(&bare, "five", 5);
    check(&bare, 13, WAI_ERR_ARGUMENT, "5");
    msg model = onnx_model(&graph, 13);
    wai_package *package;
    wai_session *session;
    wai_diag diag;
    assert_int_equal(wai_compile(&package, (wai_bytes){model.data, model.size}, NULL, &diag),
                     WAI_OK);
    assert_int_equal(wai_session_open(&session, wai_package_bytes(package), NULL, &diag), WAI_OK);
    wai_tensor x;
    for (int i = 0; i < 2; i++) {
        wai_session_input(session, 0, &x);
        memcpy(x.data, i == 0 ? (float[]){-1, -2, -3, -4} : (float[]){1, 2, 3, 4}, 16);
        assert_int_equal(wai_session_run(session, &diag), i == 0 ? WAI_OK : WAI_ERR_ARGUMENT);
    }
    assert_string_equal(diag.where, "pick");
    wai_session_close(session);
    wai_package_free(package);
}

/* In the outer branch that is not taken, the inner condition is any byte and the
 * inner index any number. */
static void test_nested(void **state) {
    (void)state;
    msg pick[] = {cast_to("t", "j", 7), onnx_node("pick", "Gather", "x j", "p")};
    msg neg = onnx_node("neg", "Neg", "m", "n"), abs = onnx_node("abs", "Abs", "m", "a");
    msg inner_yes = graph_of(pick, 2, "", "p"), inner_no = graph_of(&abs, 1, "", "a");
    msg inner[] = {onnx_node("t", "Add", "m zero", "t"), onnx_node("less", "Less", "t ten", "d"),
                   with_branches("inner", "d", &inner_yes, &inner_no)};
    msg yes = graph_of(inner, 3, "", "y"), no = graph_of(&neg, 1, "", "n");
    msg nodes[4];
    put_condition(nodes);
    nodes[3] = with_branches("outer", "c", &yes, &no);
    msg graph = program(nodes, 4);
    static const struct {
        float first, y;
    } rows[] = {{2, -2}, {3, -3}, {12, 12}, {1000, 1000}, {-7, 7}, {-1, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int optimize = 0; optimize < 2; optimize++) {
            result r = answer_of(&graph, optimize, 0, i % 2 ? 2 : -3, rows[i].first);
            if (r.status != WAI_OK || r.y[0] != rows[i].y) {
                fail_msg("%g gives %g, status %d: %s", rows[i].first, r.y[0], r.status,
                         r.diag.message);
            }
        }
    }
}

/* s = s + s while its largest element is below a hundred; every s is given. */
static msg doubling(const char *in, const char *out) {
    msg nodes[] = {onnx_node("double", "Add", "s s", "s2"),
                   onnx_node("top", "ReduceMax", "s2", "top"),
                   onnx_node("below", "Less", "top hundred", "go")};
    msg body = graph_of(nodes, 3, "k c s", "go s2 s2");
    msg loop = onnx_node("repeat", "Loop", in, out);
    attr_graph(&loop, "body", &body);
    return loop;
}

static void test_computed_loop(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
        uint32_t most;
        float first, y;
        uint32_t count; /* elements of y                                   */
        wai_status status;
    } rows[] = {
        {"- - x", "y", 0, 2, 128, 4, WAI_OK}, /* 6 iterations            */
        {"- - x", "y", 6, 2, 128, 4, WAI_OK},
        {"- - x", "y", 7, 2, 128, 4, WAI_OK},
        {"- - x", "y", 5, 2, 0, 4, WAI_ERR_LIMIT},
        {"- - x", "y", 0, 200, 400, 4, WAI_OK}, /* one                     */
        {"- - x", "y", 1, 1, 0, 4, WAI_ERR_LIMIT},
        {"- c x", "y", 0, 2, 128, 4, WAI_OK},
        {"many - x", "y", 0, 2, 128, 4, WAI_OK},
        {"two - x", "y", 1, 2, 8, 4, WAI_OK}, /* a constant bounds as well */
        {"i - x", "y", 0, 3, 24, 4, WAI_OK},
        {"i c x", "y", 0, 3, 24, 4, WAI_OK},
        {"i - x", "y", 2, 2, 8, 4, WAI_OK},
        {"i - x", "y", 2, 3, 0, 4, WAI_ERR_LIMIT},
        {"- - x", "s y", 0, 2, 4, 24, WAI_OK},
        {"- - x", "s y", 0, 60, 120, 4, WAI_OK},
        {"- - x", "s y", 5, 2, 0, 0, WAI_ERR_LIMIT},
        {"i - x", "s y", 0, 2, 4, 8, WAI_OK},
        {"two c x", "s y", 0, 2, 4, 8, WAI_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int optimize = 0; optimize < 2; optimize++) {
            msg nodes[4];
            put_condition(nodes);
            nodes[3] = doubling(rows[i].in, rows[i].out);
            msg graph = program(nodes, 4);
            add_i64(&graph, "many", INT64_MAX);
            add_i64(&graph, "two", 2);
            /* One iteration each. */
            const float warm = rows[i].in[0] == 'i' ? 1 : 60;
            result r = answer_of(&graph, optimize, rows[i].most, warm, rows[i].first);
            if (r.status != rows[i].status) {
                fail_msg("row %zu: status %d, %s", i, r.status, r.diag.message);
            }
            if (r.status == WAI_ERR_LIMIT) {
                assert_string_equal(r.diag.where, "repeat");
                assert_non_null(strstr(r.diag.message, "--max-iterations"));
            } else if (r.count != rows[i].count || r.y[0] != rows[i].y) {
                fail_msg("row %zu: %u numbers, the first %g", i, r.count, r.y[0]);
            }
        }
    }
}

/* A loop in a branch: what it wants does not matter where it is not taken. */
static void test_loop_in_branch(void **state) {
    (void)state;
    msg loop = doubling("- - x", "last");
    msg neg = onnx_node("neg", "Neg", "x", "n");
    msg yes = graph_of(&loop, 1, "", "last"), no = graph_of(&neg, 1, "", "n");
    msg nodes[4];
    put_condition(nodes);
    nodes[1] = onnx_node("c", "Greater", "m ten", "c");
    nodes[3] = with_branches("choose", "c", &yes, &no);
    msg graph = program(nodes, 4);
    for (int optimize = 0; optimize < 2; optimize++) {
        result r = answer_of(&graph, optimize, 2, 40, 5); /* would take 5 */
        assert_true(r.status == WAI_OK && r.y[0] == -5);
        r = answer_of(&graph, optimize, 2, 5, 40);
        assert_true(r.status == WAI_OK && r.y[0] == 160);
        r = answer_of(&graph, optimize, 2, 5, 11);
        assert_int_equal(r.status, WAI_ERR_LIMIT);
    }
}

/* A state that grows has no type of its own. */
static void test_growing_state(void **state) {
    (void)state;
    msg grow = onnx_node("grow", "Concat", "s x", "s2");
    onnx_attr_int(&grow, "axis", 0);
    msg nodes[] = {grow, onnx_node("top", "ReduceMax", "s2", "top"),
                   onnx_node("below", "Less", "top hundred", "go")};
    msg body = graph_of(nodes, 3, "k c s", "go s2");
    msg loop = onnx_node("repeat", "Loop", "- - x", "y");
    attr_graph(&loop, "body", &body);
    msg graph = program(&loop, 1);
    check(&graph, 13, WAI_ERR_UNSUPPORTED, "state 0 is f32[12] in one iteration and f32[8]");
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
        cmocka_unit_test(test_branch_that_fails),
        cmocka_unit_test(test_constants_that_fail),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_computed_loop),
        cmocka_unit_test(test_loop_in_branch),
        cmocka_unit_test(test_growing_state),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_old_broadcast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
