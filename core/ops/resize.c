/*
 * resize: nearest, linear and cubic along any axes.
 *
 * Interpolation is separable. The outermost resized axis is walked row by row;
 * the rows that it needs are interpolated along the other axes once each and
 * kept in a ring, so that an image doubled in size never exists in between.
 * XNNPACK's bilinear operator computes all four taps per output pixel, knows
 * channels-last only and two of the coordinate rules; this needs half of the
 * multiplications when enlarging, and one code serves all layouts.
 */
#include "ops/resize.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/move.h"

static const char *const modes[] = {NULL, "nearest", "linear", "cubic", NULL};
static const char *const coordinates[] = {NULL,
                                          "half_pixel",
                                          "half_pixel_symmetric",
                                          "pytorch_half_pixel",
                                          "align_corners",
                                          "asymmetric",
                                          "tf_crop",
                                          "tf_half_pixel_for_nn",
                                          NULL};
static const char *const roundings[] = {
    NULL, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_resize_params, mode, modes),
    WAI_FIELD_ENUM(wai_resize_params, coordinates, coordinates),
    WAI_FIELD_ENUM(wai_resize_params, rounding, roundings),
    WAI_FIELD(wai_resize_params, WAI_FIELD_U32, exclude_outside),
    WAI_FIELD(wai_resize_params, WAI_FIELD_U32, antialias),
    WAI_FIELD(wai_resize_params, WAI_FIELD_U32, dims),
    WAI_FIELD(wai_resize_params, WAI_FIELD_F32, scale),
    WAI_FIELD(wai_resize_params, WAI_FIELD_F32, roi_start),
    WAI_FIELD(wai_resize_params, WAI_FIELD_F32, roi_end),
    WAI_FIELD(wai_resize_params, WAI_FIELD_F32, cubic_a),
    WAI_FIELD(wai_resize_params, WAI_FIELD_F32, extrapolation),
};

static wai_status check_options(wai_signature *s, const wai_resize_params *p, wai_dtype dtype) {
    if (p->mode < WAI_RESIZE_NEAREST || p->mode > WAI_RESIZE_CUBIC ||
        p->coordinates < WAI_RESIZE_HALF_PIXEL ||
        p->coordinates > WAI_RESIZE_TF_HALF_PIXEL_FOR_NN) {
        return WAI_REFUSE(s, "resize has mode %u and coordinates %u", p->mode, p->coordinates);
    }
    bool nearest = p->mode == WAI_RESIZE_NEAREST;
    if (p->rounding > WAI_RESIZE_CEIL || (nearest && p->rounding == 0) || p->exclude_outside > 1 ||
        p->antialias > 1 || (nearest && p->antialias != 0)) {
        return WAI_REFUSE(s, "resize has rounding %u, exclude_outside %u, antialias %u",
                          p->rounding, p->exclude_outside, p->antialias);
    }
    if (!isfinite(p->cubic_a)) {
        return WAI_REFUSE(s, "resize has a cubic coefficient that is not finite");
    }
    if (dtype != WAI_F32 && (!nearest || p->coordinates == WAI_RESIZE_TF_CROP)) {
        return WAI_DECLINE(s, "resize of type %s is supported for nearest only, not %s",
                           wai_dtype_name(dtype), nearest ? "tf_crop" : modes[p->mode]);
    }
    return WAI_OK;
}

static wai_status check_axis(wai_signature *s, const wai_resize_params *p, uint32_t axis) {
    const wai_type *in = s->in[0];
    float scale = p->scale[axis];
    if (p->dims[axis] > WAI_MAX_DIM || !isfinite(scale) || scale <= 0.0f ||
        !isfinite(p->roi_start[axis]) || !isfinite(p->roi_end[axis])) {
        return WAI_REFUSE(s, "resize of axis %u to %u has a scale or region out of range", axis,
                          p->dims[axis]);
    }
    if (in->dims[axis] == 0 && p->dims[axis] != 0) {
        return WAI_REFUSE(s, "resize of axis %u from nothing to %u", axis, p->dims[axis]);
    }
    if (!p->antialias || p->dims[axis] == 0) {
        return WAI_OK;
    }
    /* A scale so small that it makes less than half a pixel of the axis is no
     * honest one; any other bounds the filter's window by the input. */
    if ((double)scale * in->dims[axis] < 0.5) {
        return WAI_REFUSE(s, "resize of axis %u with %u elements has too small a scale", axis,
                          in->dims[axis]);
    }
    return WAI_OK;
}

