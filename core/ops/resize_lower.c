/* ONNX Resize (opsets 10, 11, 13, 18, 19) and Upsample (7, 9) -> resize. */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/resize.h"

static uint32_t pick_name(wai_lower *l, const char *attribute, const char *fallback,
                          const char *const *names, uint32_t count) {
    const char *text = wai_attr_string(l, attribute, fallback);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            return i + 1;
        }
    }
    WAI_LOWER_REFUSE(l, "attribute %s has the unknown value \"%s\"", attribute, text);
    return 1;
}

static void read_attributes(wai_lower *l, wai_resize_params *p) {
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear"};
    static const char *const coordinates[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
        "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                            "ceil"};
    p->mode = pick_name(l, "mode", "nearest", modes, 4);
    p->mode = p->mode == 4 ? WAI_RESIZE_LINEAR : p->mode; /* early exporters' name */
    if (l->opset < 11) {
        p->coordinates = WAI_RESIZE_ASYMMETRIC;
        p->rounding = WAI_RESIZE_FLOOR;
        p->cubic_a = -0.75f;
        return;
    }
    p->coordinates = pick_name(l, "coordinate_transformation_mode", "half_pixel", coordinates, 7);
    p->rounding = pick_name(l, "nearest_mode", "round_prefer_floor", roundings, 4);
    p->cubic_a = wai_attr_float(l, "cubic_coeff_a", -0.75f);
    p->exclude_outside = wai_attr_int(l, "exclude_outside", 0) != 0;
    p->extrapolation = wai_attr_float(l, "extrapolation_value", 0.0f);
    p->antialias = wai_attr_int(l, "antialias", 0) != 0;
}

/* What the input says, per entry of `axes`. */
typedef struct request {
    uint32_t count; /* axes that are spoken of                               */
    uint32_t axes[WAI_MAX_RANK];
    float scales[WAI_MAX_RANK];
    int64_t sizes[WAI_MAX_RANK];
    bool has_scales, has_sizes;
} request;

static void read_axes(wai_lower *l, request *r, uint32_t rank) {
    int64_t axes[WAI_MAX_RANK];
    bool some = wai_attr_has(l, "axes");
    r->count = some ? wai_attr_ints(l, "axes", axes, WAI_MAX_RANK) : rank;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < r->count && !wai_lower_failed(l); i++) {
        r->axes[i] = some ? wai_lower_axis(l, axes[i], rank) : i;
        if ((seen >> r->axes[i] & 1) != 0) {
            WAI_LOWER_REFUSE(l, "axis %u stands twice in `axes`", r->axes[i]);
        }
        seen |= 1u << r->axes[i];
    }
}

static void read_request(wai_lower *l, request *r, uint32_t rank) {
    uint32_t scales = 0, sizes = 0;
    memset(r, 0, sizeof *r);
    read_axes(l, r, rank);
    if (l->opset >= 11) {
        scales = wai_lower_floats(l, 2, r->scales, WAI_MAX_RANK, &r->has_scales);
        sizes = wai_lower_ints(l, 3, r->sizes, WAI_MAX_RANK, &r->has_sizes);
    } else if (l->opset >= 9) {
        scales = wai_lower_floats(l, 1, r->scales, WAI_MAX_RANK, &r->has_scales);
    } else {
        r->has_scales = wai_attr_has(l, "scales");
        scales = wai_attr_floats(l, "scales", r->scales, WAI_MAX_RANK);
    }
    if (wai_lower_failed(l)) {
        return;
    }
    /* Before optional inputs were common, an empty list meant absent. */
    r->has_scales = r->has_scales && (scales > 0 || r->count == 0);
    r->has_sizes = r->has_sizes && (sizes > 0 || r->count == 0);
    if (r->has_scales == r->has_sizes && r->count > 0) {
        WAI_LOWER_REFUSE(l, "%s needs one of scales and sizes", l->op_type);
    } else if ((r->has_scales && scales != r->count) || (r->has_sizes && sizes != r->count)) {
        WAI_LOWER_REFUSE(l, "scales or sizes have %u entries for %u axes",
                         r->has_scales ? scales : sizes, r->count);
    }
    for (uint32_t i = 0; i < r->count && r->has_scales; i++) {
        if (!(r->scales[i] > 0.0f) || !isfinite(r->scales[i])) {
            WAI_LOWER_REFUSE(l, "the scale of axis %u is not above 0", r->axes[i]);
        }
    }
}

static void read_roi(wai_lower *l, const request *r, wai_resize_params *p) {
    float roi[2 * WAI_MAX_RANK];
    bool there = false;
    wai_lower_optional(l, 1);
    if (l->opset < 11 || p->coordinates != WAI_RESIZE_TF_CROP) {
        return; /* roi has no effect otherwise, constant or not */
    }
    uint32_t count = wai_lower_floats(l, 1, roi, 2 * WAI_MAX_RANK, &there);
    if (wai_lower_failed(l)) {
        return;
    }
    if (!there || count != 2 * r->count) {
        WAI_LOWER_REFUSE(l, "`roi` has %u entries for %u axes", count, r->count);
        return;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        p->roi_start[r->axes[i]] = roi[i];
        p->roi_end[r->axes[i]] = roi[r->count + i];
    }
}

