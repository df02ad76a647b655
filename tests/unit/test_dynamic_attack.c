/* Packages that lie about symbolic dims, under the sanitizers: whatever opens may be
 * resized and run, and nothing is read or written out of place. */
#include "dynamic.h"

#include "base/arena.h"
#include "package/format.h"

static uint32_t load(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static void store(uint8_t *at, uint32_t word) {
    memcpy(at, &word, sizeof word);
}

static const uint8_t *entry_of(const uint8_t *package, uint32_t kind) {
    return package + WAI_FORMAT_HEADER_SIZE + (kind - 1) * WAI_FORMAT_ENTRY_SIZE;
}

static uint8_t *section_of(uint8_t *package, uint32_t kind, uint32_t *words) {
    *words = load(entry_of(package, kind) + 16) / 4;
    return package + load(entry_of(package, kind) + 8);
}

/* ---- models -------------------------------------------------------------------- */

static maker windows(void) {
    maker m = {0};
    GIVE(&m, "x", FLOAT, 1, 2, -1, -2);
    hold_floats(&m, "w", 4, (int64_t[]){3, 2, 3, 3});
    msg conv = onnx_node("c", "Conv", "x w", "c");
    ATTR_INTS(&conv, "pads", 1, 1, 1, 1);
    put(&m, &conv);
    msg pool = onnx_node("p", "MaxPool", "c", "p");
    ATTR_INTS(&pool, "kernel_shape", 2, 2);
    ATTR_INTS(&pool, "strides", 2, 2);
    put(&m, &pool);
    HOLD(&m, "flat", 3, -1);
    add(&m, "Reshape", "p flat", "flatter");
    add(&m, "Relu", "flatter", "y");
    want(&m, "y", FLOAT);
    return m;
}

static maker lists(void) {
    maker m = {0};
    GIVE(&m, "x", FLOAT, -1, 3);
    GIVE(&m, "y", FLOAT, -1, 3);
    HOLD(&m, "zero", 0);
    HOLD(&m, "flat", -1);
    add(&m, "Add", "x y", "sum");
    add(&m, "Relu", "sum", "above");
    add(&m, "NonZero", "above", "places");
    add(&m, "Gather", "places zero", "rows");
    add(&m, "Reshape", "rows flat", "list");
    add(&m, "Gather", "x list", "taken");
    msg join = onnx_node("joined", "Concat", "taken above", "joined");
    onnx_attr_int(&join, "axis", 0);
    put(&m, &join);
    add(&m, "Sigmoid", "joined", "s");
    want(&m, "s", FLOAT);
    want(&m, "places", INT64);
    return m;
}

/* ---- whatever comes -------------------------------------------------------------- */

static void assert_told(wai_status status, const wai_diag *diag) {
    assert_int_not_equal(status, WAI_ERR_INTERNAL);
    if (status != WAI_OK) {
        assert_int_equal(diag->status, status);
        assert_int_not_equal(diag->message[0], 0);
    }
}

/* Inputs that hold anything: every byte is written, so that it is there. */
static void run_at(wai_session *session, uint32_t n, uint32_t m) {
    wai_diag diag;
    wai_tensor tensor;
    assert_told(resize_to(session, n, m, &diag), &diag);
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        wai_session_input(session, i, &tensor);
        memset(tensor.data, (int)(n * 3 + i), tensor.size);
    }
    const wai_status status = wai_session_run(session, &diag);
    assert_told(status, &diag);
    uint8_t sum = 0;
    for (uint32_t i = 0; status == WAI_OK && i < wai_session_output_count(session); i++) {
        wai_session_output(session, i, &tensor);
        for (size_t k = 0; k < tensor.size; k++) {
            sum ^= ((const uint8_t *)tensor.data)[k];
        }
    }
    static volatile uint8_t sink;
    sink = sum;
    (void)sink;
}

