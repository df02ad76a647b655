/* Memory hardening: every write past a place is found, nothing else is, and what a
 * run had in memory is gone behind it. */
#include "base/arena.h"
#include "onnx_build.h"
#include "wasmai_compile.h"

/* A test that has steps write where they must not needs to see the steps. */
#include "runtime/session.c" /* NOLINT(bugprone-suspicious-include) */

#define KEY 0x0123456789abcdefu

/* ---- fences ---- */

static void test_fence(void **state) {
    (void)state;
    const uint64_t key = wai_fence_key(0);
    uint8_t bytes[112];
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_not_equal(key >> 8 * i & 0xff, 0);
    }
    for (size_t from = 16; from < 24; from++) {
        for (size_t size = 0; size <= 80; size++) {
            memset(bytes, 0, sizeof bytes);
            wai_fence_arm(key, bytes + from, size);
            assert_true(wai_fence_holds(key, bytes + from, size));
            for (size_t at = 0; at < sizeof bytes; at++) {
                const bool inside = at >= from && at < from + size;
                assert_true(inside || bytes[at] == 0);
                bytes[at] ^= 0x10;
                assert_int_equal(wai_fence_holds(key, bytes + from, size), !inside);
                bytes[at] ^= 0x10;
            }
        }
    }
    wai_fence_arm(key, bytes + 3, 60); /* those that overlap agree */
    wai_fence_arm(key, bytes + 20, 50);
    assert_true(wai_fence_holds(key, bytes + 3, 67));
}

/* ---- pools ---- */

static uint32_t poisoned;

/* The first bytes belong to malloc by then, so look before. */
static void free_poisoned(void *context, void *pointer) {
    const uint8_t *bytes = pointer;
    for (size_t i = 0; i < 128; i++) {
        poisoned += bytes[i] == WAI_POOL_POISON;
    }
    wai_malloc_allocator.free(context, pointer);
}

static void *take(void *context, size_t size, size_t align) {
    return wai_malloc_allocator.alloc(context, size, align);
}

static void test_pool(void **state) {
    (void)state;
    const wai_allocator allocator = {NULL, take, free_poisoned};
    wai_pool pool, plain;
    bool front;
    wai_pool_init(&pool, &allocator, UINT64_MAX);
    wai_pool_init(&plain, NULL, UINT64_MAX);
    pool.fence = KEY;
    uint8_t *block = NULL;
    for (size_t size = 0; size < 200; size += 7) {
        block = wai_pool_alloc(&pool, size);
        wai_pool_alloc(&plain, size);
        assert_null(wai_pool_broken(&pool, &front));
        assert_int_equal(wai_pool_block_size(block), size);
        for (size_t over = 0; over < WAI_SPARE_SIZE; over++) {
            block[size + over] ^= 1;
            assert_ptr_equal(wai_pool_broken(&pool, &front), block);
            assert_false(front);
            block[size + over] ^= 1;
        }
        /* The header is in there too. */
        for (size_t under = 1; under <= WAI_ALIGN; under++) {
            block[-(ptrdiff_t)under] ^= 1;
            assert_ptr_equal(wai_pool_broken(&pool, &front), block);
            assert_true(front);
            block[-(ptrdiff_t)under] ^= 1;
        }
    }
    assert_int_equal(pool.total, plain.total);
    poisoned = 0;
    wai_pool_free(&pool);
    assert_int_equal(poisoned, 29 * 128);
    wai_pool_free(&plain);
}

/* ---- sessions ---- */

typedef struct subject {
    wai_package *package;
    uint8_t *bytes; /* the session's own                                    */
    wai_session *session;
    wai_diag diag;
} subject;

static wai_package *digits(void) {
    static wai_package *package; /* compiled once, closed by main's end */
    if (package == NULL) {
        size_t size;
        uint8_t *model = unit_file("models/digits/digits.onnx", &size);
        assert_int_equal(wai_compile(&package, (wai_bytes){model, size}, NULL, NULL), WAI_OK);
        free(model);
    }
    return package;
}

