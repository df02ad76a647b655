#include "ops/conv_direct.h"

#include <pthreadpool.h>
#include <string.h>

#include "base/forget.h"
#include "ops/conv_common.h"
#include "ops/simd.h"

#define INLINE static inline __attribute__((always_inline))

#define COLUMNS 8u /* output channels of a tile of packed weights */
/* Pixels of a tile, and of a smaller one for the last: see product.c. */
#define ROWS  (WAI_RELAXED ? 6u : 4u)
#define FEWER 4u
/* Floats of weights, and of x, that are at work: 256 KB each. */
#define SHARE 65536u
/* Pieces of work for each thread. */
#define PIECES 8u

typedef struct direct {
    const wai_conv_params *params;
    const float *x, *weights;
    const float *zeros; /* a pixel of the padding */
    float *y;
    uint32_t height, width, out_height, out_width;
    int64_t last_top, last_left; /* where a window still is in the image whole */
    size_t pixels, taps, tiles;
    size_t offsets[WAI_DIRECT_TAPS]; /* from the window's first float to that of the tap */
} direct;

/* Where the pixels of a tile are, tap by tap, ROWS apart; so many of them are wanted. */
typedef struct places {
    const float *at[WAI_DIRECT_TAPS * ROWS];
    size_t count;
} places;

static size_t least(size_t one, size_t other) {
    return one < other ? one : other;
}

/* ---- one tile ------------------------------------------------------------- */

INLINE void tile(size_t rows, const direct *d, const places *from, const float *w, float *y,
                 size_t columns) {
    const wai_conv_params *p = d->params;
    v128_t sum[ROWS][2];
    for (size_t r = 0; r < rows; r++) {
        sum[r][0] = wasm_v128_load(w);
        sum[r][1] = wasm_v128_load(w + 4);
    }
    w += COLUMNS;
    for (size_t tap = 0; tap < d->taps; tap++, w += p->group_in * COLUMNS) {
        const float *x[ROWS];
        for (size_t r = 0; r < rows; r++) {
            x[r] = from->at[tap * ROWS + r];
        }
        wai_add_products(rows, p->group_in, x, w, sum);
    }
    const wai_bounds bounds = wai_bounds_make(p->min, p->max);
    for (size_t r = 0; r < rows && r < from->count; r++, y += p->group_out) {
        const v128_t low = wai_bounded(sum[r][0], &bounds), high = wai_bounded(sum[r][1], &bounds);
        if (columns >= COLUMNS) {
            wasm_v128_store(y, low);
            wasm_v128_store(y + 4, high);
        } else {
            v128_t both[2] = {low, high};
            memcpy(y, both, columns * sizeof(float));
            wai_forget(both, sizeof both);
        }
    }
}

/* The tiles `first` to `end` of output channels. */
static void tiles(size_t rows, const direct *d, const places *from, float *y, size_t first,
                  size_t end) {
    const size_t stride = (1 + d->taps * d->params->group_in) * COLUMNS;
    for (size_t i = first; i < end; i++) {
        const size_t column = i * COLUMNS, columns = d->params->group_out - column;
        if (rows == ROWS) {
            tile(ROWS, d, from, d->weights + i * stride, y + column, columns);
        } else {
            tile(FEWER, d, from, d->weights + i * stride, y + column, columns);
        }
    }
}

/* ---- where pixels are ------------------------------------------------------ */

/* An output pixel. */
typedef struct position {
    size_t n, down, across;
} position;

static position position_of(const direct *d, size_t pixel) {
    const size_t line = pixel / d->out_width;
    return (position){line / d->out_height, line % d->out_height, pixel % d->out_width};
}

static void advance(const direct *d, position *at) {
    if (++at->across == d->out_width) {
        at->across = 0;
        if (++at->down == d->out_height) {
            at->down = 0;
            at->n++;
        }
    }
}

/* Where the pixels are that the output at `o` is made of, in places `row`. */
static void find(const direct *d, const position *o, places *to, size_t row) {
    const wai_conv_params *p = d->params;
    const int64_t top = (int64_t)o->down * p->stride_h - p->pad_top;
    const int64_t left = (int64_t)o->across * p->stride_w - p->pad_left;
    const float *image = d->x + o->n * d->height * d->width * p->group_in;
    const float **at = to->at + row;
    if (top >= 0 && left >= 0 && top <= d->last_top && left <= d->last_left) {
        image += ((size_t)top * d->width + (size_t)left) * p->group_in;
        for (size_t tap = 0; tap < d->taps; tap++, at += ROWS) {
            *at = image + d->offsets[tap];
        }
        return;
    }
    for (uint32_t ky = 0; ky < p->kernel_h; ky++) {
        const int64_t y = top + (int64_t)ky * p->dilation_h;
        int64_t x = left;
        for (uint32_t kx = 0; kx < p->kernel_w; kx++, x += p->dilation_w, at += ROWS) {
            const bool inside = y >= 0 && y < d->height && x >= 0 && x < d->width;
            *at = inside ? image + ((size_t)y * d->width + (size_t)x) * p->group_in : d->zeros;
        }
    }
}