/* The extent of an axis; saturates, for wai_lower_dim to refuse. */
static int64_t whole(float extent) {
    return extent >= 0.0f ? (extent < 4294967296.0f ? (int64_t)extent : INT64_MAX) : -1;
}

static void apply_scales(wai_lower *l, const wai_value *x, const request *r, wai_resize_params *p) {
    for (uint32_t i = 0; i < r->count && !wai_lower_failed(l); i++) {
        uint32_t axis = r->axes[i];
        float extent = (float)x->type.dims[axis];
        p->scale[axis] = r->scales[i];
        /* In float32, as onnxruntime: 0.1 * 30 is 3. The region does not
         * count, as in onnxruntime and the reference, though the text of the
         * specification multiplies it in. */
        p->dims[axis] = wai_lower_dim(l, whole(floorf(extent * r->scales[i])), "an output dim");
    }
}

/* The one scale that keeps the aspect ratio, or 0 for "stretch". */
static float common_scale(wai_lower *l, const wai_value *x, const request *r) {
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    uint32_t policy = pick_name(l, "keep_aspect_ratio_policy", "stretch", policies, 3);
    float common = 0.0f;
    for (uint32_t i = 0; i < r->count && policy > 1 && r->has_sizes; i++) {
        float scale = (float)r->sizes[i] / (float)x->type.dims[r->axes[i]];
        if (i == 0 || (policy == 2 ? scale < common : scale > common)) {
            common = scale;
        }
    }
    return common;
}

static void apply_sizes(wai_lower *l, const wai_value *x, const request *r, float common,
                        wai_resize_params *p) {
    for (uint32_t i = 0; i < r->count && !wai_lower_failed(l); i++) {
        uint32_t axis = r->axes[i];
        float extent = (float)x->type.dims[axis];
        uint32_t size = wai_lower_dim(l, r->sizes[i], "sizes");
        if (common > 0.0f) {
            size = wai_lower_dim(l, whole(floorf(common * extent + 0.5f)), "an output dim");
        }
        if (x->type.dims[axis] == 0 || size == 0) {
            p->scale[axis] = 1.0f;
        } else {
            p->scale[axis] = common > 0.0f ? common : (float)size / extent;
        }
        p->dims[axis] = size;
    }
}

static bool has_effect(const wai_resize_params *p, const wai_value *x) {
    for (uint32_t i = 0; i < x->type.rank; i++) {
        if (wai_resize_is_active(p, &x->type, i)) {
            return true;
        }
    }
    return false;
}

static wai_value *emit_resize(wai_lower *l, const wai_resize_params *p, wai_value *x) {
    return wai_lower_failed(l) || !has_effect(p, x) ? x
                                                    : wai_emit(l->graph, &wai_op_resize, p, &x, 1);
}

/* Opset 10 does not say how nearest rounds; onnxruntime takes the floor where
 * an axis grows and the ceiling where it shrinks. So: two steps. */
static wai_value *emit_in_opset_10(wai_lower *l, const wai_resize_params *p, wai_value *x) {
    wai_resize_params shrink = *p, grow = *p;
    shrink.rounding = WAI_RESIZE_CEIL;
    for (uint32_t i = 0; i < x->type.rank; i++) {
        if (p->scale[i] < 1.0f) {
            grow.scale[i] = 1.0f;
        } else {
            shrink.scale[i] = 1.0f;
            shrink.dims[i] = x->type.dims[i];
        }
    }
    return emit_resize(l, &grow, emit_resize(l, &shrink, x));
}

void wai_lower_resize(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (wai_lower_failed(l)) {
        return;
    }
    wai_resize_params p = {0};
    request r;
    for (uint32_t i = 0; i < x->type.rank; i++) {
        p.dims[i] = x->type.dims[i];
        p.scale[i] = 1.0f;
        p.roi_end[i] = 1.0f;
    }
    read_attributes(l, &p);
    read_request(l, &r, x->type.rank);
    if (wai_lower_failed(l)) {
        return;
    }
    read_roi(l, &r, &p);
    float common = l->opset >= 18 ? common_scale(l, x, &r) : 0.0f;
    if (r.has_scales) {
        apply_scales(l, x, &r, &p);
    } else {
        apply_sizes(l, x, &r, common, &p);
    }
    if (wai_lower_failed(l)) {
        return;
    }
    l->out[0] = l->opset == 10 && p.mode == WAI_RESIZE_NEAREST ? emit_in_opset_10(l, &p, x)
                                                               : emit_resize(l, &p, x);
}

void wai_lower_upsample(wai_lower *l) {
    wai_lower_resize(l);
}
