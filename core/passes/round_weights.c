/*
 * round_weights: with --quantize f16, constants that are weights become
 * numbers that a float16 holds; package/write.c then stores them as such, and
 * what is packed from them too. The error per weight is at most 2^-11 of the
 * largest in its tensor (as it is for a float16 of its size, when that is not
 * below 2^-14).
 *
 * Weights are the float32 constants of convolutions and fully connected layers,
 * bias included, since both are packed into one piece, and every other constant
 * of MIN_COUNT elements or more. A tensor stays as it is when its largest
 * number is above what float16 has, or so small that the bound would not hold.
 */
#include <math.h>
#include <string.h>

#include "ops/half.h"
#include "passes/pass.h"

#define MIN_COUNT 64u

#define LARGEST_HALF  65504.0f
#define SMALLEST_HALF 6.103515625e-5f /* 2^-14, the smallest with 11 bits    */

/* Infinities (masks) have their own float16. */
static float largest_finite(const float *numbers, size_t count) {
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        float size = fabsf(numbers[i]);
        largest = size <= 3.4028235e38f && size > largest ? size : largest;
    }
    return largest;
}

static void round_constant(wai_graph *graph, wai_value *value, bool bias) {
    size_t count = wai_type_count(&value->type);
    float largest = largest_finite(value->data, count);
    /* A small bias may lose bits: its error is below 2^-25, that of a float16
     * of any size that matters beside it is above. */
    if (largest > LARGEST_HALF || (largest < SMALLEST_HALF && !bias)) {
        return;
    }
    float *rounded = wai_arena_alloc(graph->arena, wai_slot_size(count * sizeof *rounded));
    if (rounded == NULL) {
        wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
        return;
    }
    const float *numbers = value->data;
    for (size_t i = 0; i < count; i++) {
        rounded[i] = wai_half_to_float(wai_float_to_half(numbers[i]));
    }
    value->data = rounded;
}

static bool is_layer(const wai_op *op) {
    return op == &wai_op_conv2d || op == &wai_op_deconv2d || op == &wai_op_fully_connected;
}

wai_status wai_pass_round_weights(wai_graph *graph) {
    if (!graph->round_weights) {
        return graph->status;
    }
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK;
         node = node->next) {
        for (uint32_t i = 0; i < node->in_count; i++) {
            wai_value *value = node->in[i];
            bool bias = is_layer(node->op) && i == 2;
            if (value != NULL && wai_value_is_constant(value) && value->type.dtype == WAI_F32 &&
                (is_layer(node->op) || wai_type_count(&value->type) >= MIN_COUNT)) {
                round_constant(graph, value, bias);
            }
        }
    }
    return graph->status;
}