static wai_status infer(wai_signature *s) {
    const wai_resize_params *p = s->params;
    const wai_type *in = s->in[0];
    if (in == NULL) {
        return WAI_REFUSE(s, "resize has no input");
    }
    wai_status status = check_options(s, p, in->dtype);
    for (uint32_t i = 0; i < in->rank && status == WAI_OK; i++) {
        status = check_axis(s, p, i);
        if (status == WAI_OK && p->dims[i] != 0 &&
            wai_resize_taps(p, i) * p->dims[i] > WAI_MAX_TENSOR_SIZE / sizeof(float)) {
            return wai_fail(s->diag, WAI_ERR_LIMIT, s->where,
                            "resize of axis %u from %u to %u needs too large a table", i,
                            in->dims[i], p->dims[i]);
        }
    }
    if (status != WAI_OK) {
        return status;
    }
    if (!wai_move_tail_is_zero(p->dims, in->rank)) {
        return WAI_REFUSE(s, "resize has more dims than the input's %u axes", in->rank);
    }
    s->out[0] = wai_type_make(in->dtype, in->rank, p->dims);
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    const wai_resize_params *p = s->params;
    uint64_t count = wai_type_count(&s->out[0]), per_element = 0;
    for (uint32_t i = 0; i < s->in[0]->rank && count != 0; i++) {
        if (p->mode != WAI_RESIZE_NEAREST && wai_resize_is_active(p, s->in[0], i)) {
            per_element += 2 * wai_resize_taps(p, i);
        }
    }
    return count * per_element;
}

