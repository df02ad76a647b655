/*
 * emit.h - the params of every operator and the helpers with which lowerings
 * and passes emit them. Compiler and kernels share the structs; the functions
 * are compiler only (ops/emit.c).
 *
 * All members are 4 bytes wide (see wai_field). Enums are stored as uint32_t.
 */
#ifndef WAI_EMIT_H
#define WAI_EMIT_H

#include "graph/graph.h"
#include "ops/op.h"

/* ---- conv2d, deconv2d --------------------------------------------------
 * in:  x f32[N,H,W,I*G]
 *      w f32[G*O,KH,KW,I] (any of them constant), or when packed u8[n]: the
 *        bytes that XNNPACK's kernels read, bias included
 *      bias f32[G*O], optional, absent when packed
 * out: y f32[N,OH,OW,G*O], clamped to min..max
 * deconv2d: y = transposed convolution; OH = (H-1)*stride - pads +
 *   (KH-1)*dilation + 1 + adjust.
 * A 1-D convolution has H = KH = 1. */
typedef struct wai_conv_params {
    uint32_t groups, group_in, group_out;
    uint32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    uint32_t pad_top, pad_left, pad_bottom, pad_right;
    uint32_t adjust_h, adjust_w; /* deconv2d only (output_padding), else 0  */
    uint32_t packed;             /* 0 or 1                                  */
    float min, max;              /* -inf, +inf: none                        */
} wai_conv_params;

/* ---- depthwise ----------------------------------------------------------
 * The conv2d of one channel per group with a square kernel of 3 or 5, stride 1 or
 * 2, dilated or strided but not both, and a multiple of 4 channels. in: x, and
 * weights f32[C/4, 1 + kernel * kernel, 4]: of four channels the biases, then the
 * taps, row by row. Made by a pass. */
typedef struct wai_depthwise_params {
    uint32_t kernel, stride, dilation;
    uint32_t pad_top, pad_left, pad_bottom, pad_right;
    float min, max; /* -inf, +inf: none */
} wai_depthwise_params;

/* ---- stem --------------------------------------------------------------
 * The conv2d of one group and few input channels, packed, not dilated: wai_conv_params
 * as they are (stem.h). Made by a pass. */

/* ---- winograd ----------------------------------------------------------
 * The conv2d of 3x3, stride 1, dilation 1 and one group by Winograd's method, in
 * output tiles of tile x tile, 2 or 4 (winograd.h). in: x, and weights packed as
 * conv2d's. Made by a pass. */
typedef struct wai_winograd_params {
    uint32_t tile, in_channels, out_channels;
    uint32_t pad_top, pad_left, pad_bottom, pad_right;
    float min, max; /* -inf, +inf: none */
} wai_winograd_params;

/* ---- fully_connected ---------------------------------------------------
 * y[..., O] = clamp(x[..., I] * transpose(w[O, I]) + bias[O])
 * w, bias: as in conv2d (packed: u8[n], no bias). x of rank >= 1. */
typedef struct wai_fully_connected_params {
    uint32_t in_features, out_features, packed;
    float min, max;
} wai_fully_connected_params;

/* ---- matmul ------------------------------------------------------------
 * a[..., M, K] * b[..., K, N], leading dims broadcast; f32, f64, i32, i64,
 * u32, u64 (integers wrap). transpose_b: b is [..., N, K]. Ranks >= 2; lowering
 * reshapes vectors. */
typedef struct wai_matmul_params {
    uint32_t transpose_b;
} wai_matmul_params;

/* ---- unary -------------------------------------------------------------
 * Same type out as in, except is_nan, is_inf (bool out). float kinds take f32;
 * abs .. log (not rsqrt) and the tests also f64; abs, neg, sign also integers;
 * logical_not takes bool. */
