/* Outputs as inputs of the next run: the parallel move against a dull one, on
 * plans made to hurt it, and whole sessions that swap and rotate. */
#include "onnx_build.h"
#include "runtime/carry.h"
#include "wasmai_compile.h"

#define BLOCK     64u
#define ARENA     (64u * BLOCK)
#define MAX_MOVES 6u

typedef struct trial {
    uint32_t random;
    uint8_t arena[ARENA] __attribute__((aligned(64)));
    uint8_t before[ARENA];
    wai_move moves[MAX_MOVES];
    uint32_t count;
} trial;

/* `count` places of the given sizes side by side in a random order, with
 * random gaps, in `blocks` blocks. */
static void lay_out(trial *t, uint32_t *offsets, const uint32_t *sizes, uint32_t blocks) {
    uint32_t order[MAX_MOVES];
    uint32_t free_blocks = blocks;
    for (uint32_t i = 0; i < t->count; i++) {
        order[i] = i;
        free_blocks -= (sizes[i] + BLOCK - 1) / BLOCK;
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t k = i + unit_random(&t->random) % (t->count - i);
        uint32_t index = order[k];
        order[k] = order[i];
        uint32_t gap = unit_random(&t->random) % (free_blocks + 1);
        gap = unit_random(&t->random) % 2 ? gap : 0;
        free_blocks -= gap;
        offsets[index] = (at + gap) * BLOCK;
        at += gap + (sizes[index] + BLOCK - 1) / BLOCK;
    }
}

static void check(trial *t) {
    wai_move wanted[MAX_MOVES];
    size_t size = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        wanted[i] = t->moves[i];
        size += wai_move_marks(t->moves[i].size);
    }
    /* On the heap and no larger than stated: the sanitizer watches. */
    uint8_t *marks = malloc(size);
    memset(marks, 0xff, size);
    for (uint32_t i = 0; i < ARENA; i++) {
        t->arena[i] = t->before[i] = (uint8_t)unit_random(&t->random);
    }
    wai_moves_run(t->moves, t->count, marks);
    for (uint32_t i = 0; i < t->count; i++) {
        assert_memory_equal(wanted[i].to, t->before + (wanted[i].from - t->arena), wanted[i].size);
    }
    free(marks);
}

static void random_trial(trial *t) {
    uint32_t sizes[MAX_MOVES];
    uint32_t to[MAX_MOVES];
    uint32_t from[MAX_MOVES];
    t->count = 1 + unit_random(&t->random) % MAX_MOVES;
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        sizes[i] = unit_random(&t->random) % (8 * BLOCK);
        blocks += (sizes[i] + BLOCK - 1) / BLOCK;
    }
    /* Often no room to spare: then everything moves in circles. */
    blocks += unit_random(&t->random) % 3 ? 0 : unit_random(&t->random) % 8;
    lay_out(t, to, sizes, blocks);
    lay_out(t, from, sizes, blocks);
    for (uint32_t i = 0; i < t->count; i++) {
        t->moves[i] = (wai_move){t->arena + to[i], t->arena + from[i], sizes[i]};
    }
    /* Now and then one output goes to two inputs. */
    if (t->count > 1 && unit_random(&t->random) % 4 == 0 && sizes[0] <= sizes[1]) {
        t->moves[1].from = t->moves[0].from;
        t->moves[1].size = sizes[0];
    }
}

static void test_random_plans(void **state) {
    (void)state;
    trial *t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
    t->random = 20261122;
    for (int i = 0; i < 20000; i++) {
        random_trial(t);
        check(t);
    }
    free(t);
}

static void test_rotations(void **state) {
    (void)state;
    trial *t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
    t->random = 1;
    for (uint32_t by = 1; by < ARENA / BLOCK; by++) {
        uint32_t cut = ARENA - by * BLOCK;
        t->count = 2;
        t->moves[0] = (wai_move){t->arena + by * BLOCK, t->arena, cut};
        t->moves[1] = (wai_move){t->arena, t->arena + cut, by * BLOCK};
        check(t);
    }
    free(t);
}

/* ---- sessions ---- */

/* a, b, c f32[size] -> p = -b, q = -c, r = -a. All work in place, so p lies on b,
 * q on c, r on a: carried to a, b, c they go round in a circle. */
static wai_package *circle_package(int64_t size) {
    const int64_t dims[] = {size};
    static const char *const inputs[] = {"a", "b", "c"};
    static const char *const outputs[] = {"p", "q", "r"};
    static const char *const of[] = {"b", "c", "a"};
    msg graph = {{0}, 0};
    for (int i = 0; i < 3; i++) {
        msg node = onnx_node(outputs[i], "Neg", of[i], outputs[i]);
        msg in = onnx_io(inputs[i], 1, 1, dims);
        msg out = onnx_io(outputs[i], 1, 1, dims);
        msg_put(&graph, GRAPH_NODE, &node);
        msg_put(&graph, GRAPH_INPUT, &in);
        msg_put(&graph, GRAPH_OUTPUT, &out);
    }
    msg model = onnx_model(&graph, 13);
    wai_package *package;
    wai_diag diag;
    if (wai_compile(&package, (wai_bytes){model.data, model.size}, NULL, &diag) != WAI_OK) {
        fail_msg("%s: %s", diag.where, diag.message);
    }
    return package;
}

