/* Passes around quantize and dequantize. */
#include "net.h"

#include "ops/quantize.h"

static wai_value *one(net *n, wai_dtype dtype, int64_t number) {
    return wai_emit_scalar(&n->graph, dtype, number);
}

static wai_value *quantize(net *n, wai_value *x, wai_value *scale, wai_value *zero, uint32_t axis) {
    wai_quantize_params p = {.axis = axis, .dtype = zero->type.dtype};
    wai_value *in[] = {x, scale, zero};
    return wai_emit(&n->graph, &wai_op_quantize, &p, in, 3);
}

static wai_value *dequantize(net *n, wai_value *q, wai_value *scale, wai_value *zero,
                             uint32_t axis) {
    wai_dequantize_params p = {.axis = axis};
    wai_value *in[] = {q, scale, zero};
    return wai_emit(&n->graph, &wai_op_dequantize, &p, in, 3);
}

/* Build twice, run all passes on one, compare; *n is left for counts. */
static void run_passes(net *n, void (*build)(net *n)) {
    net plain;
    net_open(&plain, 1);
    build(&plain);
    net_open(n, 1);
    build(n);
    net_all_passes(n);
    net_run(&plain, 5);
    net_run(n, 5);
    net_compare(&plain, n, 0);
    net_close(&plain);
}

/* ---- what cancel_quantize rests on ------------------------------------------ */

/* Every number of every dtype returns to itself, whatever the scale. */
static void test_round_trip(void **state) {
    (void)state;
    static const struct {
        wai_dtype dtype;
        int32_t low, high;
    } grids[] = {
        {WAI_U8, 0, 255}, {WAI_I8, -128, 127}, {WAI_U16, 0, 65535}, {WAI_I16, -32768, 32767}};
    for (size_t g = 0; g < sizeof grids / sizeof grids[0]; g++) {
        for (uint32_t k = 0; k < 12; k++) {
            net n;
            net_open(&n, k);
            const uint32_t count = (uint32_t)(grids[g].high - grids[g].low + 1);
            wai_type type = wai_type_make(WAI_I32, 1, &count);
            int32_t *all = calloc(count, sizeof *all);
            for (uint32_t i = 0; i < count; i++) {
                all[i] = grids[g].low + (int32_t)i;
            }
            wai_value *q = wai_emit_constant(&n.graph, &type, all);
            free(all);
            q = wai_emit_cast(&n.graph, q, grids[g].dtype);
            float number = (net_number(&n) + 2) * powf(10, (float)k * 5 - 29);
            wai_value *scale = net_scalar(&n, k % 3 == 0 ? -number : number);
            wai_value *zero = one(&n, grids[g].dtype, k % 2 == 0 ? grids[g].low : grids[g].high);
            wai_value *back = quantize(&n, dequantize(&n, q, scale, zero, 0), scale, zero, 0);
            assert_non_null(back->data);
            assert_memory_equal(q->data, back->data, wai_type_size(&q->type));
            net_close(&n);
        }
    }
}

/* ---- cancel_quantize --------------------------------------------------------- */

static void build_pairs(net *n) {
    wai_value *x = net_input(n, NET_DIMS(2, 3, 4, 5));
    wai_value *scale = net_scalar(n, 0.05f), *zero = one(n, WAI_U8, 128);
    wai_value *q = quantize(n, x, scale, zero, 0);
    /* Other objects of the same numbers. */
    q = quantize(n, dequantize(n, q, scale, zero, 0), net_scalar(n, 0.05f), one(n, WAI_U8, 128), 0);
    net_output(n, q);
    float scales[] = {0.5f, 0.25f, 0.125f};
    uint32_t three = 3;
    wai_type type = wai_type_make(WAI_F32, 1, &three), zeros = wai_type_make(WAI_I8, 1, &three);
    wai_value *each = wai_emit_constant(&n->graph, &type, scales);
    wai_value *each_zero = wai_emit_constant(&n->graph, &zeros, "\1\2\3");
    q = quantize(n, x, each, each_zero, 1);
    q = quantize(n, dequantize(n, q, each, each_zero, 1), each, each_zero, 1);
    net_output(n, q);
}