typedef enum wai_unary_kind {
    WAI_UNARY_ABS = 1,
    WAI_UNARY_NEG,
    WAI_UNARY_SIGN,
    WAI_UNARY_CEIL,
    WAI_UNARY_FLOOR,
    WAI_UNARY_ROUND, /* half to even */
    WAI_UNARY_SQRT,
    WAI_UNARY_RSQRT,
    WAI_UNARY_RECIPROCAL,
    WAI_UNARY_EXP,
    WAI_UNARY_LOG,
    WAI_UNARY_SIN,
    WAI_UNARY_COS,
    WAI_UNARY_TAN,
    WAI_UNARY_ASIN,
    WAI_UNARY_ACOS,
    WAI_UNARY_ATAN,
    WAI_UNARY_SINH,
    WAI_UNARY_COSH,
    WAI_UNARY_TANH,
    WAI_UNARY_ASINH,
    WAI_UNARY_ACOSH,
    WAI_UNARY_ATANH,
    WAI_UNARY_ERF,
    WAI_UNARY_SIGMOID,
    WAI_UNARY_HARD_SIGMOID,     /* max(0, min(1, alpha*x + beta)) */
    WAI_UNARY_HARD_SWISH,       /* x * max(0, min(1, x/6 + 1/2)) */
    WAI_UNARY_LEAKY_RELU,       /* alpha */
    WAI_UNARY_ELU,              /* alpha */
    WAI_UNARY_SELU,             /* alpha, beta = gamma */
    WAI_UNARY_CELU,             /* alpha */
    WAI_UNARY_THRESHOLDED_RELU, /* alpha */
    WAI_UNARY_SOFTPLUS,
    WAI_UNARY_SOFTSIGN,
    WAI_UNARY_MISH,
    WAI_UNARY_GELU, /* exact, by erf */
    WAI_UNARY_GELU_TANH,
    WAI_UNARY_IS_NAN,
    WAI_UNARY_IS_INF, /* alpha != 0: detect +inf; beta != 0: detect -inf */
    WAI_UNARY_NOT,
    WAI_UNARY_SILU, /* x * sigmoid(x); made by a pass */
} wai_unary_kind;

typedef struct wai_unary_params {
    uint32_t kind;
    float alpha, beta;
} wai_unary_params;

/* ---- binary ------------------------------------------------------------
 * NumPy broadcasting; both inputs and the output have one dtype. Arithmetic
 * on f32, f64 (not pow) and all integers (wrapping; integer division by zero gives 0, and
 * INT_MIN / -1 wraps); and, or, xor on bool. */
typedef enum wai_binary_kind {
    WAI_BINARY_ADD = 1,
    WAI_BINARY_SUB,
    WAI_BINARY_MUL,
    WAI_BINARY_DIV,
    WAI_BINARY_POW,
    WAI_BINARY_MIN, /* NaN if either is */
    WAI_BINARY_MAX,
    WAI_BINARY_MOD,   /* sign of the divisor (Python) */
    WAI_BINARY_FMOD,  /* sign of the dividend (C) */
    WAI_BINARY_PRELU, /* a < 0 ? a * b : a; b broadcasts to a */
    WAI_BINARY_AND,
    WAI_BINARY_OR,
    WAI_BINARY_XOR,
} wai_binary_kind;

typedef struct wai_binary_params {
    uint32_t kind;
} wai_binary_params;

/* ---- compare: two of one dtype, broadcasting, bool out ------------------ */
typedef enum wai_compare_kind {
    WAI_COMPARE_EQUAL = 1,
    WAI_COMPARE_LESS,
    WAI_COMPARE_LESS_OR_EQUAL,
    WAI_COMPARE_GREATER,
    WAI_COMPARE_GREATER_OR_EQUAL,
} wai_compare_kind;

typedef struct wai_compare_params {
    uint32_t kind;
} wai_compare_params;

/* ---- where: cond bool, a, b of any one dtype; broadcasting; no params ---- */

/* ---- clamp: f32; NaN stays NaN ------------------------------------------ */
typedef struct wai_clamp_params {
    float min, max;
} wai_clamp_params;

