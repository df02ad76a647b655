/* winograd_tile.c - the loops of winograd.h. A vector is 4 channels; loops over a tile have
 * constant ends and are unrolled. */
#include <string.h>

#include "ops/simd.h"
#include "ops/winograd.h"

#define INLINE static inline __attribute__((always_inline))

/* Rows of one matrix product that are computed together: sums, weights and the products in
 * between fit 16 registers. */
#define ROWS 4u

INLINE v128_t times(v128_t a, float factor) {
    return wasm_f32x4_mul(a, wasm_f32x4_splat(factor));
}

/* a * factor + b */
INLINE v128_t plus_times(v128_t b, v128_t a, float factor) {
    return wai_madd(a, wasm_f32x4_splat(factor), b);
}

#define ADD wasm_f32x4_add
#define SUB wasm_f32x4_sub

/* ---- one-dimensional transforms ------------------------------------------
 * `n` is 4 (points 0, 1, -1, infinity) or 6 (0, a, -a, b, -b, infinity). With
 * P(x) the product of all x - point, row i of transpose(B) has the coefficients
 * of P without point i, row i of G the powers of point i over that product's
 * value there, row i of transpose(A) the i-th powers of all points. */

static const float a = 0.625f, b = 1.5f;
static const float aa = 0.390625f, bb = 2.25f; /* all exact */

INLINE void transform_input(size_t n, const v128_t *d, v128_t *out) {
    if (n == 4) {
        out[0] = SUB(d[0], d[2]);
        out[1] = ADD(d[1], d[2]);
        out[2] = SUB(d[2], d[1]);
        out[3] = SUB(d[3], d[1]);
        return;
    }
    v128_t even = plus_times(d[4], d[2], -bb), odd = times(plus_times(d[3], d[1], -bb), a);
    out[1] = ADD(even, odd);
    out[2] = SUB(even, odd);
    even = plus_times(d[4], d[2], -aa), odd = times(plus_times(d[3], d[1], -aa), b);
    out[3] = ADD(even, odd);
    out[4] = SUB(even, odd);
    out[0] = plus_times(plus_times(d[4], d[2], -(aa + bb)), d[0], aa * bb);
    out[5] = plus_times(plus_times(d[5], d[3], -(aa + bb)), d[1], aa * bb);
}

INLINE void transform_weights(size_t n, const v128_t *g, v128_t *out) {
    if (n == 4) {
        v128_t even = times(ADD(g[0], g[2]), 0.5f), odd = times(g[1], 0.5f);
        out[0] = g[0];
        out[1] = ADD(even, odd);
        out[2] = SUB(even, odd);
        out[3] = g[2];
        return;
    }
    const float at_a = 1 / (2 * aa * (aa - bb)), at_b = 1 / (2 * bb * (bb - aa));
    v128_t even = times(plus_times(g[0], g[2], aa), at_a), odd = times(g[1], a * at_a);
    out[0] = times(g[0], 1 / (aa * bb));
    out[1] = ADD(even, odd);
    out[2] = SUB(even, odd);
    even = times(plus_times(g[0], g[2], bb), at_b), odd = times(g[1], b * at_b);
    out[3] = ADD(even, odd);
    out[4] = SUB(even, odd);
    out[5] = g[2];
}

INLINE void transform_output(size_t n, const v128_t *m, v128_t *out) {
    if (n == 4) {
        out[0] = ADD(ADD(m[0], m[1]), m[2]);
        out[1] = ADD(SUB(m[1], m[2]), m[3]);
        return;
    }
    v128_t even_a = ADD(m[1], m[2]), odd_a = SUB(m[1], m[2]);
    v128_t even_b = ADD(m[3], m[4]), odd_b = SUB(m[3], m[4]);
    out[0] = ADD(ADD(m[0], even_a), even_b);
    out[1] = plus_times(times(odd_a, a), odd_b, b);
    out[2] = plus_times(times(even_a, aa), even_b, bb);
    out[3] = plus_times(plus_times(m[5], odd_a, a * aa), odd_b, b * bb);
}

/* ---- inputs --------------------------------------------------------------- */

