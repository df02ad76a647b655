/* bitwise.h - params of bitwise. */
#ifndef WAI_BITWISE_H
#define WAI_BITWISE_H

#include <stdint.h>

/* Two integer tensors of one dtype, NumPy broadcasting. Shifts by the width or
 * more give 0; a shift to the right of a signed number keeps its sign. */
typedef enum wai_bitwise_kind {
    WAI_BITWISE_AND = 1,
    WAI_BITWISE_OR,
    WAI_BITWISE_XOR,
    WAI_BITWISE_LEFT,
    WAI_BITWISE_RIGHT,
} wai_bitwise_kind;

typedef struct wai_bitwise_params {
    uint32_t kind;
} wai_bitwise_params;

#endif