static wai_package *compiled(const msg *graph) {
    msg model = onnx_model(graph, 13);
    wai_package *package;
    assert_int_equal(wai_compile(&package, (wai_bytes){model.data, model.size}, NULL, NULL),
                     WAI_OK);
    return package;
}

static void open_subject(subject *t, wai_package *package, uint64_t key, uint32_t every) {
    const wai_bytes bytes = wai_package_bytes(package);
    t->package = package;
    t->bytes = unit_copy(bytes.data, bytes.size);
    const wai_options options = {.hardening = {key, every}};
    if (wai_session_open(&t->session, (wai_bytes){t->bytes, bytes.size}, &options, &t->diag)) {
        fail_msg("%s: %s", t->diag.where, t->diag.message);
    }
}

static void close_subject(subject *t) {
    wai_session_close(t->session);
    free(t->bytes);
}

static void feed(const subject *t) {
    wai_tensor input;
    for (uint32_t i = 0; i < wai_session_input_count(t->session); i++) {
        assert_int_equal(wai_session_input(t->session, i, &input), WAI_OK);
        for (size_t k = 0; k < input.size / 4; k++) {
            ((float *)input.data)[k] = (float)(k % 11) / 11;
        }
    }
}

static wai_status run_fed(subject *t) {
    feed(t);
    return wai_session_run(t->session, &t->diag);
}

static void expect_broken(subject *t, wai_status status, const char *where, const char *what) {
    if (status != WAI_ERR_INTEGRITY || strstr(t->diag.where, where) == NULL ||
        strstr(t->diag.message, what) == NULL) {
        fail_msg("status %d, \"%s: %s\", wanted %s: %s", status, t->diag.where, t->diag.message,
                 where, what);
    }
    assert_int_equal(wai_session_run(t->session, NULL), WAI_ERR_STATE); /* it is dead */
}

/* ---- steps that write where they must not ---- */

static struct {
    const wai_kernel *real;
    uint8_t *at;
    size_t size;
} evil;

static wai_status run_evil(wai_step *step, wai_diag *diag) {
    wai_status status = evil.real->run(step, diag);
    for (size_t i = 0; i < evil.size; i++) {
        evil.at[i] ^= 0x55;
    }
    return status;
}

static const wai_kernel evil_kernel = {NULL, NULL, run_evil};

static void make_evil(subject *t, uint32_t step, uint8_t *at, size_t size) {
    evil.real = t->session->steps[step].kernel;
    evil.at = at;
    evil.size = size;
    t->session->steps[step].kernel = &evil_kernel;
}

static uint8_t *end_of(const wai_operand *o) {
    return (uint8_t *)o->data + wai_type_size(&o->type);
}

/* Each step, by each number of bytes up to two blocks and some larger ones. */
static void test_output_overrun(void **state) {
    (void)state;
    static const size_t sizes[] = {200, 1000, 4096};
    const uint32_t steps = 11;
    for (uint32_t step = 0; step < steps; step++) {
        for (size_t n = 1; n <= 131; n++) {
            subject t;
            open_subject(&t, digits(), KEY, 0);
            const wai_operand *out = &t.session->steps[step].out[0];
            const size_t size = n <= 128 ? n : sizes[n - 129];
            const size_t room =
                (size_t)(t.session->arena + t.session->program.arena_size - end_of(out));
            assert_int_equal(t.session->program.step_count, steps);
            make_evil(&t, step, end_of(out), size < room ? size : room);
            expect_broken(&t, run_fed(&t), t.session->steps[step].where, "output 0, ");
            close_subject(&t);
        }
    }
}

/* In front of a slot is the fence of another one, the arena's own, or nothing that
 * lives: then the answer is right. */
