/*
 * conv_direct.h - convolution of one group, over weights packed for XNNPACK's igemm (xnn.h, layout
 * 1: tiles of 8 output channels, each its 8 biases and then the taps in rows of 8).
 *
 * A few output pixels and 8 channels are computed together, one tap after another, as igemm does
 * and with its bits. igemm reads where the pixels of each tap are from a list, made at open, of
 * taps x outputs pointers (450 KB for 3x3 over 112x112); here they are found tile by tile. Some
 * tiles of channels, as many as the second-level cache holds beside the pixels, share the finding.
 */
#ifndef WAI_CONV_DIRECT_H
#define WAI_CONV_DIRECT_H

#include "ops/emit.h"

/* Taps of the largest kernel: pointers of a tile are on the stack. */
#define WAI_DIRECT_TAPS 64u

/* Whether a convolution of these params and this many bytes of weights is one for it: with fewer
 * channels the finding takes longer than igemm's list. */
bool wai_direct_takes(const wai_conv_params *p, uint64_t weights_size);

/* Of a step of x and packed weights that fit them, checked by infer. */
extern const wai_kernel wai_direct_kernel;

#endif
