/*
 * harden.h - a session that looks for damage: guard words round everything it
 * owns (fences, base/fence.h), weights hashed again, the arena wiped.
 *
 * None of it takes memory: a slot of the arena and a constant in the package end
 * with 16 to 79 spare bytes (wai_slot_size), a block of the pool has them too and
 * a header of 64 bytes. So a certificate is exact with hardening and without.
 *
 * The plan gives an address to one value after the other, so the fence of a slot
 * belongs to the value that lives there: it is armed when the value is written
 * and looked at whenever a step has read it, its last reader included. Slots
 * that live at one time do not touch (harden wants the proof of the plan for
 * sizes with spare bytes), so the fence of the slot below is the one in front.
 */
#ifndef WAI_HARDEN_H
#define WAI_HARDEN_H

#include "base/limits.h"
#include "package/program.h"

typedef struct wai_hardened {
    uint64_t key;   /* of the fences; 0: a session without hardening        */
    uint32_t every; /* wipes from one look at the weights to the next; 0: never */
    uint32_t wipes;
    uint64_t weights; /* their hash when the session was opened             */
    bool armed;       /* inputs have their fences, and nothing ran since    */
    uint32_t *kept;   /* a bit per input: it was carried to (carry.h)         */
    wai_bytes package;
    const wai_program *program;
    const wai_type *types; /* per value as they are now; NULL: the program's */
    uint8_t *arena;
    void *workspace; /* of all steps, or NULL                               */
    const wai_pool *pool;
} wai_hardened;

/* Outputs that a step whose counts depend on values can have. */
#define WAI_HARDENED_COUNTED 4u

/* Puts fences between the constants, in the package. Before anything reads them. */
void wai_hardened_fence_weights(const wai_hardened *h);

/* At the end of open, when nothing is allocated any more. */
void wai_hardened_seal(wai_hardened *h);

/* Before the first step: INTEGRITY when an input was written past its end. */
wai_status wai_hardened_begin(wai_hardened *h, wai_diag *diag);

/* One step, with fences behind what it reads and writes. */
wai_status wai_hardened_step(wai_step *step, uint64_t key, wai_diag *diag);

/* Of a step that is skipped: its outputs have fences too. */
wai_status wai_hardened_arm(const wai_step *step, uint64_t key, wai_diag *diag);

/* Behind the last step: everything else. */
wai_status wai_hardened_end(const wai_hardened *h, wai_diag *diag);

/* Zeros arena and workspace but for inputs that were carried to, and looks at the
 * weights when it is time. */
wai_status wai_hardened_wipe(wai_hardened *h, wai_diag *diag);

#endif
