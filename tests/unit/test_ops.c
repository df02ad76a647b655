/* Every row of ops.def keeps the promises of ops/op.h: params fully described, sane arity, a
 * kernel that runs, names that agree. */
#include "unit.h"

#include "base/limits.h"
#include "ops/op.h"

#define WAI_OP(id, symbol) {id, #symbol},
static const struct {
    uint32_t id;
    const char *symbol;
} table[] = {
#include "ops/ops.def"
};
#undef WAI_OP

#define ROW_COUNT (sizeof table / sizeof table[0])

static void check_values(const wai_field *field) {
    uint32_t count = 0;
    assert_int_equal(field->kind, WAI_FIELD_U32);
    assert_int_equal(field->count, 1);
    for (uint32_t v = 0; v == 0 || field->values[v] != NULL; v++) {
        assert_true(v < 100);
        for (uint32_t other = 0; other < v && field->values[v] != NULL; other++) {
            if (field->values[other] != NULL) {
                assert_string_not_equal(field->values[other], field->values[v]);
            }
        }
        count += field->values[v] != NULL;
    }
    assert_true(count > 0);
}

/* Fields cover the whole struct, in order, without a gap: whatever writer, reader and dump do not
 * see would be lost. */
static void check_fields(const wai_op *op) {
    uint32_t offset = 0;
    for (uint32_t i = 0; i < op->field_count; i++) {
        const wai_field *field = &op->fields[i];
        assert_non_null(field->name);
        assert_in_range(field->kind, WAI_FIELD_U32, WAI_FIELD_F32);
        assert_int_equal(field->offset, offset);
        assert_in_range(field->count, 1, WAI_MAX_RANK);
        if (field->values != NULL) {
            check_values(field);
        }
        offset += field->count * 4;
        for (uint32_t other = 0; other < i; other++) {
            assert_string_not_equal(op->fields[other].name, field->name);
        }
    }
    assert_int_equal(offset, op->params_size);
}

static void test_rows(void **state) {
    (void)state;
    assert_true(ROW_COUNT >= 24);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const wai_op_row *row = wai_op_by_id(table[i].id);
        assert_non_null(row);
        assert_int_equal(row->id, table[i].id);
        assert_ptr_equal(wai_op_find(row->op), row);
        assert_string_equal(row->op->name, table[i].symbol);
        assert_non_null(row->op->infer);
        assert_non_null(row->kernel);
        assert_non_null(row->kernel->run);
        check_fields(row->op);
    }
    assert_null(wai_op_by_id(0));
    assert_null(wai_op_by_id(UINT32_MAX));
    assert_null(wai_op_find(NULL));
}

static void test_ids_are_unique(void **state) {
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(table[i].id, table[k].id);
            assert_string_not_equal(table[i].symbol, table[k].symbol);
        }
    }
}

static void test_arity(void **state) {
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const wai_op *op = wai_op_by_id(table[i].id)->op;
        assert_true(op->min_in >= 1 && op->min_in <= op->max_in && op->max_in <= WAI_MAX_OPERANDS);
        assert_true(op->min_out >= 1 && op->min_out <= op->max_out);
        assert_true(op->max_out <= WAI_MAX_OPERANDS);
        assert_true(op->max_in >= 32 || op->in_place >> op->max_in == 0);
    }
}

/* Hostile bytes may name required inputs as absent, and set every param to anything. */
static void test_absent_inputs_are_refused(void **state) {
    (void)state;
    static const uint32_t words[] = {0, 1, 2, 0x7fffffff, 0x80000000, UINT32_MAX, 0x7fc00000};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const wai_op *op = wai_op_by_id(table[i].id)->op;
        uint32_t params[64];
        const wai_type *in[WAI_MAX_OPERANDS] = {NULL};
        wai_type out[8];
        assert_true(op->params_size <= sizeof params && op->max_out <= 8);
        for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
            for (size_t k = 0; k < 64; k++) {
                params[k] = words[w];
            }
            wai_diag diag = {0};
            wai_signature s = {params, in, op->min_in, out, op->min_out, "hostile", &diag};
            wai_status status = op->infer(&s);
            assert_true(status == WAI_ERR_MALFORMED || status == WAI_ERR_UNSUPPORTED);
            assert_int_equal(diag.status, status);
            assert_string_equal(diag.where, "hostile");
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_ids_are_unique),
        cmocka_unit_test(test_arity),
        cmocka_unit_test(test_absent_inputs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
