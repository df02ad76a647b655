/* Sequences and optionals: which inputs and outputs a package gets for them, and
 * what is refused. That the numbers are right is for tests/conformance. */
#include "onnx_build.h"
#include "wasmai_compile.h"

enum { SEQUENCE = 4, OPTIONAL = 9 };

static const int64_t four[] = {4};
static const int64_t open_size[] = {-1};
static const int64_t one_size[] = {1};

/* `io`'s type inside another: field 2 is the type, which stands last. */
static msg wrapped(const char *name, uint32_t kind, const msg *type) {
    msg held = {{0}, 0}, outer = {{0}, 0}, io = {{0}, 0};
    msg_put(&held, 1, type);
    msg_put(&outer, kind, &held);
    msg_text(&io, 1, name);
    msg_put(&io, 2, &outer);
    return io;
}

static msg tensor_type(int rank, const int64_t *dims) {
    msg io = onnx_io("", 1, rank, dims), type = {{0}, 0};
    /* Behind the empty name (2 bytes): tag, length (below 128). */
    memcpy(type.data, io.data + 4, io.size - 4);
    type.size = io.size - 4;
    return type;
}

static msg type_of(const msg *io, const char *name) {
    msg type = {{0}, 0};
    const size_t head = 2 + strlen(name) + 2;
    memcpy(type.data, io->data + head, io->size - head);
    type.size = io->size - head;
    return type;
}

static msg sequence(const char *name, const int64_t *dims) {
    msg type = tensor_type(1, dims);
    return wrapped(name, SEQUENCE, &type);
}

static msg output(const char *name) {
    msg io = {{0}, 0};
    msg_text(&io, 1, name);
    return io;
}

static msg graph_of(const msg *nodes, int count, const msg *in, const msg *out) {
    msg graph = {{0}, 0};
    for (int i = 0; i < count; i++) {
        msg_put(&graph, GRAPH_NODE, &nodes[i]);
    }
    if (in != NULL) {
        msg_put(&graph, GRAPH_INPUT, in);
    }
    msg_put(&graph, GRAPH_OUTPUT, out);
    return graph;
}

static void add_i64(msg *graph, const char *name, int64_t value) {
    msg tensor = onnx_tensor(name, 7, 1, one_size, &value, 8);
    msg_put(graph, GRAPH_INITIALIZER, &tensor);
}

typedef struct seen {
    char text[4096];
} seen;

static void keep_last(void *context, const char *stage, const char *text) {
    (void)stage;
    snprintf(((seen *)context)->text, sizeof((seen *)context)->text, "%s", text);
}

/* Compile; `text` must stand in the message, or in the graph when it compiles. */
static void check(const msg *graph, const wai_dim *dims, size_t dim_count, wai_status status,
                  const char *text) {
    msg model = onnx_model(graph, 17);
    wai_package *package;
    wai_diag diag = {0};
    seen last = {""};
    wai_compile_options options = {
        .dims = dims, .dim_count = dim_count, .on_stage = keep_last, .on_stage_context = &last};
    wai_status got = wai_compile(&package, (wai_bytes){model.data, model.size}, &options, &diag);
    const char *in = status == WAI_OK ? last.text : diag.message;
    if (got != status || strstr(in, text) == NULL) {
        fail_msg("status %d, wanted %d; \"%s\" in \"%s\" (%s)", (int)got, (int)status, text, in,
                 diag.message);
    }
    wai_package_free(package);
}

/* ---- inputs and outputs ---- */

static void test_elements_are_inputs(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("c", "ConcatFromSequence", "x", "y")};
    onnx_attr_int(&nodes[0], "axis", 0);
    msg in = sequence("x", four), out = output("y");
    msg graph = graph_of(nodes, 1, &in, &out);
    const wai_dim three = {"x", 3, 3};
    check(&graph, &three, 1, WAI_OK, "x[2]");
    check(&graph, &three, 1, WAI_OK, "f32[12]");
    check(&graph, NULL, 0, WAI_OK, "f32[4]");
    const wai_dim none = {"x", 0, 0}, many = {"x", 257, 257}, wrong = {"x[3]", 2, 2};
    check(&graph, &none, 1, WAI_ERR_MALFORMED, "a sequence of no elements");
    check(&graph, &many, 1, WAI_ERR_LIMIT, "more than 256 elements");
    check(&graph, &wrong, 1, WAI_ERR_ARGUMENT, "no open dimension");
}

static void test_elements_have_dims(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("c", "ConcatFromSequence", "x", "y")};
    onnx_attr_int(&nodes[0], "axis", 0);
    msg in = sequence("x", open_size), out = output("y");
    msg graph = graph_of(nodes, 1, &in, &out);
    const wai_dim by_name[] = {{"x", 3, 3}, {"n", 5, 5}};
    check(&graph, by_name, 2, WAI_OK, "f32[15]");
    const wai_dim by_place[] = {{"x", 3, 3}, {"n", 5, 5}, {"x[1][0]", 7, 7}};
    check(&graph, by_place, 3, WAI_OK, "f32[17]");
}

