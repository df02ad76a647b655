/* ONNX's operators on sequences and optionals: done on the compiler's lists
 * (onnx/list.h). What is left in the graph are slices, reshapes and concats. */
#include <string.h>

#include "base/limits.h"
#include "onnx/body.h"
#include "onnx/list.h"
#include "ops/lowering.h"

/* ---- optionals ---- */

void wai_lower_optional_make(wai_lower *l) {
    wai_value *x = wai_lower_optional(l, 0);
    wai_attr_ignore(l, "type");
    l->out[0] = x != NULL ? x : wai_list_absent(l->graph);
}

void wai_lower_optional_has(wai_lower *l) {
    const wai_value *x = wai_lower_optional(l, 0);
    const wai_list *list = wai_list_of(x);
    l->out[0] =
        wai_emit_scalar(l->graph, WAI_BOOL, x != NULL && (list == NULL || !list->absent) ? 1 : 0);
}

void wai_lower_optional_get(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    const wai_list *list = wai_list_of(x);
    if (list != NULL && list->absent) {
        WAI_LOWER_REFUSE(l, "OptionalGetElement of an optional without a value");
        return;
    }
    l->out[0] = x;
}

/* ---- sequences ---- */

void wai_lower_sequence_empty(wai_lower *l) {
    wai_lower_dtype(l, wai_attr_int(l, "dtype", 1));
    l->out[0] = wai_list_make(l->graph, NULL, 0);
}

void wai_lower_sequence_construct(wai_lower *l) {
    if (l->in_count == 0) {
        WAI_LOWER_REFUSE(l, "SequenceConstruct has no inputs");
    }
    for (uint32_t i = 0; i < l->in_count; i++) {
        wai_lower_input(l, i);
    }
    l->out[0] = wai_lower_failed(l) ? NULL : wai_list_make(l->graph, l->in, l->in_count);
}

void wai_lower_sequence_length(wai_lower *l) {
    const wai_list *list = wai_lower_list(l, 0);
    l->out[0] = list != NULL ? wai_emit_scalar(l->graph, WAI_I64, list->count) : NULL;
}

/* Input `index`, a constant, as a place in 0..count-1; `fallback` when absent. */
static uint32_t position(wai_lower *l, uint32_t index, uint32_t count, uint32_t fallback) {
    int64_t at = 0;
    bool there;
    const uint32_t found = wai_lower_ints(l, index, &at, 1, &there);
    if (!there || wai_lower_failed(l)) {
        return fallback;
    }
    const int64_t from_front = at < 0 ? at + count : at;
    if (found != 1 || from_front < 0 || from_front >= count) {
        WAI_LOWER_REFUSE(l, "position %lld of %s is outside %u places", (long long)at, l->op_type,
                         count);
        return 0;
    }
    return (uint32_t)from_front;
}

void wai_lower_sequence_at(wai_lower *l) {
    const wai_list *list = wai_lower_list(l, 0);
    if (wai_lower_input(l, 1) == NULL || wai_lower_failed(l)) {
        return;
    }
    const uint32_t at = position(l, 1, list->count, 0);
    l->out[0] = wai_lower_failed(l) ? NULL : list->items[at];
}

void wai_lower_sequence_insert(wai_lower *l) {
    const wai_list *list = wai_lower_list(l, 0);
    wai_value *x = wai_lower_input(l, 1);
    if (wai_lower_failed(l)) {
        return;
    }
    /* Position -1 is before the last element, so count it among `count`; the
     * place behind the last is there only from the front. */
    const wai_value *given = wai_lower_optional(l, 2);
    int64_t at = list->count;
    bool there;
    const uint32_t found = wai_lower_ints(l, 2, &at, 1, &there);
    const int64_t place = at < 0 ? at + list->count : at;
    if (!wai_lower_failed(l) &&
        ((given != NULL && found != 1) || place < 0 || place > (int64_t)list->count)) {
        WAI_LOWER_REFUSE(l, "position %lld of SequenceInsert is outside %u elements", (long long)at,
                         list->count);
    }
    wai_value **items = wai_body_values(l, list->count + 1u);
    if (wai_lower_failed(l)) {
        return;
    }
    memcpy(items, list->items, (size_t)place * sizeof *items);
    items[place] = x;
    memcpy(items + place + 1, list->items + place, (list->count - (size_t)place) * sizeof *items);
    l->out[0] = wai_list_make(l->graph, items, list->count + 1);
}

