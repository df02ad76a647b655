/* A session's life: order of calls, dead after failure, nothing shared, run
 * allocates nothing. */
#include "base/arena.h"
#include "onnx_build.h"
#include "wasmai_compile.h"

/* data f32[4], index i64[1] -> y f32[1] = data[index]: a run that can fail. */
static wai_package *gather_package(void) {
    const int64_t four[] = {4};
    const int64_t one[] = {1};
    msg graph = {{0}, 0};
    msg node = onnx_node("pick", "Gather", "data index", "y");
    msg data = onnx_io("data", 1, 1, four);
    msg index = onnx_io("index", 7, 1, one);
    msg y = onnx_io("y", 1, 1, one);
    msg_put(&graph, GRAPH_NODE, &node);
    msg_put(&graph, GRAPH_INPUT, &data);
    msg_put(&graph, GRAPH_INPUT, &index);
    msg_put(&graph, GRAPH_OUTPUT, &y);
    msg model = onnx_model(&graph, 13);
    wai_package *package;
    wai_diag diag;
    wai_status status = wai_compile(&package, (wai_bytes){model.data, model.size}, NULL, &diag);
    if (status != WAI_OK) {
        fail_msg("%s: %s", diag.where, diag.message);
    }
    return package;
}

static void feed(wai_session *session, float base, int64_t index) {
    wai_tensor data;
    wai_tensor at;
    assert_int_equal(wai_session_input(session, 0, &data), WAI_OK);
    assert_int_equal(wai_session_input(session, 1, &at), WAI_OK);
    for (int i = 0; i < 4; i++) {
        ((float *)data.data)[i] = base + (float)i;
    }
    memcpy(at.data, &index, sizeof index);
}

static float answer(const wai_session *session) {
    wai_tensor y;
    assert_int_equal(wai_session_output(session, 0, &y), WAI_OK);
    assert_int_equal(y.size, sizeof(float));
    float value;
    memcpy(&value, y.data, sizeof value);
    return value;
}

static void test_dead_after_failure(void **state) {
    (void)state;
    wai_package *package = gather_package();
    wai_session *session;
    wai_diag diag;
    assert_int_equal(wai_session_open(&session, wai_package_bytes(package), NULL, NULL), WAI_OK);
    feed(session, 10, -1);
    assert_int_equal(wai_session_run(session, &diag), WAI_OK);
    assert_true(answer(session) == 13);
    feed(session, 10, 4);
    assert_int_not_equal(wai_session_run(session, &diag), WAI_OK);
    assert_string_equal(diag.where, "pick");
    assert_non_null(strstr(diag.message, "4"));
    assert_int_equal(wai_session_run(session, &diag), WAI_ERR_STATE);
    wai_tensor tensor;
    assert_int_equal(wai_session_input(session, 0, &tensor), WAI_ERR_STATE);
    wai_session_close(session);
    wai_package_free(package);
}

/* A run in pieces is the same run; nothing else may happen in between. */
static void test_advance(void **state) {
    (void)state;
    size_t size;
    uint8_t *onnx = unit_file("models/digits/digits.onnx", &size);
    wai_package *package;
    wai_session *session;
    assert_int_equal(wai_compile(&package, (wai_bytes){onnx, size}, NULL, NULL), WAI_OK);
    assert_int_equal(wai_session_open(&session, wai_package_bytes(package), NULL, NULL), WAI_OK);
    wai_tensor x;
    wai_tensor y;
    float whole[10];
    uint32_t seed = 5;
    for (int run = 0; run < 2; run++) {
        assert_int_equal(wai_session_input(session, 0, &x), WAI_OK);
        seed = 5;
        for (size_t i = 0; i < x.size / sizeof(float); i++) {
            ((float *)x.data)[i] = (float)(unit_random(&seed) % 256) / 255;
        }
        if (run == 0) {
            assert_int_equal(wai_session_run(session, NULL), WAI_OK);
            assert_int_equal(wai_session_output(session, 0, &y), WAI_OK);
            assert_int_equal(y.size, sizeof whole);
            memcpy(whole, y.data, sizeof whole);
        }
    }
    wai_step_info info;
    uint32_t steps = 0;
    while (wai_session_step(session, steps, &info) == WAI_OK) {
        assert_true(info.name != NULL && info.op[0] != 0 && info.written_size > 0);
        steps++;
    }
    assert_true(steps > 3);
    uint32_t left;
    for (uint32_t i = 1; i <= steps - 2; i++) {
        assert_int_equal(wai_session_advance(session, 1, &left, NULL), WAI_OK);
        assert_int_equal(left, steps - i);
        assert_int_equal(wai_session_resize(session, 0, x.dims, NULL), WAI_ERR_STATE);
        const uint32_t first = 0;
        assert_int_equal(wai_session_carry(session, &first, NULL), WAI_ERR_STATE);
    }
    assert_int_equal(wai_session_advance(session, 99, &left, NULL), WAI_OK);
    assert_int_equal(left, 0);
    assert_int_equal(wai_session_output(session, 0, &y), WAI_OK);
    assert_memory_equal(y.data, whole, sizeof whole);
    wai_session_close(session);
    wai_package_free(package);
    free(onnx);
}

static void test_two_sessions_share_nothing(void **state) {
    (void)state;
    wai_package *package = gather_package();
    wai_session *a;
    wai_session *b;
    assert_int_equal(wai_session_open(&a, wai_package_bytes(package), NULL, NULL), WAI_OK);
    assert_int_equal(wai_session_open(&b, wai_package_bytes(package), NULL, NULL), WAI_OK);
    feed(a, 100, 1);
    feed(b, 200, 2);
    assert_int_equal(wai_session_run(a, NULL), WAI_OK);
    assert_int_equal(wai_session_run(b, NULL), WAI_OK);
    assert_true(answer(a) == 101);
    assert_true(answer(b) == 202);
    feed(b, 0, 9);
    assert_int_not_equal(wai_session_run(b, NULL), WAI_OK);
    wai_session_close(b);
    feed(a, 100, 3);
    assert_int_equal(wai_session_run(a, NULL), WAI_OK);
    assert_true(answer(a) == 103);
    wai_session_close(a);
    wai_package_free(package);
}

