/* attention.h - params of attention, and how its kernel reads what is given. */
#ifndef WAI_ATTENTION_H
#define WAI_ATTENTION_H

#include "ops/op.h"

/* Of one head; a task's part of it stands on the stack. */
#define WAI_ATTENTION_MAX_SIZE 256u

/*
 * y = softmax(scale * q k' + bias) v for each head, without the matrix of scores.
 * B batch, H heads of q, K of k and v (H is a multiple of K; head h reads head
 * h / (H / K)), S queries, T keys, D and E the sizes of one head of q and of v.
 *
 * in:  q, k, v f32, each in one of two forms:
 *        rank 3, [batch, length, columns], or with length_first [length, batch,
 *        columns]: head h is the columns from column + h * size on, so that
 *        projections are read where they are, one or three in a row;
 *        rank 4, [batch, heads, length, size]; its column is 0
 *      bias f32, optional, broadcasts to [B,H,S,T]
 *      visible bool, optional, broadcasts to it: where it is false the score
 *        is `shut`, whatever the bias is
 * out: y f32[B,S,H*E], with length_first [S,B,H*E]
 */
typedef struct wai_attention_params {
    uint32_t heads, kv_heads, size, value_size;
    uint32_t q_column, k_column, v_column;
    uint32_t length_first; /* 0 or 1 */
    float scale, shut;
} wai_attention_params;

enum {
    WAI_ATTENTION_Q,
    WAI_ATTENTION_K,
    WAI_ATTENTION_V,
    WAI_ATTENTION_BIAS,
    WAI_ATTENTION_VISIBLE,
    WAI_ATTENTION_INPUTS
};

/* Batch and length of q, k or v in one of its forms. */
static inline void wai_attention_dims(const wai_attention_params *p, const wai_type *type,
                                      uint32_t *batch, uint32_t *length) {
    *batch = type->dims[type->rank == 3 && p->length_first != 0 ? 1 : 0];
    *length = type->dims[type->rank == 4 ? 2 : p->length_first != 0 ? 0 : 1];
}

#endif
