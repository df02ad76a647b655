#include "plan/prove.h"

#include "base/checked.h"
#include "base/limits.h"
#include "tensor/type.h"

/* Times: the caller writes graph inputs at 1; step s reads at 2s+2 and writes
 * at 2s+3; graph outputs are read at the end of time. 0: never. */
#define TIME_CALLER      1u
#define TIME_READ(step)  (2 * (step) + 2)
#define TIME_WRITE(step) (2 * (step) + 3)
#define TIME_END         UINT32_MAX

typedef struct proof {
    const wai_prove_view *view;
    wai_diag *diag;
    uint32_t *written;   /* per value: time, 0 if not yet                   */
    uint32_t *last_read; /* per value: time, 0 if never                     */
    /* Compressed addresses: all begins and ends of values, sorted. Cell i is
     * [bounds[i], bounds[i+1]). */
    uint64_t *bounds;
    uint32_t bound_count;
    /* Bottom-up segment tree over the cells with "raise a range" and "largest
     * of a range". busy[node]: largest time in its subtree, what was laid on
     * an ancestor not counted; laid[node]: what was laid on the whole node. */
    uint32_t *busy, *laid;
    uint32_t leaf_count; /* a power of two                                  */
} proof;

static wai_status refuse(proof *p, uint32_t step, uint32_t value, const char *why) {
    if (step == UINT32_MAX) {
        return wai_fail(p->diag, WAI_ERR_MALFORMED, "memory plan", "value %u: %s", value, why);
    }
    return wai_fail(p->diag, WAI_ERR_MALFORMED, "memory plan", "step %u, value %u: %s", step, value,
                    why);
}

/* ---- addresses --------------------------------------------------------- */

static void sift(uint64_t *keys, size_t count, size_t root) {
    uint64_t key = keys[root];
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && keys[child + 1] > keys[child]) {
            child++;
        }
        if (keys[child] <= key) {
            break;
        }
        keys[root] = keys[child];
    }
    keys[root] = key;
}

/* Heapsort: no recursion, no worst case, and no C library in the runtime. */
static void sort(uint64_t *keys, size_t count) {
    for (size_t i = count / 2; i-- > 0;) {
        sift(keys, count, i);
    }
    for (size_t i = count; i-- > 1;) {
        uint64_t largest = keys[0];
        keys[0] = keys[i];
        keys[i] = largest;
        sift(keys, i, 0);
    }
}

