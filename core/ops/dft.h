/* dft.h - params of dft, and what its lowerings share. */
#ifndef WAI_DFT_H
#define WAI_DFT_H

#include <stdint.h>

/*
 * Discrete Fourier transforms of frames of a signal.
 * in:  x f32[..., n, 1 or 2]: real or complex
 *      roots f64[length, 2]: the length-th roots of unity, as real, imaginary,
 *        clockwise (forward transform) or not (inverse)
 *      window f32[length], optional: multiplies every frame
 * out: f32[..., frames, bins, 2], times `scale`
 * Frame f starts at f * frame_step; behind its end the signal is zero.
 */
typedef struct wai_dft_params {
    uint32_t frames, frame_step, bins;
    float scale;
} wai_dft_params;

#endif