static void test_elements_without_shape(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("i", "Identity", "x", "y")};
    msg tensor = {{0}, 0}, type = {{0}, 0};
    msg_int(&tensor, 1, 1);
    msg_put(&type, 1, &tensor);
    msg in = wrapped("x", SEQUENCE, &type), out = output("y");
    msg graph = graph_of(nodes, 1, &in, &out);
    check(&graph, NULL, 0, WAI_ERR_UNSUPPORTED, "x[0] must be a constant");
}

static void test_outputs_of_a_sequence(void **state) {
    (void)state;
    msg node = onnx_node("s", "SplitToSequence", "x", "y");
    msg in = onnx_io("x", 1, 1, four), out = sequence("y", one_size),
        flat = onnx_io("y", 1, 1, four);
    msg graph = graph_of(&node, 1, &in, &out);
    check(&graph, NULL, 0, WAI_OK, "y[3]");
    msg wrong = graph_of(&node, 1, &in, &flat);
    check(&wrong, NULL, 0, WAI_ERR_MALFORMED, "declared a tensor, its node gives a sequence");
    msg taken = output("y[3]");
    msg_put(&graph, GRAPH_OUTPUT, &taken);
    msg relu = onnx_node("r", "Relu", "x", "y[3]");
    msg_put(&graph, GRAPH_NODE, &relu);
    check(&graph, NULL, 0, WAI_ERR_MALFORMED, "has the name of another output, y[3]");
    msg same = onnx_node("r", "Relu", "x", "y");
    graph = graph_of(&same, 1, &in, &out);
    check(&graph, NULL, 0, WAI_ERR_MALFORMED, "declared a sequence, its node gives a tensor");
}

static void test_optional_input(void **state) {
    (void)state;
    msg type = tensor_type(1, four);
    msg node = onnx_node("h", "OptionalHasElement", "x", "y");
    msg in = wrapped("x", OPTIONAL, &type), out = output("y");
    msg graph = graph_of(&node, 1, &in, &out);
    const wai_dim there = {"x", 1, 1}, absent = {"x", 0, 0}, two = {"x", 2, 2};
    check(&graph, &there, 1, WAI_OK, "bool[]");
    check(&graph, &absent, 1, WAI_OK, "bool[]");
    check(&graph, &two, 1, WAI_ERR_ARGUMENT, "1 means there, 0 not");
    msg get = onnx_node("g", "OptionalGetElement", "x", "y");
    graph = graph_of(&get, 1, &in, &out);
    check(&graph, &there, 1, WAI_OK, "f32[4]");
    check(&graph, &absent, 1, WAI_ERR_MALFORMED, "an optional without a value");
    msg pass = onnx_node("i", "Identity", "x", "y");
    graph = graph_of(&pass, 1, &in, &in);
    check(&graph, &absent, 1, WAI_ERR_UNSUPPORTED, "the graph gives nothing");
}

static void test_deep_types(void **state) {
    (void)state;
    msg inner = sequence("x", four), type = type_of(&inner, "x");
    msg once = wrapped("x", OPTIONAL, &type), twice = wrapped("x", SEQUENCE, &type);
    msg node = onnx_node("i", "Identity", "x", "y"), out = output("y");
    msg graph = graph_of(&node, 1, &once, &out);
    check(&graph, NULL, 0, WAI_OK, "y[0]");
    graph = graph_of(&node, 1, &twice, &out);
    check(&graph, NULL, 0, WAI_ERR_UNSUPPORTED, "of something else than tensors");
}

/* ---- operators ---- */

/* SplitToSequence of x[4] into 4, then `node` on "s". */
static void on_four(const msg *node, int64_t at, wai_status status, const char *text) {
    msg nodes[] = {onnx_node("s", "SplitToSequence", "x", "s"), *node};
    msg in = onnx_io("x", 1, 1, four), out = output("y");
    msg graph = graph_of(nodes, 2, &in, &out);
    add_i64(&graph, "at", at);
    check(&graph, NULL, 0, status, text);
}

