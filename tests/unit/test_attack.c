/*
 * Hostile bytes, on every build, under the sanitizers: the bundled model and
 * its package cut at many lengths, with bytes flipped, and with the n-th
 * allocation failing for every n. Nothing may crash or hang, nothing may say
 * INTERNAL, and what opens may be run.
 */
#include "digits.h"

#include "base/arena.h"
#include "package/format.h"
#include "package/seal.h"

static uint8_t *model;
static size_t model_size;
static uint8_t *package;
static size_t package_size;

static int set_up_with(wai_quantize quantize) {
    wai_compile_options options = {.optimize = 1, .quantize = quantize};
    model = unit_file(DIGITS_MODEL, &model_size);
    package = digits_package(&options, &package_size);
    return package == NULL;
}

static int set_up(void **state) {
    (void)state;
    return set_up_with(WAI_QUANTIZE_NONE);
}

/* Constants stored as f16 take another way through the reader. */
static int set_up_half(void **state) {
    (void)state;
    return set_up_with(WAI_QUANTIZE_F16);
}

static int tear_down(void **state) {
    (void)state;
    free(model);
    free(package);
    return 0;
}

/* A failure must have a status that is not our bug, and a sentence. */
static void assert_refused(wai_status status, const wai_diag *diag) {
    assert_int_not_equal(status, WAI_OK);
    assert_int_not_equal(status, WAI_ERR_INTERNAL);
    assert_int_equal(diag->status, status);
    assert_int_not_equal(diag->message[0], 0);
}

static wai_status open_and_run(const uint8_t *data, size_t size, wai_diag *diag) {
    wai_session *session;
    wai_status status = wai_session_open(&session, (wai_bytes){data, size}, NULL, diag);
    if (status != WAI_OK) {
        assert_null(session);
        return status;
    }
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        wai_tensor input;
        assert_int_equal(wai_session_input(session, i, &input), WAI_OK);
        memset(input.data, 0, input.size);
    }
    status = wai_session_run(session, diag);
    wai_session_close(session);
    return status;
}

static wai_status compile_and_run(const uint8_t *data, size_t size, wai_diag *diag) {
    wai_package *compiled;
    wai_compile_options options = {.optimize = 1, .limits = {64u << 20}};
    wai_status status = wai_compile(&compiled, (wai_bytes){data, size}, &options, diag);
    if (status == WAI_OK) {
        wai_bytes bytes = wai_package_bytes(compiled);
        status = open_and_run(bytes.data, bytes.size, diag);
        wai_package_free(compiled);
    } else {
        assert_null(compiled);
    }
    return status;
}

/* Every length near the ends, every 37th between (a prime, so that all kinds
 * of places are met). */
static size_t next_length(size_t length, size_t size) {
    return length < 600 || length + 600 > size ? length + 1 : length + 37;
}

static void test_onnx_cut(void **state) {
    (void)state;
    for (size_t length = 0; length < model_size; length = next_length(length, model_size)) {
        uint8_t *cut = unit_copy(model, length);
        wai_diag diag;
        wai_status status = compile_and_run(cut, length, &diag);
        /* A cut behind the graph may leave a whole model. */
        if (status != WAI_OK) {
            assert_refused(status, &diag);
        }
        free(cut);
    }
}

static void test_onnx_flipped(void **state) {
    (void)state;
    uint32_t random = 1;
    for (int round = 0; round < 1500; round++) {
        uint8_t *changed = unit_copy(model, model_size);
        for (int flips = 0; flips <= round % 3; flips++) {
            /* The first bytes hold the structure: hit them more often. */
            size_t range = round % 2 == 0 ? 1500 : model_size;
            changed[unit_random(&random) % range] = (uint8_t)unit_random(&random);
        }
        wai_diag diag;
        wai_status status = compile_and_run(changed, model_size, &diag);
        if (status != WAI_OK) {
            assert_refused(status, &diag);
        }
        free(changed);
    }
}

static void test_package_runs(void **state) {
    (void)state;
    wai_diag diag;
    assert_int_equal(open_and_run(package, package_size, &diag), WAI_OK);
}

