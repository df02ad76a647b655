/* Models that must be refused, each with its own reason and place; and what
 * import does with dims, float16, and collected problems. */
#include "onnx_build.h"
#include "wasmai_compile.h"

static const int64_t one_by_four[] = {1, 4};
static const int64_t open_by_four[] = {-1, 4};

/* x f32[1,4] -> the given nodes -> y f32[1,4] */
static msg simple_graph(const msg *nodes, int count) {
    msg graph = {{0}, 0};
    for (int i = 0; i < count; i++) {
        msg_put(&graph, GRAPH_NODE, &nodes[i]);
    }
    msg x = onnx_io("x", 1, 2, one_by_four);
    msg y = onnx_io("y", 1, 2, one_by_four);
    msg_put(&graph, GRAPH_INPUT, &x);
    msg_put(&graph, GRAPH_OUTPUT, &y);
    return graph;
}

static void assert_fails(const msg *model, wai_status status, const char *where, const char *text) {
    wai_package *package;
    wai_diag diag;
    wai_compile_options options = {.optimize = 1};
    assert_int_equal(wai_compile(&package, (wai_bytes){model->data, model->size}, &options, &diag),
                     status);
    assert_null(package);
    assert_string_equal(diag.where, where);
    if (strstr(diag.message, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, diag.message);
    }
}

static void assert_graph_fails(const msg *graph, wai_status status, const char *where,
                               const char *text) {
    msg model = onnx_model(graph, 13);
    assert_fails(&model, status, where, text);
}

static void test_unknown_operator(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("strange", "Frobnicate", "x", "y")};
    msg graph = simple_graph(nodes, 1);
    assert_graph_fails(&graph, WAI_ERR_UNSUPPORTED, "strange", "operator Frobnicate (opset 13)");
}

static void test_cycle(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("first", "Add", "x b", "a"), onnx_node("second", "Relu", "a", "b"),
                   onnx_node("third", "Relu", "b", "y")};
    msg graph = simple_graph(nodes, 3);
    assert_graph_fails(&graph, WAI_ERR_MALFORMED, "first", "cycle");
}

static void test_missing_input(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("adds", "Add", "x weight", "y")};
    msg graph = simple_graph(nodes, 1);
    assert_graph_fails(&graph, WAI_ERR_MALFORMED, "adds", "input weight of Add is missing");
}

static void test_unknown_attribute(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("r", "Relu", "x", "y")};
    onnx_attr_int(&nodes[0], "turbo", 1);
    msg graph = simple_graph(nodes, 1);
    assert_graph_fails(&graph, WAI_ERR_UNSUPPORTED, "r", "attribute turbo of Relu");
}

static void test_name_twice(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("a", "Relu", "x", "y"), onnx_node("b", "Relu", "x", "y")};
    msg graph = simple_graph(nodes, 2);
    assert_graph_fails(&graph, WAI_ERR_MALFORMED, "b", "the name y is defined twice");
}

static void test_output_not_written(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("a", "Relu", "x", "z")};
    msg graph = simple_graph(nodes, 1);
    assert_graph_fails(&graph, WAI_ERR_MALFORMED, "y", "no node writes this graph output");
}

static void test_wrong_shape(void **state) {
    (void)state;
    float weight[3] = {1, 2, 3};
    int64_t three[] = {3};
    msg nodes[] = {onnx_node("adds", "Add", "x weight", "y")};
    msg graph = simple_graph(nodes, 1);
    msg tensor = onnx_tensor("weight", 1, 1, three, weight, sizeof weight);
    msg_put(&graph, GRAPH_INITIALIZER, &tensor);
    assert_graph_fails(&graph, WAI_ERR_MALFORMED, "adds", "");
}

static void test_declared_output_differs(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("r", "ReduceSum", "x", "y")};
    msg graph = simple_graph(nodes, 1);
    assert_graph_fails(&graph, WAI_ERR_MALFORMED, "y",
                       "declared with another type or shape than the f32[1,1]");
}

static msg with_initializer(const msg *tensor) {
    msg nodes[] = {onnx_node("adds", "Add", "x weight", "y")};
    msg graph = simple_graph(nodes, 1);
    msg_put(&graph, GRAPH_INITIALIZER, tensor);
    return graph;
}

