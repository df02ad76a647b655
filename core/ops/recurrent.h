/*
 * recurrent.h - the steps of LSTM, GRU and RNN over time; the product of input
 * and weights for all times is a fully_connected in front of it.
 *
 * in: x f32[T,B,D*G*H]: X * transpose(W), for D directions and G gates in
 *       ONNX's order (lstm i,o,f,c; gru z,r,h)
 *     r f32[D,G,n,H,16], n = ceil(H/16): transpose(R) of each gate in blocks of
 *       16 outputs, zeros behind the last
 *     h0 f32[D,B,H], optional (zeros); c0, the same for lstm only
 *     peepholes f32[D,3,H] (i, o, f), optional, lstm only
 *     lengths i32[B], optional (T each): a length outside 0..T fails the run
 *     bias f32[D,G,H], optional: added behind both products, as onnxruntime
 *       does, so that results differ from its by the activations only
 *     hidden_bias f32[D,H]: gru with reset_after only, and there required
 * out: y f32[T,D,B,H], zeros behind a sequence's length
 *      h f32[D,B,H]: the last state; c, the same for lstm only
 */
#ifndef WAI_RECURRENT_H
#define WAI_RECURRENT_H

#include "ops/emit.h"

typedef enum wai_recurrent_kind {
    WAI_RECURRENT_RNN = 1,
    WAI_RECURRENT_GRU,
    WAI_RECURRENT_LSTM,
} wai_recurrent_kind;

typedef enum wai_activation {
    WAI_ACTIVATION_SIGMOID = 1,
    WAI_ACTIVATION_TANH,
    WAI_ACTIVATION_RELU,
    WAI_ACTIVATION_AFFINE, /* alpha * x + beta */
    WAI_ACTIVATION_LEAKY_RELU,
    WAI_ACTIVATION_THRESHOLDED_RELU,
    WAI_ACTIVATION_SCALED_TANH,  /* alpha * tanh(beta * x) */
    WAI_ACTIVATION_HARD_SIGMOID, /* max(0, min(1, alpha * x + beta)) */
    WAI_ACTIVATION_ELU,
    WAI_ACTIVATION_SOFTSIGN,
    WAI_ACTIVATION_SOFTPLUS,
} wai_activation;

#define WAI_RECURRENT_BLOCK 16u

typedef struct wai_recurrent_params {
    uint32_t kind, hidden;  /* H                                             */
    uint32_t directions;    /* D: 1, or 2: the second one is reverse         */
    uint32_t reverse;       /* the first one is reverse; only where D is 1   */
    uint32_t coupled;       /* lstm: forget = 1 - input                      */
    uint32_t reset_after;   /* gru: the reset gate works behind the product  */
    float clip;             /* of what goes into activations; +inf: none     */
    uint32_t activation[6]; /* 3 per direction: f, g, h; unused ones 0       */
    float alpha[6], beta[6];
} wai_recurrent_params;

/* Gates of a kind; 0 for a number that is no kind. */
static inline uint32_t wai_recurrent_gates(uint32_t kind) {
    return kind == WAI_RECURRENT_RNN    ? 1
           : kind == WAI_RECURRENT_GRU  ? 3
           : kind == WAI_RECURRENT_LSTM ? 4
                                        : 0;
}

/* Activations of one direction. */
static inline uint32_t wai_recurrent_activations(uint32_t kind) {
    return kind == WAI_RECURRENT_LSTM ? 3 : kind == WAI_RECURRENT_GRU ? 2 : 1;
}

#endif
