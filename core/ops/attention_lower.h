/*
 * attention_lower.h - what all attention operators share: heads, caches, masks,
 * and softmax(q k' + bias) v by matmul and softmax. Compiler only.
 *
 * B batch, H heads of q, K heads of k and v (H is a multiple of K), S queries,
 * T keys, D and E the sizes of one head of q and v. All functions pass NULL on.
 */
#ifndef WAI_ATTENTION_LOWER_H
#define WAI_ATTENTION_LOWER_H

#include "ops/lowering.h"

typedef struct wai_attention {
    wai_value *q;       /* f32[B,H,S,D], multiplied by the scale already      */
    wai_value *k, *v;   /* f32[B,K,T,D], f32[B,K,T,E]                         */
    wai_value *bias;    /* added; broadcasts to [B,H,S,T]; NULL: none         */
    wai_value *visible; /* bool, broadcasts to it: false shuts; NULL: all open */
    float softcap;      /* c * tanh(x / c) in front of the bias; 0: none      */
} wai_attention;

/* f32[B,H,S,E]. Refuses types that do not fit, by their dims. */
wai_value *wai_attention_emit(wai_lower *l, const wai_attention *a);

/* [B,S,H*D] -> [B,H,S,D] and back; refused where H does not divide. */
wai_value *wai_attention_split(wai_lower *l, wai_value *x, uint32_t heads, const char *what);
wai_value *wai_attention_join(wai_lower *l, wai_value *x);

/* x * scale; in front of wai_attention_split, so that it can go into weights. */
wai_value *wai_attention_scale(wai_lower *l, wai_value *x, float scale);

/* [B,K,P,D] and [B,K,S,D] -> [B,K,P+S,D]; past may be NULL. */
wai_value *wai_attention_extend(wai_lower *l, wai_value *past, wai_value *x, const char *what);

/* Key t is visible to query s where t <= s + past, dim `axis` of the cache `past` or
 * 0 without one: bool[S,T], or NULL where all are. */
wai_value *wai_attention_causal(wai_lower *l, uint32_t queries, uint32_t keys, wai_value *past,
                                uint32_t axis);

/* 0 where `open`, else `shut`. */
wai_value *wai_attention_bias(wai_lower *l, wai_value *open, float shut);

/* The attribute num_heads; 0 after a failure. */
uint32_t wai_attention_heads(wai_lower *l, const char *attr);

/* ---- rotary embedding ------------------------------------------------------- */

typedef struct wai_rotary {
    wai_value *cos, *sin; /* f32[B or 1,S,R/2]: of each position               */
    bool interleaved;     /* pairs are (0,1), (2,3) ..; else (0,R/2), (1,R/2+1) .. */
} wai_rotary;

/* Row positions[..] of the caches [M,R/2]. */
wai_rotary wai_rotary_of(wai_lower *l, wai_value *cos, wai_value *sin, wai_value *positions,
                         bool interleaved);

/* The first R of D turned; `head_axis` of x (rank 4) is 1 or 2, the other one is
 * the position. */
wai_value *wai_rotary_emit(wai_lower *l, const wai_rotary *r, wai_value *x, uint32_t head_axis);

#endif
