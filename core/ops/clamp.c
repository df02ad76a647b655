/* clamp.c - f32 between two constants. */
#include <math.h>
#include <pthreadpool.h>
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/vector.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_clamp_params, WAI_FIELD_F32, min),
    WAI_FIELD(wai_clamp_params, WAI_FIELD_F32, max),
};

/* min > max is allowed, as in ONNX: the result is max everywhere. */
static wai_status infer(wai_signature *s) {
    const wai_clamp_params *p = s->params;
    if (s->in[0] == NULL) {
        return WAI_REFUSE(s, "input 0 is absent");
    }
    if (isnan(p->min) || isnan(p->max)) {
        return WAI_REFUSE(s, "%s is NaN", isnan(p->min) ? "min" : "max");
    }
    if (s->in[0]->dtype != WAI_F32) {
        return WAI_DECLINE(s, "clamp of %s is not supported", wai_dtype_name(s->in[0]->dtype));
    }
    s->out[0] = *s->in[0];
    return WAI_OK;
}

const wai_op wai_op_clamp = {
    .name = "clamp",
    .params_size = sizeof(wai_clamp_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1u << 0,
    .infer = infer,
};

/* XNNPACK's vclamp is as fast and turns NaN into min. */
/* A task of pthreadpool: `count` elements from `first` on. */
static void clamp_piece(const wai_step *step, size_t first, size_t count) {
    const wai_clamp_params *p = step->params;
    const float *in = (const float *)step->in[0].data + first;
    float *out = (float *)step->out[0].data + first;
    float min = p->min, max = p->max;
    WAI_VECTOR_LOOP
    for (size_t i = 0; i < count; i++) {
        float x = in[i];
        x = x < min ? min : x;
        out[i] = x > max ? max : x;
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    pthreadpool_parallelize_1d_tile_1d(step->threads, (pthreadpool_task_1d_tile_1d_t)clamp_piece,
                                       step, wai_type_count(&step->in[0].type), WAI_PIECE, 0);
    return WAI_OK;
}

const wai_kernel wai_op_clamp_kernel = {.run = run};

/* ---- ONNX ---------------------------------------------------------------- */

/* The bound in input `index` as a constant; false if it must be computed. */
static bool constant_bound(wai_lower *l, uint32_t index, float *bound) {
    const wai_value *value = wai_lower_optional(l, index);
    if (value == NULL) {
        return true;
    }
    if (!wai_value_is_constant(value) || value->type.dtype != WAI_F32 ||
        wai_type_count(&value->type) != 1) {
        return false;
    }
    memcpy(bound, value->data, sizeof *bound);
    return !isnan(*bound);
}

/* Clip of integers, or with bounds known only at run. */
static wai_value *clip_by_binary(wai_lower *l, wai_value *x) {
    static const wai_binary_kind kinds[] = {WAI_BINARY_MAX, WAI_BINARY_MIN};
    for (uint32_t i = 0; i < 2; i++) {
        wai_value *bound = wai_lower_optional(l, i + 1);
        if (bound == NULL) {
            continue;
        }
        if (wai_type_count(&bound->type) != 1) {
            WAI_LOWER_REFUSE(l, "input %u is not a scalar", i + 1);
            return NULL;
        }
        bound = wai_emit_reshape(l->graph, bound, 0, NULL);
        x = wai_emit_binary(l->graph, kinds[i], x, bound);
    }
    return x;
}

void wai_lower_clip(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    float min = -INFINITY, max = INFINITY;
    if (l->opset < 11) {
        min = wai_attr_float(l, "min", min);
        max = wai_attr_float(l, "max", max);
    } else {
        bool known = constant_bound(l, 1, &min);
        known = constant_bound(l, 2, &max) && known;
        if (x != NULL && (!known || x->type.dtype != WAI_F32)) {
            l->out[0] = clip_by_binary(l, x);
            return;
        }
    }
    l->out[0] = wai_emit_clamp(l->graph, x, min, max);
}

void wai_lower_relu(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (x != NULL && x->type.dtype != WAI_F32) {
        wai_value *zero = wai_emit_scalar(l->graph, x->type.dtype, 0);
        l->out[0] = wai_emit_binary(l->graph, WAI_BINARY_MAX, x, zero);
        return;
    }
    l->out[0] = wai_emit_clamp(l->graph, x, 0.0f, INFINITY);
}