/* `pixels` are the n x n of the tile; matrix i of the block gets `to` + i * stride. */
INLINE void input_tile(size_t n, const float *const *pixels, size_t depth, float *to,
                       size_t stride) {
    for (size_t c = 0; c < depth; c += 4) {
        v128_t d[6], out[6], half[6][6];
        for (size_t j = 0; j < n; j++) {
            for (size_t i = 0; i < n; i++) {
                d[i] = wasm_v128_load(pixels[i * n + j] + c);
            }
            transform_input(n, d, out);
            for (size_t i = 0; i < n; i++) {
                half[i][j] = out[i];
            }
        }
        for (size_t i = 0; i < n; i++) {
            transform_input(n, half[i], out);
            for (size_t j = 0; j < n; j++) {
                wasm_v128_store(to + (i * n + j) * stride + c, out[j]);
            }
        }
    }
}

void wai_winograd_input(void *winograd, size_t index) {
    const wai_winograd *w = winograd;
    const size_t at = w->first + index, n = w->tile + 2u;
    const size_t image = at / (w->rows * w->columns), in_image = at % (w->rows * w->columns);
    const int64_t top = (int64_t)(in_image / w->columns * w->tile) - w->pad_top;
    const int64_t left = (int64_t)(in_image % w->columns * w->tile) - w->pad_left;
    const float *pixels[36];
    for (size_t i = 0; i < n * n; i++) {
        const int64_t y = top + (int64_t)(i / n), x = left + (int64_t)(i % n);
        const bool inside = y >= 0 && y < w->height && x >= 0 && x < w->width;
        pixels[i] = inside ? w->x + ((image * w->height + (size_t)y) * w->width + (size_t)x) * w->in
                           : w->zeros;
    }
    float *to = w->inputs + index * w->depth;
    if (n == 4) {
        input_tile(4, pixels, w->depth, to, w->input_stride);
    } else {
        input_tile(6, pixels, w->depth, to, w->input_stride);
    }
}

/* ---- weights --------------------------------------------------------------- */

/* Of `count` floats; `tap` is the distance between the nine. */
INLINE void weights(size_t n, const float *from, size_t tap, size_t count, float *to,
                    size_t stride) {
    for (size_t k = 0; k < count; k += 4) {
        v128_t g[3], out[6], half[6][3];
        for (size_t j = 0; j < 3; j++) {
            for (size_t i = 0; i < 3; i++) {
                g[i] = wasm_v128_load(from + (i * 3 + j) * tap + k);
            }
            transform_weights(n, g, out);
            for (size_t i = 0; i < n; i++) {
                half[i][j] = out[i];
            }
        }
        for (size_t i = 0; i < n; i++) {
            transform_weights(n, half[i], out);
            for (size_t j = 0; j < n; j++) {
                wasm_v128_store(to + (i * n + j) * stride + k, out[j]);
            }
        }
    }
}

/* ---- products ---------------------------------------------------------------- */

/* Row r of `to`, 8 columns: what is there already, unless `first`, and the sum over k of row r of x
 * times row k of w. */
INLINE void product(size_t rows, bool first, const float *x, size_t x_stride, const float *w,
                    size_t in, float *to, size_t to_stride) {
    v128_t sum[ROWS][2];
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < 2; i++) {
            sum[r][i] =
                first ? wasm_f32x4_const_splat(0) : wasm_v128_load(to + r * to_stride + 4 * i);
        }
    }
    for (size_t k = 0; k < in; k++, w += WAI_WINOGRAD_COLUMNS) {
        const v128_t w0 = wasm_v128_load(w), w1 = wasm_v128_load(w + 4);
        for (size_t r = 0; r < rows; r++) {
            const v128_t factor = wasm_v128_load32_splat(x + r * x_stride + k);
            sum[r][0] = wai_madd(factor, w0, sum[r][0]);
            sum[r][1] = wai_madd(factor, w1, sum[r][1]);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        wasm_v128_store(to + r * to_stride, sum[r][0]);
        wasm_v128_store(to + r * to_stride + 4, sum[r][1]);
    }
}

/* One matrix, one chunk of `in` channels, all tiles of the block. */
static __attribute__((noinline)) void products(size_t count, bool first, const float *x,
                                               size_t depth, const float *weighted, size_t in,
                                               float *to, size_t to_stride) {
    for (; count >= ROWS; count -= ROWS, x += ROWS * depth, to += ROWS * to_stride) {
        product(ROWS, first, x, depth, weighted, in, to, to_stride);
    }
    switch (count) {
    case 3:
        product(3, first, x, depth, weighted, in, to, to_stride);
        break;
    case 2:
        product(2, first, x, depth, weighted, in, to, to_stride);
        break;
    case 1:
        product(1, first, x, depth, weighted, in, to, to_stride);
        break;
    }
}

