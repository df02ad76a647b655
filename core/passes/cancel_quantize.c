/*
 * cancel_quantize: numbers that come off the grid and go onto the same one
 * again. (q - zero) * scale / scale, rounded twice, is within 2^-6 of q - zero
 * as long as no step leaves the range of normal floats, so it rounds to q.
 */
#include <string.h>

#include "ops/quantize.h"
#include "passes/pass.h"

/* The same bytes, known now, or both absent. */
static bool same_constant(const wai_value *a, const wai_value *b) {
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return wai_value_is_constant(a) && wai_value_is_constant(b) && a->type.dtype == b->type.dtype &&
           wai_type_count(&a->type) == wai_type_count(&b->type) &&
           memcmp(a->data, b->data, wai_type_size(&a->type)) == 0;
}

/* Products with whole numbers below 2^17 stay normal. */
static bool harmless(const wai_value *scale) {
    const float *values = scale->data;
    for (size_t i = 0; i < wai_type_count(&scale->type); i++) {
        const float size = values[i] < 0 ? -values[i] : values[i];
        if (!(size > 0x1p-100f && size < 0x1p100f)) {
            return false;
        }
    }
    return true;
}

static bool same_grid(const wai_node *off, const wai_node *on) {
    const wai_dequantize_params *from = off->params;
    const wai_quantize_params *to = on->params;
    const wai_value *zero_off = off->in_count > 2 ? off->in[2] : NULL;
    const wai_value *zero_on = on->in_count > 2 ? on->in[2] : NULL;
    if (!wai_type_equal(&off->in[0]->type, &on->out[0]->type) ||
        !same_constant(off->in[1], on->in[1]) || !same_constant(zero_off, zero_on) ||
        !harmless(on->in[1])) {
        return false;
    }
    if (wai_quantize_per_tensor(&on->in[1]->type)) {
        return wai_quantize_per_tensor(&off->in[1]->type);
    }
    return wai_type_equal(&off->in[1]->type, &on->in[1]->type) && from->axis == to->axis &&
           from->block_size == to->block_size;
}

wai_status wai_pass_cancel_quantize(wai_graph *graph) {
    wai_node *next;
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK; node = next) {
        next = node->next;
        const wai_node *before = node->op == &wai_op_quantize
                                     ? wai_pass_producer(node->in[0], &wai_op_dequantize)
                                     : NULL;
        if (before != NULL && same_grid(before, node)) {
            wai_pass_replace(graph, node, before->in[0]);
        }
    }
    return wai_pass_dead_code(graph);
}