void wai_lower_sequence_erase(wai_lower *l) {
    const wai_list *list = wai_lower_list(l, 0);
    if (list != NULL && list->count == 0) {
        WAI_LOWER_REFUSE(l, "SequenceErase of a sequence of no elements");
    }
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t at = position(l, 1, list->count, list->count - 1);
    wai_value **items = wai_body_values(l, list->count);
    if (wai_lower_failed(l)) {
        return;
    }
    memcpy(items, list->items, at * sizeof *items);
    memcpy(items + at, list->items + at + 1, (list->count - at - 1) * sizeof *items);
    l->out[0] = wai_list_make(l->graph, items, list->count - 1);
}

/* ---- tensors to sequences and back ---- */

/* x without `axis`, which has one element. */
static wai_value *without_axis(wai_lower *l, wai_value *x, uint32_t axis) {
    uint32_t dims[WAI_MAX_RANK], rank = 0;
    for (uint32_t i = 0; x != NULL && i < x->type.rank; i++) {
        if (i != axis) {
            dims[rank++] = x->type.dims[i];
        }
    }
    return x != NULL ? wai_emit_reshape(l->graph, x, rank, dims) : NULL;
}

static wai_value *with_axis(wai_lower *l, wai_value *x, uint32_t axis) {
    uint32_t dims[WAI_MAX_RANK];
    if (x->type.rank == WAI_MAX_RANK) {
        WAI_LOWER_DECLINE(l, "an element of %u axes would get one more", x->type.rank);
        return NULL;
    }
    for (uint32_t i = 0; i <= x->type.rank; i++) {
        dims[i] = i == axis ? 1 : x->type.dims[i - (i > axis)];
    }
    return wai_emit_reshape(l->graph, x, x->type.rank + 1, dims);
}

/* The lengths of the parts of `length` elements; returns how many there are. */
static uint32_t read_split(wai_lower *l, uint32_t length, int64_t sizes[WAI_MAX_OPERANDS]) {
    bool there;
    uint32_t count = wai_lower_ints(l, 1, sizes, WAI_MAX_OPERANDS, &there);
    if (wai_lower_failed(l)) {
        return 0;
    }
    if (!there || l->in[1]->type.rank == 0) {
        const int64_t most = length > 0 ? length : 1;
        const int64_t chunk = there ? (sizes[0] < most ? sizes[0] : most) : 1;
        if (chunk <= 0 || (length + chunk - 1) / chunk > (int64_t)WAI_MAX_OPERANDS) {
            WAI_LOWER_REFUSE(l, "%u elements in parts of %lld: 1 to %u parts are possible", length,
                             (long long)chunk, WAI_MAX_OPERANDS);
            return 0;
        }
        count = 0;
        for (int64_t at = 0; at < length; at += chunk) {
            sizes[count++] = at + chunk < length ? chunk : length - at;
        }
    }
    int64_t rest = length;
    for (uint32_t i = 0; i < count; i++) {
        rest = sizes[i] >= 0 && sizes[i] <= rest ? rest - sizes[i] : -1;
        if (rest < 0) {
            break;
        }
    }
    if (rest != 0) {
        WAI_LOWER_REFUSE(l, "the parts of SplitToSequence are not the %u elements of the axis",
                         length);
    }
    return count;
}

