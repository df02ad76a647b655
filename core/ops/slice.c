/* slice: a start, a step and a count per axis. ONNX's Slice and Split come
 * down to it. */
#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/lowering.h"
#include "ops/move.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_slice_params, WAI_FIELD_U32, start),
    WAI_FIELD(wai_slice_params, WAI_FIELD_I32, step),
    WAI_FIELD(wai_slice_params, WAI_FIELD_U32, dims),
};

static wai_status infer(wai_signature *s) {
    const wai_slice_params *p = s->params;
    const wai_type *in = s->in[0];
    if (in == NULL) {
        return WAI_REFUSE(s, "slice has no input");
    }
    for (uint32_t i = 0; i < in->rank; i++) {
        if (p->step[i] == 0 || p->dims[i] > WAI_MAX_DIM) {
            return WAI_REFUSE(s, "slice of axis %u has step %d and %u elements", i, p->step[i],
                              p->dims[i]);
        }
        if (p->dims[i] == 0) {
            continue;
        }
        /* 31 bits times 32 bits: cannot wrap. */
        int64_t last = p->start[i] + ((int64_t)p->dims[i] - 1) * p->step[i];
        if (p->start[i] >= in->dims[i] || last < 0 || last >= in->dims[i]) {
            return WAI_REFUSE(s, "slice reads %u..%lld of axis %u, which has %u elements",
                              p->start[i], (long long)last, i, in->dims[i]);
        }
    }
    if (!wai_move_tail_is_zero(p->start, in->rank) || !wai_move_tail_is_zero(p->dims, in->rank) ||
        !wai_move_tail_is_zero((const uint32_t *)p->step, in->rank)) {
        return WAI_REFUSE(s, "slice has more entries than the input's %u axes", in->rank);
    }
    s->out[0] = wai_type_make(in->dtype, in->rank, p->dims);
    return WAI_OK;
}

const wai_op wai_op_slice = {
    .name = "slice",
    .params_size = sizeof(wai_slice_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = wai_move_flops,
};

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_slice_params *p = step->params;
    const wai_type *out = &step->out[0].type;
    if (wai_type_count(out) == 0) {
        return WAI_OK; /* start means nothing then */
    }
    ptrdiff_t strides[WAI_MAX_RANK];
    wai_move_strides(&step->in[0].type, strides);
    wai_move move;
    wai_move_init(&move, out);
    size_t first = 0;
    for (uint32_t i = 0; i < move.rank; i++) {
        /* A single element is taken whatever the step: it may be huge. */
        move.in[i] = out->dims[i] == 1 ? 0 : strides[i] * p->step[i];
        first += p->start[i] * (size_t)strides[i];
    }
    wai_move_run(&move, (const uint8_t *)step->in[0].data + first, step->out[0].data);
    return WAI_OK;
}

const wai_kernel wai_op_slice_kernel = {.run = run};

/* ---- ONNX ------------------------------------------------------------------ */

/* Params that take all of x. */
static wai_slice_params whole(const wai_value *x) {
    wai_slice_params params = {{0}, {0}, {0}};
    for (uint32_t i = 0; i < x->type.rank; i++) {
        params.step[i] = 1;
        params.dims[i] = x->type.dims[i];
    }
    return params;
}

