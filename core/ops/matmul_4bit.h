/* matmul_4bit.h - params of matmul_4bit. */
#ifndef WAI_MATMUL_4BIT_H
#define WAI_MATMUL_4BIT_H

#include <stdint.h>

/*
 * y[.., N] = x[.., K] * w, w[k,n] = (q[k,n] - zero[k / block, n]) * scale[k / block, n],
 * q in 0..15. Columns stand in tiles of 16, n / 16 rounded up:
 *
 * in:  x f32[.., K]
 *      q u32[tiles, K / 8 rounded up, 16]: eight numbers of a column, the first one
 *        lowest
 *      scale f32[tiles, blocks, 16], blocks = K / block rounded up
 *      zero f32 or u8 of scale's dims, optional: 8
 * Columns past N are computed and dropped.
 */
#define WAI_4BIT_TILE 16u

typedef struct wai_matmul_4bit_params {
    uint32_t columns; /* N                                                 */
    uint32_t block;   /* numbers along K that share a scale, 8 or 16 or .. */
} wai_matmul_4bit_params;

#endif