/* ---- outputs ------------------------------------------------------------------ */

/* Where a tile's outputs go, and how many rows, columns and channels are there. */
typedef struct target {
    float *y;
    size_t row, pixel; /* distances in floats */
    size_t rows, columns, channels;
} target;

INLINE void output_tile(size_t n, const float *from, const float *bias, const wai_winograd *w,
                        const target *t) {
    const v128_t min = wasm_f32x4_splat(w->min), max = wasm_f32x4_splat(w->max);
    for (size_t c = 0; c < t->channels; c += 4) {
        v128_t m[6], out[6], half[6][6];
        const v128_t plus = wasm_v128_load(bias + c);
        for (size_t j = 0; j < n; j++) {
            for (size_t i = 0; i < n; i++) {
                m[i] = wasm_v128_load(from + (i * n + j) * WAI_WINOGRAD_COLUMNS + c);
            }
            transform_output(n, m, out);
            for (size_t i = 0; i < n - 2; i++) {
                half[i][j] = out[i];
            }
        }
        for (size_t i = 0; i < n - 2; i++) {
            transform_output(n, half[i], out);
            for (size_t j = 0; j < n - 2; j++) {
                const v128_t sum = ADD(out[j], plus);
                const v128_t y = wasm_f32x4_pmin(wasm_f32x4_pmax(sum, min), max);
                float *to = t->y + i * t->row + j * t->pixel + c;
                if (i >= t->rows || j >= t->columns) {
                    continue;
                }
                if (t->channels - c >= 4) {
                    wasm_v128_store(to, y);
                } else {
                    memcpy(to, &y, (t->channels - c) * sizeof(float));
                }
            }
        }
    }
}

static size_t least(size_t one, size_t other) {
    return one < other ? one : other;
}

static target target_of(const wai_winograd *w, size_t tile, size_t channel) {
    const size_t image = tile / (w->rows * w->columns), in_image = tile % (w->rows * w->columns);
    const size_t top = in_image / w->columns * w->tile, left = in_image % w->columns * w->tile;
    const size_t pixel = (image * w->out_height + top) * w->out_width + left;
    return (target){w->y + pixel * w->out + channel,
                    (size_t)w->out_width * w->out,
                    w->out,
                    least(w->tile, w->out_height - top),
                    least(w->tile, w->out_width - left),
                    least(WAI_WINOGRAD_COLUMNS, w->out - channel)};
}

/* 8 channels, whose bias and packed weights are at `from`. */
INLINE void outputs(size_t n, const wai_winograd *w, size_t channel, const float *from,
                    float *slot) {
    const size_t in = w->in, stride = n * n * WAI_WINOGRAD_COLUMNS;
    float *to = slot + n * n * w->weight_stride;
    for (size_t k = 0; k < in || k == 0; k += WAI_WINOGRAD_CHUNK) {
        const size_t chunk = least(WAI_WINOGRAD_CHUNK, in - k);
        weights(n, from + (1 + k) * WAI_WINOGRAD_COLUMNS, in * WAI_WINOGRAD_COLUMNS,
                chunk * WAI_WINOGRAD_COLUMNS, slot, w->weight_stride);
        for (size_t i = 0; i < n * n; i++) {
            products(w->count, k == 0, w->inputs + i * w->input_stride + k, w->depth,
                     slot + i * w->weight_stride, chunk, to + i * WAI_WINOGRAD_COLUMNS, stride);
        }
    }
    for (size_t i = 0; i < w->count; i++) {
        const target t = target_of(w, w->first + i, channel);
        output_tile(n, to + i * stride, from, w, &t);
    }
}

void wai_winograd_outputs(void *winograd, size_t first, size_t count) {
    const wai_winograd *w = winograd;
    float *slot = w->slots + first / w->share * w->slot_stride;
    for (size_t group = first; group < first + count; group++) {
        const size_t channel = group * WAI_WINOGRAD_COLUMNS;
        const float *from = w->weights + channel * (1 + 9 * (size_t)w->in);
        if (w->tile == 2) {
            outputs(4, w, channel, from, slot);
        } else {
            outputs(6, w, channel, from, slot);
        }
    }
}