/* ---- reduce ------------------------------------------------------------
 * Over the axes in `axes` (bit i: axis i); f32, f64, integers (wrapping; no
 * roots and logarithms), and bool for max and min.
 * keep_dims: reduced axes stay as 1. An empty set of axes copies (the kind's
 * map is still applied: sum_square of one element is its square). */
typedef enum wai_reduce_kind {
    WAI_REDUCE_SUM = 1,
    WAI_REDUCE_MEAN,
    WAI_REDUCE_MAX,
    WAI_REDUCE_MIN,
    WAI_REDUCE_PROD,
    WAI_REDUCE_L1,
    WAI_REDUCE_L2,
    WAI_REDUCE_LOG_SUM,
    WAI_REDUCE_LOG_SUM_EXP,
    WAI_REDUCE_SUM_SQUARE,
} wai_reduce_kind;

typedef struct wai_reduce_params {
    uint32_t kind, axes, keep_dims;
} wai_reduce_params;

/* ---- softmax: f32, along one axis; log: its logarithm --------------------- */
typedef struct wai_softmax_params {
    uint32_t axis, log;
} wai_softmax_params;

/* ---- arg_reduce: index (i64) of the largest (max=1) or smallest ------------ */
typedef struct wai_arg_reduce_params {
    uint32_t axis, keep_dims, max, select_last;
} wai_arg_reduce_params;

/* ---- reshape: any dtype, same count ------------------------------------- */
typedef struct wai_reshape_params {
    uint32_t rank, dims[WAI_MAX_RANK];
} wai_reshape_params;

/* ---- transpose: out axis i is in axis perm[i]; unused entries 0 ------------ */
typedef struct wai_transpose_params {
    uint32_t perm[WAI_MAX_RANK];
} wai_transpose_params;

/* ---- concat: any dtype, one or more inputs -------------------------------- */
typedef struct wai_concat_params {
    uint32_t axis;
} wai_concat_params;

/* ---- slice: out[i] = in[start + i*step] per axis; step may be negative, not
 * 0; dims: of the output. Unused entries 0. -------------------------------- */
typedef struct wai_slice_params {
    uint32_t start[WAI_MAX_RANK];
    int32_t step[WAI_MAX_RANK];
    uint32_t dims[WAI_MAX_RANK];
} wai_slice_params;

/* ---- gather: data any dtype, indices i32 or i64 (negative from the end) ---
 * An index out of range fails the run. */
typedef struct wai_gather_params {
    uint32_t axis;
} wai_gather_params;

/* ---- pad: in[1], optional, is a scalar of x's dtype (constant mode; else 0) - */
typedef enum wai_pad_mode {
    WAI_PAD_CONSTANT = 1,
    WAI_PAD_REFLECT,
    WAI_PAD_EDGE,
    WAI_PAD_WRAP,
} wai_pad_mode;

typedef struct wai_pad_params {
    uint32_t mode, before[WAI_MAX_RANK], after[WAI_MAX_RANK];
} wai_pad_params;

/* ---- expand: in broadcasts to exactly dims -------------------------------- */
typedef struct wai_expand_params {
    uint32_t rank, dims[WAI_MAX_RANK];
} wai_expand_params;

typedef struct wai_tile_params {
    uint32_t repeats[WAI_MAX_RANK];
} wai_tile_params;

/* ---- resize: f32 (nearest: any dtype); per axis, 0-based like ONNX Resize --- */
typedef enum wai_resize_mode {
    WAI_RESIZE_NEAREST = 1,
    WAI_RESIZE_LINEAR,
    WAI_RESIZE_CUBIC,
} wai_resize_mode;

typedef enum wai_resize_coordinates {
    WAI_RESIZE_HALF_PIXEL = 1,
    WAI_RESIZE_HALF_PIXEL_SYMMETRIC,
    WAI_RESIZE_PYTORCH_HALF_PIXEL,
    WAI_RESIZE_ALIGN_CORNERS,
    WAI_RESIZE_ASYMMETRIC,
    WAI_RESIZE_TF_CROP,
    WAI_RESIZE_TF_HALF_PIXEL_FOR_NN, /* opset 11 only */
} wai_resize_coordinates;

