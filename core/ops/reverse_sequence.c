/* reverse_sequence: the first steps of every batch in reverse. */
#include "ops/reverse_sequence.h"

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/index.h"
#include "ops/move.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_reverse_sequence_params, WAI_FIELD_U32, time_axis),
};

static wai_status infer(wai_signature *s) {
    const wai_reverse_sequence_params *p = s->params;
    const wai_type *x = s->in[0], *lengths = s->in[1];
    if (x == NULL || lengths == NULL || x->rank < 2 || p->time_axis > 1) {
        return WAI_REFUSE(s, "time is axis %u, x has rank %u; 0 or 1 and 2 at least are needed",
                          p->time_axis, x != NULL ? x->rank : 0);
    }
    const uint32_t batches = x->dims[1 - p->time_axis];
    if (!wai_index_is(lengths) || lengths->rank != 1 || lengths->dims[0] != batches) {
        char text[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "sequence lengths must be i64[%u], not %s", batches,
                          wai_type_text(lengths, text));
    }
    s->out[0] = *x;
    return WAI_OK;
}

const wai_op wai_op_reverse_sequence = {
    .name = "reverse_sequence",
    .params_size = sizeof(wai_reverse_sequence_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = wai_move_flops,
};

static wai_status run(wai_step *step, wai_diag *diag) {
    const wai_reverse_sequence_params *p = step->params;
    const wai_type *x = &step->in[0].type;
    const size_t block = wai_dims_product(x->dims, 2, x->rank) * wai_dtype_size(x->dtype);
    const int64_t steps = x->dims[p->time_axis];
    uint8_t *out = step->out[0].data;
    for (size_t i = 0; i < x->dims[0]; i++) {
        for (size_t j = 0; j < x->dims[1]; j++, out += block) {
            const size_t batch = p->time_axis == 0 ? j : i;
            const int64_t length = wai_index_at(&step->in[1], batch);
            if (length < 0 || length > steps) {
                return wai_fail(diag, WAI_ERR_ARGUMENT, step->where,
                                "length %lld of batch %zu is outside the %lld steps of axis %u",
                                (long long)length, batch, (long long)steps, p->time_axis);
            }
            int64_t time = (int64_t)(p->time_axis == 0 ? i : j);
            time = time < length ? length - 1 - time : time;
            const size_t row =
                p->time_axis == 0 ? (size_t)time * x->dims[1] + j : i * x->dims[1] + (size_t)time;
            wai_move_bytes(out, (const uint8_t *)step->in[0].data + row * block, block);
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_reverse_sequence_kernel = {.run = run};

void wai_lower_reverse_sequence(wai_lower *l) {
    wai_value *in[2] = {wai_lower_input(l, 0), wai_lower_input(l, 1)};
    const int64_t batch = wai_attr_int(l, "batch_axis", 1), time = wai_attr_int(l, "time_axis", 0);
    if (batch < 0 || time < 0 || batch > 1 || time > 1 || batch == time) {
        WAI_LOWER_REFUSE(l, "batch_axis %lld and time_axis %lld are not 0 and 1 or 1 and 0",
                         (long long)batch, (long long)time);
    }
    wai_reverse_sequence_params params = {(uint32_t)time};
    if (!wai_lower_failed(l)) {
        l->out[0] = wai_emit(l->graph, &wai_op_reverse_sequence, &params, in, 2);
    }
}
