/* stem_tile.c - the loops of stem.h. */
#include <string.h>

#include "base/forget.h"
#include "ops/simd.h"
#include "ops/stem.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")

/* Outputs of a tile: with fused multiply-add, twelve sums at a time keep the processor busy. */
#ifndef TILE
#define TILE (WAI_RELAXED ? 6u : 4u)
#endif
_Static_assert(TILE <= WAI_STEM_TILE, "patches are made for at most so many");

/* Inputs of a tile, `rows` runs of `run` floats per output; distances in floats, between rows and
 * between outputs. */
typedef struct inputs {
    const float *at;
    size_t row, pixel;
    size_t rows, run;
} inputs;

/* Where outputs go. */
typedef struct target {
    float *y;
    size_t count, channels; /* of the tile's outputs, of the layer */
    float min, max;
} target;

/* 8 channels from `channel` on, whose biases and weights are at `w`. */
INLINE void columns(inputs x, const float *w, const target *t, size_t channel, const size_t pixel) {
    v128_t sum[TILE][2];
    const v128_t bias[2] = {wasm_v128_load(w), wasm_v128_load(w + 4)};
    w += 8;
    UNROLL for (size_t i = 0; i < TILE; i++) {
        sum[i][0] = bias[0];
        sum[i][1] = bias[1];
    }
    ROLLED for (size_t ky = 0; ky < x.rows; ky++) {
        const float *in = x.at + ky * x.row;
        ROLLED for (size_t k = 0; k < x.run; k++, in++, w += 8) {
            const v128_t w0 = wasm_v128_load(w), w1 = wasm_v128_load(w + 4);
            UNROLL for (size_t i = 0; i < TILE; i++) {
                const v128_t factor = wasm_v128_load32_splat(in + i * pixel);
                sum[i][0] = wai_madd(factor, w0, sum[i][0]);
                sum[i][1] = wai_madd(factor, w1, sum[i][1]);
            }
        }
    }
    const v128_t min = wasm_f32x4_splat(t->min), max = wasm_f32x4_splat(t->max);
    const size_t left = t->channels - channel;
    float *y = t->y + channel;
    UNROLL for (size_t i = 0; i < TILE; i++) {
        if (i >= t->count) {
            break;
        }
        /* A NaN stays one. */
        const v128_t y0 = wasm_f32x4_pmin(wasm_f32x4_pmax(sum[i][0], min), max);
        const v128_t y1 = wasm_f32x4_pmin(wasm_f32x4_pmax(sum[i][1], min), max);
        if (left >= 8) {
            wasm_v128_store(y + i * t->channels, y0);
            wasm_v128_store(y + i * t->channels + 4, y1);
        } else {
            const v128_t both[2] = {y0, y1};
            memcpy(y + i * t->channels, both, left * sizeof(float));
        }
    }
}

INLINE void all_columns(inputs x, const float *w, const target *t, const size_t pixel) {
    const size_t group = WAI_STEM_COLUMNS * (1 + x.rows * x.run);
    for (size_t c = 0; c < t->channels; c += WAI_STEM_COLUMNS, w += group) {
        columns(x, w, t, c, pixel);
    }
}

/* With the common distances known, addresses cost nothing. */
static void tile(inputs x, const float *w, const target *t) {
    switch (x.pixel) {
    case 3:
        all_columns(x, w, t, 3);
        break;
    case 6:
        all_columns(x, w, t, 6);
        break;
    default:
        all_columns(x, w, t, x.pixel);
        break;
    }
}

/* `span` pixels of each of the kernel's rows, from (top, left) on, with zeros around the image. */
static void copy(const wai_stem *s, const float *image, int64_t top, int64_t left, size_t span,
                 float *to) {
    const size_t in = s->params->group_in;
    const int64_t end = left + (int64_t)span;
    const int64_t first = left < 0 ? 0 : left, last = end < s->width ? end : s->width;
    for (size_t ky = 0; ky < s->params->kernel_h; ky++, to += span * in) {
        const int64_t row = top + (int64_t)ky;
        memset(to, 0, span * in * sizeof(float));
        if (row >= 0 && row < s->height && first < last) {
            memcpy(to + (size_t)(first - left) * in,
                   image + ((size_t)row * s->width + (size_t)first) * in,
                   (size_t)(last - first) * in * sizeof(float));
        }
    }
}

void wai_stem_row(const wai_stem *s, size_t n, size_t y) {
    const wai_conv_params *p = s->params;
    const size_t in = p->group_in, out = p->group_out;
    const size_t span = (TILE - 1) * (size_t)p->stride_w + p->kernel_w;
    const float *image = s->x + n * s->height * s->width * in;
    float *to = s->y + (n * s->out_height + y) * s->out_width * out;
    const int64_t top = (int64_t)y * p->stride_h - p->pad_top;
    const bool inside = top >= 0 && top + p->kernel_h <= s->height;
    float patch[WAI_STEM_PATCH];
    inputs x = {.pixel = p->stride_w * in, .rows = p->kernel_h, .run = p->kernel_w * in};
    for (size_t done = 0; done < s->out_width; done += TILE) {
        const size_t rest = s->out_width - done;
        const target t = {to + done * out, rest < TILE ? rest : TILE, out, p->min, p->max};
        const int64_t left = (int64_t)(done * p->stride_w) - p->pad_left;
        if (inside && left >= 0 && left + (int64_t)span <= s->width) {
            x.at = image + ((size_t)top * s->width + (size_t)left) * in;
            x.row = s->width * in;
        } else {
            copy(s, image, top, left, span, patch);
            x.at = patch;
            x.row = span * in;
        }
        tile(x, s->weights, &t);
    }
    wai_forget(patch, sizeof patch);
}