const wai_op wai_op_resize = {
    .name = "resize",
    .params_size = sizeof(wai_resize_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ---------------------------------------------------------------- */

typedef float f32x4 __attribute__((vector_size(16)));

typedef struct state {
    uint32_t count; /* of resized axes, outermost first                      */
    wai_resize_table tables[WAI_MAX_RANK];
    /* Interpolation along two axes or more, in floats: */
    size_t row_in, row_out; /* one position of the outermost resized axis    */
    size_t ring;            /* rows kept                                     */
    size_t between;         /* the largest result of an inner pass but the last */
    uint32_t *held;         /* [ring]: which input row; UINT32_MAX: none     */
    const float **rows;     /* [taps of the outermost axis]                  */
} state;

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Sizes of the row walk; false when they pass what can be addressed. */
static bool measure(state *st, const wai_type *in, const wai_type *out, size_t *workspace) {
    const wai_resize_table *first = &st->tables[0];
    st->row_in = wai_dims_product(in->dims, first->axis + 1, in->rank);
    st->row_out = wai_dims_product(out->dims, first->axis + 1, out->rank);
    st->ring = smaller(first->taps, in->dims[first->axis]);
    wai_type partial = *in; /* of one row, as inner passes widen or narrow it */
    for (uint32_t i = st->count - 1; i > 1; i--) {
        uint32_t axis = st->tables[i].axis;
        partial.dims[axis] = out->dims[axis];
        size_t size = 1;
        for (uint32_t j = first->axis + 1; j < in->rank; j++) {
            if (!wai_mul_size(size, partial.dims[j], &size)) {
                return false;
            }
        }
        st->between = size > st->between ? size : st->between;
    }
    size_t floats, both;
    return wai_mul_size(st->ring, st->row_out, &floats) && wai_mul_size(st->between, 2, &both) &&
           wai_add_size(floats, both, &floats) && wai_mul_size(floats, sizeof(float), workspace);
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    const wai_resize_params *p = step->params;
    const wai_type *in = &step->in[0].type, *out = &step->out[0].type;
    state *st = wai_pool_alloc(pool, sizeof *st);
    bool enough = st != NULL;
    step->state = st;
    if (enough && wai_type_count(out) == 0) {
        return WAI_OK; /* a table for a dim of 0 could not be built */
    }
    for (uint32_t i = 0; i < in->rank && enough; i++) {
        if (wai_resize_is_active(p, in, i)) {
            enough = wai_resize_build(&st->tables[st->count++], p, in, i, pool);
        }
    }
    if (enough && p->mode != WAI_RESIZE_NEAREST && st->count > 1) {
        enough = measure(st, in, out, &step->workspace_size);
        if (enough) {
            st->held = wai_pool_array(pool, st->ring, sizeof *st->held);
            st->rows = wai_pool_array(pool, st->tables[0].taps, sizeof *st->rows);
            enough = st->held != NULL && st->rows != NULL;
        }
    }
    return enough ? WAI_OK
                  : wai_fail(diag, WAI_ERR_MEMORY, step->where, "out of memory for resize tables");
}

static f32x4 load4(const float *from) {
    f32x4 v;
    memcpy(&v, from, sizeof v);
    return v;
}

static void store4(float *to, f32x4 v) {
    memcpy(to, &v, sizeof v);
}

/* out = a * wa + b * wb */
static inline void blend2(float *out, const float *a, const float *b, float wa, float wb,
                          size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        f32x4 low = load4(a + i) * wa + load4(b + i) * wb;
        f32x4 high = load4(a + i + 4) * wa + load4(b + i + 4) * wb;
        store4(out + i, low);
        store4(out + i + 4, high);
    }
    for (; i < count; i++) {
        out[i] = a[i] * wa + b[i] * wb;
    }
}

/* out = the sum of rows[t] * weight[t] */
static void blend(float *out, const float *const *rows, const float *weight, uint32_t taps,
                  size_t count) {
    if (taps == 2) {
        blend2(out, rows[0], rows[1], weight[0], weight[1], count);
        return;
    }
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        f32x4 low = load4(rows[0] + i) * weight[0], high = load4(rows[0] + i + 4) * weight[0];
        for (uint32_t t = 1; t < taps; t++) {
            low += load4(rows[t] + i) * weight[t];
            high += load4(rows[t] + i + 4) * weight[t];
        }
        store4(out + i, low);
        store4(out + i + 4, high);
    }
    for (; i < count; i++) {
        float sum = rows[0][i] * weight[0];
        for (uint32_t t = 1; t < taps; t++) {
            sum += rows[t][i] * weight[t];
        }
        out[i] = sum;
    }
}

static void fill(float *out, float value, size_t count) {
    wai_move_fill(out, &value, sizeof value, count);
}

/* One output position of an axis whose elements are `inner` floats wide; a
 * row that starts at `in`. */
static void blend_taps(float *out, const float *in, const uint32_t *index, const float *weight,
                       uint32_t taps, size_t inner) {
    size_t i = 0;
    for (; i + 4 <= inner; i += 4) {
        f32x4 sum = load4(in + index[0] * inner + i) * weight[0];
        for (uint32_t t = 1; t < taps; t++) {
            sum += load4(in + index[t] * inner + i) * weight[t];
        }
        store4(out + i, sum);
    }
    for (; i < inner; i++) {
        float sum = in[index[0] * inner + i] * weight[0];
        for (uint32_t t = 1; t < taps; t++) {
            sum += in[index[t] * inner + i] * weight[t];
        }
        out[i] = sum;
    }
}

/*
 * The positions of one row whose elements are 1, 2 or 3 floats wide, two taps
 * each: pixels are computed as vectors of 4 floats of which the first `inner`
 * count, the next pixel overwrites the rest. Returns how many positions were
 * safe to do so; index is ascending.
 */
static size_t blend_narrow(float *out, const float *in, const wai_resize_table *t, size_t in_dim,
                           size_t out_dim, size_t inner) {
    const uint32_t *index = t->index;
    const float *weight = t->weight;
    size_t i = 0;
    if (inner == 1) {
        for (; i < out_dim; i++, index += 2, weight += 2) {
            out[i] = in[index[0]] * weight[0] + in[index[1]] * weight[1];
        }
        return i;
    }
    for (; i * inner + 4 <= out_dim * inner; i++, index += 2, weight += 2) {
        if (index[1] * inner + 4 > in_dim * inner) {
            break;
        }
        f32x4 v =
            load4(in + index[0] * inner) * weight[0] + load4(in + index[1] * inner) * weight[1];
        store4(out + i * inner, v);
    }
    return i;
}