static wai_value *emit_slice(wai_lower *l, wai_value *x, const wai_slice_params *params) {
    bool all = true;
    for (uint32_t i = 0; i < x->type.rank; i++) {
        /* As many elements as there are, forwards: all of them, in order. */
        all = all && params->dims[i] == x->type.dims[i] &&
              (params->step[i] > 0 || params->dims[i] <= 1);
    }
    return all ? x : wai_emit(l->graph, &wai_op_slice, params, &x, 1);
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

/* NumPy's start:end:step on an axis of `dim` elements; any int64 is allowed,
 * INT64_MIN and MAX included. */
static void cut_axis(wai_slice_params *params, uint32_t axis, int64_t dim, int64_t start,
                     int64_t end, int64_t step) {
    /* Opset 10 recommends INT_MAX for "to the end" without a word on negative
     * steps; onnxruntime takes it as the end in both directions. */
    if (step < 0 && (end == INT32_MAX || end == INT64_MAX)) {
        end = INT64_MIN;
    }
    /* Clamped before the dim is added, so that nothing wraps. */
    start = clamp(start, -dim - 1, dim + 1);
    end = clamp(end, -dim - 1, dim + 1);
    start = start < 0 ? start + dim : start;
    end = end < 0 ? end + dim : end;
    int64_t count;
    step = clamp(step, -dim - 1, dim + 1);
    if (step > 0) {
        start = clamp(start, 0, dim);
        end = clamp(end, 0, dim);
        count = start < end ? (end - start + step - 1) / step : 0;
    } else {
        start = clamp(start, 0, dim - 1); /* ONNX's rule; NumPy's is -1 */
        end = clamp(end, -1, dim - 1);
        count = dim > 0 && start > end ? (start - end - step - 1) / -step : 0;
    }
    params->start[axis] = count > 0 ? (uint32_t)start : 0;
    params->step[axis] = count > 1 ? (int32_t)step : 1;
    params->dims[axis] = (uint32_t)count;
}

typedef struct cuts {
    int64_t starts[WAI_MAX_RANK], ends[WAI_MAX_RANK], axes[WAI_MAX_RANK], steps[WAI_MAX_RANK];
    uint32_t count;
    bool has_axes, has_steps;
} cuts;

/* Attributes before opset 10, inputs since. */
static void read_cuts(wai_lower *l, cuts *c) {
    uint32_t ends, axes, steps = 0;
    bool has_starts = false, has_ends = false;
    c->has_axes = c->has_steps = false;
    if (l->opset >= 10) {
        c->count = wai_lower_ints(l, 1, c->starts, WAI_MAX_RANK, &has_starts);
        ends = wai_lower_ints(l, 2, c->ends, WAI_MAX_RANK, &has_ends);
        axes = wai_lower_ints(l, 3, c->axes, WAI_MAX_RANK, &c->has_axes);
        steps = wai_lower_ints(l, 4, c->steps, WAI_MAX_RANK, &c->has_steps);
    } else {
        has_starts = wai_attr_has(l, "starts");
        has_ends = wai_attr_has(l, "ends");
        c->has_axes = wai_attr_has(l, "axes");
        c->count = wai_attr_ints(l, "starts", c->starts, WAI_MAX_RANK);
        ends = wai_attr_ints(l, "ends", c->ends, WAI_MAX_RANK);
        axes = wai_attr_ints(l, "axes", c->axes, WAI_MAX_RANK);
    }
    if (wai_lower_failed(l)) {
        return;
    }
    if (!has_starts || !has_ends) {
        WAI_LOWER_REFUSE(l, "`starts` or `ends` is missing");
    } else if (ends != c->count || (c->has_axes && axes != c->count) ||
               (c->has_steps && steps != c->count)) {
        WAI_LOWER_REFUSE(l, "`starts` has %u entries, `ends`, `axes` or `steps` other counts",
                         c->count);
    }
}

/* Starts or ends that are known only at run: one axis after the other. */
static void cut_at_run(wai_lower *l, wai_value *x, wai_value *starts, wai_value *ends) {
    const uint32_t count = (uint32_t)wai_type_count(&starts->type);
    int64_t axes[WAI_MAX_RANK], steps[WAI_MAX_RANK];
    bool has_axes = false, has_steps = false;
    const uint32_t axis_count = wai_lower_ints(l, 3, axes, WAI_MAX_RANK, &has_axes);
    const uint32_t step_count = wai_lower_ints(l, 4, steps, WAI_MAX_RANK, &has_steps);
    if (wai_lower_failed(l)) {
        return;
    }
    if (starts->type.rank != 1 || count > WAI_MAX_RANK ||
        !wai_type_equal(&starts->type, &ends->type) || (has_axes && axis_count != count) ||
        (has_steps && step_count != count)) {
        WAI_LOWER_REFUSE(l, "`starts` has %u entries, `ends`, `axes` or `steps` other counts",
                         count);
        return;
    }
    uint32_t seen = 0;
    for (uint32_t i = 0; i < count && !wai_lower_failed(l); i++) {
        const uint32_t axis = wai_lower_axis(l, has_axes ? axes[i] : (int64_t)i, x->type.rank);
        if (has_steps && steps[i] != 1) {
            WAI_LOWER_DECLINE(l, "`starts` and `ends` must be constants where a step is %lld",
                              (long long)steps[i]);
        } else if (!wai_lower_failed(l) && (seen >> axis & 1) != 0) {
            WAI_LOWER_REFUSE(l, "axis %u is cut twice", axis);
        }
        if (!wai_lower_failed(l)) {
            seen |= 1u << axis;
            x = wai_lower_slice_at(l, x, axis, wai_lower_part(l, starts, 0, i, 1),
                                   wai_lower_part(l, ends, 0, i, 1), false);
        }
    }
    l->out[0] = x;
}

void wai_lower_slice(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    wai_value *starts = wai_lower_optional(l, 1), *ends = wai_lower_optional(l, 2);
    if (l->opset >= 10 && x != NULL && starts != NULL && ends != NULL &&
        !(wai_value_is_constant(starts) && wai_value_is_constant(ends))) {
        cut_at_run(l, x, starts, ends);
        return;
    }
    cuts c;
    read_cuts(l, &c);
    if (wai_lower_failed(l)) {
        return;
    }
    wai_slice_params params = whole(x);
    uint32_t seen = 0;
    bool cuts_nothing = true; /* whatever the dims are */
    for (uint32_t i = 0; i < c.count; i++) {
        uint32_t axis = wai_lower_axis(l, c.has_axes ? c.axes[i] : (int64_t)i, x->type.rank);
        int64_t step = c.has_steps ? c.steps[i] : 1;
        if (wai_lower_failed(l)) {
            return;
        }
        if (step == 0 || (seen >> axis & 1) != 0) {
            WAI_LOWER_REFUSE(l, "axis %u is cut twice or with step 0", axis);
            return;
        }
        seen |= 1u << axis;
        cuts_nothing = cuts_nothing && c.starts[i] == 0 && step == 1 && c.ends[i] >= INT32_MAX;
        cut_axis(&params, axis, x->type.dims[axis], c.starts[i], c.ends[i], step);
    }
    /* That nothing is cut in one example says nothing of other dims. */
    l->out[0] = l->graph->sample != 0 && !cuts_nothing
                    ? wai_emit(l->graph, &wai_op_slice, &params, &x, 1)
                    : emit_slice(l, x, &params);
}

/* Sizes of the parts when none are given: `split` equal parts; since opset 18
 * the last may be smaller. */
static void equal_parts(wai_lower *l, int64_t *sizes, uint32_t count, int64_t dim) {
    int64_t chunk = (dim + count - 1) / count;
    int64_t last = dim - chunk * (count - 1);
    if (last < 0 || (l->opset < 18 && last != chunk)) {
        WAI_LOWER_REFUSE(l, "%lld elements do not split into %u parts", (long long)dim, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        sizes[i] = i + 1 < count ? chunk : last;
    }
}

/* The sizes of the parts, checked: as many as outputs, together `dim`. */
static void read_parts(wai_lower *l, int64_t *sizes, int64_t dim) {
    bool there = false;
    uint32_t count;
    if (l->opset >= 13) {
        count = wai_lower_ints(l, 1, sizes, l->out_count, &there);
    } else {
        there = wai_attr_has(l, "split");
        count = wai_attr_ints(l, "split", sizes, l->out_count);
    }
    int64_t wanted = wai_attr_int(l, "num_outputs", l->out_count);
    if (wai_lower_failed(l)) {
        return;
    }
    if (l->out_count == 0 || wanted != l->out_count || (there && count != l->out_count)) {
        WAI_LOWER_REFUSE(l, "%lld parts for %u outputs", (long long)(there ? count : wanted),
                         l->out_count);
        return;
    }
    if (!there) {
        equal_parts(l, sizes, l->out_count, dim);
    }
    int64_t left = dim;
    for (uint32_t i = 0; i < l->out_count && !wai_lower_failed(l); i++) {
        if (sizes[i] < 0 || sizes[i] > left) {
            WAI_LOWER_REFUSE(l, "part %u has %lld elements where %lld are left", i,
                             (long long)sizes[i], (long long)left);
            return;
        }
        left -= sizes[i];
    }
    if (left != 0 && !wai_lower_failed(l)) {
        WAI_LOWER_REFUSE(l, "the parts leave %lld elements over", (long long)left);
    }
}

void wai_lower_split(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    int64_t given = wai_attr_int(l, "axis", 0);
    if (wai_lower_failed(l)) {
        return;
    }
    uint32_t axis = wai_lower_axis(l, given, x->type.rank);
    int64_t *sizes = wai_arena_array(l->graph->arena, l->out_count, sizeof *sizes);
    if (sizes == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    if (wai_lower_failed(l)) {
        return;
    }
    read_parts(l, sizes, x->type.dims[axis]);
    int64_t start = 0;
    for (uint32_t i = 0; i < l->out_count && !wai_lower_failed(l); i++) {
        wai_slice_params params = whole(x);
        params.start[axis] = sizes[i] > 0 ? (uint32_t)start : 0;
        params.dims[axis] = (uint32_t)sizes[i];
        if (wai_lower_wants(l, i)) {
            l->out[i] = emit_slice(l, x, &params);
        }
        start += sizes[i];
    }
}
