#include "onnx/list.h"

#include <string.h>

#include "base/limits.h"

const wai_list *wai_list_of(const wai_value *value) {
    return value != NULL && value->type.dtype == 0 ? (const wai_list *)value : NULL;
}

static wai_list *make(wai_graph *g, uint32_t count) {
    wai_list *list = wai_arena_array(g->arena, 1, sizeof *list);
    wai_value **items = wai_arena_array(g->arena, count + 1u, sizeof *items);
    if (list == NULL || items == NULL) {
        wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
        return NULL;
    }
    *list = (wai_list){.count = count, .items = items};
    return list;
}

wai_value *wai_list_make(wai_graph *g, wai_value *const *items, uint32_t count) {
    if (count > WAI_MAX_OPERANDS) {
        wai_graph_fail(g, WAI_ERR_LIMIT, "a sequence has more than %u elements", WAI_MAX_OPERANDS);
    }
    wai_list *list = g->status == WAI_OK ? make(g, count) : NULL;
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        list->items[i] = items[i];
        if (wai_list_of(items[i]) != NULL) {
            wai_graph_fail(g, WAI_ERR_UNSUPPORTED, "sequences of sequences are not supported");
            return NULL;
        }
        if (items[i]->type.dtype != items[0]->type.dtype) {
            wai_graph_fail(g, WAI_ERR_MALFORMED, "a sequence of %s takes no %s",
                           wai_dtype_name(items[0]->type.dtype),
                           wai_dtype_name(items[i]->type.dtype));
            return NULL;
        }
    }
    return list != NULL ? &list->value : NULL;
}

wai_value *wai_list_absent(wai_graph *g) {
    wai_list *list = g->status == WAI_OK ? make(g, 0) : NULL;
    if (list == NULL) {
        return NULL;
    }
    list->absent = true;
    return &list->value;
}

const wai_list *wai_lower_list(wai_lower *l, uint32_t index) {
    const wai_value *value = wai_lower_input(l, index);
    const wai_list *list = wai_list_of(value);
    if (!wai_lower_failed(l) && (list == NULL || list->absent)) {
        WAI_LOWER_REFUSE(l, "input %u of %s is %s, not a sequence", index, l->op_type,
                         list == NULL ? "a tensor" : "an optional without a value");
        return NULL;
    }
    return list;
}
