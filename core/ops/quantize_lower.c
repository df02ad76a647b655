/* ONNX QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear. */
#include <math.h>

#include "base/limits.h"
#include "ops/lowering.h"
#include "ops/quantize.h"

/* `axis` and `block_size`, which say nothing about a single scale. */
static bool read_grain(wai_lower *l, const wai_value *x, const wai_value *scale, uint32_t *axis,
                       uint32_t *block_size) {
    int64_t given = wai_attr_int(l, "axis", 1);
    *block_size = wai_lower_dim(l, wai_attr_int(l, "block_size", 0), "block_size");
    *axis = 0;
    if (wai_lower_failed(l)) {
        return false;
    }
    if (wai_quantize_per_tensor(&scale->type)) {
        *block_size = 0;
    } else {
        *axis = wai_lower_axis(l, given, x->type.rank);
    }
    return !wai_lower_failed(l);
}

/* One element has dims [] with one exporter, [1] with the next. */
static wai_value *like_scale(wai_lower *l, wai_value *zero, const wai_value *scale) {
    return zero != NULL && scale != NULL && wai_type_count(&zero->type) == 1 &&
                   wai_quantize_per_tensor(&scale->type)
               ? wai_emit_reshape(l->graph, zero, scale->type.rank, scale->type.dims)
               : zero;
}

/* ---- 8-bit floats: no arithmetic of their own, so by elementwise operators ---- */

/* The scale or zero point so that it broadcasts to x. */
static wai_value *spread(wai_lower *l, wai_value *value, const wai_value *x, uint32_t axis,
                         uint32_t block_size) {
    if (wai_lower_failed(l)) {
        return NULL;
    }
    if (wai_type_count(&value->type) == 1) {
        return wai_emit_reshape(l->graph, value, 0, NULL);
    }
    if (block_size != 0 || value->type.rank != 1) {
        WAI_LOWER_DECLINE(l, "%s of 8-bit floats in blocks", l->op_type);
        return NULL;
    }
    const uint32_t dims[WAI_MAX_RANK] = {value->type.dims[0], 1, 1, 1, 1, 1, 1, 1};
    return wai_emit_reshape(l->graph, value, x->type.rank - axis, dims);
}

/* round(x / scale + zero), or (x - zero) * scale. */
static wai_value *scale_floats(wai_lower *l, wai_value *x, wai_value *scale, wai_value *zero,
                               uint32_t axis, uint32_t block_size, bool down) {
    wai_graph *g = l->graph;
    scale = spread(l, scale, x, axis, block_size);
    zero = zero != NULL ? spread(l, zero, x, axis, block_size) : NULL;
    if (down) {
        x = wai_emit_binary(g, WAI_BINARY_DIV, x, scale);
        return zero != NULL ? wai_emit_binary(g, WAI_BINARY_ADD, x, zero) : x;
    }
    x = zero != NULL ? wai_emit_binary(g, WAI_BINARY_SUB, x, zero) : x;
    return wai_emit_binary(g, WAI_BINARY_MUL, x, scale);
}

static bool is_float8(wai_dtype dtype) {
    return dtype >= WAI_F8E4M3FN && dtype <= WAI_F8E5M2FNUZ;
}

/* ---- ONNX ---- */

void wai_lower_quantize_linear(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *scale = wai_lower_input(l, 1);
    wai_value *zero = wai_lower_optional(l, 2);
    int64_t wanted = wai_attr_int(l, "output_dtype", 0);
    wai_attr_ignore(l, "saturate"); /* about float8 only */
    wai_quantize_params p = {.dtype = WAI_U8};
    if (!read_grain(l, x, scale, &p.axis, &p.block_size)) {
        return;
    }
    wai_dtype given = zero != NULL  ? wai_lower_declared(l, 2)
                      : wanted != 0 ? wai_lower_dtype(l, wanted)
                                    : WAI_U8;
    if (is_float8(given)) {
        x = scale_floats(l, x, scale, zero, p.axis, p.block_size, true);
        l->out[0] = wai_lower_cast_to(l, x, given);
        return;
    }
    if (wanted != 0 && wai_lower_dtype(l, wanted) != given && !wai_lower_failed(l)) {
        WAI_LOWER_REFUSE(l, "output_dtype is %s, the zero point %s",
                         wai_dtype_name(wai_lower_dtype(l, wanted)), wai_dtype_name(given));
    }
    p.dtype = wai_dtype_computed(given);
    wai_value *in[] = {x, scale, like_scale(l, zero, scale)};
    l->out[0] = wai_emit(l->graph, &wai_op_quantize, &p, in, 3);
    if (given == WAI_U4 || given == WAI_I4) {
        l->out[0] = wai_lower_4_bits(l, l->out[0], given);
    }
}

