/* Outputs have one NaN, and the package's section of golden outputs is read as what anybody may
 * have written. */

#include "onnx_build.h"
#include "package/format.h"
#include "runtime/canonical.h"
#include "wasmai_compile.h"

/* ---- NaNs ---- */

#define CHECK(dtype, type, nan, ...)                                                               \
    {                                                                                              \
        type in[] = {__VA_ARGS__};                                                                 \
        const size_t half = sizeof in / sizeof in[0] / 2;                                          \
        wai_canonical_nans(dtype, in, sizeof in);                                                  \
        type kept[] = {__VA_ARGS__};                                                               \
        for (size_t i = 0; i < half; i++) {                                                        \
            assert_true(in[i] == kept[i]);                                                         \
            assert_true(in[half + i] == (type)(nan));                                              \
        }                                                                                          \
    }

/* Numbers that stay, then as many NaNs. */
static void test_one_nan(void **state) {
    (void)state;
    CHECK(WAI_F32, uint32_t, 0x7fc00000, 0x7f800000, 0xff800000, 0x80000000, 1, 0x7f800001,
          0xff800001, 0xffc00000, 0x7fffffff)
    CHECK(WAI_F64, uint64_t, 0x7ff8000000000000, 0x7ff0000000000000, 0xfff0000000000000,
          0x8000000000000000, 0x7ff0000000000001, 0xfff8000000000000, 0xffffffffffffffff)
    CHECK(WAI_F16, uint16_t, 0x7e00, 0x7c00, 0xfc00, 0x8000, 0x7c01, 0xfe00, 0xffff)
    CHECK(WAI_BF16, uint16_t, 0x7fc0, 0x7f80, 0xff80, 0x8000, 0x7f81, 0xffc0, 0xffff)
    CHECK(WAI_F8E4M3FN, uint8_t, 0x7f, 0x7e, 0xff & 0xfe, 0x7f, 0xff)
    CHECK(WAI_F8E5M2, uint8_t, 0x7f, 0x7c, 0xfc, 0x80, 0x7d, 0xfe, 0xff)
    uint8_t only[] = {0x80, 0x7f, 0xff, 0};
    wai_canonical_nans(WAI_F8E4M3FNUZ, only, sizeof only);
    wai_canonical_nans(WAI_F8E5M2FNUZ, only, sizeof only);
    wai_canonical_nans(WAI_U8, only, sizeof only);
    assert_memory_equal(only, ((uint8_t[]){0x80, 0x7f, 0xff, 0}), sizeof only);
}

/* ---- section 7 ---- */

#define ROWS 3

/* x f32[3, 2] -> y = -x, z = x + x: room for one case. */
static wai_package *small_package(void) {
    const int64_t dims[] = {ROWS, 2};
    msg graph = {{0}, 0};
    msg nodes[] = {onnx_node("n", "Neg", "x", "y"), onnx_node("a", "Add", "x x", "z")};
    msg io[] = {onnx_io("x", 1, 2, dims), onnx_io("y", 1, 2, dims), onnx_io("z", 1, 2, dims)};
    for (int i = 0; i < 2; i++) {
        msg_put(&graph, GRAPH_NODE, &nodes[i]);
        msg_put(&graph, GRAPH_OUTPUT, &io[1 + i]);
    }
    msg_put(&graph, GRAPH_INPUT, &io[0]);
    msg model = onnx_model(&graph, 13);
    wai_package *package;
    wai_diag diag;
    if (wai_compile(&package, (wai_bytes){model.data, model.size}, NULL, &diag) != WAI_OK) {
        fail_msg("%s: %s", diag.where, diag.message);
    }
    return package;
}

#define CASE_WORDS (1 + 2 + 2 * (2 + 12))

/* A section with one case whose digests are `fill`. */
static void make_case(uint32_t words[3 + CASE_WORDS], uint32_t fill) {
    const uint32_t head[] = {WAI_GOLDEN_VERSION, 7, 1, 0, ROWS, 2};
    memset(words, (int)fill, 4 * (3 + CASE_WORDS));
    memcpy(words, head, sizeof head);
}

static wai_status state_and_open(const uint32_t *words, size_t size, wai_diag *diag) {
    wai_package *package = small_package();
    const wai_bytes bytes = wai_package_bytes(package);
    uint8_t *copy = unit_copy(bytes.data, bytes.size);
    const wai_bytes golden = {(const uint8_t *)words, size};
    wai_status status = wai_package_state_golden(copy, bytes.size, golden, diag);
    if (status == WAI_OK) {
        wai_session *session;
        status = wai_session_open(&session, (wai_bytes){copy, bytes.size}, NULL, diag);
        wai_session_close(session);
    }
    free(copy);
    wai_package_free(package);
    return status;
}

static void test_stated(void **state) {
    (void)state;
    uint32_t words[3 + CASE_WORDS];
    wai_diag diag;
    make_case(words, 0xab);
    assert_int_equal(state_and_open(words, sizeof words, &diag), WAI_OK);
    const char why[] = "\1\0\0\0\0\0\0\0\0\0\0\0there is none";
    uint32_t text[8] = {0};
    memcpy(text, why, sizeof why);
    assert_int_equal(state_and_open(text, sizeof text, &diag), WAI_OK);
    static const uint32_t more[64] = {1};
    assert_int_equal(state_and_open(more, sizeof more, &diag), WAI_ERR_ARGUMENT);
}

/* One word of a section that is good: what must be refused. */
static void test_damaged(void **state) {
    (void)state;
    const struct {
        uint32_t word, value;
    } damages[] = {
        {0, 0},        {0, 2},          /* another version */
        {2, 2},        {2, UINT32_MAX}, /* more cases than there are */
        {2, 0},                         /* a text that is none */
        {3, 3},                         /* an unknown fill */
        {4, ROWS + 1}, {5, UINT32_MAX}, /* dims that the input does not take */
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        uint32_t words[3 + CASE_WORDS];
        wai_diag diag;
        make_case(words, 0xab);
        words[damages[i].word] = damages[i].value;
        if (state_and_open(words, sizeof words, &diag) != WAI_ERR_MALFORMED) {
            fail_msg("word %u as %u is not refused", damages[i].word, damages[i].value);
        }
        assert_string_equal(diag.where, "golden");
    }
}

/* A section of any size in front of the digest; the room that the compiler left is all zeros. */
static void test_cut(void **state) {
    (void)state;
    wai_package *package = small_package();
    const wai_bytes bytes = wai_package_bytes(package);
    const size_t entry =
        WAI_FORMAT_HEADER_SIZE + (WAI_SECTION_GOLDEN - 1) * WAI_FORMAT_ENTRY_SIZE + 16;
    uint32_t size;
    memcpy(&size, bytes.data + entry, 4);
    for (uint32_t left = 0; left < size; left++) {
        const uint32_t whole = (uint32_t)bytes.size - (size - left);
        uint8_t *copy = unit_copy(bytes.data, whole);
        memcpy(copy + entry, &left, 4);
        memcpy(copy + 16, &whole, 4);
        wai_session *session;
        wai_diag diag;
        const wai_status status = wai_session_open(&session, (wai_bytes){copy, whole}, NULL, &diag);
        assert_int_equal(status, left < WAI_GOLDEN_HEADER ? WAI_ERR_MALFORMED : WAI_OK);
        wai_session_close(session);
        free(copy);
    }
    wai_package_free(package);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_nan),
        cmocka_unit_test(test_stated),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
