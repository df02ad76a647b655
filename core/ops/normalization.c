/* ONNX BatchNormalization and InstanceNormalization, by elementwise operators. */
#include "onnx/lower.h"
#include "ops/emit.h"

/* `value`, one element per channel, with 1 for every other axis. False after
 * a failure. */
static bool per_channel(wai_lower *l, wai_value **value, const wai_value *x, uint32_t axis,
                        const char *what) {
    if (wai_lower_failed(l)) {
        return false;
    }
    const uint32_t channels = x->type.dims[axis];
    if ((*value)->type.rank != 1 || (*value)->type.dims[0] != channels) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "%s is %s, expected [%u]", what, wai_type_text(&(*value)->type, text),
                         channels);
        return false;
    }
    uint32_t dims[WAI_MAX_RANK];
    for (uint32_t i = 0; i < x->type.rank; i++) {
        dims[i] = i == axis ? channels : 1;
    }
    *value = wai_emit_reshape(l->graph, *value, x->type.rank, dims);
    return !wai_lower_failed(l);
}

static wai_value *emit_root(wai_lower *l, wai_value *variance, float epsilon) {
    wai_graph *g = l->graph;
    variance = wai_emit_binary(g, WAI_BINARY_ADD, variance, wai_emit_scalar_f32(g, epsilon));
    return wai_emit_unary(g, WAI_UNARY_SQRT, 0, 0, variance);
}

/* running * momentum + batch * (1 - momentum) */
static wai_value *emit_running(wai_lower *l, wai_value *running, wai_value *batch, float momentum) {
    wai_graph *g = l->graph;
    running = wai_emit_binary(g, WAI_BINARY_MUL, running, wai_emit_scalar_f32(g, momentum));
    batch = wai_emit_binary(g, WAI_BINARY_MUL, batch, wai_emit_scalar_f32(g, 1 - momentum));
    return wai_emit_binary(g, WAI_BINARY_ADD, running, batch);
}

/*
 * Mean and variance of x itself instead of those given: training_mode, and what
 * PyTorch exports for a layer without running statistics. Outputs 1 and 2 are the
 * running ones after this batch.
 */
static void batch_statistics(wai_lower *l, wai_value *x, wai_value **mean, wai_value **variance) {
    wai_graph *g = l->graph;
    const float momentum = wai_attr_float(l, "momentum", 0.9f);
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t axis = x->type.rank > 1 ? 1 : 0, channels = x->type.dims[axis];
    const uint32_t axes = ((1u << x->type.rank) - 1) & ~(1u << axis);
    wai_value *kept = wai_emit_reduce(g, WAI_REDUCE_MEAN, x, axes, true);
    wai_value *centered = wai_emit_binary(g, WAI_BINARY_SUB, x, kept);
    wai_value *square = wai_emit_binary(g, WAI_BINARY_MUL, centered, centered);
    wai_value *own[] = {wai_emit_reshape(g, kept, 1, &channels),
                        wai_emit_reduce(g, WAI_REDUCE_MEAN, square, axes, false)};
    wai_value *given[] = {*mean, *variance};
    for (uint32_t i = 0; i < 2; i++) {
        if (wai_lower_wants(l, 1 + i)) {
            l->out[1 + i] = emit_running(l, given[i], own[i], momentum);
        }
    }
    *mean = own[0];
    *variance = own[1];
}

/* y = x * factor + offset; both fold when the statistics are constants. */
void wai_lower_batch_normalization(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0), *scale = wai_lower_input(l, 1);
    wai_value *bias = wai_lower_input(l, 2), *mean = wai_lower_input(l, 3);
    wai_value *variance = wai_lower_input(l, 4);
    const float epsilon = wai_attr_float(l, "epsilon", 1e-5f);
    wai_attr_ignore(l, "momentum");
    bool training = l->opset < 7 ? wai_attr_int(l, "is_test", 0) == 0
                                 : wai_attr_int(l, "training_mode", 0) != 0;
    const bool own = training && l->opset >= 14;
    for (uint32_t i = 1; i < 5; i++) {
        training = training || wai_lower_wants(l, i);
    }
    if (training && !own) {
        WAI_LOWER_DECLINE(l, "BatchNormalization in training mode before opset 14");
    }
    if (wai_attr_int(l, "spatial", 1) == 0) {
        WAI_LOWER_DECLINE(l, "BatchNormalization with spatial = 0");
    }
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.rank < 1 || x->type.dtype != WAI_F32) {
        WAI_LOWER_DECLINE(l, "BatchNormalization of %s, rank %u", wai_dtype_name(x->type.dtype),
                          x->type.rank);
        return;
    }
    if (own) {
        batch_statistics(l, x, &mean, &variance);
    }
    const uint32_t axis = x->type.rank > 1 ? 1 : 0;
    wai_value *factor = wai_emit_binary(g, WAI_BINARY_DIV, scale, emit_root(l, variance, epsilon));
    wai_value *offset =
        wai_emit_binary(g, WAI_BINARY_SUB, bias, wai_emit_binary(g, WAI_BINARY_MUL, mean, factor));
    if (!per_channel(l, &factor, x, axis, "scale") || !per_channel(l, &offset, x, axis, "bias")) {
        return;
    }
    x = wai_emit_binary(g, WAI_BINARY_MUL, x, factor);
    l->out[0] = wai_emit_binary(g, WAI_BINARY_ADD, x, offset);
}

/* Mean and variance over the spatial axes of each image and channel. */
void wai_lower_instance_normalization(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0), *scale = wai_lower_input(l, 1);
    wai_value *bias = wai_lower_input(l, 2);
    const float epsilon = wai_attr_float(l, "epsilon", 1e-5f);
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.rank < 3 || x->type.dtype != WAI_F32) {
        WAI_LOWER_DECLINE(l, "InstanceNormalization of %s, rank %u", wai_dtype_name(x->type.dtype),
                          x->type.rank);
        return;
    }
    /* It stands between convolutions: channels last, as they are. */
    const uint32_t last = x->type.rank - 1, axes = (1u << last) - 2;
    x = wai_emit_channels_last(g, x);
    if (!per_channel(l, &scale, x, last, "scale") || !per_channel(l, &bias, x, last, "bias")) {
        return;
    }
    wai_value *mean = wai_emit_reduce(g, WAI_REDUCE_MEAN, x, axes, true);
    wai_value *centered = wai_emit_binary(g, WAI_BINARY_SUB, x, mean);
    wai_value *square = wai_emit_binary(g, WAI_BINARY_MUL, centered, centered);
    wai_value *variance = wai_emit_reduce(g, WAI_REDUCE_MEAN, square, axes, true);
    /* scale / root is one number per image and channel: dividing the whole
     * image by the root would cost more. */
    wai_value *factor = wai_emit_binary(g, WAI_BINARY_DIV, scale, emit_root(l, variance, epsilon));
    x = wai_emit_binary(g, WAI_BINARY_MUL, centered, factor);
    x = wai_emit_binary(g, WAI_BINARY_ADD, x, bias);
    l->out[0] = wai_emit_channels_first(g, x);
}