void wai_lower_dequantize_linear(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *scale = wai_lower_input(l, 1);
    wai_value *zero = wai_lower_optional(l, 2);
    wai_dequantize_params p = {0};
    if (!read_grain(l, x, scale, &p.axis, &p.block_size)) {
        return;
    }
    if (is_float8(wai_lower_declared(l, 0))) {
        l->out[0] = scale_floats(l, x, scale, zero, p.axis, p.block_size, false);
        return;
    }
    wai_value *in[] = {x, scale, like_scale(l, zero, scale)};
    l->out[0] = wai_emit(l->graph, &wai_op_dequantize, &p, in, 3);
}

/*
 * To u8 by the range of x itself, 0 included. As the specification's function
 * body: where all of x is 0, so are scale and zero point.
 */
void wai_lower_dynamic_quantize_linear(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.dtype != WAI_F32) {
        WAI_LOWER_REFUSE(l, "DynamicQuantizeLinear of %s", wai_dtype_name(x->type.dtype));
        return;
    }
    wai_graph *g = l->graph;
    const uint32_t axes = (1u << x->type.rank) - 1;
    wai_value *min = wai_emit_reduce(g, WAI_REDUCE_MIN, x, axes, false);
    wai_value *max = wai_emit_reduce(g, WAI_REDUCE_MAX, x, axes, false);
    min = wai_emit_clamp(g, min, -INFINITY, 0);
    max = wai_emit_clamp(g, max, 0, INFINITY);
    wai_value *scale =
        wai_emit_binary(g, WAI_BINARY_DIV, wai_emit_binary(g, WAI_BINARY_SUB, max, min),
                        wai_emit_scalar_f32(g, 255));
    wai_value *zero = wai_emit_binary(g, WAI_BINARY_SUB, wai_emit_scalar_f32(g, 0),
                                      wai_emit_binary(g, WAI_BINARY_DIV, min, scale));
    /* Rounds and saturates; NaN, of 0 / 0, gives 0. */
    const wai_quantize_params p = {.dtype = WAI_U8};
    wai_value *of_zero[] = {zero, wai_emit_scalar_f32(g, 1)};
    zero = wai_emit(g, &wai_op_quantize, &p, of_zero, 2);
    wai_value *of_x[] = {x, scale, zero};
    l->out[0] = wai_emit(g, &wai_op_quantize, &p, of_x, 3);
    wai_value *further[] = {NULL, scale, zero};
    for (uint32_t i = 1; i < l->out_count && i < 3; i++) {
        l->out[i] = further[i];
    }
}

wai_value *wai_emit_requantize(wai_graph *g, wai_value *sums, wai_value *scale, wai_value *zero) {
    if (sums == NULL || scale == NULL || zero == NULL) {
        return NULL;
    }
    if (wai_type_count(&zero->type) != 1) {
        wai_graph_fail(g, WAI_ERR_UNSUPPORTED, "an output with %zu zero points",
                       wai_type_count(&zero->type));
        return NULL;
    }
    const uint32_t rank = sums->type.rank;
    wai_value *real;
    if (wai_quantize_per_tensor(&scale->type) ||
        (scale->type.rank == 1 && rank != 0 && scale->type.dims[0] == sums->type.dims[rank - 1])) {
        const wai_dequantize_params p = {.axis = rank != 0 ? rank - 1 : 0};
        wai_value *in[] = {sums, scale};
        real = wai_emit(g, &wai_op_dequantize, &p, in, 2);
    } else {
        real = wai_emit_binary(g, WAI_BINARY_MUL, wai_emit_cast(g, sums, WAI_F32), scale);
    }
    const wai_quantize_params p = {.dtype = zero->type.dtype};
    wai_value *in[] = {real, wai_emit_scalar_f32(g, 1), wai_emit_reshape(g, zero, 0, NULL)};
    return wai_emit(g, &wai_op_quantize, &p, in, 3);
}