typedef enum wai_resize_rounding {
    WAI_RESIZE_ROUND_PREFER_FLOOR = 1,
    WAI_RESIZE_ROUND_PREFER_CEIL,
    WAI_RESIZE_FLOOR,
    WAI_RESIZE_CEIL,
} wai_resize_rounding;

typedef struct wai_resize_params {
    uint32_t mode, coordinates, rounding, exclude_outside, antialias;
    uint32_t dims[WAI_MAX_RANK];   /* output                                 */
    float scale[WAI_MAX_RANK];     /* per axis; 1 where not resized           */
    float roi_start[WAI_MAX_RANK]; /* tf_crop only, else 0                    */
    float roi_end[WAI_MAX_RANK];   /* tf_crop only, else 1                    */
    float cubic_a, extrapolation;
} wai_resize_params;

/* ---- cast: saturating from float to integer? No: ONNX says undefined out of
 * range; ours clamps, NaN gives 0. To bool: x != 0. --------------------------- */
typedef struct wai_cast_params {
    uint32_t dtype;
} wai_cast_params;

/* ---- pool: x f32[N, spatial..., C]; out dims given (ceil_mode resolved) ---- */
typedef enum wai_pool_kind {
    WAI_POOL_MAX = 1,
    WAI_POOL_AVERAGE,             /* divides by the taps inside the input  */
    WAI_POOL_AVERAGE_INCLUDE_PAD, /* divides by the taps inside the padding */
} wai_pool_kind;

typedef struct wai_pool_params {
    uint32_t kind, spatial; /* spatial: 1..3 axes                         */
    uint32_t kernel[3], stride[3], dilation[3], pad_before[3], pad_after[3], out[3];
    float min, max; /* clamp of the result; -inf, +inf: none      */
} wai_pool_params;

/* ---- lrn: x f32[..., C]; y = x / (bias + alpha/size * sum of squares)^beta --- */
typedef struct wai_lrn_params {
    uint32_t size;
    float alpha, beta, bias;
} wai_lrn_params;

#define WAI_OP(id, symbol) extern const wai_op wai_op_##symbol;
#include "ops/ops.def"
#undef WAI_OP

/* ---- emitting (compiler only) --------------------------------------------
 * Each returns NULL after a failure and passes NULL on (see graph.h). Each
 * emits nothing when there is nothing to do (identity perm, same dims, ...). */
wai_value *wai_emit_reshape(wai_graph *g, wai_value *x, uint32_t rank, const uint32_t *dims);
wai_value *wai_emit_transpose(wai_graph *g, wai_value *x, const uint32_t *perm);
wai_value *wai_emit_unary(wai_graph *g, wai_unary_kind kind, float alpha, float beta, wai_value *x);
wai_value *wai_emit_binary(wai_graph *g, wai_binary_kind kind, wai_value *a, wai_value *b);
wai_value *wai_emit_clamp(wai_graph *g, wai_value *x, float min, float max);
wai_value *wai_emit_cast(wai_graph *g, wai_value *x, wai_dtype dtype);
wai_value *wai_emit_reduce(wai_graph *g, wai_reduce_kind kind, wai_value *x, uint32_t axes,
                           bool keep_dims);
/* Constants, copied into the arena. */
wai_value *wai_emit_constant(wai_graph *g, const wai_type *type, const void *data);
wai_value *wai_emit_scalar_f32(wai_graph *g, float value);
/* A scalar of any dtype with the given whole number. */
wai_value *wai_emit_scalar(wai_graph *g, wai_dtype dtype, int64_t value);
/* Channels-first <-> channels-last, rank >= 3: [N,C,S...] <-> [N,S...,C]. */
wai_value *wai_emit_channels_last(wai_graph *g, wai_value *x);
wai_value *wai_emit_channels_first(wai_graph *g, wai_value *x);

#endif
