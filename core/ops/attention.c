/* attention.c - attention of many heads as one operator: its meaning. */
#include "ops/attention.h"

#include <math.h>
#include <string.h>

#include "ops/emit.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_attention_params, WAI_FIELD_U32, heads),
    WAI_FIELD(wai_attention_params, WAI_FIELD_U32, kv_heads),
    WAI_FIELD(wai_attention_params, WAI_FIELD_U32, size),
    WAI_FIELD(wai_attention_params, WAI_FIELD_U32, value_size),
    WAI_FIELD(wai_attention_params, WAI_FIELD_U32, q_column),
    WAI_FIELD(wai_attention_params, WAI_FIELD_U32, k_column),
    WAI_FIELD(wai_attention_params, WAI_FIELD_U32, v_column),
    WAI_FIELD(wai_attention_params, WAI_FIELD_U32, length_first),
    WAI_FIELD(wai_attention_params, WAI_FIELD_F32, scale),
    WAI_FIELD(wai_attention_params, WAI_FIELD_F32, shut),
};

/* Whether `type` holds `heads` heads of `size` from `column` on, in either form. */
static bool holds(const wai_type *type, uint32_t heads, uint32_t size, uint32_t column) {
    if (type == NULL || type->dtype != WAI_F32) {
        return false;
    }
    if (type->rank == 4) {
        return column == 0 && type->dims[1] == heads && type->dims[3] == size;
    }
    return type->rank == 3 && column + (uint64_t)heads * size <= type->dims[2];
}

static wai_status check_params(wai_signature *s) {
    const wai_attention_params *p = s->params;
    if (p->heads == 0 || p->kv_heads == 0 || p->heads % p->kv_heads != 0) {
        return WAI_REFUSE(s, "%u heads of queries and %u of keys", p->heads, p->kv_heads);
    }
    if (p->size == 0 || p->size > WAI_ATTENTION_MAX_SIZE || p->value_size == 0 ||
        p->value_size > WAI_ATTENTION_MAX_SIZE) {
        return WAI_REFUSE(s, "heads of %u and %u, from 1 to %u are possible", p->size,
                          p->value_size, WAI_ATTENTION_MAX_SIZE);
    }
    if (p->length_first > 1 || !isfinite(p->scale) || isnan(p->shut)) {
        return WAI_REFUSE(s, "length_first must be 0 or 1, scale finite and shut a number");
    }
    return WAI_OK;
}

/* Optional input `index` must spread to the scores without stretching them. */
static wai_status check_spread(wai_signature *s, uint32_t index, wai_dtype dtype,
                               const wai_type *scores) {
    const wai_type *type = index < s->in_count ? s->in[index] : NULL;
    wai_type out;
    if (type == NULL || (type->dtype == dtype && wai_type_broadcast(&out, type, scores) &&
                         out.rank == 4 && memcmp(out.dims, scores->dims, 16) == 0)) {
        return WAI_OK;
    }
    char text[WAI_TYPE_TEXT], of_scores[WAI_TYPE_TEXT];
    return WAI_REFUSE(s, "%s is %s, which does not spread to the scores %s",
                      index == WAI_ATTENTION_BIAS ? "the bias" : "the mask",
                      wai_type_text(type, text), wai_type_text(scores, of_scores));
}

static wai_status infer(wai_signature *s) {
    const wai_attention_params *p = s->params;
    const wai_type *q = s->in[WAI_ATTENTION_Q], *k = s->in[WAI_ATTENTION_K],
                   *v = s->in[WAI_ATTENTION_V];
    wai_status status = check_params(s);
    if (status != WAI_OK) {
        return status;
    }
    if (!holds(q, p->heads, p->size, p->q_column) || !holds(k, p->kv_heads, p->size, p->k_column) ||
        !holds(v, p->kv_heads, p->value_size, p->v_column)) {
        return WAI_REFUSE(s, "queries, keys and values do not hold %u and %u heads of %u and %u",
                          p->heads, p->kv_heads, p->size, p->value_size);
    }
    uint32_t batch, queries, batch_k, keys, batch_v, values;
    wai_attention_dims(p, q, &batch, &queries);
    wai_attention_dims(p, k, &batch_k, &keys);
    wai_attention_dims(p, v, &batch_v, &values);
    if (batch_k != batch || batch_v != batch || keys != values) {
        return WAI_REFUSE(s, "batches of %u, %u and %u; %u keys and %u values", batch, batch_k,
                          batch_v, keys, values);
    }
    const uint32_t columns = p->heads * p->value_size;
    const uint32_t scores_dims[] = {batch, p->heads, queries, keys};
    const uint32_t dims[] = {p->length_first ? queries : batch, p->length_first ? batch : queries,
                             columns};
    /* The type of the scores, which are never there, is not valid where they are many. */
    const wai_type scores = wai_type_make(WAI_F32, 4, scores_dims);
    s->out[0] = wai_type_make(WAI_F32, 3, dims);
    if (columns / p->value_size != p->heads || !wai_type_is_valid(&s->out[0])) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "%u heads of %u are too many", p->heads,
                        p->value_size);
    }
    status = check_spread(s, WAI_ATTENTION_BIAS, WAI_F32, &scores);
    return status == WAI_OK ? check_spread(s, WAI_ATTENTION_VISIBLE, WAI_BOOL, &scores) : status;
}

static uint64_t flops(const wai_signature *s) {
    const wai_attention_params *p = s->params;
    uint32_t batch, queries, keys;
    wai_attention_dims(p, s->in[WAI_ATTENTION_Q], &batch, &queries);
    wai_attention_dims(p, s->in[WAI_ATTENTION_K], &batch, &keys);
    return 2 * (uint64_t)batch * queries * keys * p->heads * (p->size + p->value_size);
}

const wai_op wai_op_attention = {
    .name = "attention",
    .params_size = sizeof(wai_attention_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 3,
    .max_in = WAI_ATTENTION_INPUTS,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};