void wai_lower_split_to_sequence(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    const int64_t given = wai_attr_int(l, "axis", 0);
    const bool keep = wai_attr_int(l, "keepdims", 1) != 0 || wai_lower_optional(l, 1) != NULL;
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t axis = wai_lower_axis(l, given, x->type.rank);
    int64_t sizes[WAI_MAX_OPERANDS];
    const uint32_t count = wai_lower_failed(l) ? 0 : read_split(l, x->type.dims[axis], sizes);
    wai_value **parts = wai_body_values(l, count);
    uint32_t start = 0;
    for (uint32_t i = 0; i < count && !wai_lower_failed(l); i++) {
        parts[i] = wai_lower_part(l, x, axis, start, (uint32_t)sizes[i]);
        parts[i] = keep ? parts[i] : without_axis(l, parts[i], axis);
        start += (uint32_t)sizes[i];
    }
    l->out[0] = wai_lower_failed(l) ? NULL : wai_list_make(l->graph, parts, count);
}

void wai_lower_concat_from_sequence(wai_lower *l) {
    const wai_list *list = wai_lower_list(l, 0);
    const int64_t given = wai_attr_int(l, "axis", 0);
    const bool stack = wai_attr_int(l, "new_axis", 0) != 0;
    if (!wai_attr_has(l, "axis") && !wai_lower_failed(l)) {
        WAI_LOWER_REFUSE(l, "ConcatFromSequence has no attribute axis");
    }
    if (list != NULL && list->count == 0) {
        WAI_LOWER_REFUSE(l, "ConcatFromSequence of a sequence of no elements");
    }
    if (wai_lower_failed(l)) {
        return;
    }
    const wai_concat_params p = {
        wai_lower_axis(l, given, list->items[0]->type.rank + (stack ? 1 : 0))};
    wai_value **parts = wai_body_values(l, list->count);
    for (uint32_t i = 0; i < list->count && !wai_lower_failed(l); i++) {
        parts[i] = stack ? with_axis(l, list->items[i], p.axis) : list->items[i];
    }
    if (!wai_lower_failed(l)) {
        l->out[0] = list->count == 1 ? parts[0]
                                     : wai_emit(l->graph, &wai_op_concat, &p, parts, list->count);
    }
}

/* ---- SequenceMap ---- */

/* Element `at` of every sequence, and every tensor, as the body's inputs. */
static bool map_inputs(wai_lower *l, wai_body *b, uint32_t at, uint32_t count) {
    for (uint32_t i = 0; i < l->in_count && !wai_lower_failed(l); i++) {
        wai_value *x = wai_lower_input(l, i);
        const wai_list *list = wai_list_of(x);
        if (list != NULL && list->count != count) {
            WAI_LOWER_REFUSE(l, "SequenceMap over sequences of %u and %u elements", count,
                             list->count);
            return false;
        }
        b->in[i] = list != NULL ? list->items[at] : x;
    }
    return !wai_lower_failed(l);
}

static void map(wai_lower *l, wai_body *b, uint32_t count) {
    const uint32_t outputs = b->graph.output_count;
    wai_value **given = wai_body_values(l, (size_t)count * outputs);
    for (uint32_t at = 0; at < count && !wai_lower_failed(l); at++) {
        if (!map_inputs(l, b, at, count) || !wai_body_run(l, b)) {
            return;
        }
        for (uint32_t k = 0; k < outputs; k++) {
            given[(size_t)k * count + at] = b->out[k];
        }
    }
    for (uint32_t k = 0; k < l->out_count && !wai_lower_failed(l); k++) {
        l->out[k] = wai_list_make(l->graph, given + (size_t)k * count, count);
    }
}

void wai_lower_sequence_map(wai_lower *l) {
    const wai_list *list = wai_lower_list(l, 0);
    wai_body b;
    if (list == NULL || !wai_body_open(l, "body", &b)) {
        return;
    }
    if (b.graph.input_count != l->in_count || b.graph.output_count < l->out_count ||
        b.graph.output_count > WAI_MAX_OPERANDS) {
        WAI_LOWER_REFUSE(l, "the body has %u inputs and %u outputs, SequenceMap has %u and %u",
                         b.graph.input_count, b.graph.output_count, l->in_count, l->out_count);
    } else {
        map(l, &b, list->count);
    }
    wai_body_close(l);
}