/* in[outer][in_dim][inner] -> out[outer][out_dim][inner] */
static void interpolate(float *out, const float *in, const wai_resize_table *t, size_t outer,
                        size_t in_dim, size_t out_dim, size_t inner, float extrapolation) {
    bool narrow = t->taps == 2 && inner < 4 && !t->crops;
    for (size_t o = 0; o < outer; o++, in += in_dim * inner) {
        size_t i = narrow ? blend_narrow(out, in, t, in_dim, out_dim, inner) : 0;
        const uint32_t *index = t->index + i * t->taps;
        const float *weight = t->weight + i * t->taps;
        out += i * inner;
        for (; i < out_dim; i++, index += t->taps, weight += t->taps, out += inner) {
            if (index[0] == WAI_RESIZE_OUTSIDE) {
                fill(out, extrapolation, inner);
            } else if (t->taps == 2) {
                blend2(out, in + index[0] * inner, in + index[1] * inner, weight[0], weight[1],
                       inner);
            } else {
                blend_taps(out, in, index, weight, t->taps, inner);
            }
        }
    }
}

/* The passes along all resized axes but the outermost, innermost first, for
 * one row. `between` holds two results of passes. */
static void interpolate_row(float *out, const float *in, const state *st, const wai_type *from,
                            const wai_type *to, float extrapolation, float *between) {
    uint32_t first = st->tables[0].axis + 1;
    wai_type now = *from;
    for (uint32_t i = st->count - 1; i > 0; i--) {
        const wai_resize_table *t = &st->tables[i];
        float *result = i == 1 ? out : between + (i % 2) * st->between;
        interpolate(result, in, t, wai_dims_product(now.dims, first, t->axis), now.dims[t->axis],
                    to->dims[t->axis], wai_dims_product(now.dims, t->axis + 1, now.rank),
                    extrapolation);
        now.dims[t->axis] = to->dims[t->axis];
        in = result;
    }
}

/* All output rows of one position of the axes before the outermost one. */
static void interpolate_rows(float *out, const float *in, wai_step *step) {
    const wai_resize_params *p = step->params;
    const wai_type *from = &step->in[0].type, *to = &step->out[0].type;
    const state *st = step->state;
    const wai_resize_table *t = &st->tables[0];
    float *ring = step->workspace, *between = ring + st->ring * st->row_out;
    for (size_t i = 0; i < st->ring; i++) {
        st->held[i] = UINT32_MAX;
    }
    for (size_t o = 0; o < to->dims[t->axis]; o++, out += st->row_out) {
        const uint32_t *index = t->index + o * t->taps;
        if (index[0] == WAI_RESIZE_OUTSIDE) {
            fill(out, p->extrapolation, st->row_out);
            continue;
        }
        for (uint32_t k = 0; k < t->taps; k++) {
            /* The taps of one position are neighbours: no two share a slot. */
            size_t slot = index[k] % st->ring;
            float *row = ring + slot * st->row_out;
            if (st->held[slot] != index[k]) {
                interpolate_row(row, in + index[k] * st->row_in, st, from, to, p->extrapolation,
                                between);
                st->held[slot] = index[k];
            }
            st->rows[k] = row;
        }
        blend(out, st->rows, t->weight + o * t->taps, t->taps, st->row_out);
    }
}

static void run_interpolation(wai_step *step) {
    const wai_resize_params *p = step->params;
    const wai_type *in = &step->in[0].type, *out = &step->out[0].type;
    const state *st = step->state;
    const wai_resize_table *t = &st->tables[0];
    size_t outer = wai_dims_product(in->dims, 0, t->axis);
    const float *from = step->in[0].data;
    float *to = step->out[0].data;
    if (st->count == 1) {
        interpolate(to, from, t, outer, in->dims[t->axis], out->dims[t->axis],
                    wai_dims_product(in->dims, t->axis + 1, in->rank), p->extrapolation);
        return;
    }
    for (size_t o = 0; o < outer; o++) {
        interpolate_rows(to, from, step);
        from += in->dims[t->axis] * st->row_in;
        to += out->dims[t->axis] * st->row_out;
    }
}

