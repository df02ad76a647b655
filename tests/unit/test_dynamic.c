/* Symbolic dims: every dim of a range against a package of that dim, what does not
 * fit, memory, and packages that lie about it. */
#include "dynamic.h"

#include "base/arena.h"
#include "base/limits.h"
#include "package/format.h"
#include "tensor/formula.h"

/* ---- formulas ---------------------------------------------------------------- */

static wai_formula formula_of(int32_t constant, int32_t factor, uint32_t divisor, int32_t offset) {
    wai_formula f = {.constant = constant,
                     .divisor = divisor,
                     .offset = offset,
                     .least = INT32_MIN,
                     .most = INT32_MAX};
    memset(f.terms, 0, sizeof f.terms);
    for (uint32_t t = 0; t < WAI_FORMULA_TERMS; t++) {
        for (uint32_t i = 0; i < WAI_FORMULA_FACTORS; i++) {
            f.terms[t].dims[i] = (wai_dim_of){WAI_NO_VALUE, 0};
        }
    }
    f.terms[0].factor = factor;
    f.terms[0].dims[0] = (wai_dim_of){0, 1};
    return f;
}

static void test_formulas(void **state) {
    (void)state;
    wai_type types[] = {{.dtype = WAI_F32, .rank = 2, .dims = {3, 10}},
                        {.dtype = WAI_F32, .rank = 1, .dims = {WAI_MAX_DIM}}};
    int32_t got = 0;
    wai_formula f = formula_of(5, 2, 1, 0);
    assert_true(wai_formula_is_valid(&f, 1));
    assert_true(wai_formula_evaluate(&f, types, &got));
    assert_int_equal(got, 25);
    f = formula_of(0, -1, 3, 0); /* down, not to zero */
    assert_true(wai_formula_evaluate(&f, types, &got));
    assert_int_equal(got, -4);
    f = formula_of(0, 1, 4, 100);
    assert_true(wai_formula_evaluate(&f, types, &got));
    assert_int_equal(got, 102);
    f = formula_of(0, 1, 4 | WAI_FORMULA_EXACT, 0);
    assert_true(wai_formula_is_valid(&f, 1));
    assert_false(wai_formula_evaluate(&f, types, &got));
    f = formula_of(2, 1, 4 | WAI_FORMULA_EXACT, 0);
    assert_true(wai_formula_evaluate(&f, types, &got));
    assert_int_equal(got, 3);
    f = formula_of(1, -1, 2, 0); /* what -10 leaves modulo 4 is 2 */
    f.modulus = 4;
    assert_true(wai_formula_evaluate(&f, types, &got));
    assert_int_equal(got, 1);
    f = formula_of(1, 1, 1, 0); /* an axis past the rank is 0 */
    f.terms[0].dims[0] = (wai_dim_of){0, 7};
    assert_true(wai_formula_evaluate(&f, types, &got));
    assert_int_equal(got, 1);
    f = formula_of(0, 1, 1, 0); /* three large dims leave any integer */
    for (uint32_t i = 0; i < WAI_FORMULA_FACTORS; i++) {
        f.terms[0].dims[i] = (wai_dim_of){1, 0};
    }
    assert_false(wai_formula_evaluate(&f, types, &got));
    f = formula_of(1, INT32_MIN, 1, 0);
    assert_false(wai_formula_evaluate(&f, types, &got));
}

static void test_formulas_that_name_nothing(void **state) {
    (void)state;
    wai_formula f = formula_of(0, 1, 1, 0);
    assert_false(wai_formula_is_valid(&f, 0));
    f.divisor = 0;
    assert_false(wai_formula_is_valid(&f, 1));
    f.divisor = WAI_FORMULA_EXACT;
    assert_false(wai_formula_is_valid(&f, 1));
    f = formula_of(0, 1, 1, 0);
    f.terms[2].dims[2] = (wai_dim_of){0, WAI_MAX_RANK};
    assert_false(wai_formula_is_valid(&f, 1));
}

/* ---- every dim of a range ---------------------------------------------------- */

