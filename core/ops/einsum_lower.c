/*
 * ONNX Einsum, by transposes, reductions and matrix products.
 *
 * Operands are joined from the left, two at a time. A term is a value with one
 * label per axis; a label that neither the output nor a later operand names is
 * summed as soon as possible. Labels that both terms have are batch (kept) or
 * contracted (summed), the others are rows and columns: every pair becomes
 * [batch, rows, k] x [batch, k, columns].
 */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/lowering.h"

/* a-z, A-Z, and the axes of "...", counted from the right. */
#define LETTERS 52u
#define LABELS  (LETTERS + WAI_MAX_RANK)

typedef uint64_t label_set;

typedef struct term {
    uint32_t rank;
    uint8_t labels[WAI_MAX_RANK];
    wai_value *value;
} term;

typedef struct equation {
    wai_lower *l;
    uint32_t count; /* operands                     */
    term *terms;
    term output; /* without value                */
    uint32_t dims[LABELS];
    uint32_t uses[LABELS]; /* in how many places of the operands */
} equation;

static label_set bit(uint32_t label) {
    return (label_set)1 << label;
}

static label_set labels_of(const term *t) {
    label_set set = 0;
    for (uint32_t i = 0; i < t->rank; i++) {
        set |= bit(t->labels[i]);
    }
    return set;
}

/* ---- parsing ---------------------------------------------------------------- */

static uint32_t label_of(char c) {
    return c >= 'a' && c <= 'z'   ? (uint32_t)(c - 'a')
           : c >= 'A' && c <= 'Z' ? (uint32_t)(c - 'A') + 26
                                  : LABELS;
}

static bool add_label(equation *e, term *t, uint32_t label) {
    if (t->rank == WAI_MAX_RANK) {
        WAI_LOWER_DECLINE(e->l, "a term of Einsum has more than %u axes", WAI_MAX_RANK);
        return false;
    }
    t->labels[t->rank++] = (uint8_t)label;
    return true;
}

/* The term at *text, up to a comma, "->" or the end, which *text then is at;
 * "..." becomes `open` labels. */
static bool parse_term(equation *e, const char **text, term *t, uint32_t open) {
    bool dots = false;
    for (; **text != 0 && **text != ',' && **text != '-'; ++*text) {
        if (**text == ' ') {
            continue;
        }
        if (strncmp(*text, "...", 3) == 0 && !dots) {
            dots = true;
            *text += 2;
            for (uint32_t i = open; i-- > 0;) {
                if (!add_label(e, t, LETTERS + i)) {
                    return false;
                }
            }
        } else if (label_of(**text) == LABELS) {
            const char odd[2] = {**text, 0};
            WAI_LOWER_REFUSE(e->l, "the equation of Einsum has `%s`", odd);
            return false;
        } else if (!add_label(e, t, label_of(**text))) {
            return false;
        }
    }
    return true;
}

/* Letters in the term at `text`; *dots: it has an ellipsis. */
static uint32_t count_letters(const char *text, bool *dots) {
    uint32_t count = 0;
    *dots = false;
    for (; *text != 0 && *text != ',' && *text != '-'; text++) {
        *dots = *dots || *text == '.';
        count += label_of(*text) != LABELS;
    }
    return count;
}

/* Axes of the operand that "..." stands for. */
static bool count_open(equation *e, const char *text, const wai_value *x, uint32_t *open) {
    bool dots;
    const uint32_t letters = count_letters(text, &dots);
    if (letters > x->type.rank || (!dots && letters != x->type.rank)) {
        WAI_LOWER_REFUSE(e->l, "a term of Einsum has %u letters for rank %u", letters,
                         x->type.rank);
        return false;
    }
    *open = x->type.rank - letters;
    return true;
}

/* One dim per label; 1 stretches. */
static bool note_dims(equation *e, const term *t) {
    for (uint32_t i = 0; i < t->rank; i++) {
        const uint32_t dim = t->value->type.dims[i], label = t->labels[i];
        if (e->uses[label] == 0 || e->dims[label] == 1) {
            e->dims[label] = dim;
        } else if (dim != 1 && dim != e->dims[label]) {
            WAI_LOWER_REFUSE(e->l, "one letter of Einsum stands for axes of %u and %u",
                             e->dims[label], dim);
            return false;
        }
        e->uses[label]++;
    }
    return true;
}

