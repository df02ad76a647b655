#include "passes/pass.h"

#include <string.h>

const wai_pass wai_passes[] = {
#define WAI_PASS(name, always) {#name, wai_pass_##name, always},
#include "passes/passes.def"
#undef WAI_PASS
};

const size_t wai_pass_count = sizeof wai_passes / sizeof wai_passes[0];

void wai_pass_at(wai_graph *graph, wai_node *node) {
    graph->cursor = node;
    graph->scope = node != NULL ? node->name : NULL;
    graph->guard = node != NULL ? node->guard : NULL;
}

void wai_pass_replace(wai_graph *graph, wai_node *node, wai_value *to) {
    if (to == NULL || graph->status != WAI_OK) {
        return;
    }
    if (to->name == NULL && to->producer != NULL) {
        to->name = node->out[0]->name;
    }
    wai_value_replace(graph, node->out[0], to);
    wai_graph_remove(graph, node);
}

wai_node *wai_pass_producer(const wai_value *value, const wai_op *op) {
    return value != NULL && value->producer != NULL && value->producer->op == op ? value->producer
                                                                                 : NULL;
}

static bool read_number(wai_dtype dtype, const void *data, double *number) {
    switch (dtype) {
    case WAI_F32:
        *number = *(const float *)data;
        return true;
    case WAI_I8:
        *number = *(const int8_t *)data;
        return true;
    case WAI_U8:
        *number = *(const uint8_t *)data;
        return true;
    case WAI_I16:
        *number = *(const int16_t *)data;
        return true;
    case WAI_U16:
        *number = *(const uint16_t *)data;
        return true;
    case WAI_I32:
        *number = *(const int32_t *)data;
        return true;
    case WAI_U32:
        *number = *(const uint32_t *)data;
        return true;
    case WAI_I64:
        *number = (double)*(const int64_t *)data;
        return true;
    case WAI_U64:
        *number = (double)*(const uint64_t *)data;
        return true;
    default:
        return false;
    }
}

bool wai_pass_uniform(const wai_value *value, double *number) {
    if (!wai_value_is_constant(value)) {
        return false;
    }
    size_t element = wai_dtype_size(value->type.dtype);
    size_t size = wai_type_size(&value->type);
    const uint8_t *data = value->data;
    /* All elements are equal if the bytes are equal to themselves shifted. */
    return size != 0 && memcmp(data, data + element, size - element) == 0 &&
           read_number(value->type.dtype, data, number);
}

bool wai_pass_scalar(const wai_value *value, float *number) {
    if (!wai_value_is_constant(value) || value->type.dtype != WAI_F32 ||
        wai_type_count(&value->type) != 1) {
        return false;
    }
    memcpy(number, value->data, sizeof *number);
    return true;
}

bool wai_pass_fits(const wai_node *node, const void *params, wai_value *in0) {
    const wai_type *in[8];
    wai_type out;
    if (node->in_count == 0 || node->in_count > 8 || node->out_count != 1) {
        return false;
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        in[i] = node->in[i] != NULL ? &node->in[i]->type : NULL;
    }
    in[0] = &in0->type;
    wai_signature signature = {params, in, node->in_count, &out, 1, node->name, NULL};
    return node->op->infer(&signature) == WAI_OK && wai_type_equal(&out, &node->out[0]->type);
}

bool wai_pass_keeps_bytes(const wai_type *type, const uint32_t *perm) {
    uint32_t previous = 0;
    bool rising = true;
    for (uint32_t i = 0; i < type->rank; i++) {
        if (type->dims[i] == 0) {
            return true;
        }
        if (type->dims[perm[i]] != 1) {
            rising = rising && perm[i] >= previous;
            previous = perm[i];
        }
    }
    return rising;
}

wai_node *wai_pass_behind(const wai_value *value, bool same_last) {
    if (wai_value_use_count(value) != 1) {
        return NULL;
    }
    const wai_node *reshape = wai_pass_producer(value, &wai_op_reshape);
    if (reshape == NULL) {
        return value->producer;
    }
    const wai_type *from = &reshape->in[0]->type;
    const wai_type *to = &value->type;
    bool same =
        from->rank != 0 && to->rank != 0 && from->dims[from->rank - 1] == to->dims[to->rank - 1];
    return wai_value_use_count(reshape->in[0]) == 1 && (same || !same_last)
               ? reshape->in[0]->producer
               : NULL;
}