/* No byte is outside the hashes; stating the fuel leaves them right. */
static void test_package_hashes(void **state) {
    (void)state;
    uint8_t *changed = unit_copy(package, package_size);
    const wai_bytes bytes = {changed, package_size};
    wai_diag diag;
    assert_int_equal(wai_package_verify(bytes, &diag), WAI_OK);
    for (size_t at = 0; at < package_size; at = next_length(at, package_size)) {
        changed[at] ^= 0x10;
        wai_status status = wai_package_verify(bytes, &diag);
        assert_refused(status, &diag);
        assert_true(at < WAI_FORMAT_HEADER_SIZE + WAI_FORMAT_ENTRY_SIZE ||
                    status == WAI_ERR_INTEGRITY);
        changed[at] ^= 0x10;
    }
    assert_int_equal(wai_package_state_fuel(changed, package_size, 77, &diag), WAI_OK);
    assert_int_equal(wai_package_verify(bytes, &diag), WAI_OK);
    wai_certificate certificate;
    assert_int_equal(wai_certificate_read(&certificate, bytes, &diag), WAI_OK);
    assert_int_equal(certificate.fuel, 77);
    free(changed);
}

static void test_package_cut(void **state) {
    (void)state;
    for (size_t length = 0; length < package_size; length = next_length(length, package_size)) {
        uint8_t *cut = unit_copy(package, length);
        wai_diag diag;
        assert_refused(open_and_run(cut, length, &diag), &diag);
        free(cut);
    }
}

/* A cut package that claims its own length gets past the first check. */
static void test_package_cut_and_patched(void **state) {
    (void)state;
    for (size_t length = 320; length < package_size; length = next_length(length, package_size)) {
        uint8_t *cut = unit_copy(package, length);
        uint64_t size = length;
        memcpy(cut + 16, &size, sizeof size);
        wai_diag diag;
        assert_refused(open_and_run(cut, length, &diag), &diag);
        free(cut);
    }
}

/* A diag is filled whatever bytes it had before. */
static void test_certificate_says_why(void **state) {
    (void)state;
    wai_certificate certificate;
    wai_diag diag;
    memset(&diag, 0x55, sizeof diag);
    uint8_t *cut = unit_copy(package, 100);
    assert_refused(wai_certificate_read(&certificate, (wai_bytes){cut, 100}, &diag), &diag);
    assert_string_equal(diag.where, "header");
    memset(&diag, 0x55, sizeof diag);
    assert_refused(wai_package_state_fuel(cut, 100, 1, &diag), &diag);
    free(cut);
}

/* Everything before the constants is structure; the reader does not look at
 * the hashes, so each change reaches the checks behind it. */
static size_t section_offset(uint32_t kind) {
    uint64_t offset;
    memcpy(&offset, package + WAI_FORMAT_HEADER_SIZE + (kind - 1) * WAI_FORMAT_ENTRY_SIZE + 8,
           sizeof offset);
    assert_true(offset < package_size);
    return (size_t)offset;
}

static void flip(size_t from, size_t to) {
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    for (size_t at = from; at < to; at++) {
        for (size_t v = 0; v < sizeof values; v++) {
            uint8_t *changed = unit_copy(package, package_size);
            changed[at] = values[v];
            wai_diag diag;
            wai_status status = open_and_run(changed, package_size, &diag);
            if (status != WAI_OK) {
                assert_refused(status, &diag);
            }
            free(changed);
        }
    }
}

static void test_package_flipped(void **state) {
    (void)state;
    flip(0, section_offset(WAI_SECTION_DATA));
}

/* Anywhere, the weights included: a named error, or a run. */
static void test_package_changed_at_random(void **state) {
    (void)state;
    uint32_t random = 9;
    const size_t structure = section_offset(WAI_SECTION_DATA);
    for (int round = 0; round < 10000; round++) {
        uint8_t *changed = unit_copy(package, package_size);
        const size_t range = round % 2 == 0 ? structure : package_size;
        changed[unit_random(&random) % range] = (uint8_t)unit_random(&random);
        wai_diag diag;
        wai_status status = open_and_run(changed, package_size, &diag);
        if (status != WAI_OK) {
            assert_refused(status, &diag);
        }
        free(changed);
    }
}