/* ---- nearest ---- */

/* One row along the innermost resized axis, in blocks of `block` bytes. */
static void pick_row(uint8_t *out, const uint8_t *in, const wai_resize_table *t, size_t count,
                     size_t block, const float *extrapolation) {
    if (block == 4 && extrapolation == NULL) {
        for (size_t i = 0; i < count; i++) {
            memcpy(out + i * 4, in + (size_t)t->index[i] * 4, 4);
        }
        return;
    }
    for (size_t i = 0; i < count; i++, out += block) {
        if (t->index[i] == WAI_RESIZE_OUTSIDE) {
            wai_move_fill(out, extrapolation, sizeof *extrapolation, block / sizeof *extrapolation);
        } else {
            wai_move_bytes(out, in + t->index[i] * block, block);
        }
    }
}

typedef struct pick_walk {
    const wai_resize_table *tables[WAI_MAX_RANK]; /* of each axis; NULL: as is */
    size_t strides[WAI_MAX_RANK];                 /* of the input, bytes       */
    size_t at[WAI_MAX_RANK];
    uint32_t axes; /* that are walked           */
} pick_walk;

/* Where the row at the walk's position starts in the input; SIZE_MAX: outside. */
static size_t pick_offset(const pick_walk *w) {
    size_t offset = 0;
    for (uint32_t i = 0; i < w->axes; i++) {
        size_t index = w->tables[i] != NULL ? w->tables[i]->index[w->at[i]] : w->at[i];
        if (w->tables[i] != NULL && index == WAI_RESIZE_OUTSIDE) {
            return SIZE_MAX;
        }
        offset += index * w->strides[i];
    }
    return offset;
}

static bool pick_next(pick_walk *w, const wai_type *out) {
    for (uint32_t i = w->axes; i-- > 0;) {
        if (++w->at[i] < out->dims[i]) {
            return true;
        }
        w->at[i] = 0;
    }
    return false;
}

static void run_nearest(wai_step *step) {
    const wai_resize_params *p = step->params;
    const wai_type *in = &step->in[0].type, *out = &step->out[0].type;
    const state *st = step->state;
    const wai_resize_table *last = &st->tables[st->count - 1];
    size_t element = wai_dtype_size(in->dtype);
    size_t block = wai_dims_product(in->dims, last->axis + 1, in->rank) * element;
    size_t count = out->dims[last->axis], row = count * block;
    const float *extrapolation = p->coordinates == WAI_RESIZE_TF_CROP ? &p->extrapolation : NULL;
    pick_walk w = {.axes = last->axis};
    wai_type_strides(in, w.strides);
    for (uint32_t i = 0; i < in->rank; i++) {
        w.strides[i] *= element;
    }
    for (uint32_t i = 0; i < st->count; i++) {
        w.tables[st->tables[i].axis] = &st->tables[i];
    }
    uint8_t *to = step->out[0].data;
    size_t previous = SIZE_MAX - 1;
    do {
        size_t offset = pick_offset(&w);
        if (offset == SIZE_MAX) {
            fill((float *)(void *)to, p->extrapolation, row / sizeof(float));
        } else if (offset == previous) {
            memcpy(to, to - row, row); /* the same pixels as the row above */
        } else {
            pick_row(to, (const uint8_t *)step->in[0].data + offset, last, count, block,
                     extrapolation);
        }
        previous = offset;
        to += row;
    } while (pick_next(&w, out));
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_resize_params *p = step->params;
    const state *st = step->state;
    const wai_type *out = &step->out[0].type;
    if (wai_type_count(out) == 0) {
        return WAI_OK;
    }
    if (st->count == 0) {
        memcpy(step->out[0].data, step->in[0].data, wai_type_size(out));
    } else if (p->mode == WAI_RESIZE_NEAREST) {
        run_nearest(step);
    } else {
        run_interpolation(step);
    }
    return WAI_OK;
}

const wai_kernel wai_op_resize_kernel = {.prepare = prepare, .run = run};
