/* pad: constant, reflect, edge or wrap around any axis.
 *
 * The interior is copied to its place; then the borders are filled axis by
 * axis from the last to the first. When an axis is filled, everything behind
 * it is complete, so that each border position is one contiguous block. */
#include <string.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/move.h"

static const char *const modes[] = {NULL, "constant", "reflect", "edge", "wrap", NULL};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_pad_params, mode, modes),
    WAI_FIELD(wai_pad_params, WAI_FIELD_U32, before),
    WAI_FIELD(wai_pad_params, WAI_FIELD_U32, after),
};

static wai_status infer(wai_signature *s) {
    const wai_pad_params *p = s->params;
    const wai_type *in = s->in[0], *value = s->in_count > 1 ? s->in[1] : NULL;
    if (in == NULL || p->mode < WAI_PAD_CONSTANT || p->mode > WAI_PAD_WRAP) {
        return WAI_REFUSE(s, "pad has no input or mode %u", p->mode);
    }
    if (value != NULL && (value->dtype != in->dtype || value->rank != 0)) {
        char text[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "pad value is %s, not a scalar of type %s", wai_type_text(value, text),
                          wai_dtype_name(in->dtype));
    }
    wai_type out = *in;
    for (uint32_t i = 0; i < in->rank; i++) {
        uint64_t dim = (uint64_t)p->before[i] + in->dims[i] + p->after[i];
        if (dim > WAI_MAX_DIM) {
            return WAI_REFUSE(s, "pad makes axis %u %llu elements long", i,
                              (unsigned long long)dim);
        }
        if (p->mode != WAI_PAD_CONSTANT && in->dims[i] == 0 && dim != 0) {
            return WAI_REFUSE(s, "pad has no elements on axis %u to fill its border from", i);
        }
        out.dims[i] = (uint32_t)dim;
    }
    if (!wai_move_tail_is_zero(p->before, in->rank) || !wai_move_tail_is_zero(p->after, in->rank)) {
        return WAI_REFUSE(s, "pad has more entries than the input's %u axes", in->rank);
    }
    s->out[0] = out;
    return WAI_OK;
}

