#include "ops/product.h"

#include <pthreadpool.h>
#include <string.h>

#include "base/forget.h"
#include "ops/simd.h"

#define INLINE static inline __attribute__((always_inline))

#define COLUMNS 8u /* of a tile of packed weights */
/* Rows of a tile: sums, weights and the factor fit 16 registers; a product that is rounded before
 * it is added wants one more, and twelve sums of it are no faster than eight. */
#define ROWS (WAI_RELAXED ? 6u : 4u)
/* Inputs at a time: 12 KB of weights, and as much at most of the tile's rows. */
#define DEPTH 384u
/* Tiles of columns that a tile of rows is read for. */
#define BLOCK 2u
/* Tiles of columns of a single row. */
#define SEVERAL 4u
/* Floats of x that are at work: 256 KB. */
#define SHARE 65536u
/* Pieces of work for each thread. */
#define PIECES 8u

/* What is computed at a time: the inputs from `first` on, and where. */
typedef struct part {
    const float *x;
    const float *weights; /* of input `first`; the bias in front of input 0 */
    float *y;
    size_t x_stride, y_stride;
    size_t depth;
    bool first, last;
    float min, max;
} part;

/* `rows` rows of 8 columns. */
INLINE void tile(size_t rows, const part *p) {
    const float *x[ROWS], *w = p->weights;
    v128_t sum[ROWS][2];
    for (size_t r = 0; r < rows; r++) {
        const float *from = p->first ? w : p->y + r * p->y_stride;
        sum[r][0] = wasm_v128_load(from);
        sum[r][1] = wasm_v128_load(from + 4);
        x[r] = p->x + r * p->x_stride;
    }
    w += p->first ? COLUMNS : 0;
    wai_add_products(rows, p->depth, x, w, sum);
    for (size_t r = 0; r < rows; r++) {
        float *to = p->y + r * p->y_stride;
        wasm_v128_store(to, sum[r][0]);
        wasm_v128_store(to + 4, sum[r][1]);
    }
}

static void clamp_rows(size_t rows, const part *p) {
    const wai_bounds bounds = wai_bounds_make(p->min, p->max);
    for (size_t i = 0; !bounds.none && i < 2 * rows; i++) {
        float *y = p->y + i / 2 * p->y_stride + i % 2 * 4;
        wasm_v128_store(y, wai_bounded(wasm_v128_load(y), &bounds));
    }
}

/* `rows` of 1 to ROWS. A function of its own for each: constant ends, unrolled. */
static void rows_of_tile(size_t rows, const part *p) {
    switch (rows) {
#if WAI_RELAXED
    case 6:
        tile(6, p);
        break;
    case 5:
        tile(5, p);
        break;
#endif
    case 4:
        tile(4, p);
        break;
    case 3:
        tile(3, p);
        break;
    case 2:
        tile(2, p);
        break;
    default:
        tile(1, p);
    }
    if (p->last) {
        clamp_rows(rows, p);
    }
}

/* A tile of one or two rows takes as long as one of four: the last two share. */
INLINE size_t next_rows(size_t left) {
    return left >= ROWS + 3 || left == ROWS ? ROWS : left > ROWS ? (left + 1) / 2 : left;
}

static size_t least(size_t one, size_t other) {
    return one < other ? one : other;
}

/* The last tile's columns, fewer than 8: no part of a sum can wait in y. */
static void narrow(const wai_product *w, size_t row, size_t rows, const float *weights) {
    const size_t count = w->columns % COLUMNS;
    float y[ROWS * COLUMNS];
    for (size_t i = 0, n; i < rows; i += n) {
        n = next_rows(rows - i);
        const part p = {w->x + (row + i) * w->depth,
                        weights,
                        y,
                        w->depth,
                        COLUMNS,
                        w->depth,
                        true,
                        true,
                        w->min,
                        w->max};
        rows_of_tile(n, &p);
        for (size_t r = 0; r < n; r++) {
            float *to = w->y + (row + i + r + 1) * w->columns - count;
            memcpy(to, y + r * COLUMNS, count * sizeof(float));
        }
    }
    wai_forget(y, sizeof y);
}

/* One row: its two sums of a tile would wait for themselves, so several tiles at a time. Returns
 * the first tile that is not done. */