/* Storage, type and place of every value. */
static void test_values_flipped(void **state) {
    (void)state;
    size_t from = section_offset(WAI_SECTION_VALUES);
    size_t to = section_offset(WAI_SECTION_STEPS);
    flip(from, to);
    for (size_t at = from; at + WAI_FORMAT_VALUE_WORDS * 4 <= to;
         at += WAI_FORMAT_VALUE_WORDS * 4) {
        uint8_t *changed = unit_copy(package, package_size);
        uint8_t *storage = changed + at + (WAI_FORMAT_VALUE_WORDS - 2) * 4;
        assert_in_range(*storage, WAI_STORAGE_CONSTANT, WAI_STORAGE_HALF);
        *storage = *storage == WAI_STORAGE_HALF ? WAI_STORAGE_CONSTANT : WAI_STORAGE_HALF;
        wai_diag diag;
        wai_status status = open_and_run(changed, package_size, &diag);
        if (status != WAI_OK) {
            assert_refused(status, &diag);
        }
        free(changed);
    }
}

/* ---- the n-th allocation fails ---- */

typedef struct failing {
    size_t left;
    long live;
} failing;

static void *failing_alloc(void *context, size_t size, size_t align) {
    failing *f = context;
    if (f->left == 0) {
        return NULL;
    }
    f->left--;
    f->live++;
    return wai_malloc_allocator.alloc(NULL, size, align);
}

static void failing_free(void *context, void *pointer) {
    failing *f = context;
    f->live--;
    wai_malloc_allocator.free(NULL, pointer);
}

static void test_open_without_memory(void **state) {
    (void)state;
    for (size_t n = 0;; n++) {
        failing f = {n, 0};
        wai_allocator allocator = {&f, failing_alloc, failing_free};
        wai_options options = {.allocator = &allocator};
        wai_session *session;
        wai_diag diag;
        wai_status status =
            wai_session_open(&session, (wai_bytes){package, package_size}, &options, &diag);
        wai_session_close(session);
        assert_int_equal(f.live, 0);
        if (status == WAI_OK) {
            assert_true(n > 5);
            return;
        }
        assert_int_equal(status, WAI_ERR_MEMORY);
    }
}

static void test_compile_without_memory(void **state) {
    (void)state;
    for (size_t n = 0;; n = n < 50 ? n + 1 : n + 1 + n / 20) {
        failing f = {n, 0};
        wai_allocator allocator = {&f, failing_alloc, failing_free};
        wai_compile_options options = {.optimize = 1, .allocator = &allocator};
        wai_package *compiled;
        wai_diag diag;
        wai_status status = wai_compile(&compiled, (wai_bytes){model, model_size}, &options, &diag);
        wai_package_free(compiled);
        assert_int_equal(f.live, 0);
        if (status == WAI_OK) {
            assert_true(n > 5);
            return;
        }
        assert_int_equal(status, WAI_ERR_MEMORY);
    }
}

/* Dead after failure is tested where a run can fail: tests/unit/test_session.c. */

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_package_runs),
        cmocka_unit_test(test_package_hashes),
        cmocka_unit_test(test_package_cut),
        cmocka_unit_test(test_certificate_says_why),
        cmocka_unit_test(test_package_cut_and_patched),
        cmocka_unit_test(test_package_flipped),
        cmocka_unit_test(test_package_changed_at_random),
        cmocka_unit_test(test_open_without_memory),
        cmocka_unit_test(test_compile_without_memory),
        cmocka_unit_test(test_onnx_cut),
        cmocka_unit_test(test_onnx_flipped),
    };
    const struct CMUnitTest half_tests[] = {
        cmocka_unit_test(test_package_runs),
        cmocka_unit_test(test_package_hashes),
        cmocka_unit_test(test_values_flipped),
        cmocka_unit_test(test_open_without_memory),
    };
    int failures = cmocka_run_group_tests(tests, set_up, tear_down);
    return failures + cmocka_run_group_tests(half_tests, set_up_half, tear_down);
}