static maker pooled(const char *op, int64_t kernel, int64_t stride, int64_t pad, bool ceil_mode) {
    maker m = {0};
    GIVE(&m, "x", FLOAT, 1, 2, -1, 9);
    msg node = onnx_node("p", op, "x", "p");
    ATTR_INTS(&node, "kernel_shape", kernel, 2);
    ATTR_INTS(&node, "strides", stride, 3);
    ATTR_INTS(&node, "pads", pad, 0, pad, 1);
    onnx_attr_int(&node, "ceil_mode", ceil_mode);
    put(&m, &node);
    want(&m, "p", FLOAT);
    return m;
}

static void test_windows(void **state) {
    (void)state;
    for (int64_t stride = 1; stride <= 5; stride++) {
        for (int ceil_mode = 0; ceil_mode < 2; ceil_mode++) {
            maker m = pooled("MaxPool", 3, stride, 1, ceil_mode != 0);
            check_range(&m, (range){1, 40, 0, 0});
        }
    }
    maker m = pooled("AveragePool", 4, 3, 2, true);
    check_range(&m, (range){1, 40, 0, 0});
}

static maker same_conv(const char *pad, int64_t stride, int64_t kernel) {
    maker m = {0};
    GIVE(&m, "x", FLOAT, 1, 2, -1, 7);
    hold_floats(&m, "w", 4, (int64_t[]){3, 2, kernel, 3});
    msg node = onnx_node("c", "Conv", "x w", "c");
    ATTR_INTS(&node, "strides", stride, 1);
    attr_text(&node, "auto_pad", pad);
    put(&m, &node);
    want(&m, "c", FLOAT);
    return m;
}

/* The pads of an even dim are others than those of an odd one: primes alone do not
 * show it. */
static void test_same_pads(void **state) {
    (void)state;
    for (int64_t stride = 1; stride <= 4; stride++) {
        for (int64_t kernel = 1; kernel <= 5; kernel++) {
            maker m = same_conv(kernel % 2 != 0 ? "SAME_UPPER" : "SAME_LOWER", stride, kernel);
            check_range(&m, (range){1, 40, 0, 0});
        }
    }
}

/* Windows behind windows, which reach over the end: what the last ones see changes
 * slowly. */
static void test_chained_windows(void **state) {
    (void)state;
    maker m = {0};
    GIVE(&m, "x", FLOAT, 1, 1, -1, 2);
    const char *from = "x", *const names[] = {"p", "q", "r"};
    for (int64_t i = 0; i < 3; i++) {
        msg node = onnx_node(names[i], i == 1 ? "AveragePool" : "MaxPool", from, names[i]);
        ATTR_INTS(&node, "kernel_shape", 2 + i, 1);
        ATTR_INTS(&node, "strides", 4 - i, 1);
        if (i == 1) {
            attr_text(&node, "auto_pad", "SAME_LOWER");
        } else {
            onnx_attr_int(&node, "ceil_mode", 1);
        }
        put(&m, &node);
        from = names[i];
    }
    want(&m, "r", FLOAT);
    check_range(&m, (range){100, 300, 0, 0});
}

/* x[:, : n / 2], x[:, n / 2 :], and how many those are. */
static void test_halves(void **state) {
    (void)state;
    maker m = {0};
    GIVE(&m, "x", FLOAT, 3, -1);
    HOLD(&m, "one", 1);
    HOLD(&m, "two", 2);
    HOLD(&m, "zero", 0);
    HOLD(&m, "far", INT64_MAX);
    add(&m, "Shape", "x", "shape");
    add(&m, "Gather", "shape one", "n");
    add(&m, "Div", "n two", "half");
    add(&m, "Slice", "x zero half one", "low");
    add(&m, "Slice", "x half far one", "high");
    add(&m, "Neg", "low", "turned");
    msg node = onnx_node("both", "Concat", "high turned", "both");
    onnx_attr_int(&node, "axis", 1);
    put(&m, &node);
    want(&m, "both", FLOAT);
    want(&m, "half", INT64);
    check_range(&m, (range){0, 33, 0, 0});
}

/* Equal parts only: odd numbers do not fit, and the session goes on. */
static void test_equal_parts(void **state) {
    (void)state;
    maker m = {.opset = 13};
    GIVE(&m, "x", FLOAT, 2, -1);
    msg node = onnx_node("split", "Split", "x", "a b");
    onnx_attr_int(&node, "axis", 1);
    put(&m, &node);
    add(&m, "Sub", "a b", "y");
    want(&m, "y", FLOAT);
    check_range(&m, (range){2, 20, 0, 0});
}

