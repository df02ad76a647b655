#include "ops/lowering.h"

wai_value *wai_lower_compare_of(wai_lower *l, wai_compare_kind kind, wai_value *a, wai_value *b) {
    wai_compare_params p = {kind};
    wai_value *in[] = {a, b};
    return a != NULL && b != NULL ? wai_emit(l->graph, &wai_op_compare, &p, in, 2) : NULL;
}

wai_value *wai_lower_where_of(wai_lower *l, wai_value *condition, wai_value *a, wai_value *b) {
    wai_value *in[] = {condition, a, b};
    return condition != NULL && a != NULL && b != NULL
               ? wai_emit(l->graph, &wai_op_where, NULL, in, 3)
               : NULL;
}

wai_value *wai_lower_part(wai_lower *l, wai_value *x, uint32_t axis, uint32_t start,
                          uint32_t count) {
    if (x == NULL || (start == 0 && count == x->type.dims[axis])) {
        return x;
    }
    wai_slice_params p = {{0}, {0}, {0}};
    for (uint32_t i = 0; i < x->type.rank; i++) {
        p.start[i] = i == axis ? start : 0;
        p.step[i] = 1;
        p.dims[i] = i == axis ? count : x->type.dims[i];
    }
    return wai_emit(l->graph, &wai_op_slice, &p, &x, 1);
}