static void test_arguments(void **state) {
    (void)state;
    wai_session *session = (wai_session *)1;
    wai_diag diag;
    assert_int_equal(wai_session_open(&session, (wai_bytes){NULL, 0}, NULL, &diag),
                     WAI_ERR_ARGUMENT);
    assert_null(session);
    assert_int_equal(wai_session_open(NULL, (wai_bytes){NULL, 0}, NULL, &diag), WAI_ERR_ARGUMENT);
    wai_session_close(NULL);
    wai_package_free(NULL);
}

static void test_limit(void **state) {
    (void)state;
    wai_package *package = gather_package();
    wai_options options = {.limits = {1000}};
    wai_session *session;
    wai_diag diag;
    assert_int_equal(wai_session_open(&session, wai_package_bytes(package), &options, &diag),
                     WAI_ERR_LIMIT);
    assert_non_null(strstr(diag.message, "1000"));
    wai_package_free(package);
}

/* Weights packed for other kernels would be read wrongly, and past their end. */
static void test_layout(void **state) {
    (void)state;
    wai_package *package = gather_package();
    wai_bytes bytes = wai_package_bytes(package);
    uint8_t *changed = unit_copy(bytes.data, bytes.size);
    changed[8] ^= 1;
    wai_session *session;
    wai_diag diag;
    assert_int_equal(wai_session_open(&session, (wai_bytes){changed, bytes.size}, NULL, &diag),
                     WAI_ERR_UNSUPPORTED);
    assert_non_null(strstr(diag.message, "layout"));
    free(changed);
    wai_package_free(package);
}

/* ---- run allocates nothing: the real model under a sealed allocator ---- */

static bool sealed;

static void *sealable_alloc(void *context, size_t size, size_t align) {
    (void)context;
    assert_false(sealed);
    return wai_malloc_allocator.alloc(NULL, size, align);
}

static void sealable_free(void *context, void *pointer) {
    (void)context;
    wai_malloc_allocator.free(NULL, pointer);
}

static void test_run_allocates_nothing(void **state) {
    (void)state;
    size_t size;
    uint8_t *model = unit_file("models/digits/digits.onnx", &size);
    wai_package *package;
    assert_int_equal(wai_compile(&package, (wai_bytes){model, size}, NULL, NULL), WAI_OK);
    wai_allocator allocator = {NULL, sealable_alloc, sealable_free};
    wai_options options = {.allocator = &allocator};
    wai_session *session;
    wai_tensor input;
    assert_int_equal(wai_session_open(&session, wai_package_bytes(package), &options, NULL),
                     WAI_OK);
    wai_session_input(session, 0, &input);
    sealed = true;
    for (int i = 0; i < 3; i++) {
        memset(input.data, 0, input.size);
        assert_int_equal(wai_session_run(session, NULL), WAI_OK);
    }
    sealed = false;
    wai_session_close(session);
    wai_package_free(package);
    free(model);
}

/* ---- memory of a compilation ---- */

static size_t taken;

static void *counting_alloc(void *context, size_t size, size_t align) {
    (void)context;
    taken += size;
    return wai_malloc_allocator.alloc(NULL, size, align);
}

static void counting_free(void *context, void *pointer) {
    (void)context;
    wai_malloc_allocator.free(NULL, pointer);
}

/* A table of 16 MB, as folded and as it stands in the package, and no further
 * copies: the largest model that compiles depends on it. */
static void test_compile_copies_weights_once(void **state) {
    (void)state;
    const int64_t one[] = {1};
    const int64_t two[] = {2};
    const int64_t row[] = {1, 2048};
    const int64_t shape[] = {2048, 2048};
    const float value = 0.5f;
    msg graph = {{0}, 0};
    msg nodes[] = {onnx_node("table", "Expand", "value shape", "table"),
                   onnx_node("pick", "Gather", "table index", "y")};
    msg initializers[] = {onnx_tensor("value", 1, 1, one, &value, sizeof value),
                          onnx_tensor("shape", 7, 1, two, shape, sizeof shape)};
    for (int i = 0; i < 2; i++) {
        msg_put(&graph, GRAPH_NODE, &nodes[i]);
        msg_put(&graph, GRAPH_INITIALIZER, &initializers[i]);
    }
    msg index = onnx_io("index", 7, 1, one);
    msg y = onnx_io("y", 1, 2, row);
    msg_put(&graph, GRAPH_INPUT, &index);
    msg_put(&graph, GRAPH_OUTPUT, &y);
    msg model = onnx_model(&graph, 13);
    wai_allocator allocator = {NULL, counting_alloc, counting_free};
    wai_compile_options options = {.optimize = 1, .allocator = &allocator};
    wai_package *package;
    wai_diag diag;
    taken = 0;
    wai_status status = wai_compile(&package, (wai_bytes){model.data, model.size}, &options, &diag);
    assert_int_equal(status, WAI_OK);
    size_t table = sizeof(float) * 2048 * 2048;
    assert_in_range(wai_package_bytes(package).size, table, table + table / 8);
    assert_in_range(taken, 2 * table, 3 * table - table / 2);
    wai_package_free(package);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_after_failure),
        cmocka_unit_test(test_advance),
        cmocka_unit_test(test_two_sessions_share_nothing),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_run_allocates_nothing),
        cmocka_unit_test(test_compile_copies_weights_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
