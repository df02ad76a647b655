/* ONNX operators that pick and place by index: what their lowerings do with
 * constants, beside the same model whose indices come at run time. */
#include "onnx_build.h"
#include "wasmai_compile.h"

enum { FLOAT = 1, INT64 = 7, BOOL = 9 };

typedef struct operand {
    int type, rank;
    int64_t dims[4];
    const void *data;
    bool constant;
} operand;

static size_t size_of(const operand *o) {
    size_t size = o->type == FLOAT ? 4 : o->type == BOOL ? 1 : 8;
    for (int i = 0; i < o->rank; i++) {
        size *= (size_t)o->dims[i];
    }
    return size;
}

static msg model_of(const char *op, const operand *in, int in_count, const operand *out,
                    int out_count) {
    static const char *const ins[] = {"a", "b", "c", "d", "e"}, *const outs[] = {"w", "x", "y"};
    msg graph = {{0}, 0};
    char from[16] = "", to[16] = "";
    for (int i = 0; i < in_count; i++) {
        msg part = in[i].constant ? onnx_tensor(ins[i], in[i].type, in[i].rank, in[i].dims,
                                                in[i].data, size_of(&in[i]))
                                  : onnx_io(ins[i], in[i].type, in[i].rank, in[i].dims);
        msg_put(&graph, in[i].constant ? GRAPH_INITIALIZER : GRAPH_INPUT, &part);
        strcat(strcat(from, ins[i]), " ");
    }
    for (int i = 0; i < out_count; i++) {
        msg part = onnx_io(outs[i], out[i].type, out[i].rank, out[i].dims);
        msg_put(&graph, GRAPH_OUTPUT, &part);
        strcat(strcat(to, outs[i]), " ");
    }
    msg node = onnx_node("node", op, from, to);
    msg_put(&graph, GRAPH_NODE, &node);
    return onnx_model(&graph, 18);
}

/* Compile, run, and copy output 0 to `result`. The status of the run. */
static wai_status run(const char *op, const operand *in, int in_count, const operand *out,
                      int out_count, int wanted, void *result, wai_diag *diag) {
    msg model = model_of(op, in, in_count, out, out_count);
    const wai_compile_options options = {.optimize = 1};
    wai_package *package;
    wai_status status = wai_compile(&package, (wai_bytes){model.data, model.size}, &options, diag);
    if (status != WAI_OK) {
        return status;
    }
    wai_session *session;
    assert_int_equal(wai_session_open(&session, wai_package_bytes(package), NULL, diag), WAI_OK);
    uint32_t next = 0;
    for (int i = 0; i < in_count; i++) {
        wai_tensor tensor;
        if (in[i].constant) {
            continue;
        }
        assert_int_equal(wai_session_input(session, next++, &tensor), WAI_OK);
        assert_int_equal(tensor.size, size_of(&in[i]));
        memcpy(tensor.data, in[i].data, tensor.size);
    }
    status = wai_session_run(session, diag);
    if (status == WAI_OK) {
        wai_tensor tensor;
        assert_int_equal(wai_session_output(session, (uint32_t)wanted, &tensor), WAI_OK);
        assert_int_equal(tensor.size, size_of(&out[wanted]));
        memcpy(result, tensor.data, tensor.size);
    }
    wai_session_close(session);
    wai_package_free(package);
    return status;
}

static void run_well(const char *op, const operand *in, int in_count, const operand *out,
                     int out_count, int wanted, void *result) {
    wai_diag diag;
    if (run(op, in, in_count, out, out_count, wanted, result, &diag) != WAI_OK) {
        fail_msg("%s: %s", op, diag.message);
    }
}

/* ---- constant tuples --------------------------------------------------------- */

/* Random boxes of the first `tuple` axes of [3, 4, 5, 2], as one tuple per
 * element: what exporters write for a slice. A few are shuffled. */
static int box(uint32_t *random, int tuple, int64_t *tuples) {
    static const int64_t dims[] = {3, 4, 5, 2};
    int64_t low[4] = {0}, high[4] = {1, 1, 1, 1};
    int count = 0;
    for (int i = 0; i < tuple; i++) {
        low[i] = unit_random(random) % dims[i];
        high[i] = low[i] + 1 + unit_random(random) % (dims[i] - low[i]);
    }
    for (int64_t a = low[0]; a < high[0]; a++) {
        for (int64_t b = low[1]; b < high[1]; b++) {
            for (int64_t c = low[2]; c < high[2]; c++) {
                const int64_t at[] = {a, b, c};
                for (int i = 0; i < tuple; i++) {
                    tuples[count++] = at[i] - (unit_random(random) % 2 == 0 ? dims[i] : 0);
                }
            }
        }
    }
    if (count > tuple && unit_random(random) % 4 == 0) {
        memcpy(tuples, tuples + count - tuple, (size_t)tuple * sizeof *tuples);
    }
    return count / tuple;
}