static void test_positions(void **state) {
    (void)state;
    msg at = onnx_node("a", "SequenceAt", "s at", "y");
    msg erase = onnx_node("e", "SequenceErase", "s at", "y");
    msg insert = onnx_node("i", "SequenceInsert", "s x at", "y");
    on_four(&at, 3, WAI_OK, "f32[1]");
    on_four(&at, -4, WAI_OK, "f32[1]");
    on_four(&at, 4, WAI_ERR_MALFORMED, "position 4 of SequenceAt is outside 4 places");
    on_four(&at, -5, WAI_ERR_MALFORMED, "position -5");
    on_four(&at, INT64_MIN, WAI_ERR_MALFORMED, "SequenceAt");
    on_four(&erase, 3, WAI_OK, "y[2]");
    on_four(&erase, 4, WAI_ERR_MALFORMED, "SequenceErase");
    on_four(&insert, 4, WAI_OK, "y[4]");
    on_four(&insert, -4, WAI_OK, "y[4]");
    on_four(&insert, 5, WAI_ERR_MALFORMED, "position 5 of SequenceInsert is outside 4 elements");
    on_four(&insert, INT64_MAX, WAI_ERR_MALFORMED, "SequenceInsert");
    on_four(&insert, INT64_MIN, WAI_ERR_MALFORMED, "SequenceInsert");
}

static void test_computed_position(void **state) {
    (void)state;
    msg nodes[] = {onnx_node("m", "ArgMax", "x", "at"), onnx_node("s", "SplitToSequence", "x", "s"),
                   onnx_node("a", "SequenceAt", "s at", "y")};
    msg in = onnx_io("x", 1, 1, four), out = output("y");
    msg graph = graph_of(nodes, 3, &in, &out);
    check(&graph, NULL, 0, WAI_ERR_UNSUPPORTED, "(at) of SequenceAt must be a constant");
}

static void test_wrong_operands(void **state) {
    (void)state;
    msg relu = onnx_node("r", "Relu", "s", "y");
    msg of_tensor = onnx_node("l", "SequenceLength", "x", "y");
    msg nested = onnx_node("i", "SequenceInsert", "s s", "y");
    msg other = onnx_node("i", "SequenceInsert", "s at", "y");
    msg branch = onnx_node("b", "Scan", "s", "y");
    on_four(&relu, 0, WAI_ERR_MALFORMED, "input 0 of Relu is a sequence or an optional");
    on_four(&of_tensor, 0, WAI_ERR_MALFORMED, "input 0 of SequenceLength is a tensor");
    on_four(&nested, 0, WAI_ERR_UNSUPPORTED, "sequences of sequences");
    on_four(&other, 0, WAI_ERR_MALFORMED, "a sequence of f32 takes no i64");
    on_four(&branch, 0, WAI_ERR_MALFORMED, "input 0 of Scan is a sequence");
}

static void test_split(void **state) {
    (void)state;
    const int64_t cases[][2] = {{3, 2}, {4, 1}, {INT64_MAX, 1}, {1, 4}};
    for (int i = 0; i < 4; i++) {
        msg node = onnx_node("s", "SplitToSequence", "x at", "s");
        msg length = onnx_node("l", "SequenceLength", "s", "y");
        msg nodes[] = {node, length};
        msg in = onnx_io("x", 1, 1, four), out = output("y");
        msg graph = graph_of(nodes, 2, &in, &out);
        msg tensor = onnx_tensor("at", 7, 0, NULL, &cases[i][0], 8);
        msg_put(&graph, GRAPH_INITIALIZER, &tensor);
        check(&graph, NULL, 0, WAI_OK, "i64[]");
    }
    msg node = onnx_node("s", "SplitToSequence", "x at", "s");
    const int64_t bad[] = {0, -1, INT64_MIN};
    for (int i = 0; i < 3; i++) {
        msg in = onnx_io("x", 1, 1, four), out = output("s");
        msg graph = graph_of(&node, 1, &in, &out);
        msg tensor = onnx_tensor("at", 7, 0, NULL, &bad[i], 8);
        msg_put(&graph, GRAPH_INITIALIZER, &tensor);
        check(&graph, NULL, 0, WAI_ERR_MALFORMED, "4 elements in parts of");
    }
    const int64_t two[] = {2}, lists[][2] = {{1, 2}, {5, -1}, {2, 3}, {INT64_MAX, 5}};
    for (int i = 0; i < 4; i++) {
        msg in = onnx_io("x", 1, 1, four), out = output("s");
        msg graph = graph_of(&node, 1, &in, &out);
        msg tensor = onnx_tensor("at", 7, 1, two, lists[i], 16);
        msg_put(&graph, GRAPH_INITIALIZER, &tensor);
        check(&graph, NULL, 0, WAI_ERR_MALFORMED, "are not the 4 elements of the axis");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements_are_inputs),
        cmocka_unit_test(test_elements_have_dims),
        cmocka_unit_test(test_elements_without_shape),
        cmocka_unit_test(test_outputs_of_a_sequence),
        cmocka_unit_test(test_optional_input),
        cmocka_unit_test(test_deep_types),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_computed_position),
        cmocka_unit_test(test_wrong_operands),
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