static void test_output_underrun(void **state) {
    (void)state;
    subject clean;
    wai_tensor want, got;
    uint32_t found = 0;
    open_subject(&clean, digits(), 0, 0);
    assert_int_equal(run_fed(&clean), WAI_OK);
    wai_session_output(clean.session, 0, &want);
    for (uint32_t step = 0; step < 11; step++) {
        for (size_t n = 1; n <= 16; n++) {
            subject t;
            open_subject(&t, digits(), KEY, 0);
            uint8_t *begin = t.session->steps[step].out[0].data;
            make_evil(&t, step, begin - n, n);
            const wai_status status = run_fed(&t);
            if (status == WAI_OK) {
                wai_session_output(t.session, 0, &got);
                assert_memory_equal(got.data, want.data, want.size);
            } else {
                assert_int_equal(status, WAI_ERR_INTEGRITY);
                found++;
            }
            close_subject(&t);
        }
    }
    assert_true(found >= 16);
    close_subject(&clean);
}

/* a = exp x, c = cos sin x, y = a with c. Where that works in place, y has a's fence. */
static wai_package *bystander_package(bool in_place) {
    const int64_t dims[] = {1, 24}, both[] = {2, 24};
    msg graph = {{0}, 0};
    msg nodes[] = {onnx_node("first", "Exp", "x", "a"), onnx_node("second", "Sin", "x", "b"),
                   onnx_node("third", "Cos", "b", "c"),
                   onnx_node("fourth", in_place ? "Add" : "Concat", "a c", "y")};
    if (!in_place) {
        onnx_attr_int(&nodes[3], "axis", 0);
    }
    for (int i = 0; i < 4; i++) {
        msg_put(&graph, GRAPH_NODE, &nodes[i]);
    }
    msg x = onnx_io("x", 1, 2, dims), y = onnx_io("y", 1, 2, in_place ? dims : both);
    msg_put(&graph, GRAPH_INPUT, &x);
    msg_put(&graph, GRAPH_OUTPUT, &y);
    return compiled(&graph);
}

/* A value that still lives is damaged by a step that has nothing to do with it. */
static void test_bystander(void **state) {
    (void)state;
    for (int in_place = 0; in_place <= 1; in_place++) {
        wai_package *package = bystander_package(in_place != 0);
        subject t;
        open_subject(&t, package, KEY, 0);
        assert_string_equal(t.session->steps[2].where, "third");
        assert_int_equal(t.session->steps[3].out[0].data == t.session->steps[3].in[0].data,
                         in_place);
        make_evil(&t, 2, end_of(&t.session->steps[0].out[0]), 4);
        expect_broken(&t, run_fed(&t), "fourth", "input 0, ");
        close_subject(&t);
        open_subject(&t, package, KEY, 0);
        make_evil(&t, 3, end_of(&t.session->steps[3].out[0]), 1);
        expect_broken(&t, run_fed(&t), "fourth", "output 0, ");
        close_subject(&t);
        wai_package_free(package);
    }
}

/* ---- everything round the slots ---- */

static uint8_t *front_of_arena(subject *t) {
    return t->session->arena - 1;
}

static uint8_t *end_of_arena(subject *t) {
    return t->session->arena + t->session->program.arena_size;
}

static uint8_t *end_of_state(subject *t) {
    uint8_t *steps = (uint8_t *)t->session->steps;
    return steps + wai_pool_block_size(steps);
}

/* The first constant's. */
static uint8_t *end_of_weights(subject *t) {
    const wai_program *p = &t->session->program;
    uint32_t i = 0;
    while (!p->values[i].constant) {
        i++;
    }
    return (uint8_t *)(uintptr_t)p->data + p->values[i].offset + p->values[i].size;
}

static uint8_t *end_of_input(subject *t) {
    wai_tensor input;
    wai_session_input(t->session, 0, &input);
    return (uint8_t *)input.data + input.size;
}

static const struct {
    uint8_t *(*at)(subject *);
    const char *where, *what;
} places[] = {
    {front_of_arena, "memory", "the arena was written past its front"},
    {end_of_arena, "memory", "the arena was written past its end"},
    {end_of_state, "memory", "the state of the operators was written past its end"},
    {end_of_weights, "weights", "was written past its end"},
    {end_of_input, "image", "input 0, f32[1,1,28,28], was written past its end before the run"},
};

