#include "passes/view.h"

#include <math.h>
#include <string.h>

wai_view wai_view_whole(wai_value *value) {
    wai_view v = {.base = value, .rank = value->type.rank, .scale = 1};
    size_t strides[WAI_MAX_RANK];
    wai_type_strides(&value->type, strides);
    for (uint32_t i = 0; i < v.rank; i++) {
        v.dims[i] = value->type.dims[i];
        v.stride[i] = strides[i];
    }
    return v;
}

bool wai_view_has_strides(const wai_view *view, const uint64_t *stride) {
    for (uint32_t i = 0; i < view->rank; i++) {
        if (view->dims[i] != 1 && view->stride[i] != stride[i]) {
            return false;
        }
    }
    return true;
}

bool wai_view_is_whole(const wai_view *view) {
    uint64_t stride[WAI_MAX_RANK], count = 1;
    for (uint32_t i = view->rank; i-- > 0; count *= view->dims[i]) {
        stride[i] = count;
    }
    return view->offset == 0 && view->scale == 1 && count == wai_type_count(&view->base->type) &&
           wai_view_has_strides(view, stride);
}

/* Takes axes from the end of both until they hold as many elements: those of the view
 * must lie behind each other, and are split as `dims` say. Ones count for nothing. */
bool wai_view_reshape(wai_view *view, uint32_t rank, const uint32_t *dims) {
    wai_view out = *view;
    uint32_t i = view->rank, k = rank;
    out.rank = rank;
    memcpy(out.dims, dims, rank * sizeof *dims);
    while (i > 0 || k > 0) {
        uint64_t have = 1, wanted = 1, first = 0;
        while (i > 0 && have == 1) {
            i--;
            have = view->dims[i];
            first = view->stride[i];
        }
        const uint64_t step = first;
        while (have != wanted) {
            const bool more = wanted < have;
            if ((more ? k : i) == 0 || have == 0) {
                return false;
            }
            if (more) {
                k--;
                out.stride[k] = step * wanted;
                wanted *= dims[k];
            } else {
                i--;
                if (view->dims[i] != 1 && view->stride[i] != step * have) {
                    return false;
                }
                have *= view->dims[i];
            }
        }
        while (i == 0 && k > 0 && dims[k - 1] == 1) {
            out.stride[--k] = 0;
        }
        if (i == 0 && k > 0 && have == 1) {
            return false;
        }
    }
    *view = out;
    return true;
}

void wai_view_transpose(wai_view *view, const wai_transpose_params *p) {
    const wai_view from = *view;
    for (uint32_t i = 0; i < view->rank; i++) {
        view->dims[i] = from.dims[p->perm[i]];
        view->stride[i] = from.stride[p->perm[i]];
    }
}

static bool apply_slice(wai_view *view, const wai_slice_params *p) {
    for (uint32_t i = 0; i < view->rank; i++) {
        if (p->step[i] != 1) {
            return false;
        }
    }
    for (uint32_t i = 0; i < view->rank; i++) {
        view->offset += p->start[i] * view->stride[i];
        view->dims[i] = p->dims[i];
    }
    return true;
}

/* With one constant index: [..], the axis gone, or [1], a one in its place. */
static bool apply_gather(wai_view *view, const wai_node *node) {
    const uint32_t axis = ((const wai_gather_params *)node->params)->axis;
    const wai_value *index = node->in[1];
    double number;
    if (index->type.rank > 1 || wai_type_count(&index->type) != 1 ||
        !wai_pass_uniform(index, &number)) {
        return false;
    }
    number += number < 0 ? view->dims[axis] : 0;
    if (number < 0 || number >= view->dims[axis]) {
        return false;
    }
    view->offset += (uint64_t)number * view->stride[axis];
    view->dims[axis] = 1;
    if (index->type.rank == 0) {
        view->rank--;
        for (uint32_t i = axis; i < view->rank; i++) {
            view->dims[i] = view->dims[i + 1];
            view->stride[i] = view->stride[i + 1];
        }
    }
    return true;
}

/* Times or through one number. */
static bool apply_scale(wai_view *view, const wai_node *node) {
    const uint32_t kind = ((const wai_binary_params *)node->params)->kind;
    float number;
    if ((kind != WAI_BINARY_MUL && kind != WAI_BINARY_DIV) ||
        !wai_pass_scalar(node->in[1], &number) ||
        !wai_type_equal(&node->in[0]->type, &node->out[0]->type)) {
        return false;
    }
    const float scale = kind == WAI_BINARY_MUL ? view->scale * number : view->scale / number;
    view->scale = isfinite(scale) ? scale : view->scale;
    return isfinite(scale);
}

bool wai_view_apply(wai_view *view, const wai_node *node) {
    const wai_type *out = &node->out[0]->type;
    if (node->op == &wai_op_reshape) {
        return wai_view_reshape(view, out->rank, out->dims);
    }
    if (node->op == &wai_op_transpose) {
        wai_view_transpose(view, node->params);
        return true;
    }
    if (node->op == &wai_op_slice) {
        return apply_slice(view, node->params);
    }
    if (node->op == &wai_op_gather) {
        return apply_gather(view, node);
    }
    return node->op == &wai_op_binary && apply_scale(view, node);
}

#define MOST 12u /* nodes that are looked through */

wai_view wai_view_of(wai_value *value) {
    const wai_node *nodes[MOST];
    wai_value *first = value;
    uint32_t count = 0;
    while (count < MOST && first->producer != NULL && first->producer->out_count == 1) {
        const wai_node *node = first->producer;
        if (node->op != &wai_op_reshape && node->op != &wai_op_transpose &&
            node->op != &wai_op_slice && node->op != &wai_op_gather && node->op != &wai_op_binary) {
            break;
        }
        nodes[count++] = node;
        first = node->in[0];
    }
    wai_view view = wai_view_whole(first);
    while (count > 0) {
        const wai_node *node = nodes[--count];
        if (!wai_view_apply(&view, node)) {
            view = wai_view_whole(node->out[0]);
        }
    }
    return view;
}