const wai_op wai_op_pad = {
    .name = "pad",
    .params_size = sizeof(wai_pad_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = wai_move_flops,
};

/* Which of the `dim` elements a border position `at` (from the first one,
 * negative before it) repeats. */
static size_t source_of(uint32_t mode, int64_t at, int64_t dim) {
    if (mode == WAI_PAD_EDGE || dim == 1) {
        return at < 0 ? 0 : (size_t)(dim - 1);
    }
    int64_t period = mode == WAI_PAD_WRAP ? dim : 2 * (dim - 1);
    int64_t rest = at % period;
    rest = rest < 0 ? rest + period : rest;
    return (size_t)(rest < dim ? rest : period - rest);
}

static void copy_interior(const wai_step *step, const wai_pad_params *p, uint8_t *to) {
    wai_move move;
    wai_move_init(&move, &step->in[0].type);
    wai_move_strides(&step->out[0].type, move.out);
    size_t first = 0;
    for (uint32_t i = 0; i < move.rank; i++) {
        first += p->before[i] * (size_t)move.out[i];
    }
    if (wai_type_count(&step->in[0].type) != 0) {
        wai_move_run(&move, step->in[0].data, to + first);
    }
}

typedef struct border {
    uint32_t mode;
    int64_t before, dim, after; /* of the axis                               */
    size_t element, block;      /* bytes                                     */
    const void *value;
} border;

/* Both borders of one axis at one position of the axes before it; `row` is
 * where the axis starts. */
static void fill_borders(const border *b, uint8_t *row) {
    size_t count = b->block / b->element, block = b->block;
    uint8_t *behind = row + (size_t)(b->before + b->dim) * block;
    if (b->mode == WAI_PAD_CONSTANT) {
        wai_move_fill(row, b->value, b->element, (size_t)b->before * count);
        wai_move_fill(behind, b->value, b->element, (size_t)b->after * count);
        return;
    }
    const uint8_t *first = row + (size_t)b->before * block;
    for (int64_t i = 0; i < b->before; i++) {
        wai_move_bytes(row + (size_t)i * block,
                       first + source_of(b->mode, i - b->before, b->dim) * block, block);
    }
    for (int64_t i = 0; i < b->after; i++) {
        wai_move_bytes(behind + (size_t)i * block,
                       first + source_of(b->mode, b->dim + i, b->dim) * block, block);
    }
}

/* Walks the interior positions of the axes before `axis`. */
static void fill_axis(const wai_step *step, const wai_pad_params *p, uint32_t axis, const border *b,
                      uint8_t *to) {
    const wai_type *in = &step->in[0].type, *out = &step->out[0].type;
    size_t strides[WAI_MAX_RANK];
    uint32_t at[WAI_MAX_RANK] = {0};
    wai_type_strides(out, strides);
    size_t offset = 0;
    for (uint32_t i = 0; i < axis; i++) {
        if (in->dims[i] == 0) {
            return; /* all of the axis is border: filled when its turn comes */
        }
        offset += p->before[i] * strides[i] * b->element;
    }
    for (;;) {
        fill_borders(b, to + offset);
        uint32_t i = axis;
        for (;;) {
            if (i == 0) {
                return;
            }
            i--;
            offset += strides[i] * b->element;
            if (++at[i] < in->dims[i]) {
                break;
            }
            offset -= in->dims[i] * strides[i] * b->element;
            at[i] = 0;
        }
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    static const uint64_t zero = 0;
    const wai_pad_params *p = step->params;
    const wai_type *in = &step->in[0].type, *out = &step->out[0].type;
    bool has_value = step->in_count > 1 && step->in[1].data != NULL;
    if (wai_type_count(out) == 0) {
        return WAI_OK;
    }
    uint8_t *to = step->out[0].data;
    copy_interior(step, p, to);
    size_t element = wai_dtype_size(in->dtype), block = element;
    for (uint32_t axis = in->rank; axis-- > 0;) {
        border b = {
            .mode = p->mode,
            .before = p->before[axis],
            .dim = in->dims[axis],
            .after = p->after[axis],
            .element = element,
            .block = block,
            .value = has_value ? step->in[1].data : &zero,
        };
        if (b.before + b.after != 0) {
            fill_axis(step, p, axis, &b, to);
        }
        block *= out->dims[axis];
    }
    return WAI_OK;
}

const wai_kernel wai_op_pad_kernel = {.run = run};

/* ---- ONNX ------------------------------------------------------------------ */

/* The border value, or NULL where it is a known zero. */
static wai_value *read_value(wai_lower *l, const wai_value *x) {
    wai_value *value;
    if (l->opset >= 11) {
        value = wai_lower_optional(l, 2);
    } else {
        float number = wai_attr_float(l, "value", 0);
        value = number == 0 || wai_lower_failed(l) ? NULL : wai_emit_scalar_f32(l->graph, number);
    }
    if (value == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    if (wai_type_count(&value->type) != 1 || value->type.dtype != x->type.dtype) {
        WAI_LOWER_REFUSE(l, "the padding value is not one number of the input's type");
        return NULL;
    }
    if (value->data != NULL) {
        const uint64_t zero = 0;
        if (memcmp(value->data, &zero, wai_type_size(&value->type)) == 0) {
            return NULL;
        }
    }
    return wai_emit_reshape(l->graph, value, 0, NULL);
}

static uint32_t read_mode(wai_lower *l) {
    const char *mode = wai_attr_string(l, "mode", "constant");
    for (uint32_t i = WAI_PAD_CONSTANT; i <= WAI_PAD_WRAP; i++) {
        if (strcmp(mode, modes[i]) == 0) {
            return i;
        }
    }
    WAI_LOWER_REFUSE(l, "mode \"%s\" is not one of constant, reflect, edge, wrap", mode);
    return WAI_PAD_CONSTANT;
}

/* pads[axis] and pads[rank + axis]; since opset 18 for some axes only. */
static void read_pads(wai_lower *l, const wai_value *x, int64_t pads[2 * WAI_MAX_RANK]) {
    int64_t given[2 * WAI_MAX_RANK], axes[WAI_MAX_RANK];
    uint32_t rank = x->type.rank, count, axis_count = rank;
    bool has_pads = true, has_axes = false;
    if (l->opset >= 11) {
        count = wai_lower_ints(l, 1, given, 2 * WAI_MAX_RANK, &has_pads);
        uint32_t n = wai_lower_ints(l, 3, axes, WAI_MAX_RANK, &has_axes);
        axis_count = has_axes ? n : rank;
    } else {
        has_pads = wai_attr_has(l, "pads");
        count = wai_attr_ints(l, "pads", given, 2 * WAI_MAX_RANK);
    }
    if (!wai_lower_failed(l) && (!has_pads || count != 2 * axis_count)) {
        WAI_LOWER_REFUSE(l, "`pads` has %u entries for %u axes", count, axis_count);
    }
    memset(pads, 0, 2 * WAI_MAX_RANK * sizeof *pads);
    for (uint32_t i = 0; i < axis_count && !wai_lower_failed(l); i++) {
        uint32_t axis = has_axes ? wai_lower_axis(l, axes[i], rank) : i;
        pads[axis] = given[i];
        pads[WAI_MAX_RANK + axis] = given[axis_count + i];
    }
}

/* Negative pads cut; what they cut is gone before anything is added. */
static wai_value *cut(wai_lower *l, wai_value *x, const int64_t pads[2 * WAI_MAX_RANK]) {
    wai_slice_params params = {{0}, {0}, {0}};
    bool needed = false;
    for (uint32_t i = 0; i < x->type.rank; i++) {
        int64_t dim = x->type.dims[i];
        int64_t before = pads[i] < 0 ? pads[i] : 0;
        int64_t after = pads[WAI_MAX_RANK + i] < 0 ? pads[WAI_MAX_RANK + i] : 0;
        if (before < -dim || after < -dim || before + after < -dim) {
            WAI_LOWER_REFUSE(l, "`pads` cut more of axis %u than its %lld elements", i,
                             (long long)dim);
            return NULL;
        }
        int64_t left = dim + before + after;
        params.start[i] = left > 0 ? (uint32_t)-before : 0;
        params.step[i] = 1;
        params.dims[i] = (uint32_t)left;
        needed = needed || left != dim;
    }
    return needed ? wai_emit(l->graph, &wai_op_slice, &params, &x, 1) : x;
}

void wai_lower_pad(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    wai_pad_params params = {.mode = read_mode(l)};
    int64_t pads[2 * WAI_MAX_RANK];
    if (wai_lower_failed(l)) {
        return;
    }
    wai_value *value = read_value(l, x);
    read_pads(l, x, pads);
    if (wai_lower_failed(l)) {
        return;
    }
    x = cut(l, x, pads);
    bool needed = false;
    for (uint32_t i = 0; !wai_lower_failed(l) && i < x->type.rank; i++) {
        int64_t before = pads[i], after = pads[WAI_MAX_RANK + i];
        params.before[i] = before > 0 ? wai_lower_dim(l, before, "pads") : 0;
        params.after[i] = after > 0 ? wai_lower_dim(l, after, "pads") : 0;
        needed = needed || params.before[i] != 0 || params.after[i] != 0;
    }
    if (wai_lower_failed(l)) {
        return;
    }
    wai_value *in[2] = {x, params.mode == WAI_PAD_CONSTANT ? value : NULL};
    l->out[0] = needed ? wai_emit(l->graph, &wai_op_pad, &params, in, in[1] != NULL ? 2 : 1) : x;
}