/* Without "->": the ellipsis, then every letter that stands once, A to z. */
static bool imply_output(equation *e, uint32_t open) {
    for (uint32_t i = open; i-- > 0;) {
        if (!add_label(e, &e->output, LETTERS + i)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < LETTERS; i++) {
        const uint32_t label = (i + 26) % LETTERS; /* upper case sorts first */
        if (e->uses[label] == 1 && !add_label(e, &e->output, label)) {
            return false;
        }
    }
    return true;
}

static bool check_output(equation *e) {
    label_set seen = 0;
    for (uint32_t i = 0; i < e->output.rank; i++) {
        const uint32_t label = e->output.labels[i];
        if (e->uses[label] == 0 || (seen & bit(label)) != 0) {
            WAI_LOWER_REFUSE(e->l, "the output of Einsum has a letter twice or of no operand");
            return false;
        }
        seen |= bit(label);
    }
    return true;
}

static bool parse(equation *e, const char *text) {
    uint32_t widest = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        term *t = &e->terms[i];
        uint32_t open;
        t->value = wai_lower_input(e->l, i);
        if (wai_lower_failed(e->l) || !count_open(e, text, t->value, &open) ||
            !parse_term(e, &text, t, open) || !note_dims(e, t)) {
            return false;
        }
        widest = open > widest ? open : widest;
        if (i + 1 < e->count ? *text != ',' : *text == ',') {
            WAI_LOWER_REFUSE(e->l, "the equation of Einsum is not for %u operands", e->count);
            return false;
        }
        text += *text == ',';
    }
    if (*text == 0) {
        return imply_output(e, widest);
    }
    text += 2;
    if (text[-1] != '>' || !parse_term(e, &text, &e->output, widest) || *text != 0) {
        WAI_LOWER_REFUSE(e->l, "the equation of Einsum has more than one output");
        return false;
    }
    return check_output(e);
}

/* ---- one term ---------------------------------------------------------------- */

static void drop_axis(term *t, uint32_t axis) {
    for (uint32_t i = axis; i + 1 < t->rank; i++) {
        t->labels[i] = t->labels[i + 1];
    }
    t->rank--;
}

static uint32_t find_label(const term *t, uint32_t label, uint32_t from) {
    while (from < t->rank && t->labels[from] != label) {
        from++;
    }
    return from;
}

/* Axes of 1 whose letter is longer elsewhere are not there at all. */
static void drop_ones(equation *e, term *t) {
    uint32_t dims[WAI_MAX_RANK], rank = 0;
    for (uint32_t i = 0, axis = 0; t->value != NULL && axis < t->value->type.rank; axis++) {
        const uint32_t dim = t->value->type.dims[axis];
        if (dim == 1 && e->dims[t->labels[i]] != 1) {
            drop_axis(t, i);
        } else {
            dims[rank++] = dim;
            i++;
        }
    }
    t->value = wai_emit_reshape(e->l->graph, t->value, rank, dims);
}

/* x[..., i, ..., i, ...] -> x[..., i]: the two axes last, as one, of which every
 * (n + 1)th element is taken. */
static void take_diagonal(equation *e, term *t, uint32_t first, uint32_t second) {
    wai_graph *g = e->l->graph;
    uint32_t perm[WAI_MAX_RANK], dims[WAI_MAX_RANK] = {0}, rank = 0;
    const uint32_t label = t->labels[first], n = t->value->type.dims[first];
    for (uint32_t i = 0; i < t->rank; i++) {
        if (i != first && i != second) {
            dims[rank] = t->value->type.dims[i];
            perm[rank++] = i;
        }
    }
    perm[rank] = first;
    perm[rank + 1] = second;
    drop_axis(t, second);
    drop_axis(t, first);
    t->labels[t->rank++] = (uint8_t)label;
    dims[rank] = n * n; /* not more than the elements, which fit */
    t->value = wai_emit_reshape(g, wai_emit_transpose(g, t->value, perm), rank + 1, dims);
    wai_slice_params p = {{0}, {0}, {0}};
    for (uint32_t i = 0; i <= rank; i++) {
        p.step[i] = i == rank ? (int32_t)n + 1 : 1;
        p.dims[i] = i == rank ? n : dims[i];
    }
    t->value = t->value != NULL ? wai_emit(g, &wai_op_slice, &p, &t->value, 1) : NULL;
}

static void take_diagonals(equation *e, term *t) {
    for (uint32_t i = 0; i < t->rank && t->value != NULL;) {
        const uint32_t again = find_label(t, t->labels[i], i + 1);
        if (again == t->rank) {
            i++;
        } else if (t->value->type.dims[i] > 46340) {
            WAI_LOWER_DECLINE(e->l, "Einsum with a diagonal of %u", t->value->type.dims[i]);
            return;
        } else {
            take_diagonal(e, t, i, again);
        }
    }
}

/* Sum over every label that is not in `kept`. */
static void sum_out(equation *e, term *t, label_set kept) {
    uint32_t axes = 0;
    for (uint32_t i = t->rank; i-- > 0;) {
        if ((kept & bit(t->labels[i])) == 0) {
            axes |= 1u << i;
            drop_axis(t, i);
        }
    }
    t->value = wai_emit_reduce(e->l->graph, WAI_REDUCE_SUM, t->value, axes, false);
}

