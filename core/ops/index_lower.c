/* Constant index tuples, said with fewer numbers. Compiler only. */
#include "base/limits.h"
#include "ops/emit.h"
#include "ops/index.h"

/* The row-major number of the slice that tuple `n` names, counted in slices;
 * false when an index is out of range. */
static bool slice_of(const wai_operand *indices, size_t n, const wai_type *data, uint32_t *out) {
    const uint32_t tuple = indices->type.dims[indices->type.rank - 1];
    size_t row = 0;
    for (uint32_t k = 0; k < tuple; k++) {
        size_t index;
        if (!wai_index_get(indices, n * tuple + k, data->dims[k], &index)) {
            return false;
        }
        row = row * data->dims[k] + index;
    }
    *out = (uint32_t)row;
    return true;
}

static uint32_t common_divisor(uint32_t a, uint32_t b) {
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

wai_index_rows wai_index_rows_of(wai_graph *g, const wai_value *data, const wai_value *indices) {
    const wai_index_rows none = {0};
    /* With symbolic dims the rows may differ from run to run. */
    if (g->sample != 0 || indices->data == NULL || indices->type.rank < 1 ||
        !wai_index_is(&indices->type)) {
        return none;
    }
    const uint32_t last = indices->type.rank - 1, tuple = indices->type.dims[last];
    const size_t count = wai_dims_product(indices->type.dims, 0, last);
    if (tuple < 1 || tuple > data->type.rank || count == 0 || count > WAI_MAX_DIM / 4 ||
        wai_type_count(&data->type) == 0) {
        return none;
    }
    const wai_operand operand = {indices->type, (void *)(uintptr_t)indices->data, true};
    const uint32_t total = (uint32_t)wai_dims_product(data->type.dims, 0, tuple);
    uint32_t *rows = wai_arena_array(g->arena, count, sizeof *rows);
    if (rows == NULL) {
        wai_graph_fail(g, WAI_ERR_MEMORY, "no memory for %zu indices", count);
        return none;
    }
    /* Every run of neighbours starts and ends at multiples of `run`. */
    uint32_t run = common_divisor(total, (uint32_t)count);
    for (size_t n = 0; n < count; n++) {
        if (!slice_of(&operand, n, &data->type, &rows[n])) {
            return none; /* fails the run, which names it */
        }
        if (n == 0 || rows[n] != rows[n - 1] + 1) {
            run = common_divisor(common_divisor(run, rows[n]), (uint32_t)n);
        }
    }
    wai_index_rows out = {.count = (uint32_t)count / run, .total = total / run};
    for (uint32_t n = 0; n < out.count; n++) {
        rows[n] = rows[(size_t)n * run] / run;
    }
    out.block = run * (uint32_t)wai_dims_product(data->type.dims, tuple, data->type.rank);
    const wai_type type = wai_type_make(WAI_I32, 1, &out.count);
    out.rows = wai_emit_constant(g, &type, rows);
    return out;
}
