/* Orders of axes and what lies between them. */
#include <string.h>

#include "passes/layout.h"

const wai_perm wai_perm_as_is = {{0, 1, 2, 3, 4, 5, 6, 7}};

wai_perm wai_perm_inverse(const wai_perm *perm, uint32_t rank) {
    wai_perm result = {{0}};
    for (uint32_t i = 0; i < rank; i++) {
        result.axis[perm->axis[i]] = i;
    }
    return result;
}

wai_perm wai_perm_between(const wai_perm *from, const wai_perm *to, uint32_t rank) {
    wai_perm where = wai_perm_inverse(from, rank);
    wai_perm result = {{0}};
    for (uint32_t i = 0; i < rank; i++) {
        result.axis[i] = where.axis[to->axis[i]];
    }
    return result;
}

bool wai_perm_equal(const wai_perm *a, const wai_perm *b, uint32_t rank) {
    return memcmp(a->axis, b->axis, rank * sizeof a->axis[0]) == 0;
}

uint64_t wai_perm_cost(const wai_type *type, const wai_perm *from, const wai_perm *to) {
    wai_type source = *type;
    for (uint32_t i = 0; i < type->rank; i++) {
        source.dims[i] = type->dims[from->axis[i]];
    }
    wai_perm perm = wai_perm_between(from, to, type->rank);
    return wai_pass_keeps_bytes(&source, perm.axis) ? 0 : wai_type_size(type);
}

bool wai_perm_alike(const wai_type *type, const wai_perm *a, const wai_perm *b) {
    return wai_perm_cost(type, a, b) == 0;
}

wai_perm wai_perm_of(const wai_node *transpose) {
    wai_perm perm = {{0}};
    memcpy(perm.axis, ((const wai_transpose_params *)transpose->params)->perm, sizeof perm.axis);
    return perm;
}
