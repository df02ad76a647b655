#ifndef WAI_TOP_K_H
#define WAI_TOP_K_H

#include <stdint.h>

/* ---- top_k --------------------------------------------------------------
 * in: x, floats or integers. out: i64, where along the last axis its k largest
 * (or smallest) elements are, best first; of equal ones the lower index. A NaN
 * is above every number (as in NumPy's sort; onnxruntime's order with NaN
 * depends on k), -0 equals 0. Values are gather_elements of the indices. */
typedef struct wai_top_k_params {
    uint32_t k, largest;
} wai_top_k_params;

#endif
