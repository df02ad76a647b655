/* registry.c - the table of operators, from ops.def. A runtime linked for models
 * (harness/toolchain/link_runtime.mjs) has a shorter ops.def first on the
 * include path. */
#include "ops/op.h"

#define WAI_OP(id, symbol)                                                                         \
    extern const wai_op wai_op_##symbol;                                                           \
    extern const wai_kernel wai_op_##symbol##_kernel;
#include "ops/ops.def"
#undef WAI_OP

static const wai_op_row rows[] = {
#define WAI_OP(id, symbol) {id, &wai_op_##symbol, &wai_op_##symbol##_kernel},
#include "ops/ops.def"
#undef WAI_OP
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

const wai_op_row *wai_op_by_id(uint32_t id) {
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].id == id) {
            return &rows[i];
        }
    }
    return NULL;
}

const wai_op_row *wai_op_find(const wai_op *op) {
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].op == op) {
            return &rows[i];
        }
    }
    return NULL;
}
