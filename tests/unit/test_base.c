/* Bytes: checked sizes, cursor, writer, arena, pool, diag, SHA-384. */
#include "unit.h"

#include "base/arena.h"
#include "base/checked.h"
#include "base/cursor.h"
#include "base/diag.h"
#include "base/limits.h"
#include "base/pool.h"
#include "base/sha384.h"
#include "base/writer.h"

static void test_checked(void **state) {
    (void)state;
    size_t out = 7;
    assert_true(wai_add_size(SIZE_MAX - 1, 1, &out));
    assert_int_equal(out, SIZE_MAX);
    assert_false(wai_add_size(SIZE_MAX, 1, &out));
    assert_int_equal(out, SIZE_MAX); /* left as it was */
    assert_true(wai_mul_size(SIZE_MAX, 0, &out));
    assert_int_equal(out, 0);
    assert_true(wai_mul_size(0, SIZE_MAX, &out));
    assert_false(wai_mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_true(wai_round_size(1, 64, &out));
    assert_int_equal(out, 64);
    assert_true(wai_round_size(64, 64, &out));
    assert_int_equal(out, 64);
    assert_false(wai_round_size(SIZE_MAX - 1, 64, &out));
}

static void test_cursor_sticks(void **state) {
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7};
    wai_cursor c = wai_cursor_make(bytes, sizeof bytes);
    assert_int_equal(wai_cursor_u32(&c), 0x04030201);
    assert_false(c.failed);
    assert_int_equal(wai_cursor_u32(&c), 0);
    assert_true(c.failed);
    assert_null(wai_cursor_bytes(&c, 1)); /* there are three, but it has failed */
}

static void test_writer(void **state) {
    (void)state;
    wai_arena arena;
    wai_arena_init(&arena, NULL, UINT64_MAX);
    wai_writer w = {.arena = &arena};
    for (uint32_t i = 0; i < 10000; i++) {
        wai_write_u32(&w, i);
    }
    wai_write_bytes(&w, "x", 1);
    wai_write_align(&w, 64);
    assert_false(w.failed);
    assert_int_equal(w.size, (40001 + 63) / 64 * 64);
    wai_cursor c = wai_cursor_make(w.data, w.size);
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(wai_cursor_u32(&c), i);
    }
    wai_arena_free(&arena);
}

static void test_arena_limit(void **state) {
    (void)state;
    wai_arena arena;
    wai_arena_init(&arena, NULL, 1 << 20);
    assert_non_null(wai_arena_alloc(&arena, 1));
    assert_int_equal((uintptr_t)wai_arena_alloc(&arena, 64) % WAI_ALIGN, 0);
    assert_non_null(wai_arena_alloc(&arena, 500000));
    assert_null(wai_arena_alloc(&arena, 900000));
    assert_null(wai_arena_alloc(&arena, SIZE_MAX));
    assert_null(wai_arena_array(&arena, SIZE_MAX / 2, 4));
    assert_non_null(wai_arena_alloc(&arena, 0));
    wai_arena_free(&arena);
    assert_int_equal(arena.total, 0);
}

static void test_pool_seal(void **state) {
    (void)state;
    wai_pool pool;
    wai_pool_init(&pool, NULL, 10000);
    uint8_t *block = wai_pool_alloc(&pool, 100);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % WAI_ALIGN, 0);
    for (int i = 0; i < 100 + (int)WAI_SPARE_SIZE; i++) {
        assert_int_equal(block[i], 0);
    }
    assert_null(wai_pool_alloc(&pool, 10000));
    assert_false(pool.violated);
    pool.sealed = true;
    assert_null(wai_pool_alloc(&pool, 1));
    assert_true(pool.violated);
    wai_pool_free(&pool);
}

static void test_diag(void **state) {
    (void)state;
    wai_diag diag;
    wai_diag_clear(&diag);
    assert_int_equal(wai_fail(&diag, WAI_ERR_LIMIT, "no\nde\x80", "%s %u %d %zu %llu %lld %c 100%%",
                              "a\tb", 7u, -8, (size_t)9, 10ull, -11ll, 'z'),
                     WAI_ERR_LIMIT);
    assert_string_equal(diag.where, "no?de?");
    assert_string_equal(diag.message, "a?b 7 -8 9 10 -11 z 100%");
    wai_fail(&diag, WAI_ERR_MEMORY, "later", "later");
    assert_int_equal(diag.status, WAI_ERR_LIMIT); /* the first failure wins */
    wai_diag_clear(&diag);
    char big[1000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    wai_fail(&diag, WAI_ERR_LIMIT, big, "%s", big);
    assert_int_equal(strlen(diag.where), sizeof diag.where - 1);
    assert_int_equal(strlen(diag.message), sizeof diag.message - 1);
    assert_int_equal(wai_fail(NULL, WAI_ERR_STATE, NULL, "no diag"), WAI_ERR_STATE);
    assert_string_equal(wai_status_name(WAI_ERR_INTERNAL), "WAI_ERR_INTERNAL");
    assert_string_equal(wai_status_name((wai_status)99), "WAI_ERR_UNKNOWN");
}

/* FIPS 180-4 examples and the lengths round a block's padding. */
static void test_sha384(void **state) {
    (void)state;
    static const struct {
        const char *text, *hex;
    } rows[] = {
        {"", "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad"
             "2f14898b95b"},
        {"abc", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358"
                "baeca134c825a7"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrl"
         "mnopqrsmnopqrst"
         "nopqrstu",
         "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa9"
         "1746039"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t digest[48];
        char hex[97];
        wai_sha384(digest, rows[i].text, strlen(rows[i].text));
        for (int b = 0; b < 48; b++) {
            snprintf(hex + 2 * b, 3, "%02x", digest[b]);
        }
        assert_string_equal(hex, rows[i].hex);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checked),   cmocka_unit_test(test_cursor_sticks),
        cmocka_unit_test(test_writer),    cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_pool_seal), cmocka_unit_test(test_diag),
        cmocka_unit_test(test_sha384),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
