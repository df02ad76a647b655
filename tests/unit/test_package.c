/*
 * Each check of the package reader by itself: bytes that only this check refuses,
 * in its own words. test_attack.c throws everything at all of them together.
 */
#include "digits.h"

#include "package/format.h"

#define VALUE_BYTES (WAI_FORMAT_VALUE_WORDS * 4)

static uint8_t *package;
static size_t package_size;
static uint8_t *changed; /* of one test */

static int open_bench(void **state) {
    (void)state;
    package = digits_package(NULL, &package_size);
    return package == NULL;
}

static int close_bench(void **state) {
    (void)state;
    free(package);
    return 0;
}

static int begin(void **state) {
    (void)state;
    changed = unit_copy(package, package_size);
    return 0;
}

static int end(void **state) {
    (void)state;
    free(changed);
    return 0;
}

static uint32_t get(size_t at) {
    uint32_t word;
    memcpy(&word, changed + at, sizeof word);
    return word;
}

static void put(size_t at, uint32_t word) {
    memcpy(changed + at, &word, sizeof word);
}

static size_t entry(uint32_t kind) {
    return WAI_FORMAT_HEADER_SIZE + (kind - 1) * WAI_FORMAT_ENTRY_SIZE;
}

static size_t section(uint32_t kind) {
    return get(entry(kind) + 8);
}

static void expect_refused(wai_status expected, const char *why) {
    wai_session *session;
    wai_diag diag = {0};
    wai_status status = wai_session_open(&session, (wai_bytes){changed, package_size}, NULL, &diag);
    wai_session_close(session);
    if (status != expected || strstr(diag.message, why) == NULL) {
        fail_msg("status %d, \"%s\" does not say \"%s\"", status, diag.message, why);
    }
}

static void expect_malformed(const char *why) {
    expect_refused(WAI_ERR_MALFORMED, why);
}

/* The first step: id, name, counts, then lists, then params behind their count. */
enum { STEP_ID, STEP_NAME, STEP_IN_COUNT, STEP_OUT_COUNT, STEP_LISTS };

static size_t step_word(uint32_t word) {
    return section(WAI_SECTION_STEPS) + word * 4;
}

static size_t first_params(void) {
    return step_word(STEP_LISTS + get(step_word(STEP_IN_COUNT)) + get(step_word(STEP_OUT_COUNT)));
}

/* The first value of this storage. */
static size_t value_with(uint32_t storage) {
    size_t at = section(WAI_SECTION_VALUES);
    while (get(at + VALUE_BYTES - 8) != storage) {
        at += VALUE_BYTES;
        assert_true(at < section(WAI_SECTION_STEPS));
    }
    return at;
}

static void test_size(void **state) {
    (void)state;
    put(16, get(16) + 64);
    expect_malformed("truncated or damaged");
}

static void test_sections(void **state) {
    (void)state;
    const size_t at = entry(WAI_SECTION_COUNT) + 16;
    put(at, get(at) + 64);
    expect_malformed("lies outside the package");
}

static void test_cursor(void **state) {
    (void)state;
    /* One output more than the section has records of. */
    put(section(WAI_SECTION_IO) + 4, get(section(WAI_SECTION_IO) + 4) + 1);
    expect_malformed("an input or output is damaged");
}

static void test_names(void **state) {
    (void)state;
    put(step_word(STEP_NAME), (uint32_t)package_size);
    expect_malformed("a step is damaged");
}

static void test_indices(void **state) {
    (void)state;
    const uint32_t count = (uint32_t)((get(entry(WAI_SECTION_VALUES) + 16)) / VALUE_BYTES);
    put(step_word(STEP_LISTS), count);
    expect_malformed("names a value that is not there");
}

static void test_params(void **state) {
    (void)state;
    put(first_params(), get(first_params()) - 1);
    expect_malformed("bytes of params");
}

static void test_places(void **state) {
    (void)state;
    const uint32_t storages[] = {WAI_STORAGE_CONSTANT, WAI_STORAGE_ARENA};
    const char *words[] = {"outside the data section", "outside the arena"};
    for (int i = 0; i < 2; i++) {
        const size_t at = value_with(storages[i]) + VALUE_BYTES - 4;
        const uint32_t before = get(at);
        put(at, 0x7fffffc0);
        expect_malformed(words[i]);
        put(at, before + 4);
        expect_malformed(words[i]);
        put(at, before);
    }
}

static void test_input_is_no_constant(void **state) {
    (void)state;
    const size_t constant = value_with(WAI_STORAGE_CONSTANT) - section(WAI_SECTION_VALUES);
    put(section(WAI_SECTION_IO) + 12, (uint32_t)(constant / VALUE_BYTES));
    expect_malformed("an input or output is damaged");
}

static void test_operator(void **state) {
    (void)state;
    put(step_word(STEP_ID), 0xffff);
    expect_refused(WAI_ERR_UNSUPPORTED, "an operator that this runtime does not have");
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_size),     TEST(test_sections),
        TEST(test_cursor),   TEST(test_names),
        TEST(test_indices),  TEST(test_params),
        TEST(test_places),   TEST(test_input_is_no_constant),
        TEST(test_operator),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
