/*
 * prove.h - proof that a memory plan destroys nothing that is still needed.
 *
 * The plan may come from a hostile package. What is proven:
 *   - every value is written at most once (by one step, or by the caller
 *     before the run) and is written before it is read;
 *   - offset is a multiple of WAI_ALIGN, and offset + wai_slot_size(size) is
 *     within the arena, for every value that is not a constant;
 *   - no write touches the bytes of a value that is read later, or that the
 *     same step reads - except in place: the first output of a step may have
 *     exactly the bytes of an input whose in_place bit is set and which
 *     nothing reads later;
 *   - a step that leaves the bytes as they are (reshape) may have its output
 *     exactly on its first input; both then live until the last read of each;
 *   - no step writes to a constant, and every output of the graph is written
 *     and still there at the end.
 * A guard is read like an input, before the step writes. A step that its guard
 * skips writes nothing, so what it would have destroyed is not; that its outputs
 * count as written all the same says where bytes lie, not what they are.
 * Spare bytes may overlap with anything, what is read there is never used; unless
 * they are to hold guard words (wai_prove_view.apart).
 */
#ifndef WAI_PROVE_H
#define WAI_PROVE_H

#include <stdbool.h>

#include "base/diag.h"
#include "base/pool.h"

#define WAI_PROVE_ABSENT UINT32_MAX

typedef struct wai_prove_value {
    uint64_t offset; /* in the arena; unused for a constant                 */
    uint64_t size;   /* bytes, without spare                                */
    bool constant;   /* lies in the package, not in the arena               */
} wai_prove_value;

/* Operands are numbers of values, or WAI_PROVE_ABSENT (inputs only). */
typedef struct wai_prove_step {
    const uint32_t *in, *out;
    uint32_t in_count, out_count;
    uint32_t guard;    /* number of a value, or WAI_PROVE_ABSENT            */
    uint32_t in_place; /* wai_op.in_place                                   */
    bool same_bytes;   /* out[0] gets the bytes of in[0]: reshape           */
} wai_prove_step;

typedef struct wai_prove_view {
    uint64_t arena_size;
    const wai_prove_value *values;
    const wai_prove_step *steps;
    const uint32_t *inputs, *outputs; /* of the graph: numbers of values    */
    uint32_t value_count, step_count, input_count, output_count;
    bool apart; /* spare bytes of live values must not overlap either       */
} wai_prove_view;

/*
 * MALFORMED, with the number of step and value in the message, when the proof
 * fails; MEMORY when `scratch` cannot give about 90 bytes per value. The
 * caller frees scratch. Numbers in `view` need not have been checked.
 * Time is O(n log n) in the number of values and operands.
 */
wai_status wai_plan_prove(const wai_prove_view *view, wai_pool *scratch, wai_diag *diag);

#endif
