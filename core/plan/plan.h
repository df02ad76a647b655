/* plan.h - the order of steps and the address of every value (compiler only). */
#ifndef WAI_PLAN_H
#define WAI_PLAN_H

#include "graph/graph.h"

#define WAI_PLAN_NONE UINT32_MAX

/*
 * Everything is in the graph's arena and valid until the graph changes.
 *
 * Values of the plan are the graph inputs and all outputs of steps, in order
 * of writing; constants are not among them. Every value has an offset that is
 * a multiple of WAI_ALIGN, and offset + wai_slot_size(size) is within the
 * arena. A zero-size value is at offset 0.
 */
typedef struct wai_plan {
    wai_node **steps; /* in order of running                                */
    uint32_t step_count;
    wai_value **values;
    uint64_t *offsets; /* bytes, per entry of values                        */
    uint32_t value_count;
    uint32_t *index;      /* value id -> entry of values, or WAI_PLAN_NONE  */
    uint64_t arena_size;  /* bytes                                          */
    uint64_t lower_bound; /* largest sum of slots that live at one time: no
                             placement of these steps can be smaller        */
} wai_plan;

/*
 * Plan the graph. Every graph output must be the output of a node and be an
 * output once (pass separate_outputs sees to that): INTERNAL otherwise. LIMIT
 * when the arena would pass WAI_MAX_MEMORY. The plan has been proven
 * (plan/prove.h) when this returns WAI_OK.
 */
wai_status wai_plan_make(wai_plan *plan, wai_graph *graph);

/*
 * The plan as text, a line per step in order of running, every value with its
 * address in the arena: `step 3: %7 f32[1,8] @128 = conv2d(%5@0, %6:const)`.
 * In the graph's arena; NULL when that is used up.
 */
const char *wai_plan_dump(const wai_plan *plan, const wai_graph *graph);

/* Offset of a value that is in the plan. */
static inline uint64_t wai_plan_offset(const wai_plan *plan, const wai_value *value) {
    return plan->offsets[plan->index[value->id]];
}

/* Bytes of a value, whatever symbolic dims are; without spare. */
static inline size_t wai_plan_size(const wai_value *value) {
    const size_t size = wai_type_size(&value->type);
    return value->reserved > size ? (size_t)value->reserved : size;
}

/* ---- between the files of this folder ---------------------------------- */

/* A run of bytes that lives from step `first` to step `last`, both included.
 * One slot holds one value after the other where steps work in place. */
typedef struct wai_slot {
    uint64_t size; /* what wai_slot_size() says                             */
    uint32_t first, last;
    uint64_t offset;
} wai_slot;

/* Give every slot an offset. `time_count` is above every last. Returns the
 * arena's size, or UINT64_MAX when `arena` has no memory left. */
uint64_t wai_place_slots(wai_arena *arena, wai_slot *slots, uint32_t slot_count,
                         uint32_t time_count, uint64_t lower_bound);

/* An order of the nodes that frees memory as early as it can, step by step;
 * false when the graph is too big to try or memory is out. `steps` has room
 * for all nodes. */
bool wai_schedule_frugal(wai_graph *graph, wai_node **steps);

#endif