static bool open_and_resize(uint8_t *package, size_t size, uint32_t *random) {
    wai_diag diag;
    wai_session *session;
    const wai_options options = {.limits = {64u << 20}};
    const wai_status status =
        wai_session_open(&session, (wai_bytes){package, size}, &options, &diag);
    assert_told(status, &diag);
    for (int i = 0; status == WAI_OK && i < 4; i++) {
        run_at(session, unit_random(random) % 14, unit_random(random) % 14);
    }
    wai_session_close(session);
    return status == WAI_OK;
}

static void flip_words(const maker *m, range r, uint32_t seed) {
    static const uint32_t kinds[] = {WAI_SECTION_DYNAMIC, WAI_SECTION_DYNAMIC, WAI_SECTION_DYNAMIC,
                                     WAI_SECTION_STEPS, WAI_SECTION_VALUES};
    wai_package *compiled;
    wai_diag diag;
    if (compile_for(&compiled, m, r, &diag) != WAI_OK) {
        fail_msg("%s: %s", diag.where, diag.message);
    }
    const wai_bytes bytes = wai_package_bytes(compiled);
    uint32_t random = seed, opened = 0;
    for (int round = 0; round < 4000; round++) {
        uint8_t *copy = unit_copy(bytes.data, bytes.size);
        for (int flips = 0; flips <= round % 3; flips++) {
            uint32_t words;
            uint8_t *section = section_of(copy, kinds[unit_random(&random) % 5], &words);
            uint8_t *at = section + 4 * (unit_random(&random) % words);
            const uint32_t special[] = {load(at) + 1,
                                        load(at) - 1,
                                        load(at) * 2,
                                        0,
                                        UINT32_MAX,
                                        INT32_MAX,
                                        load(section + 4 * (unit_random(&random) % words)),
                                        unit_random(&random) % 32};
            store(at, special[unit_random(&random) % 8]);
        }
        opened += open_and_resize(copy, bytes.size, &random);
        free(copy);
    }
    assert_true(opened > 400); /* else this says little */
    wai_package_free(compiled);
}

static void test_flipped_windows(void **state) {
    (void)state;
    const maker m = windows();
    flip_words(&m, (range){2, 12, 3, 12}, 1);
}

static void test_flipped_lists(void **state) {
    (void)state;
    const maker m = lists();
    flip_words(&m, (range){1, 12, 0, 0}, 2);
}

/* ---- by hand --------------------------------------------------------------------- */

/* A copy with `count` more words at the end of the dynamic section. */
static uint8_t *with_words(wai_bytes bytes, const uint32_t *more, uint32_t count, size_t *size) {
    const uint8_t *dynamic = entry_of(bytes.data, WAI_SECTION_DYNAMIC);
    const uint8_t *golden = entry_of(bytes.data, WAI_SECTION_GOLDEN);
    const size_t end = load(dynamic + 8) + load(dynamic + 16), golden_size = load(golden + 16);
    const size_t behind = (end + 4 * (size_t)count + 63) & ~(size_t)63;
    *size = behind + golden_size;
    uint8_t *copy = NULL;
    assert_int_equal(posix_memalign((void **)&copy, 64, *size), 0);
    memset(copy, 0, *size);
    memcpy(copy, bytes.data, end);
    memcpy(copy + end, more, 4 * (size_t)count);
    memcpy(copy + behind, bytes.data + load(golden + 8), golden_size);
    store(copy + 16, (uint32_t)*size);
    store((uint8_t *)(uintptr_t)entry_of(copy, WAI_SECTION_DYNAMIC) + 16,
          load(dynamic + 16) + 4 * count);
    store((uint8_t *)(uintptr_t)entry_of(copy, WAI_SECTION_GOLDEN) + 8, (uint32_t)behind);
    return copy;
}

/* The input of a step and its larger output at one place: reserved are as many bytes,
 * used are not. */