static void test_circle_of_outputs(void **state) {
    (void)state;
    for (uint32_t size = 1; size < 70; size += 17) {
        wai_package *package = circle_package(size);
        wai_session *session;
        wai_tensor slot;
        assert_int_equal(wai_session_open(&session, wai_package_bytes(package), NULL, NULL),
                         WAI_OK);
        float want[3];
        for (uint32_t i = 0; i < 3; i++) {
            wai_session_input(session, i, &slot);
            want[i] = (float)(i + 1);
            for (uint32_t k = 0; k < size; k++) {
                ((float *)slot.data)[k] = want[i] + (float)k;
            }
        }
        const uint32_t from[] = {0, 1, 2};
        for (int run = 0; run < 7; run++) {
            assert_int_equal(wai_session_run(session, NULL), WAI_OK);
            assert_int_equal(wai_session_carry(session, from, NULL), WAI_OK);
            float first = want[0];
            want[0] = want[1];
            want[1] = want[2];
            want[2] = first;
            for (uint32_t i = 0; i < 3; i++) {
                wai_session_input(session, i, &slot);
                const float *data = slot.data;
                float sign = run % 2 ? 1.0f : -1.0f;
                for (uint32_t k = 0; k < size; k++) {
                    assert_true(data[k] == sign * (want[i] + (float)k));
                }
            }
        }
        wai_session_close(session);
        wai_package_free(package);
    }
}

static void test_refusals(void **state) {
    (void)state;
    wai_package *package = circle_package(5);
    wai_session *session;
    wai_diag diag;
    assert_int_equal(wai_session_open(&session, wai_package_bytes(package), NULL, NULL), WAI_OK);
    const uint32_t none[] = {WAI_NO_OUTPUT, WAI_NO_OUTPUT, WAI_NO_OUTPUT};
    const uint32_t swap[] = {1, 0, WAI_NO_OUTPUT};
    const uint32_t beyond[] = {WAI_NO_OUTPUT, 3, WAI_NO_OUTPUT};
    assert_int_equal(wai_session_carry(session, none, &diag), WAI_OK);
    assert_int_equal(wai_session_carry(session, swap, &diag), WAI_ERR_STATE);
    wai_tensor slot;
    for (uint32_t i = 0; i < 3; i++) {
        wai_session_input(session, i, &slot);
        memset(slot.data, 0, slot.size);
    }
    assert_int_equal(wai_session_run(session, NULL), WAI_OK);
    assert_int_equal(wai_session_carry(session, beyond, &diag), WAI_ERR_ARGUMENT);
    assert_string_equal(diag.where, "b");
    assert_int_equal(wai_session_carry(session, swap, &diag), WAI_OK);
    /* The outputs are gone. */
    assert_int_equal(wai_session_carry(session, swap, &diag), WAI_ERR_STATE);
    wai_session_close(session);
    wai_package_free(package);
}

static void test_types_must_agree(void **state) {
    (void)state;
    const int64_t four[] = {4};
    const int64_t two[] = {2, 2};
    msg graph = {{0}, 0};
    msg turn = onnx_node("turn", "Neg", "x", "y");
    msg keep = onnx_node("keep", "Abs", "m", "n");
    msg x = onnx_io("x", 1, 1, four);
    msg m = onnx_io("m", 1, 2, two);
    msg y = onnx_io("y", 1, 1, four);
    msg n = onnx_io("n", 1, 2, two);
    msg_put(&graph, GRAPH_NODE, &turn);
    msg_put(&graph, GRAPH_NODE, &keep);
    msg_put(&graph, GRAPH_INPUT, &x);
    msg_put(&graph, GRAPH_INPUT, &m);
    msg_put(&graph, GRAPH_OUTPUT, &y);
    msg_put(&graph, GRAPH_OUTPUT, &n);
    msg model = onnx_model(&graph, 13);
    wai_package *package;
    wai_session *session;
    wai_diag diag;
    assert_int_equal(wai_compile(&package, (wai_bytes){model.data, model.size}, NULL, NULL),
                     WAI_OK);
    assert_int_equal(wai_session_open(&session, wai_package_bytes(package), NULL, NULL), WAI_OK);
    wai_tensor slot;
    for (uint32_t i = 0; i < 2; i++) {
        wai_session_input(session, i, &slot);
        memset(slot.data, 0, slot.size);
    }
    assert_int_equal(wai_session_run(session, NULL), WAI_OK);
    const uint32_t crossed[] = {1, 0};
    assert_int_equal(wai_session_carry(session, crossed, &diag), WAI_ERR_ARGUMENT);
    assert_string_equal(diag.where, "x");
    assert_non_null(strstr(diag.message, "\"n\""));
    const uint32_t straight[] = {0, 1};
    assert_int_equal(wai_session_carry(session, straight, &diag), WAI_OK);
    wai_session_close(session);
    wai_package_free(package);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_plans),      cmocka_unit_test(test_rotations),
        cmocka_unit_test(test_circle_of_outputs), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_types_must_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
