#include "ops/depthwise.h"

#include "ops/simd.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")

#define MAX_KERNEL                     5u
#define WIDE                           7u
#define NARROW                         4u
#define COLUMNS(kernel, stride, count) (((count) - 1) * (stride) + (kernel))
#define MAX_COLUMNS                    COLUMNS(MAX_KERNEL, 2, WIDE)

/*
 * `count` neighbouring outputs, all channels. in: a pointer per input pixel, rows of
 * COLUMNS(kernel, stride, count). Each is read once per four channels. A row of taps at a time:
 * with all rows unrolled the pointers do not fit the processor's registers, which costs a third.
 */
INLINE void tile(const wai_depthwise *d, const float *const *in, float *out, size_t out_step,
                 const uint32_t kernel, const uint32_t stride, const uint32_t count) {
    const v128_t min = wasm_f32x4_splat(d->params->min), max = wasm_f32x4_splat(d->params->max);
    const uint32_t columns = COLUMNS(kernel, stride, count);
    const size_t channels = d->channels;
    const float *w = d->weights;
    for (size_t c = 0; c < channels; c += 4) {
        v128_t sum[WIDE], x[MAX_COLUMNS];
        UNROLL for (uint32_t i = 0; i < count; i++) {
            sum[i] = wasm_v128_load(w);
        }
        w += 4;
        const float *const *row = in;
        ROLLED for (uint32_t ky = 0; ky < kernel; ky++, row += columns, w += 4 * kernel) {
            UNROLL for (uint32_t i = 0; i < columns; i++) {
                x[i] = wasm_v128_load(row[i] + c);
            }
            UNROLL for (uint32_t kx = 0; kx < kernel; kx++) {
                const v128_t tap = wasm_v128_load(w + 4 * kx);
                UNROLL for (uint32_t i = 0; i < count; i++) {
                    sum[i] = wai_madd(x[i * stride + kx], tap, sum[i]);
                }
            }
        }
        UNROLL for (uint32_t i = 0; i < count; i++) {
            /* A NaN stays one. */
            v128_t y = wasm_f32x4_pmin(wasm_f32x4_pmax(sum[i], min), max);
            wasm_v128_store(out + i * out_step + c, y);
        }
    }
}

typedef void tile_function(const wai_depthwise *d, const float *const *in, float *out,
                           size_t out_step);

#define TILE(kernel, stride, count)                                                                \
    static void tile_##kernel##_##stride##_##count(const wai_depthwise *d, const float *const *in, \
                                                   float *out, size_t out_step) {                  \
        tile(d, in, out, out_step, kernel, stride, count);                                         \
    }
TILE(3, 1, 7)
TILE(3, 1, 4)
TILE(3, 1, 1)
TILE(3, 2, 7)
TILE(3, 2, 4)
TILE(5, 1, 7)
TILE(5, 1, 4)
TILE(5, 1, 1)
TILE(5, 2, 7)
TILE(5, 2, 4)

/* By kernel 3 or 5, by stride. */
typedef struct tiles {
    tile_function *wide, *narrow, *single;
} tiles;

static const tiles all_tiles[2][2] = {
    {{tile_3_1_7, tile_3_1_4, tile_3_1_1}, {tile_3_2_7, tile_3_2_4, tile_3_1_1}},
    {{tile_5_1_7, tile_5_1_4, tile_5_1_1}, {tile_5_2_7, tile_5_2_4, tile_5_1_1}},
};

/* Of how many outputs the tiles should be narrow, so that few are computed twice: from 18 outputs
 * on, none is. */
static uint32_t narrow_tiles(uint32_t count) {
    uint32_t best = 0, least = UINT32_MAX;
    for (uint32_t narrow = 0; narrow < WIDE; narrow++) {
        const uint32_t left = count > narrow * NARROW ? count - narrow * NARROW : 0;
        const uint32_t wide = (left + WIDE - 1) / WIDE;
        const uint32_t total = wide * WIDE + narrow * NARROW;
        if (total < least && (wide == 0 || count >= WIDE)) {
            least = total;
            best = narrow;
        }
    }
    return best;
}

/* Pointers to the pixels that `count` outputs from column `x` of row `y` on read. */
static void point(const wai_depthwise *d, const float *image, size_t y, size_t x, uint32_t count,
                  const float **in) {
    const wai_depthwise_params *p = d->params;
    const uint32_t columns = COLUMNS(p->kernel, p->stride, count);
    const int64_t top = (int64_t)(y * p->stride) - p->pad_top;
    const int64_t left = (int64_t)(x * p->stride) - p->pad_left;
    for (uint32_t ky = 0; ky < p->kernel; ky++) {
        const int64_t row = top + (int64_t)ky * p->dilation;
        const bool inside = row >= 0 && row < d->height;
        for (uint32_t i = 0; i < columns; i++) {
            const int64_t column = left + (int64_t)i * p->dilation;
            *in++ = inside && column >= 0 && column < d->width
                        ? image + ((size_t)row * d->width + (size_t)column) * d->channels
                        : d->zeros;
        }
    }
}

void wai_depthwise_row(const wai_depthwise *d, size_t n, size_t y) {
    const wai_depthwise_params *p = d->params;
    const tiles *t = &all_tiles[p->kernel / 5][p->stride - 1];
    const float *image = d->x + n * d->height * d->width * d->channels;
    float *out = d->y + (n * d->out_height + y) * d->out_width * d->channels;
    /* With dilation every so many-th output is a neighbour. */
    const uint32_t step = p->dilation < d->out_width ? p->dilation : d->out_width;
    for (uint32_t first = 0; first < step; first++) {
        const uint32_t count = (d->out_width - first + step - 1) / step;
        uint32_t narrow = narrow_tiles(count), width;
        for (uint32_t done = 0; done < count; done += width) {
            const float *in[MAX_KERNEL * MAX_COLUMNS];
            const bool is_narrow = count - done <= narrow * NARROW;
            width = count < NARROW ? 1 : is_narrow ? NARROW : WIDE;
            /* The last one starts earlier where it would not fit. */
            const uint32_t at = count - done < width ? count - width : done;
            const size_t x = first + (size_t)at * step;
            point(d, image, y, x, width, in);
            (width == 1  ? t->single
             : is_narrow ? t->narrow
                         : t->wide)(d, in, out + x * d->channels, step * d->channels);
        }
    }
}