static size_t one_row(const wai_product *w, size_t row, size_t first, size_t end) {
    const size_t stride = (1 + w->depth) * COLUMNS;
    for (; end - first >= SEVERAL; first += SEVERAL) {
        const float *x = w->x + row * w->depth, *from = w->weights + first * stride;
        part p = {.y = w->y + row * w->columns + first * COLUMNS, .min = w->min, .max = w->max};
        v128_t sum[SEVERAL][2];
        for (size_t i = 0; i < SEVERAL; i++) {
            sum[i][0] = wasm_v128_load(from + i * stride);
            sum[i][1] = wasm_v128_load(from + i * stride + 4);
        }
        WAI_ROLLED for (size_t k = w->depth; k > 0; k--) {
            const v128_t factor = wasm_v128_load32_splat(x++);
            from += COLUMNS;
            for (size_t i = 0; i < SEVERAL; i++) {
                sum[i][0] = wai_madd(factor, wasm_v128_load(from + i * stride), sum[i][0]);
                sum[i][1] = wai_madd(factor, wasm_v128_load(from + i * stride + 4), sum[i][1]);
            }
        }
        for (size_t i = 0; i < SEVERAL; i++, p.y += COLUMNS) {
            wasm_v128_store(p.y, sum[i][0]);
            wasm_v128_store(p.y + 4, sum[i][1]);
            clamp_rows(1, &p);
        }
    }
    return first;
}

/* A task of pthreadpool: `rows` and `tiles` of 8 columns, from `row` and `tile` on. */
static void piece(const wai_product *w, size_t row, size_t first, size_t rows, size_t tiles) {
    const size_t stride = (1 + w->depth) * COLUMNS;
    const size_t whole = least(w->columns / COLUMNS, first + tiles);
    const size_t chunks = (w->depth + DEPTH - 1) / DEPTH;
    const size_t chunk = (w->depth + chunks - 1) / chunks;
    const size_t start = rows == 1 && first < whole ? one_row(w, row, first, whole) : first;
    for (size_t k = 0; k < w->depth; k += chunk) {
        part p = {.x_stride = w->depth,
                  .y_stride = w->columns,
                  .depth = least(chunk, w->depth - k),
                  .first = k == 0,
                  .last = k + chunk >= w->depth,
                  .min = w->min,
                  .max = w->max};
        for (size_t block = start; block < whole; block += BLOCK) {
            const size_t end = least(whole, block + BLOCK);
            for (size_t i = 0, n; i < rows; i += n) {
                n = next_rows(rows - i);
                p.x = w->x + (row + i) * w->depth + k;
                for (size_t j = block; j < end; j++) {
                    p.weights = w->weights + j * stride + (k + (k > 0)) * COLUMNS;
                    p.y = w->y + (row + i) * w->columns + j * COLUMNS;
                    rows_of_tile(n, &p);
                }
            }
        }
    }
    if (whole < first + tiles) {
        narrow(w, row, rows, w->weights + whole * stride);
    }
}

size_t wai_product_weights_size(size_t depth, size_t columns) {
    return (columns + COLUMNS - 1) / COLUMNS * COLUMNS * (1 + depth) * sizeof(float);
}

void wai_product_run(const wai_product *w, struct pthreadpool *threads) {
    const size_t tiles = (w->columns + COLUMNS - 1) / COLUMNS;
    const size_t rows = SHARE / least(w->depth, DEPTH) / ROWS * ROWS;
    const size_t shares = (w->rows + rows - 1) / rows;
    const size_t wanted = pthreadpool_get_threads_count(threads) * PIECES;
    size_t some = tiles;
    if (wanted > PIECES) {
        some = (tiles * shares + wanted - 1) / wanted;
        some = least(tiles, (some + BLOCK - 1) / BLOCK * BLOCK);
    }
    pthreadpool_parallelize_2d_tile_2d(threads, (pthreadpool_task_2d_tile_2d_t)piece, (void *)w,
                                       w->rows, tiles, rows, some, 0);
}

/* ---- of a step -------------------------------------------------------------- */

wai_status wai_product_prepare(wai_step *step, const wai_product *product, wai_pool *pool,
                               wai_diag *diag) {
    const wai_operand *w = &step->in[1];
    if (!w->constant) {
        return wai_fail(diag, WAI_ERR_MALFORMED, step->where, "packed weights must be a constant");
    }
    const size_t is = wai_type_size(&w->type);
    const size_t wanted = wai_product_weights_size(product->depth, product->columns);
    if (is != wanted) {
        return wai_fail(diag, WAI_ERR_MALFORMED, step->where,
                        "%zu bytes of packed weights where the kernel reads %zu", is, wanted);
    }
    wai_product *state = step->state = wai_pool_alloc(pool, sizeof *state);
    if (state == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, step->where, "no memory for the state of a product");
    }
    *state = *product;
    return WAI_OK;
}

wai_status wai_product_setup(wai_step *step, wai_diag *diag) {
    (void)diag;
    wai_product *product = step->state;
    product->x = step->in[0].data;
    product->weights = step->in[1].data;
    product->y = step->out[0].data;
    return WAI_OK;
}

wai_status wai_product_step(wai_step *step, wai_diag *diag) {
    (void)diag;
    wai_product_run(step->state, step->threads);
    return WAI_OK;
}