static void test_places(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (uint64_t key = 0; key <= 1; key++) {
            subject t;
            open_subject(&t, digits(), key, 0);
            assert_int_equal(run_fed(&t), WAI_OK);
            assert_int_equal(wai_session_wipe(t.session, &t.diag),
                             key != 0 ? WAI_OK : WAI_ERR_STATE);
            *places[i].at(&t) ^= 1;
            if (key == 0) { /* nobody looks */
                assert_int_equal(run_fed(&t), WAI_OK);
            } else {
                expect_broken(&t, run_fed(&t), places[i].where, places[i].what);
            }
            *places[i].at(&t) ^= 1; /* close frees what it can find */
            close_subject(&t);
        }
    }
}

/* ---- weights ---- */

static void test_weights(void **state) {
    (void)state;
    for (uint32_t every = 0; every <= 3; every++) {
        subject t;
        open_subject(&t, digits(), KEY, every);
        for (uint32_t i = 1; i <= 7; i++) {
            assert_int_equal(run_fed(&t), WAI_OK);
            if (i == 4) {
                t.bytes[t.session->program.data + 100 - t.bytes] ^= 1;
            }
            const wai_status status = wai_session_wipe(t.session, &t.diag);
            if (every != 0 && i >= 4 && i % every == 0) {
                expect_broken(&t, status, "weights", "changed since it was opened");
                break;
            }
            assert_int_equal(status, WAI_OK);
            assert_true(i < 7 || every == 0);
        }
        close_subject(&t);
    }
}

/* ---- wiping ---- */

/* Bytes of the arena that are neither 0 nor an input's fence. */
static size_t count_left(const subject *t, const uint8_t *from, size_t size) {
    size_t left = 0;
    const wai_program_value *input =
        &t->session->program.values[t->session->program.inputs[0].value];
    const uint8_t *fence = t->session->arena + input->offset + input->size;
    for (size_t i = 0; i < size; i++) {
        const bool fenced = from + i >= fence && from + i < fence + WAI_ALIGN + WAI_SPARE_SIZE;
        left += from[i] != 0 && !fenced;
    }
    return left;
}

static void test_wipe(void **state) {
    (void)state;
    subject t;
    wai_tensor output;
    float first[10];
    open_subject(&t, digits(), KEY, 0);
    const size_t size = (size_t)t.session->program.arena_size;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run_fed(&t), WAI_OK);
        wai_session_output(t.session, 0, &output);
        if (i == 0) {
            memcpy(first, output.data, sizeof first);
        }
        assert_memory_equal(output.data, first, sizeof first);
        assert_true(count_left(&t, t.session->arena, size) > 100);
        assert_int_equal(wai_session_wipe(t.session, &t.diag), WAI_OK);
        assert_int_equal(count_left(&t, t.session->arena, size), 0);
    }
    /* A step that never runs shows what lies there: nothing of the run before. */
    static const uint8_t no = 0;
    t.session->steps[t.session->program.step_count - 1].guard = &no;
    assert_int_equal(run_fed(&t), WAI_OK);
    wai_session_output(t.session, 0, &output);
    for (size_t i = 0; i < 10; i++) {
        assert_true(((const float *)output.data)[i] != first[i]);
    }
    /* Two runs without a wipe are allowed. */
    assert_int_equal(run_fed(&t), WAI_OK);
    close_subject(&t);
}