static void test_two_symbols(void **state) {
    (void)state;
    maker m = {0};
    GIVE(&m, "x", FLOAT, -1, 4);
    GIVE(&m, "y", FLOAT, 4, -2);
    GIVE(&m, "z", FLOAT, -1, 1);
    HOLD(&m, "flat", -1);
    add(&m, "MatMul", "x y", "xy");
    add(&m, "Add", "xy z", "sum");
    add(&m, "Reshape", "sum flat", "line");
    msg node = onnx_node("s", "Softmax", "sum", "s");
    onnx_attr_int(&node, "axis", 0);
    put(&m, &node);
    want(&m, "line", FLOAT);
    want(&m, "s", FLOAT);
    check_range(&m, (range){0, 6, 1, 7});
}

/* ---- counts that only values know -------------------------------------------- */

static void test_counts(void **state) {
    (void)state;
    maker m = {0};
    GIVE(&m, "x", FLOAT, -1, 3);
    GIVE(&m, "k", INT64, 1); /* 0 to 2 */
    add(&m, "Relu", "x", "above");
    add(&m, "NonZero", "above", "places");
    HOLD(&m, "zero", 0);
    add(&m, "Gather", "places zero", "rows");
    HOLD(&m, "flat", -1);
    add(&m, "Reshape", "rows flat", "list");
    add(&m, "Gather", "x list", "taken");
    msg unique = onnx_node("u", "Unique", "list", "names - back");
    put(&m, &unique);
    add(&m, "Gather", "x names", "once");
    msg top = onnx_node("t", "TopK", "x k", "best where");
    onnx_attr_int(&top, "axis", 0);
    put(&m, &top);
    want(&m, "taken", FLOAT);
    want(&m, "once", FLOAT);
    want(&m, "back", INT64);
    want(&m, "best", FLOAT);
    want(&m, "places", INT64);
    check_range(&m, (range){3, 17, 0, 0});
}

/* ---- what does not fit -------------------------------------------------------- */

static void test_refused_dims(void **state) {
    (void)state;
    maker m = {0};
    GIVE(&m, "x", FLOAT, -1, 2);
    GIVE(&m, "y", FLOAT, -1, 2);
    add(&m, "Add", "x y", "z");
    want(&m, "z", FLOAT);
    wai_package *package;
    wai_session *session = open_for(&package, &m, (range){2, 9, 0, 0}, NULL);
    wai_diag diag;
    const uint32_t outside[][2] = {{1, 2}, {10, 2}, {0, 2}, {UINT32_MAX, 2}, {5, 3}, {5, 0}};
    check_point(session, &m, 7, 0);
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        assert_int_equal(wai_session_resize(session, 1, outside[i], &diag), WAI_ERR_ARGUMENT);
        assert_string_equal(diag.where, "y");
        assert_non_null(strstr(diag.message, "axis"));
    }
    assert_int_equal(wai_session_resize(session, 2, outside[0], &diag), WAI_ERR_ARGUMENT);
    assert_int_equal(wai_session_resize(session, 0, (uint32_t[]){4, 2}, &diag), WAI_OK);
    assert_int_equal(wai_session_run(session, &diag), WAI_ERR_ARGUMENT);
    assert_non_null(strstr(diag.message, "n is 7"));
    check_point(session, &m, 4, 0);
    check_point(session, &m, 9, 0);
    wai_session_close(session);
    wai_package_free(package);
}

/* ---- memory ------------------------------------------------------------------- */

typedef struct counted {
    uint32_t left; /* allocations that still succeed                        */
    bool closed;   /* no more calls at all                                  */
    uint32_t blocks;
} counted;

static void *counted_alloc(void *context, size_t size, size_t align) {
    counted *c = context;
    assert_false(c->closed);
    if (c->left == 0) {
        return NULL;
    }
    c->left--;
    c->blocks++;
    return wai_malloc_allocator.alloc(NULL, size, align);
}

static void counted_free(void *context, void *pointer) {
    counted *c = context;
    assert_false(c->closed);
    c->blocks--;
    wai_malloc_allocator.free(NULL, pointer);
}

