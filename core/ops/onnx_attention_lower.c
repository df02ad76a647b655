/* Attention of ai.onnx, since opset 23. */
#include <math.h>

#include "ops/attention_lower.h"

enum { Q, K, V, MASK, PAST_K, PAST_V };

/* Heads as [B,heads,length,size]: rank 4 comes so, rank 3 is split. */
static wai_value *read_heads(wai_lower *l, uint32_t index, const char *attr, const char *what) {
    wai_value *x = wai_lower_input(l, index);
    if (wai_lower_failed(l)) {
        return NULL;
    }
    if (x->type.rank == 4) {
        wai_attr_ignore(l, attr);
        return x;
    }
    return wai_attention_split(l, x, wai_attention_heads(l, attr), what);
}

/* Y, present key, present value. The fourth output, the scores at some stage, is
 * for debugging. */
void wai_lower_onnx_attention(wai_lower *l) {
    wai_value *q = read_heads(l, Q, "q_num_heads", "Q");
    wai_value *k = read_heads(l, K, "kv_num_heads", "K");
    wai_value *v = read_heads(l, V, "kv_num_heads", "V"), *mask = wai_lower_optional(l, MASK);
    wai_value *past_k = wai_lower_optional(l, PAST_K), *past_v = wai_lower_optional(l, PAST_V);
    const bool joined = q != NULL && l->in[Q]->type.rank == 3;
    const bool causal = wai_attr_int(l, "is_causal", 0) != 0;
    const float scale = wai_attr_float(l, "scale", 0), softcap = wai_attr_float(l, "softcap", 0);
    wai_attr_ignore(l, "softmax_precision"); /* ours is f32 */
    wai_attr_ignore(l, "qk_matmul_output_mode");
    if (wai_lower_wants(l, 3)) {
        WAI_LOWER_DECLINE(l, "qk_matmul_output of Attention");
    }
    if (softcap != 0 && (mask != NULL || causal)) {
        WAI_LOWER_DECLINE(l, "Attention with softcap and a mask"); /* opsets differ on the order */
    }
    k = wai_attention_extend(l, past_k, k, "past_key");
    v = wai_attention_extend(l, past_v, v, "past_value");
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t size = q->type.dims[3], queries = q->type.dims[2], keys = k->type.dims[2];
    wai_attention a = {.q = wai_attention_scale(l, q, scale != 0 ? scale : 1 / sqrtf((float)size)),
                       .k = k,
                       .v = v,
                       .softcap = softcap};
    a.visible = causal ? wai_attention_causal(l, queries, keys, past_k, 2) : NULL;
    if (mask != NULL && mask->type.dtype == WAI_BOOL) {
        a.visible =
            a.visible != NULL ? wai_emit_binary(l->graph, WAI_BINARY_AND, a.visible, mask) : mask;
    } else {
        a.bias = mask;
    }
    wai_value *y = wai_attention_emit(l, &a);
    wai_value *out[] = {joined ? wai_attention_join(l, y) : y, k, v};
    for (uint32_t i = 0; i < l->out_count && i < 3; i++) {
        l->out[i] = out[i];
    }
}