/* What is computed for nobody is the same as the tile's first. */
static void repeat(const direct *d, places *to, size_t row) {
    for (size_t tap = 0; tap < d->taps; tap++) {
        to->at[tap * ROWS + row] = to->at[tap * ROWS];
    }
}

/* Pixels of the next tile: in the last ones nothing is computed twice if it can be helped. */
INLINE size_t next_rows(size_t left) {
    return left == ROWS + 1 || left == ROWS + 2 || left <= FEWER ? FEWER : ROWS;
}

/* A task of pthreadpool: `pixels` and `count` tiles of channels, from `pixel` and `first` on. */
static void piece(const direct *d, size_t pixel, size_t first, size_t pixels, size_t count) {
    const wai_conv_params *p = d->params;
    const size_t block = SHARE / ((1 + d->taps * p->group_in) * COLUMNS) + 1;
    places from;
    for (size_t i = first; i < first + count; i += block) {
        position o = position_of(d, pixel);
        for (size_t done = 0, rows; done < pixels; done += rows) {
            rows = next_rows(pixels - done);
            from.count = least(rows, pixels - done);
            for (size_t r = 0; r < from.count; r++, advance(d, &o)) {
                find(d, &o, &from, r);
            }
            for (size_t r = from.count; r < rows; r++) {
                repeat(d, &from, r);
            }
            tiles(rows, d, &from, d->y + (pixel + done) * p->group_out, i,
                  least(i + block, first + count));
        }
    }
}

/* ---- of a step -------------------------------------------------------------- */

bool wai_direct_takes(const wai_conv_params *p, uint64_t weights_size) {
    return p->packed == 1 && p->groups == 1 && p->group_in >= 16 && p->group_out >= 32 &&
           p->kernel_h <= WAI_DIRECT_TAPS && p->kernel_w <= WAI_DIRECT_TAPS &&
           p->kernel_h * p->kernel_w <= WAI_DIRECT_TAPS && weights_size == wai_conv_packed_size(p);
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    const wai_conv_params *p = step->params;
    const uint32_t *x = step->in[0].type.dims, *y = step->out[0].type.dims;
    direct *d = step->state = wai_pool_alloc(pool, sizeof *d);
    float *zeros = d != NULL ? wai_pool_array(pool, p->group_in, sizeof(float)) : NULL;
    if (zeros == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, step->where, "no memory for a pixel of padding");
    }
    *d = (direct){.params = p,
                  .zeros = zeros,
                  .height = x[1],
                  .width = x[2],
                  .out_height = y[1],
                  .out_width = y[2],
                  .pixels = wai_dims_product(y, 0, 3),
                  .taps = (size_t)p->kernel_h * p->kernel_w,
                  .tiles = (p->group_out + COLUMNS - 1) / COLUMNS};
    d->last_top = (int64_t)x[1] - 1 - (int64_t)(p->kernel_h - 1) * p->dilation_h;
    d->last_left = (int64_t)x[2] - 1 - (int64_t)(p->kernel_w - 1) * p->dilation_w;
    for (size_t tap = 0; tap < d->taps; tap++) {
        const size_t ky = tap / p->kernel_w, kx = tap % p->kernel_w;
        d->offsets[tap] = (ky * p->dilation_h * x[2] + kx * p->dilation_w) * p->group_in;
    }
    return WAI_OK;
}

static wai_status setup(wai_step *step, wai_diag *diag) {
    (void)diag;
    direct *d = step->state;
    d->x = step->in[0].data;
    d->weights = step->in[1].data;
    d->y = step->out[0].data;
    return WAI_OK;
}

/* Pieces for all threads: of fewer pixels than a share of x where those are enough, and of fewer
 * channels where they are not, since each finds its pixels. */
static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const direct *d = step->state;
    const wai_conv_params *p = d->params;
    const size_t threads = pthreadpool_get_threads_count(step->threads);
    const size_t wanted = threads > 1 ? threads * PIECES : 1;
    const uint64_t step_in = (uint64_t)least(p->stride_h, SHARE) * least(p->stride_w, SHARE);
    const size_t share = (size_t)(SHARE / (step_in * least(p->group_in, SHARE)));
    const size_t most = least(share, (d->pixels + wanted - 1) / wanted);
    const size_t pixels = (most / (ROWS * FEWER) + 1) * ROWS * FEWER; /* whole tiles */
    const size_t shares = (d->pixels + pixels - 1) / pixels;
    const size_t some = shares < wanted ? (d->tiles * shares + wanted - 1) / wanted : d->tiles;
    pthreadpool_parallelize_2d_tile_2d(step->threads, (pthreadpool_task_2d_tile_2d_t)piece,
                                       (void *)d, d->pixels, d->tiles, pixels, some, 0);
    return WAI_OK;
}

const wai_kernel wai_direct_kernel = {prepare, setup, run};
