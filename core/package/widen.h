/* widen.h - float16 to float32, a loop that is compiled to be fast; read.c is
 * compiled to be small. */
#ifndef WAI_WIDEN_H
#define WAI_WIDEN_H

#include <stddef.h>
#include <stdint.h>

void wai_widen(float *to, const uint16_t *from, size_t count);

#endif