static void test_cancel(void **state) {
    (void)state;
    net n;
    run_passes(&n, build_pairs);
    assert_int_equal(net_count(&n, &wai_op_quantize), 2);
    assert_int_equal(net_count(&n, &wai_op_dequantize), 0);
    net_close(&n);
}

static void build_no_pairs(net *n) {
    wai_value *x = net_input(n, NET_DIMS(3, 3));
    wai_value *scale = net_scalar(n, 0.05f), *zero = one(n, WAI_U8, 100);
    wai_value *tiny = net_scalar(n, 1e-39f), *other = net_scalar(n, 0.06f);
    float scales[] = {0.5f, 0.25f, 0.125f};
    uint32_t three = 3;
    wai_type type = wai_type_make(WAI_F32, 1, &three), zeros = wai_type_make(WAI_U8, 1, &three);
    wai_value *each = wai_emit_constant(&n->graph, &type, scales);
    wai_value *each_zero = wai_emit_constant(&n->graph, &zeros, "ddd");
    wai_value *real = dequantize(n, quantize(n, x, scale, zero, 0), scale, zero, 0);
    net_output(n, quantize(n, real, other, zero, 0));                /* another scale */
    net_output(n, quantize(n, real, scale, one(n, WAI_U8, 99), 0));  /* another zero */
    net_output(n, quantize(n, real, scale, one(n, WAI_I8, 100), 0)); /* another dtype */
    real = dequantize(n, quantize(n, x, tiny, zero, 0), tiny, zero, 0);
    net_output(n, quantize(n, real, tiny, zero, 0)); /* not exact */
    real = dequantize(n, quantize(n, x, each, each_zero, 0), each, each_zero, 0);
    net_output(n, quantize(n, real, each, each_zero, 1)); /* another axis */
    net_output(n, real);                                  /* wanted as it is */
}

static void test_cancel_not(void **state) {
    (void)state;
    net n;
    run_passes(&n, build_no_pairs);
    assert_int_equal(net_count(&n, &wai_op_quantize), 8);
    assert_int_equal(net_count(&n, &wai_op_dequantize), 3);
    net_close(&n);
}

/* ---- layout ------------------------------------------------------------------- */

/* As exporters write it: pairs between convolutions, one grid per channel. */
static void build_body(net *n) {
    wai_value *x = net_input(n, NET_DIMS(1, 4, 9, 9));
    wai_value *scale = net_scalar(n, 0.02f), *zero = one(n, WAI_U8, 100);
    x = net_conv(n, x, 1, 8, 3, 1, 1, true);
    x = dequantize(n, quantize(n, x, scale, zero, 0), scale, zero, 0);
    x = net_conv(n, x, 8, 8, 3, 1, 1, true);
    float scales[8];
    for (uint32_t i = 0; i < 8; i++) {
        scales[i] = 0.01f * (float)(i + 1);
    }
    uint32_t eight = 8;
    wai_type type = wai_type_make(WAI_F32, 1, &eight), zeros = wai_type_make(WAI_I8, 1, &eight);
    wai_value *each = wai_emit_constant(&n->graph, &type, scales);
    wai_value *each_zero = wai_emit_constant(&n->graph, &zeros, "abcdefgh");
    x = dequantize(n, quantize(n, x, each, each_zero, 1), each, each_zero, 1);
    net_output(n, net_conv(n, x, 1, 2, 1, 1, 0, false));
}

static void test_layout(void **state) {
    (void)state;
    net n;
    run_passes(&n, build_body);
    /* In and out only. */
    assert_int_equal(net_count(&n, &wai_op_transpose), 2);
    assert_int_equal(net_count(&n, &wai_op_quantize), 2);
    net_close(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_not),
        cmocka_unit_test(test_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