static void test_bad_initializers(void **state) {
    (void)state;
    float data[4] = {1, 2, 3, 4};
    const int64_t four[] = {4};
    const int64_t huge[] = {0x80000000ll, 4};
    const int64_t large[] = {0x7fffffff, 0x7fffffff, 0x7fffffff};
    const int64_t negative[] = {-4};
    const int64_t hundred_million[] = {100000000};
    struct {
        msg tensor;
        wai_status status;
        const char *text;
    } rows[] = {
        {onnx_tensor("weight", 1, 1, four, data, 12), WAI_ERR_MALFORMED,
         "raw_data holds 12 bytes, the dims need 16"},
        {onnx_tensor("weight", 1, 2, huge, data, 16), WAI_ERR_MALFORMED,
         "axis 0 of the tensor is 2147483648"},
        {onnx_tensor("weight", 1, 3, large, data, 16), WAI_ERR_LIMIT, "larger than"},
        {onnx_tensor("weight", 1, 1, negative, data, 16), WAI_ERR_MALFORMED,
         "axis 0 of the tensor is -4"},
        {onnx_tensor("weight", 1, 1, hundred_million, data, 16), WAI_ERR_MALFORMED,
         "the file holds"},
        {onnx_tensor("weight", 8, 1, four, data, 16), WAI_ERR_UNSUPPORTED, "ONNX type 8"},
        {onnx_tensor("weight", 1, 1, four, data, 16), WAI_ERR_UNSUPPORTED, "external data"},
    };
    msg_int(&rows[6].tensor, 14, 1); /* data_location = EXTERNAL */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        msg graph = with_initializer(&rows[i].tensor);
        assert_graph_fails(&graph, rows[i].status, "weight", rows[i].text);
    }
}

static void test_input_of_2_31(void **state) {
    (void)state;
    const int64_t dims[] = {0x80000000ll};
    msg graph = {{0}, 0};
    msg node = onnx_node("r", "Relu", "x", "y");
    msg x = onnx_io("x", 1, 1, dims);
    msg y = onnx_io("y", 1, 1, dims);
    msg_put(&graph, GRAPH_NODE, &node);
    msg_put(&graph, GRAPH_INPUT, &x);
    msg_put(&graph, GRAPH_OUTPUT, &y);
    assert_graph_fails(&graph, WAI_ERR_LIMIT, "x", "axis 0 of the graph input is 2147483648");
}

static void test_opsets(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("e", "Erf", "x", "y")};
    msg graph = simple_graph(nodes, 1);
    msg old = onnx_model(&graph, 5);
    msg young = onnx_model(&graph, 99);
    assert_fails(&old, WAI_ERR_UNSUPPORTED, "e", "opsets 9 to 22, not 5");
    assert_fails(&young, WAI_ERR_UNSUPPORTED, "opset_import", "opset 99");
}

static void test_not_onnx(void **state) {
    (void)state;
    msg text = {"hello, this is not a model", 26};
    assert_fails(&text, WAI_ERR_MALFORMED, "model", "");
    msg empty = {{0}, 0};
    assert_fails(&empty, WAI_ERR_MALFORMED, "file", "empty");
}

/* Once one count served both lists: floats first, then ints, wrote past the ints. */
static void test_attribute_with_ints_and_floats(void **state) {
    (void)state;
    uint8_t zeros[400] = {0};
    msg attr = {{0}, 0};
    msg_text(&attr, 1, "perm");
    msg_bytes(&attr, 7, zeros, sizeof zeros);
    msg_bytes(&attr, 8, zeros, 100);
    msg_int(&attr, 20, 7);
    msg nodes[] = {onnx_node("t", "Transpose", "x", "y")};
    msg_put(&nodes[0], 5, &attr);
    msg graph = simple_graph(nodes, 1);
    assert_graph_fails(&graph, WAI_ERR_MALFORMED, "t", "perm");
}

/* ---- what works ---- */

