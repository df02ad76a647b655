/*
 * fuse_one_hot: fully_connected of a one-hot row is a row of a table:
 *
 *   fully_connected(cast(x[...,1] == [0, 1, ... n-1]), w, bias)
 *   -> table[min(max(x, -1), n) + 1]
 *
 * An x outside 0..n-1 makes a row of zeros, hence the bias alone as the table's
 * first and last row. The same bits: every other product is 0.
 */
#include <math.h>
#include <string.h>

#include "passes/pass.h"

/* Whether `value` is 0, 1, ... n-1 along the last axis. */
static bool counts_up(const wai_value *value, uint32_t n) {
    const wai_type *type = &value->type;
    if (!wai_value_is_constant(value) || type->rank == 0 || type->dims[type->rank - 1] != n ||
        wai_type_count(type) != n) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        int64_t number;
        if (type->dtype == WAI_I64) {
            number = ((const int64_t *)value->data)[i];
        } else if (type->dtype == WAI_I32) {
            number = ((const int32_t *)value->data)[i];
        } else {
            return false;
        }
        if (number != i) {
            return false;
        }
    }
    return true;
}

/* x of value = f32(x == [0, ... n-1]), of dims [..., 1]. */
static wai_value *one_hot_of(const wai_value *value, uint32_t n) {
    const wai_node *cast = wai_pass_producer(value, &wai_op_cast);
    const wai_node *equal = cast != NULL ? wai_pass_producer(cast->in[0], &wai_op_compare) : NULL;
    if (equal == NULL || ((const wai_compare_params *)equal->params)->kind != WAI_COMPARE_EQUAL) {
        return NULL;
    }
    for (uint32_t i = 0; i < 2; i++) {
        wai_value *x = equal->in[i];
        const uint32_t last = value->type.rank - 1;
        if (counts_up(equal->in[1 - i], n) && x->type.rank == value->type.rank &&
            x->type.dims[last] == 1 &&
            memcmp(x->type.dims, value->type.dims, last * sizeof *x->type.dims) == 0) {
            return x;
        }
    }
    return NULL;
}

static float clamped(float y, const wai_fully_connected_params *p) {
    y = y < p->min ? p->min : y;
    return y > p->max ? p->max : y;
}

/* [n + 2][out]; NULL if a weight is not finite, whose product with 0 counts. */
static wai_value *table_of(wai_graph *graph, const wai_node *node) {
    const wai_fully_connected_params *p = node->params;
    const uint32_t n = p->in_features, out = p->out_features;
    const float *w = node->in[1]->data;
    const float *bias = node->in_count > 2 && node->in[2] != NULL ? node->in[2]->data : NULL;
    const wai_type type = wai_type_make(WAI_F32, 2, (uint32_t[]){n + 2, out});
    float *table =
        wai_type_is_valid(&type)
            ? wai_arena_alloc(graph->arena, wai_slot_size((size_t)(n + 2) * out * sizeof *table))
            : NULL;
    for (uint32_t j = 0; table != NULL && j < out; j++) {
        const float none = bias != NULL ? bias[j] : 0.0f;
        table[j] = table[(size_t)(n + 1) * out + j] = clamped(none, p);
        for (uint32_t i = 0; i < n; i++) {
            const float weight = w[(size_t)j * n + i];
            if (!isfinite(weight)) {
                return NULL;
            }
            table[(size_t)(i + 1) * out + j] = clamped(none + weight, p);
        }
    }
    return table != NULL ? wai_graph_constant(graph, &type, table, node->in[1]->name) : NULL;
}

static wai_value *fuse(wai_graph *graph, wai_node *node) {
    const wai_fully_connected_params *p = node->params;
    const bool raw =
        p->packed == 0 && wai_value_is_constant(node->in[1]) &&
        (node->in_count < 3 || node->in[2] == NULL || wai_value_is_constant(node->in[2]));
    wai_value *x = raw ? one_hot_of(node->in[0], p->in_features) : NULL;
    wai_value *table = x != NULL ? table_of(graph, node) : NULL;
    if (table == NULL) {
        return NULL;
    }
    const wai_dtype dtype = x->type.dtype;
    const wai_value *shape = node->in[0];
    x = wai_emit_binary(graph, WAI_BINARY_MAX, x, wai_emit_scalar(graph, dtype, -1));
    x = wai_emit_binary(graph, WAI_BINARY_MIN, x, wai_emit_scalar(graph, dtype, p->in_features));
    x = wai_emit_binary(graph, WAI_BINARY_ADD, x, wai_emit_scalar(graph, dtype, 1));
    x = wai_emit_reshape(graph, x, shape->type.rank - 1, shape->type.dims);
    const wai_gather_params gather = {0};
    return wai_emit(graph, &wai_op_gather, &gather, (wai_value *[]){table, x}, 2);
}

wai_status wai_pass_fuse_one_hot(wai_graph *graph) {
    wai_node *next;
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK; node = next) {
        next = node->next;
        if (node->op == &wai_op_fully_connected) {
            wai_pass_at(graph, node);
            wai_pass_replace(graph, node, fuse(graph, node));
        }
    }
    graph->cursor = NULL;
    return wai_pass_dead_code(graph);
}
