/* arg_reduce.c - where along an axis the largest or smallest element is. */
#include <string.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/integers.h"
#include "ops/vector.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_arg_reduce_params, WAI_FIELD_U32, axis),
    WAI_FIELD(wai_arg_reduce_params, WAI_FIELD_U32, keep_dims),
    WAI_FIELD(wai_arg_reduce_params, WAI_FIELD_U32, max),
    WAI_FIELD(wai_arg_reduce_params, WAI_FIELD_U32, select_last),
};

static wai_status infer(wai_signature *s) {
    const wai_arg_reduce_params *p = s->params;
    const wai_type *x = s->in[0];
    char text[WAI_TYPE_TEXT];
    if (x == NULL) {
        return WAI_REFUSE(s, "input 0 is absent");
    }
    if (p->axis >= x->rank) {
        return WAI_REFUSE(s, "axis %u of rank %u", p->axis, x->rank);
    }
    if (p->keep_dims > 1 || p->max > 1 || p->select_last > 1) {
        return WAI_REFUSE(s, "keep_dims %u, max %u, select_last %u: not 0 or 1", p->keep_dims,
                          p->max, p->select_last);
    }
    if (x->dtype != WAI_F32 && !wai_dtype_is_integer(x->dtype)) {
        return WAI_DECLINE(s, "arg_reduce of %s is not supported", wai_dtype_name(x->dtype));
    }
    if (x->dims[p->axis] == 0) {
        return WAI_REFUSE(s, "axis %u of %s is empty", p->axis, wai_type_text(x, text));
    }
    s->out[0] = (wai_type){.dtype = WAI_I64};
    for (uint32_t i = 0; i < x->rank; i++) {
        if (i != p->axis || p->keep_dims != 0) {
            s->out[0].dims[s->out[0].rank++] = i == p->axis ? 1 : x->dims[i];
        }
    }
    if (!wai_type_is_valid(&s->out[0])) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "indices of %s need over %u bytes",
                        wai_type_text(x, text), WAI_MAX_TENSOR_SIZE);
    }
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    return wai_type_count(s->in[0]);
}

const wai_op wai_op_arg_reduce = {
    .name = "arg_reduce",
    .params_size = sizeof(wai_arg_reduce_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel --------------------------------------------------------------
 * The smallest is the largest of the negated. A NaN beats every number, as in
 * NumPy. Columns side by side: element k of column j is at k * stride + j. */

static void search_floats(int64_t *out, const float *in, size_t count, size_t stride,
                          size_t columns, bool max, bool last) {
    float best[WAI_CHUNK];
    uint32_t index[WAI_CHUNK];
    uint32_t flip = max ? 0 : 0x80000000u;
    for (size_t j = 0; j < columns; j++) {
        best[j] = wai_float_from_bits(wai_float_bits(in[j]) ^ flip);
        index[j] = 0;
    }
    for (size_t k = 1; k < count; k++) {
        const float *row = in + k * stride;
        WAI_VECTOR_LOOP
        for (size_t j = 0; j < columns; j++) {
            float x = wai_float_from_bits(wai_float_bits(row[j]) ^ flip);
            bool above = (x > best[j]) | ((x != x) & (best[j] == best[j]));
            bool equal = (x == best[j]) | ((x != x) & (best[j] != best[j]));
            bool take = above | (last & equal);
            best[j] = take ? x : best[j];
            index[j] = take ? (uint32_t)k : index[j];
        }
    }
    for (size_t j = 0; j < columns; j++) {
        out[j] = index[j];
    }
}

/* One contiguous row. */
static int64_t search_row(const float *in, size_t count, bool max, bool last) {
    uint32_t flip = max ? 0 : 0x80000000u;
    float best = wai_float_from_bits(wai_float_bits(in[0]) ^ flip);
    size_t index = 0;
    for (size_t k = 1; k < count; k++) {
        float x = wai_float_from_bits(wai_float_bits(in[k]) ^ flip);
        bool above = x > best || (x != x && best == best);
        bool equal = x == best || (x != x && best != best);
        if (above || (last && equal)) {
            best = x;
            index = k;
        }
    }
    return (int64_t)index;
}

static void search_integers(int64_t *out, wai_dtype dtype, const uint8_t *in, size_t count,
                            size_t stride, size_t columns, bool max, bool last) {
    int64_t best[WAI_CHUNK], x[WAI_CHUNK];
    size_t width = wai_dtype_size(dtype);
    /* ~x turns the order around; the sign bit makes the order of u64 i64's. */
    uint64_t flip = (max ? 0 : ~0ull) ^ (dtype == WAI_U64 ? 1ull << 63 : 0);
    for (size_t k = 0; k < count; k++) {
        wai_integers_load(x, dtype, in + k * stride * width, columns);
        for (size_t j = 0; j < columns; j++) {
            int64_t value = (int64_t)((uint64_t)x[j] ^ flip);
            if (k == 0 || value > best[j] || (last && value == best[j])) {
                best[j] = value;
                out[j] = (int64_t)k;
            }
        }
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_arg_reduce_params *p = step->params;
    const wai_type *type = &step->in[0].type;
    const uint8_t *in = step->in[0].data;
    int64_t *out = step->out[0].data;
    size_t width = wai_dtype_size(type->dtype);
    size_t outer = wai_dims_product(type->dims, 0, p->axis);
    size_t count = type->dims[p->axis];
    size_t inner = wai_dims_product(type->dims, p->axis + 1, type->rank);
    bool max = p->max != 0, last = p->select_last != 0;
    for (size_t o = 0; o < outer; o++, in += count * inner * width, out += inner) {
        for (size_t j = 0; j < inner; j += WAI_CHUNK) {
            size_t columns = inner - j < WAI_CHUNK ? inner - j : WAI_CHUNK;
            const uint8_t *start = in + j * width;
            if (type->dtype == WAI_F32 && inner == 1) {
                *out = search_row((const float *)start, count, max, last);
            } else if (type->dtype == WAI_F32) {
                search_floats(out + j, (const float *)start, count, inner, columns, max, last);
            } else {
                search_integers(out + j, type->dtype, start, count, inner, columns, max, last);
            }
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_arg_reduce_kernel = {.run = run};

/* ---- ONNX ---------------------------------------------------------------- */

void wai_lower_arg_reduce(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (x == NULL) {
        return;
    }
    wai_arg_reduce_params params = {
        .axis = wai_lower_axis(l, wai_attr_int(l, "axis", 0), x->type.rank),
        .keep_dims = wai_attr_int(l, "keepdims", 1) != 0,
        .max = strcmp(l->op_type, "ArgMax") == 0,
        .select_last = l->opset >= 12 && wai_attr_int(l, "select_last_index", 0) != 0,
    };
    l->out[0] = wai_emit(l->graph, &wai_op_arg_reduce, &params, &x, 1);
}