static msg dynamic_model(void) {
    msg graph = {{0}, 0};
    msg node = onnx_node("r", "Relu", "x", "y");
    msg x = onnx_io("x", 1, 2, open_by_four);
    msg y = onnx_io("y", 1, 2, open_by_four);
    msg_put(&graph, GRAPH_NODE, &node);
    msg_put(&graph, GRAPH_INPUT, &x);
    msg_put(&graph, GRAPH_OUTPUT, &y);
    return onnx_model(&graph, 13);
}

static uint32_t first_dim(const char *name, uint32_t value) {
    msg model = dynamic_model();
    wai_dim dim = {name, value, value};
    wai_compile_options options = {.optimize = 1, .dims = &dim, .dim_count = name != NULL ? 1 : 0};
    wai_package *package;
    wai_session *session;
    wai_tensor input;
    assert_int_equal(wai_compile(&package, (wai_bytes){model.data, model.size}, &options, NULL),
                     WAI_OK);
    assert_int_equal(wai_session_open(&session, wai_package_bytes(package), NULL, NULL), WAI_OK);
    assert_int_equal(wai_session_input(session, 0, &input), WAI_OK);
    assert_string_equal(input.name, "x");
    wai_session_close(session);
    wai_package_free(package);
    return input.dims[0];
}

static void test_dims(void **state) {
    (void)state;
    assert_int_equal(first_dim("n", 3), 3);
    assert_int_equal(first_dim("x[0]", 5), 5);
    assert_int_equal(first_dim(NULL, 0), 1);
    msg model = dynamic_model();
    wai_dim dim = {"m", 2, 2};
    wai_compile_options options = {.dims = &dim, .dim_count = 1};
    wai_package *package;
    wai_diag diag;
    assert_int_equal(wai_compile(&package, (wai_bytes){model.data, model.size}, &options, &diag),
                     WAI_ERR_ARGUMENT);
    assert_string_equal(diag.where, "m");
}

static void count_problem(void *context, const wai_diag *problem) {
    assert_int_equal(problem->status, WAI_ERR_UNSUPPORTED);
    (*(int *)context)++;
}

static void test_collects_problems(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("one", "Frobnicate", "x", "a"), onnx_node("fine", "Relu", "a", "b"),
                   onnx_node("two", "Wobble", "b", "c"), onnx_node("three", "Twist", "x", "d"),
                   onnx_node("sum", "Add", "c d", "y")};
    msg graph = simple_graph(nodes, 5);
    msg model = onnx_model(&graph, 13);
    int count = 0;
    wai_compile_options options = {.on_problem = count_problem, .on_problem_context = &count};
    wai_package *package;
    wai_diag diag;
    assert_int_equal(wai_compile(&package, (wai_bytes){model.data, model.size}, &options, &diag),
                     WAI_ERR_UNSUPPORTED);
    assert_int_equal(count, 3);
    assert_string_equal(diag.where, "one");
}

/* Bytes are the same each time: no address, no time, no hash order. */
static void test_deterministic(void **state) {
    (void)state;
    msg model = dynamic_model();
    wai_compile_options options = {.optimize = 1};
    wai_package *a;
    wai_package *b;
    assert_int_equal(wai_compile(&a, (wai_bytes){model.data, model.size}, &options, NULL), WAI_OK);
    assert_int_equal(wai_compile(&b, (wai_bytes){model.data, model.size}, &options, NULL), WAI_OK);
    wai_bytes x = wai_package_bytes(a);
    wai_bytes y = wai_package_bytes(b);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    wai_package_free(a);
    wai_package_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_operator),
        cmocka_unit_test(test_cycle),
        cmocka_unit_test(test_missing_input),
        cmocka_unit_test(test_unknown_attribute),
        cmocka_unit_test(test_name_twice),
        cmocka_unit_test(test_output_not_written),
        cmocka_unit_test(test_wrong_shape),
        cmocka_unit_test(test_declared_output_differs),
        cmocka_unit_test(test_bad_initializers),
        cmocka_unit_test(test_input_of_2_31),
        cmocka_unit_test(test_opsets),
        cmocka_unit_test(test_attribute_with_ints_and_floats),
        cmocka_unit_test(test_not_onnx),
        cmocka_unit_test(test_dims),
        cmocka_unit_test(test_collects_problems),
        cmocka_unit_test(test_deterministic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