/* Steps share a workspace: that of a sort. */
static void test_workspace(void **state) {
    (void)state;
    const int64_t dims[] = {64}, one[] = {1}, k = 7;
    msg graph = {{0}, 0};
    msg node = onnx_node("top", "TopK", "x k", "y i");
    msg count = onnx_tensor("k", 7, 1, one, &k, sizeof k);
    msg x = onnx_io("x", 1, 1, dims), y = onnx_io("y", 1, 1, &k), index = onnx_io("i", 7, 1, &k);
    msg_put(&graph, GRAPH_NODE, &node);
    msg_put(&graph, GRAPH_INITIALIZER, &count);
    msg_put(&graph, GRAPH_INPUT, &x);
    msg_put(&graph, GRAPH_OUTPUT, &y);
    msg_put(&graph, GRAPH_OUTPUT, &index);
    wai_package *package = compiled(&graph);
    subject t;
    open_subject(&t, package, KEY, 0);
    uint8_t *workspace = t.session->steps[0].workspace;
    assert_non_null(workspace);
    const size_t size = wai_pool_block_size(workspace);
    assert_int_equal(run_fed(&t), WAI_OK);
    assert_true(count_left(&t, workspace, size) > 0);
    assert_int_equal(wai_session_wipe(t.session, &t.diag), WAI_OK);
    assert_int_equal(count_left(&t, workspace, size), 0);
    workspace[size] ^= 1;
    expect_broken(&t, run_fed(&t), "memory", "the workspace was written past its end");
    close_subject(&t);
    wai_package_free(package);
}

/* h' = h + x, y = 2 h' */
static wai_package *counter_package(void) {
    const int64_t dims[] = {3};
    const float two[] = {2, 2, 2};
    msg graph = {{0}, 0};
    msg nodes[] = {onnx_node("add", "Add", "h x", "next"),
                   onnx_node("mul", "Mul", "next two", "y")};
    msg constant = onnx_tensor("two", 1, 1, dims, two, sizeof two);
    msg io[] = {onnx_io("x", 1, 1, dims), onnx_io("h", 1, 1, dims), onnx_io("y", 1, 1, dims),
                onnx_io("next", 1, 1, dims)};
    for (int i = 0; i < 2; i++) {
        msg_put(&graph, GRAPH_NODE, &nodes[i]);
        msg_put(&graph, GRAPH_INPUT, &io[i]);
        msg_put(&graph, GRAPH_OUTPUT, &io[i + 2]);
    }
    msg_put(&graph, GRAPH_INITIALIZER, &constant);
    return compiled(&graph);
}

static void test_wipe_keeps_what_was_carried(void **state) {
    (void)state;
    wai_package *package = counter_package();
    const uint32_t from[] = {WAI_NO_OUTPUT, 1};
    wai_tensor x, h, y;
    subject t;
    open_subject(&t, package, KEY, 1);
    wai_session_input(t.session, 0, &x);
    wai_session_input(t.session, 1, &h);
    memset(h.data, 0, h.size);
    for (int i = 1; i <= 5; i++) {
        for (int k = 0; k < 3; k++) {
            ((float *)x.data)[k] = (float)k;
        }
        assert_int_equal(wai_session_run(t.session, &t.diag), WAI_OK);
        wai_session_output(t.session, 0, &y);
        for (int k = 0; k < 3; k++) {
            assert_true(((float *)y.data)[k] == (float)(2 * i * k));
        }
        assert_int_equal(wai_session_carry(t.session, from, &t.diag), WAI_OK);
        assert_int_equal(wai_session_wipe(t.session, &t.diag), WAI_OK);
        assert_true(((float *)x.data)[2] == 0);
        assert_true(((float *)h.data)[2] == (float)(2 * i));
    }
    /* It is kept once: for the run that follows. */
    assert_int_equal(run_fed(&t), WAI_OK);
    assert_int_equal(wai_session_wipe(t.session, &t.diag), WAI_OK);
    assert_true(((float *)h.data)[2] == 0);
    assert_int_equal(wai_session_carry(t.session, from, &t.diag), WAI_ERR_STATE);
    /* What was carried has a fence, too. */
    ((uint8_t *)h.data)[h.size] ^= 1;
    expect_broken(&t, run_fed(&t), "h", "input 1, f32[3]");
    close_subject(&t);
    wai_package_free(package);
}

/* ---- costs no memory ---- */

static void test_memory_is_the_same(void **state) {
    (void)state;
    subject plain, hardened;
    open_subject(&plain, digits(), 0, 0);
    open_subject(&hardened, digits(), KEY, 5);
    assert_int_equal(wai_session_memory(plain.session), wai_session_memory(hardened.session));
    assert_int_equal(run_fed(&plain), WAI_OK);
    assert_int_equal(run_fed(&hardened), WAI_OK);
    assert_int_equal(wai_session_memory(plain.session), wai_session_memory(hardened.session));
    close_subject(&plain);
    close_subject(&hardened);
}