static maker attention(void) {
    maker m = {0};
    GIVE(&m, "x", FLOAT, -1, 8);
    hold_floats(&m, "w", 2, (int64_t[]){8, 8});
    add(&m, "MatMul", "x w", "q");
    add(&m, "Transpose", "x", "t");
    add(&m, "MatMul", "q t", "scores");
    add(&m, "Softmax", "scores", "s");
    add(&m, "MatMul", "s x", "mix");
    add(&m, "Add", "mix x", "sum");
    add(&m, "Relu", "sum", "y");
    add(&m, "NonZero", "y", "places");
    want(&m, "y", FLOAT);
    want(&m, "places", INT64);
    return m;
}

static void test_run_allocates_nothing(void **state) {
    (void)state;
    counted c = {UINT32_MAX, false, 0};
    const wai_allocator allocator = {&c, counted_alloc, counted_free};
    maker m = attention();
    wai_package *package;
    wai_session *session = open_for(&package, &m, (range){1, 60, 0, 0}, &allocator);
    wai_diag diag;
    c.closed = true;
    for (uint32_t n = 1; n <= 60; n++) {
        assert_int_equal(resize_to(session, n * 7 % 60 + 1, 0, &diag), WAI_OK);
        fill_inputs(session, n);
        assert_int_equal(wai_session_run(session, &diag), WAI_OK);
    }
    c.closed = false;
    wai_session_close(session);
    assert_int_equal(c.blocks, 0);
    wai_package_free(package);
}

static void test_open_without_memory(void **state) {
    (void)state;
    maker m = attention();
    wai_package *package;
    wai_diag diag;
    assert_int_equal(compile_for(&package, &m, (range){1, 20, 0, 0}, &diag), WAI_OK);
    wai_status status = WAI_ERR_MEMORY;
    for (uint32_t n = 0; status != WAI_OK; n++) {
        counted c = {n, false, 0};
        const wai_allocator allocator = {&c, counted_alloc, counted_free};
        const wai_options options = {.allocator = &allocator};
        wai_session *session;
        status = wai_session_open(&session, wai_package_bytes(package), &options, &diag);
        if (status != WAI_OK) {
            assert_int_equal(status, WAI_ERR_MEMORY);
            assert_null(session);
        }
        wai_session_close(session);
        assert_int_equal(c.blocks, 0);
        assert_true(n < 500);
    }
    wai_package_free(package);
}

/* ---- a cache that grows ------------------------------------------------------- */

static void test_growing_cache(void **state) {
    (void)state;
    maker m = {0};
    GIVE(&m, "past", FLOAT, 1, -1, 3);
    GIVE(&m, "x", FLOAT, 1, 1, 3);
    msg join = onnx_node("present", "Concat", "past x", "present");
    onnx_attr_int(&join, "axis", 1);
    put(&m, &join);
    msg sum = onnx_node("sum", "ReduceSum", "present", "sum");
    onnx_attr_int(&sum, "keepdims", 0);
    put(&m, &sum);
    want(&m, "present", FLOAT);
    want(&m, "sum", FLOAT);
    wai_package *package;
    wai_session *session = open_for(&package, &m, (range){0, 12, 0, 0}, NULL);
    wai_diag diag;
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(resize_to(session, 0, 0, &diag), WAI_OK);
        float wanted = 0;
        for (uint32_t n = 0; n <= 12; n++) {
            wai_tensor tensor;
            assert_int_equal(wai_session_input(session, 1, &tensor), WAI_OK);
            for (uint32_t i = 0; i < 3; i++) {
                ((float *)tensor.data)[i] = (float)(n + i);
                wanted += (float)(n + i);
            }
            assert_int_equal(wai_session_run(session, &diag), WAI_OK);
            assert_int_equal(wai_session_output(session, 1, &tensor), WAI_OK);
            assert_true(*(float *)tensor.data == wanted);
            const wai_status carried =
                wai_session_carry(session, (uint32_t[]){0, WAI_NO_OUTPUT}, &diag);
            assert_int_equal(carried, n < 12 ? WAI_OK : WAI_ERR_ARGUMENT); /* 13 rows */
        }
    }
    wai_session_close(session);
    wai_package_free(package);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_formulas_that_name_nothing),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_same_pads),
        cmocka_unit_test(test_chained_windows),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_equal_parts),
        cmocka_unit_test(test_two_symbols),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_refused_dims),
        cmocka_unit_test(test_run_allocates_nothing),
        cmocka_unit_test(test_open_without_memory),
        cmocka_unit_test(test_growing_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