static uint32_t cell_of(const proof *p, uint64_t address) {
    uint32_t low = 0;
    uint32_t high = p->bound_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (p->bounds[middle] < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Bytes from its offset on that are the value's alone. */
static uint64_t extent(const proof *p, const wai_prove_value *value) {
    return p->view->apart && value->size != 0 ? wai_slot_size((size_t)value->size) : value->size;
}

static wai_status check_addresses(proof *p) {
    const wai_prove_view *view = p->view;
    for (uint32_t i = 0; i < view->value_count; i++) {
        const wai_prove_value *value = &view->values[i];
        if (value->constant) {
            continue;
        }
        if (value->offset % WAI_ALIGN != 0) {
            return refuse(p, UINT32_MAX, i, "the offset is not aligned");
        }
        if (value->size > WAI_MAX_TENSOR_SIZE || value->offset > view->arena_size ||
            wai_slot_size((size_t)value->size) > view->arena_size - value->offset) {
            return refuse(p, UINT32_MAX, i, "it does not lie within the arena");
        }
        if (value->size != 0) {
            p->bounds[p->bound_count++] = value->offset;
            p->bounds[p->bound_count++] = value->offset + extent(p, value);
        }
    }
    sort(p->bounds, p->bound_count);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->bound_count; i++) {
        if (kept == 0 || p->bounds[i] != p->bounds[kept - 1]) {
            p->bounds[kept++] = p->bounds[i];
        }
    }
    p->bound_count = kept;
    return WAI_OK;
}

/* ---- busy until -------------------------------------------------------- */

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static void raise_ancestors(proof *p, uint32_t node) {
    for (node >>= 1; node != 0; node >>= 1) {
        p->busy[node] = larger(p->laid[node], larger(p->busy[2 * node], p->busy[2 * node + 1]));
    }
}

static void raise_range(proof *p, const wai_prove_value *value, uint32_t time) {
    uint32_t from = cell_of(p, value->offset) + p->leaf_count;
    uint32_t to = cell_of(p, value->offset + extent(p, value)) + p->leaf_count;
    uint32_t first = from;
    uint32_t last = to - 1;
    for (; from < to; from >>= 1, to >>= 1) {
        if (from & 1) {
            p->busy[from] = larger(p->busy[from], time);
            p->laid[from] = larger(p->laid[from], time);
            from++;
        }
        if (to & 1) {
            to--;
            p->busy[to] = larger(p->busy[to], time);
            p->laid[to] = larger(p->laid[to], time);
        }
    }
    raise_ancestors(p, first);
    raise_ancestors(p, last);
}

static uint32_t largest_laid_above(const proof *p, uint32_t node) {
    uint32_t time = 0;
    for (node >>= 1; node != 0; node >>= 1) {
        time = larger(time, p->laid[node]);
    }
    return time;
}

static uint32_t busy_until(const proof *p, const wai_prove_value *value) {
    uint32_t from = cell_of(p, value->offset) + p->leaf_count;
    uint32_t to = cell_of(p, value->offset + extent(p, value)) + p->leaf_count;
    uint32_t time = larger(largest_laid_above(p, from), largest_laid_above(p, to - 1));
    for (; from < to; from >>= 1, to >>= 1) {
        if (from & 1) {
            time = larger(time, larger(p->busy[from], largest_laid_above(p, from)));
            from++;
        }
        if (to & 1) {
            to--;
            time = larger(time, larger(p->busy[to], largest_laid_above(p, to)));
        }
    }
    return time;
}

/* ---- steps ------------------------------------------------------------- */

static wai_status define(proof *p, uint32_t step, uint32_t value, uint32_t time) {
    if (value >= p->view->value_count) {
        return refuse(p, step, value, "there is no such value");
    }
    if (p->view->values[value].constant) {
        return refuse(p, step, value, "a constant is written");
    }
    if (p->written[value] != 0) {
        return refuse(p, step, value, "it is written twice");
    }
    p->written[value] = time;
    return WAI_OK;
}

static wai_status use(proof *p, uint32_t step, uint32_t value, uint32_t time) {
    if (value >= p->view->value_count) {
        return refuse(p, step, value, "there is no such value");
    }
    if (!p->view->values[value].constant && p->written[value] == 0) {
        return refuse(p, step, value, "it is read before it is written");
    }
    p->last_read[value] = time; /* times only grow */
    return WAI_OK;
}

/* Who writes and reads what when; addresses come later. */
static wai_status collect_times(proof *p) {
    const wai_prove_view *view = p->view;
    wai_status status = WAI_OK;
    for (uint32_t i = 0; i < view->input_count && status == WAI_OK; i++) {
        status = define(p, UINT32_MAX, view->inputs[i], TIME_CALLER);
    }
    for (uint32_t s = 0; s < view->step_count && status == WAI_OK; s++) {
        const wai_prove_step *step = &view->steps[s];
        for (uint32_t i = 0; i < step->in_count && status == WAI_OK; i++) {
            if (step->in[i] != WAI_PROVE_ABSENT) {
                status = use(p, s, step->in[i], TIME_READ(s));
            }
        }
        if (step->guard != WAI_PROVE_ABSENT && status == WAI_OK) {
            status = use(p, s, step->guard, TIME_READ(s));
        }
        for (uint32_t i = 0; i < step->out_count && status == WAI_OK; i++) {
            status = define(p, s, step->out[i], TIME_WRITE(s));
        }
    }
    for (uint32_t i = 0; i < view->output_count && status == WAI_OK; i++) {
        status = use(p, UINT32_MAX, view->outputs[i], TIME_END);
        if (status == WAI_OK && view->values[view->outputs[i]].constant) {
            status = refuse(p, UINT32_MAX, view->outputs[i], "a constant is an output");
        }
    }
    return status;
}

static bool same_place(const wai_prove_value *a, const wai_prove_value *b) {
    return !a->constant && a->offset == b->offset && a->size == b->size;
}

static bool overlap(const proof *p, const wai_prove_value *a, const wai_prove_value *b) {
    return !a->constant && a->size != 0 && b->size != 0 && a->offset < b->offset + extent(p, b) &&
           b->offset < a->offset + extent(p, a);
}

/* Output `index` against the inputs that the same step reads. */
static wai_status check_in_place(proof *p, uint32_t s, uint32_t index, bool *aliases) {
    const wai_prove_step *step = &p->view->steps[s];
    const wai_prove_value *out = &p->view->values[step->out[index]];
    *aliases = false;
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i] == WAI_PROVE_ABSENT) {
            continue;
        }
        const wai_prove_value *in = &p->view->values[step->in[i]];
        if (!overlap(p, in, out)) {
            continue;
        }
        if (index != 0 || !same_place(in, out)) {
            return refuse(p, s, step->out[index], "it overlaps an input of its step");
        }
        if (step->same_bytes && i == 0) {
            *aliases = true;
        } else if (i >= 32 || (step->in_place >> i & 1) == 0) {
            return refuse(p, s, step->out[index], "this step cannot work in place");
        }
    }
    return WAI_OK;
}

