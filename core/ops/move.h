/*
 * move.h - the one strided copy behind transpose, slice, concat, expand, tile
 * and pad: read an N-D walk over one buffer, write an N-D walk over another.
 * Not an operator; has no row in ops.def.
 */
#ifndef WAI_MOVE_H
#define WAI_MOVE_H

#include "ops/op.h"

/* Tile walks a repeat and a dim per axis. */
#define WAI_MOVE_RANK (2u * WAI_MAX_RANK)

typedef struct wai_move {
    uint32_t rank;
    size_t element; /* bytes of one element: 1, 2, 4 or 8                    */
    size_t dims[WAI_MOVE_RANK];
    ptrdiff_t in[WAI_MOVE_RANK], out[WAI_MOVE_RANK]; /* strides in bytes     */
} wai_move;

/* Row-major strides of `type` in bytes. */
void wai_move_strides(const wai_type *type, ptrdiff_t strides[WAI_MAX_RANK]);

/* The walk over all of `type` in both buffers; the caller changes the strides
 * of one of them. */
void wai_move_init(wai_move *move, const wai_type *type);

/*
 * Copy every element of the walk. Adjacent dims that are one walk in both
 * buffers are merged first, so that contiguous stretches become one memcpy
 * and a transposition becomes tiles. `in` and `out` do not overlap.
 */
void wai_move_run(const wai_move *move, const void *in, void *out);

/* Fill `count` elements of `element` bytes at `out` with the one at `value`. */
void wai_move_fill(void *out, const void *value, size_t element, size_t count);

/*
 * Copy `size` bytes; they do not overlap. Short rows stay in line: memcpy of a
 * size known at run time is a call into the engine in wasm (even at about 100
 * bytes in V8).
 */
static inline void wai_move_bytes(uint8_t *out, const uint8_t *in, size_t size) {
    if (size > 128) {
        __builtin_memcpy(out, in, size);
        return;
    }
    for (; size >= 16; size -= 16, in += 16, out += 16) {
        __builtin_memcpy(out, in, 16);
    }
    if ((size & 8) != 0) {
        __builtin_memcpy(out, in, 8);
        in += 8, out += 8;
    }
    if ((size & 4) != 0) {
        __builtin_memcpy(out, in, 4);
        in += 4, out += 4;
    }
    for (size &= 3; size > 0; size--) {
        *out++ = *in++;
    }
}

/* Moving data is no floating-point operation. */
uint64_t wai_move_flops(const wai_signature *s);

/* True if entries [from, WAI_MAX_RANK) of a params array are 0, as emit.h
 * promises for axes that do not exist. */
bool wai_move_tail_is_zero(const uint32_t *entries, uint32_t from);

#endif
