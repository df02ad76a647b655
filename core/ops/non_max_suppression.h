#ifndef WAI_NON_MAX_SUPPRESSION_H
#define WAI_NON_MAX_SUPPRESSION_H

#include <stdint.h>

/* ---- non_max_suppression ------------------------------------------------
 * in:  boxes f32[B,N,4], scores f32[B,C,N]; optional, each one number: how many
 *      boxes per class at most (i32, i64; never more than per_class), overlap f32
 *      (intersection over union above which the lower score goes; 0 when absent),
 *      least score f32 (only scores above it; all when absent, NaN never)
 * out: i64[count,3]: batch, class, box; per class the best score first, of equal
 *      ones the lower index.
 * center: boxes are x, y, width, height; else y1, x1, y2, x2 of any two opposite
 * corners. limit: bound.h; at most B * C * min(per_class, N). */
typedef struct wai_non_max_suppression_params {
    uint32_t limit, per_class, center;
} wai_non_max_suppression_params;

#endif
