/* random.h - params of random. */
#ifndef WAI_RANDOM_H
#define WAI_RANDOM_H

#include <stdint.h>

/*
 * f32 in [0, 1), multiples of 2^-24, with the dims of in[0], whose values are not
 * read. Philox4x32-10 (Salmon and others, "Parallel random numbers: as easy as
 * 1, 2, 3", 2011) with key (seed, 0): words 4i .. 4i+3 are its block for counter
 * (i, stream, part, 0). The same on every engine and in every run.
 */
typedef struct wai_random_params {
    uint32_t seed, stream, part;
} wai_random_params;

#endif