static void test_reserves_hide_sizes(void **state) {
    (void)state;
    maker m = {0};
    GIVE(&m, "x", FLOAT, 1, 16);
    GIVE(&m, "y", FLOAT, 16, 16);
    add(&m, "Add", "x y", "z");
    want(&m, "z", FLOAT);
    wai_package *compiled;
    wai_diag diag;
    const wai_dim none = {"n", 1, 1};
    const wai_compile_options options = {.optimize = 1, .dims = &none, .dim_count = 0};
    msg model = onnx_model(&m.graph, 18);
    assert_int_equal(wai_compile(&compiled, (wai_bytes){model.data, model.size}, &options, &diag),
                     WAI_OK);
    const wai_bytes bytes = wai_package_bytes(compiled);
    uint32_t words, x = UINT32_MAX, z = UINT32_MAX;
    uint8_t *copy = unit_copy(bytes.data, bytes.size);
    const uint8_t *io = section_of(copy, WAI_SECTION_IO, &words);
    x = load(io + 12);
    z = load(io + 28);
    free(copy);
    size_t size;
    copy = with_words(bytes, (uint32_t[]){0, 0}, 2, &size);
    uint8_t *dynamic = section_of(copy, WAI_SECTION_DYNAMIC, &words);
    /* The fifth list: one reserve; whatever lists follow are empty. */
    memmove(dynamic + 28, dynamic + 20, 4 * (size_t)words - 28);
    store(dynamic + 16, 1);
    store(dynamic + 20, x);
    store(dynamic + 24, 16 * 16 * 4);
    uint8_t *values = section_of(copy, WAI_SECTION_VALUES, &words);
    /* x at a place of its own behind all others, z there, too. */
    const uint32_t place = load(copy + 24);
    store(copy + 24, place + 2048);
    store(values + (x * WAI_FORMAT_VALUE_WORDS + 11) * 4, place);
    store(values + (z * WAI_FORMAT_VALUE_WORDS + 11) * 4, place);
    wai_session *session;
    const wai_status status = wai_session_open(&session, (wai_bytes){copy, size}, NULL, &diag);
    assert_int_equal(status, WAI_ERR_MALFORMED);
    assert_non_null(strstr(diag.message, "two sizes"));
    free(copy);
    wai_package_free(compiled);
}

/* Words of section 6 of `lists`, one after another, each with what must be refused. */
static void test_damaged_lists(void **state) {
    (void)state;
    const maker m = lists();
    wai_package *compiled;
    wai_diag diag;
    assert_int_equal(compile_for(&compiled, &m, (range){1, 12, 0, 0}, &diag), WAI_OK);
    const wai_bytes bytes = wai_package_bytes(compiled);
    const struct {
        uint32_t word, value;
    } damages[] = {
        {0, UINT32_MAX},  {0, 257}, /* symbols */
        {1, 0x7fffffff},            /* a name that is not there */
        {2, 13},                    /* 13 to 12 */
        {3, 0x80000000},            /* beyond any dim */
        {3, 13},                    /* not what the inputs have */
        {4, UINT32_MAX},            /* axes */
        {5, 2},                     /* an input that is not there */
        {6, 1},                     /* an axis of another size */
        {6, 8},           {7, 1},   /* a symbol that is not there */
        {8, 0},                     /* an axis twice */
        {11, UINT32_MAX},           /* formulas */
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        uint32_t words;
        uint8_t *copy = unit_copy(bytes.data, bytes.size);
        store(section_of(copy, WAI_SECTION_DYNAMIC, &words) + 4 * damages[i].word,
              damages[i].value);
        wai_session *session;
        const wai_status status =
            wai_session_open(&session, (wai_bytes){copy, bytes.size}, NULL, &diag);
        if (status != WAI_ERR_MALFORMED) {
            fail_msg("word %u as %u: %s", damages[i].word, damages[i].value,
                     wai_status_name(status));
        }
        assert_string_equal(diag.where, "dynamic");
        free(copy);
    }
    wai_package_free(compiled);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flipped_windows),
        cmocka_unit_test(test_flipped_lists),
        cmocka_unit_test(test_reserves_hide_sizes),
        cmocka_unit_test(test_damaged_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