/* Transposed to the order of `labels`. */
static void arrange(equation *e, term *t, const uint8_t *labels) {
    uint32_t perm[WAI_MAX_RANK];
    for (uint32_t i = 0; i < t->rank; i++) {
        perm[i] = find_label(t, labels[i], 0);
    }
    memcpy(t->labels, labels, t->rank);
    t->value = wai_emit_transpose(e->l->graph, t->value, perm);
}

/* ---- two terms ---------------------------------------------------------------- */

/* Append to `list` the labels of `t` that are in `set`; returns the product of
 * their dims, which are axes of one tensor. */
static uint32_t append(const equation *e, const term *t, label_set set, uint8_t *list,
                       uint32_t *count) {
    uint32_t product = 1;
    for (uint32_t i = 0; i < t->rank; i++) {
        if ((set & bit(t->labels[i])) != 0) {
            list[(*count)++] = t->labels[i];
            product *= e->dims[t->labels[i]];
        }
    }
    return product;
}

/* a becomes the product of a and b, of which `kept` labels stay. */
static void join(equation *e, term *a, term *b, label_set kept) {
    wai_graph *g = e->l->graph;
    const label_set in_a = labels_of(a), in_b = labels_of(b);
    const label_set batch = in_a & in_b & kept, inner = in_a & in_b & ~kept;
    uint8_t order_a[2 * WAI_MAX_RANK], order_b[2 * WAI_MAX_RANK], order[3 * WAI_MAX_RANK];
    uint32_t count_a = 0, count_b = 0, count = 0;
    const uint32_t n = append(e, a, batch, order_a, &count_a);
    append(e, a, batch, order_b, &count_b);
    append(e, a, batch, order, &count);
    const uint32_t rows = append(e, a, in_a & ~in_b, order_a, &count_a);
    append(e, a, in_a & ~in_b, order, &count);
    const uint32_t k = append(e, a, inner, order_a, &count_a);
    append(e, a, inner, order_b, &count_b);
    const uint32_t columns = append(e, b, in_b & ~in_a, order_b, &count_b);
    append(e, b, in_b & ~in_a, order, &count);
    if (count > WAI_MAX_RANK) {
        WAI_LOWER_DECLINE(e->l, "Einsum needs a tensor of rank %u on the way", count);
        return;
    }
    arrange(e, a, order_a);
    arrange(e, b, order_b);
    /* Without batch as plain matrices: b may be weights. */
    const uint32_t dims_a[] = {n, rows, k}, dims_b[] = {n, k, columns}, skip = batch == 0;
    wai_value *x = wai_emit_reshape(g, a->value, 3 - skip, dims_a + skip);
    wai_value *y = wai_emit_reshape(g, b->value, 3 - skip, dims_b + skip);
    a->value =
        inner != 0 ? wai_lower_product(e->l, x, y) : wai_emit_binary(g, WAI_BINARY_MUL, x, y);
    uint32_t dims[WAI_MAX_RANK];
    for (uint32_t i = 0; i < count; i++) {
        dims[i] = e->dims[order[i]];
    }
    a->rank = count;
    memcpy(a->labels, order, count);
    a->value = wai_emit_reshape(g, a->value, count, dims);
}

static void emit(equation *e) {
    term *a = &e->terms[0];
    for (uint32_t i = 0; i < e->count; i++) {
        take_diagonals(e, &e->terms[i]);
        drop_ones(e, &e->terms[i]);
        if (wai_lower_failed(e->l)) {
            return;
        }
    }
    for (uint32_t i = 0; i < e->count; i++) {
        label_set later = labels_of(&e->output);
        for (uint32_t j = i + 1; j < e->count; j++) {
            later |= labels_of(&e->terms[j]);
        }
        if (i > 0) {
            sum_out(e, &e->terms[i], later | labels_of(a));
            join(e, a, &e->terms[i], later);
        }
        sum_out(e, a, later);
        if (wai_lower_failed(e->l)) {
            return;
        }
    }
    arrange(e, a, e->output.labels);
    e->l->out[0] = a->value;
}

void wai_lower_einsum(wai_lower *l) {
    const char *text = wai_attr_string(l, "equation", "");
    equation e = {.l = l, .count = l->in_count};
    e.terms = wai_arena_array(l->graph->arena, e.count + 1u, sizeof *e.terms);
    if (e.terms == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
        return;
    }
    memset(e.terms, 0, (e.count + 1u) * sizeof *e.terms);
    if (e.count == 0) {
        WAI_LOWER_REFUSE(l, "Einsum needs an operand");
    } else if (parse(&e, text)) {
        emit(&e);
    }
}
