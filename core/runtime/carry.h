/* carry.h - outputs of one run as inputs of the next, inside the arena. */
#ifndef WAI_CARRY_H
#define WAI_CARRY_H

#include <stdbool.h>

#include "base/diag.h"
#include "base/limits.h"
#include "base/pool.h"

/* What a session keeps for it. */
typedef struct wai_carrier {
    uint8_t *marks; /* a bit per 64-byte block of every input that can be carried to */
    bool filled;    /* the outputs are those of a run that went well        */
    uint32_t kept[WAI_MAX_IO / 32]; /* a bit per input: it was carried to, since the last run */
} wai_carrier;

/* Of session.c. */
wai_carrier *wai_session_carrier(wai_session *session);

/* The last allocation of open that is not a kernel's. */
wai_status wai_carrier_open(wai_session *session, wai_pool *pool, wai_diag *diag);

typedef struct wai_move {
    uint8_t *to;
    const uint8_t *from;
    size_t size; /* bytes                                                   */
} wai_move;

/* Bytes of marks for moves of these sizes: the sum over all. */
size_t wai_move_marks(size_t size);

/*
 * All moves at once: as if everything were read before anything is written.
 * Needs: addresses are multiples of 64; no two `to` overlap; two `from` are
 * the same place or do not overlap. Any `to` may overlap any `from` in any
 * way. The bytes up to the next multiple of 64 behind each end belong to the
 * move too: they may be read and written. `moves` is used up; `marks` is
 * written when moves wait for each other in a circle. Time is linear in the
 * bytes for a given count of moves.
 */
void wai_moves_run(wai_move *moves, uint32_t count, uint8_t *marks);

#endif