static void test_constant_tuples(void **state) {
    (void)state;
    uint32_t random = 99;
    float data[120], updates[120], first[120], second[120];
    for (int i = 0; i < 120; i++) {
        data[i] = (float)i;
        updates[i] = (float)(1000 + i);
    }
    for (int round = 0; round < 60; round++) {
        const int tuple = 1 + round % 3;
        int64_t tuples[180];
        const int64_t count = box(&random, tuple, tuples);
        operand in[] = {{FLOAT, 4, {3, 4, 5, 2}, data, false},
                        {INT64, 2, {count, tuple}, tuples, true},
                        {FLOAT, 5 - tuple, {count}, updates, false}};
        memcpy(in[2].dims + 1, in[0].dims + tuple, (size_t)(4 - tuple) * sizeof in[0].dims[0]);
        run_well("GatherND", in, 2, &in[2], 1, 0, first);
        in[1].constant = false;
        run_well("GatherND", in, 2, &in[2], 1, 0, second);
        assert_memory_equal(first, second, size_of(&in[2]));
        run_well("ScatterND", in, 3, &in[0], 1, 0, second);
        in[1].constant = true;
        run_well("ScatterND", in, 3, &in[0], 1, 0, first);
        assert_memory_equal(first, second, sizeof first);
    }
}

static void test_tuples_out_of_range(void **state) {
    (void)state;
    const float data[6] = {0}, updates[2] = {0};
    const int64_t tuples[] = {0, 0, 1, 3};
    operand in[] = {{FLOAT, 2, {2, 3}, data, false},
                    {INT64, 2, {2, 2}, tuples, false},
                    {FLOAT, 1, {2}, updates, false}};
    wai_diag diag;
    float y[6];
    for (int constant = 0; constant < 2; constant++) {
        in[1].constant = constant != 0;
        assert_int_equal(run("ScatterND", in, 3, in, 1, 0, y, &diag), WAI_ERR_ARGUMENT);
        assert_string_equal(diag.message, "index 3 at position 3 is outside axis 1 of 3 elements");
    }
}

/* ---- two outputs -------------------------------------------------------------- */

static void test_top_k(void **state) {
    (void)state;
    const float x[] = {1, 5, 3, 5, 2, 4};
    const int64_t k = 2;
    const operand in[] = {{FLOAT, 2, {3, 2}, x, false}, {INT64, 1, {1}, &k, true}};
    const operand out[] = {{FLOAT, 2, {3, 2}, NULL, false}, {INT64, 2, {3, 2}, NULL, false}};
    float values[6];
    int64_t places[6];
    run_well("TopK", in, 2, out, 2, 0, values);
    run_well("TopK", in, 2, out, 2, 1, places);
    assert_memory_equal(values, ((float[]){5, 1, 5, 3, 4, 2}), sizeof values);
    assert_memory_equal(places, ((int64_t[]){1, 0, 1, 0, 1, 0}), sizeof places);
}

/* ---- shapes that depend on values ------------------------------------------------ */

/* Counts of results that only values decide: the same at run as when folded. */
static void check_counts(bool constant) {
    const float x[8] = {0, -0.0f, 2, 0, 2, -1, 0, 1};
    const int64_t k = 1;
    const operand in[] = {{FLOAT, 1, {8}, x, constant}, {INT64, 1, {1}, &k, constant}};
    const operand chosen[] = {in[0], {BOOL, 1, {3}, "\0\1\1", constant}};
    int64_t places[4];
    const operand found = {INT64, 2, {1, 4}, NULL, false};
    run_well("NonZero", in, 1, &found, 1, 0, places);
    assert_memory_equal(places, ((int64_t[]){2, 4, 5, 7}), sizeof places);
    float kept[2];
    const operand some = {FLOAT, 1, {2}, NULL, false};
    run_well("Compress", chosen, 2, &some, 1, 0, kept);
    assert_memory_equal(kept, ((float[]){-0.0f, 2}), sizeof kept);
    float best;
    const operand top[] = {{FLOAT, 1, {1}, NULL, false}, {INT64, 1, {1}, NULL, false}};
    run_well("TopK", in, 2, top, 2, 0, &best);
    assert_true(best == 2);
    const operand out[] = {
        {FLOAT, 1, {4}, NULL, false}, {INT64, 1, {4}, NULL, false}, {INT64, 1, {8}, NULL, false}};
    float values[4];
    int64_t first[4], inverse[8];
    run_well("Unique", in, 1, out, 3, 0, values);
    run_well("Unique", in, 1, out, 3, 1, first);
    run_well("Unique", in, 1, out, 3, 2, inverse);
    assert_memory_equal(values, ((float[]){-1, 0, 1, 2}), sizeof values);
    assert_memory_equal(first, ((int64_t[]){5, 0, 7, 2}), sizeof first);
    assert_memory_equal(inverse, ((int64_t[]){1, 1, 3, 1, 3, 0, 1, 2}), sizeof inverse);
}

static void test_counts(void **state) {
    (void)state;
    check_counts(true);
    check_counts(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_tuples),
        cmocka_unit_test(test_tuples_out_of_range),
        cmocka_unit_test(test_top_k),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