/* In a package: every value of the arena at `from` goes to `to`. */
static void move_values(uint8_t *package, uint32_t from, uint32_t to) {
    uint64_t at, size; /* of the section of values, number 2 */
    memcpy(&at, package + WAI_FORMAT_HEADER_SIZE + WAI_FORMAT_ENTRY_SIZE + 8, sizeof at);
    memcpy(&size, package + WAI_FORMAT_HEADER_SIZE + WAI_FORMAT_ENTRY_SIZE + 16, sizeof size);
    for (uint8_t *value = package + at; value < package + at + size; value += 48) {
        uint32_t place[2]; /* storage, offset */
        memcpy(place, value + 40, sizeof place);
        if (place[0] == WAI_STORAGE_ARENA && place[1] == from) {
            memcpy(value + 44, &to, sizeof to);
        }
    }
}

static uint32_t bare;

static void free_looked_at(void *context, void *pointer) {
    const uint8_t *bytes = pointer;
    for (size_t i = 0; i < 128; i++) {
        bare += bytes[i] != WAI_POOL_POISON;
    }
    wai_malloc_allocator.free(context, pointer);
}

/* What open takes for its proofs and gives back, and all that a close gives back. */
static void test_all_that_is_given_back_is_filled(void **state) {
    (void)state;
    const wai_allocator allocator = {NULL, take, free_looked_at};
    const wai_bytes good = wai_package_bytes(digits());
    for (uint64_t key = 0; key <= 1; key++) {
        const wai_options options = {.allocator = &allocator, .hardening = {.key = key}};
        uint8_t *bytes = unit_copy(good.data, good.size);
        wai_session *session;
        bare = 0;
        assert_int_equal(wai_session_open(&session, (wai_bytes){bytes, good.size}, &options, NULL),
                         WAI_OK);
        assert_int_equal(bare == 0, key != 0);
        wai_session_close(session);
        assert_int_equal(bare == 0, key != 0);
        free(bytes);
    }
}

/* Spare bytes of one slot in another one are no matter without fences. */
static void test_slots_must_not_touch(void **state) {
    (void)state;
    const int64_t dims[] = {16};
    msg graph = {{0}, 0};
    msg nodes[] = {onnx_node("exp", "Exp", "x", "a"), onnx_node("add", "Add", "a x", "y")};
    msg x = onnx_io("x", 1, 1, dims), y = onnx_io("y", 1, 1, dims);
    msg_put(&graph, GRAPH_NODE, &nodes[0]);
    msg_put(&graph, GRAPH_NODE, &nodes[1]);
    msg_put(&graph, GRAPH_INPUT, &x);
    msg_put(&graph, GRAPH_OUTPUT, &y);
    wai_package *package = compiled(&graph);
    const wai_bytes good = wai_package_bytes(package);
    uint8_t *bytes = unit_copy(good.data, good.size);
    move_values(bytes, 128, 64);
    for (uint64_t key = 0; key <= 1; key++) {
        const wai_options options = {.hardening = {.key = key}};
        wai_session *session;
        wai_diag diag;
        wai_status status =
            wai_session_open(&session, (wai_bytes){bytes, good.size}, &options, &diag);
        assert_int_equal(status, key == 0 ? WAI_OK : WAI_ERR_MALFORMED);
        wai_session_close(session);
    }
    free(bytes);
    wai_package_free(package);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fence),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_output_overrun),
        cmocka_unit_test(test_output_underrun),
        cmocka_unit_test(test_bystander),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_wipe),
        cmocka_unit_test(test_workspace),
        cmocka_unit_test(test_wipe_keeps_what_was_carried),
        cmocka_unit_test(test_memory_is_the_same),
        cmocka_unit_test(test_all_that_is_given_back_is_filled),
        cmocka_unit_test(test_slots_must_not_touch),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wai_package_free(digits());
    return failed;
}