/* An input that was overwritten cannot be among those still busy: whatever
 * overlaps a live value was refused when it was written. */
static wai_status check_write(proof *p, uint32_t step, uint32_t value, uint32_t time,
                              bool aliases) {
    const wai_prove_value *place = &p->view->values[value];
    if (place->size == 0) {
        return WAI_OK;
    }
    if (!aliases && busy_until(p, place) >= time) {
        return refuse(p, step, value, "it overwrites a value that is still needed");
    }
    raise_range(p, place, larger(time, p->last_read[value]));
    return WAI_OK;
}

static wai_status check_writes(proof *p) {
    const wai_prove_view *view = p->view;
    wai_status status = WAI_OK;
    for (uint32_t i = 0; i < view->input_count && status == WAI_OK; i++) {
        status = check_write(p, UINT32_MAX, view->inputs[i], TIME_CALLER, false);
    }
    for (uint32_t s = 0; s < view->step_count && status == WAI_OK; s++) {
        for (uint32_t i = 0; i < view->steps[s].out_count && status == WAI_OK; i++) {
            bool aliases;
            status = check_in_place(p, s, i, &aliases);
            if (status == WAI_OK) {
                status = check_write(p, s, view->steps[s].out[i], TIME_WRITE(s), aliases);
            }
        }
    }
    return status;
}

wai_status wai_plan_prove(const wai_prove_view *view, wai_pool *scratch, wai_diag *diag) {
    if (view->value_count > WAI_MAX_VALUES || view->step_count > WAI_MAX_NODES) {
        return wai_fail(diag, WAI_ERR_LIMIT, "memory plan", "%u steps and %u values are too many",
                        view->step_count, view->value_count);
    }
    proof p = {.view = view, .diag = diag, .leaf_count = 1};
    while (p.leaf_count < 2 * view->value_count) {
        p.leaf_count *= 2;
    }
    p.written = wai_pool_array(scratch, view->value_count, sizeof *p.written);
    p.last_read = wai_pool_array(scratch, view->value_count, sizeof *p.last_read);
    p.bounds = wai_pool_array(scratch, 2 * (size_t)view->value_count, sizeof *p.bounds);
    p.busy = wai_pool_array(scratch, 2 * (size_t)p.leaf_count, sizeof *p.busy);
    p.laid = wai_pool_array(scratch, 2 * (size_t)p.leaf_count, sizeof *p.laid);
    if (p.written == NULL || p.last_read == NULL || p.bounds == NULL || p.busy == NULL ||
        p.laid == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, "memory plan", "no memory to check the plan");
    }
    wai_status status = check_addresses(&p);
    if (status == WAI_OK) {
        status = collect_times(&p);
    }
    return status == WAI_OK ? check_writes(&p) : status;
}
