#include "compiler/dynamic.h"

#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "compiler/examples.h"
#include "compiler/fit.h"
#include "ops/emit.h"

/* Symbols whose ends are tried in all combinations; of more, all least and all
 * largest. */
#define MOST_COMBINED 4u

/* What one size is at every corner and in every example, as one number. */
typedef struct measured {
    uint64_t largest;
    uint64_t hash;
} measured;

typedef struct maker {
    wai_graph *graph;
    const wai_compile_options *options;
    wai_examples examples;
    wai_fit fit;
    wai_dynamic *dynamic;
    wai_type *types; /* per number of a value, as applied last              */
    measured *sizes;
} maker;

bool wai_dynamic_asked(const wai_compile_options *options) {
    bool asked = false;
    for (size_t i = 0; i < options->dim_count; i++) {
        asked = asked || options->dims[i].min < options->dims[i].max;
    }
    return asked;
}

static void *take(wai_graph *graph, size_t count, size_t size) {
    void *memory = wai_arena_array(graph->arena, count, size);
    if (memory == NULL) {
        wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    return memory;
}

/* ---- from places in the list to nodes and values ---- */

static wai_status resolve(maker *m) {
    wai_graph *g = m->graph;
    wai_dynamic *d = m->dynamic;
    d->value_count = g->input_count;
    for (wai_node *node = g->first; node != NULL; node = node->next) {
        d->value_count += node->out_count;
    }
    wai_node **nodes = take(g, g->node_count, sizeof(wai_node *));
    d->values = take(g, d->value_count, sizeof *d->values);
    d->uses = take(g, m->fit.use_count, sizeof *d->uses);
    m->types = take(g, d->value_count, sizeof *m->types);
    m->sizes = take(g, d->value_count, sizeof *m->sizes);
    if (g->status != WAI_OK) {
        return g->status;
    }
    uint32_t number = 0, place = 0;
    for (; number < g->input_count; number++) {
        d->values[number] = g->inputs[number].value;
    }
    for (wai_node *node = g->first; node != NULL; node = node->next) {
        nodes[place++] = node;
        for (uint32_t i = 0; i < node->out_count; i++) {
            d->values[number++] = node->out[i];
        }
    }
    d->formulas = m->fit.formulas;
    d->formula_count = m->fit.formula_count;
    d->use_count = m->fit.use_count;
    d->keep_order = m->fit.far;
    for (uint32_t i = 0; i < d->use_count; i++) {
        const wai_fitted_use *use = &m->fit.uses[i];
        d->uses[i] = (wai_formula_use){nodes[use->node], use->word, use->formula, use->over};
    }
    return WAI_OK;
}

/* The symbols that are ranges, and the axes of inputs that they are. */
static wai_status name_symbols(maker *m) {
    wai_graph *g = m->graph;
    wai_dynamic *d = m->dynamic;
    d->symbols = take(g, m->options->dim_count, sizeof *d->symbols);
    d->axes = take(g, g->open_axis_count, sizeof *d->axes);
    uint32_t *renamed = take(g, m->options->dim_count, sizeof *renamed);
    if (g->status != WAI_OK) {
        return g->status;
    }
    for (uint32_t i = 0; i < m->options->dim_count; i++) {
        const wai_dim *dim = &m->options->dims[i];
        renamed[i] = d->symbol_count;
        if (dim->min < dim->max) {
            d->symbols[d->symbol_count++] = (wai_symbol){dim->name, dim->min, dim->max};
        }
    }
    for (uint32_t i = 0; i < g->open_axis_count; i++) {
        const wai_open_axis *axis = &g->open_axes[i];
        if (m->options->dims[axis->symbol].min < m->options->dims[axis->symbol].max) {
            d->axes[d->axis_count++] =
                (wai_open_axis){axis->input, axis->axis, renamed[axis->symbol]};
        }
    }
    return WAI_OK;
}

/* ---- apply ---- */

static wai_status set_word(maker *m, const wai_formula_use *use) {
    const wai_formula *formulas = m->dynamic->formulas;
    const wai_formula *over = use->over != WAI_NO_FORMULA ? &formulas[use->over] : NULL;
    uint32_t *words = use->node->params;
    if (!wai_formula_word(&formulas[use->formula], over, m->types, &words[use->word])) {
        m->graph->scope = use->node->name;
        return wai_graph_fail(m->graph, WAI_ERR_LIMIT,
                              "a number that follows from dims is too large, or no whole one");
    }
    return WAI_OK;
}

/* All words and types of the graph at `point`; counts of results at their
 * largest. */
static wai_status apply(maker *m, const uint32_t *point) {
    wai_graph *g = m->graph;
    wai_dynamic *d = m->dynamic;
    for (uint32_t i = 0; i < g->open_axis_count; i++) {
        const wai_open_axis *axis = &g->open_axes[i];
        g->inputs[axis->input].value->type.dims[axis->axis] = point[axis->symbol];
    }
    uint32_t number = 0, use = 0;
    for (; number < g->input_count; number++) {
        m->types[number] = d->values[number]->type;
    }
    for (wai_node *node = g->first; node != NULL && g->status == WAI_OK; node = node->next) {
        for (; use < d->use_count && d->uses[use].node == node; use++) {
            if (set_word(m, &d->uses[use]) != WAI_OK) {
                return g->status;
            }
        }
        if (node->op->data_count != NULL) {
            *(uint32_t *)node->params = 0;
        }
        if (wai_node_infer(g, node) == WAI_OK) {
            for (uint32_t i = 0; i < node->out_count; i++) {
                m->types[number++] = node->out[i]->type;
            }
        }
    }
    return g->status;
}

/* ---- corners ---- */

static wai_status blame(maker *m, const uint32_t *point, const wai_diag *why, wai_status status) {
    const wai_diag copy = *why;
    wai_graph *g = m->graph;
    g->status = status;
    wai_diag_clear(g->diag);
    return wai_fail(g->diag, status, copy.where, "with %s: %s",
                    wai_examples_describe(&m->examples, m->graph, point), copy.message);
}

/* The model itself at `point` must give outputs of the same types, and take the
 * same branches. */
static wai_status compare(maker *m, const uint32_t *point) {
    wai_graph *g = m->graph;
    wai_arena arena;
    wai_graph model;
    wai_diag diag = {0};
    wai_arena_init(&arena, m->options->allocator, WAI_MAX_COMPILE_MEMORY);
    wai_graph_init(&model, &arena, &diag);
    wai_status status = wai_examples_import(&m->examples, point, 0, &model);
    bool same = status == WAI_OK && model.decisions == m->examples.traces[0].decisions;
    uint32_t output = 0;
    for (; same && output < g->output_count; output++) {
        same = wai_type_equal(&g->outputs[output].value->type, &model.outputs[output].value->type);
    }
    wai_arena_free(&arena);
    if (status != WAI_OK) {
        return blame(m, point, &diag, status);
    }
    if (!same) {
        g->scope = "dims";
        return wai_graph_fail(g, WAI_ERR_UNSUPPORTED,
                              "with %s the model takes another form: give a smaller range",
                              wai_examples_describe(&m->examples, m->graph, point));
    }
    return WAI_OK;
}

/* `reached`: the types are those of a point of the ranges. */
static void note_sizes(maker *m, bool reached) {
    for (uint32_t i = 0; i < m->dynamic->value_count; i++) {
        const uint64_t size = wai_type_size(&m->types[i]);
        measured *s = &m->sizes[i];
        s->largest = reached && size > s->largest ? size : s->largest;
        s->hash = wai_hash(s->hash, size);
    }
}

static wai_status try_point(maker *m, const uint32_t *point, bool compared) {
    wai_graph *g = m->graph;
    if (apply(m, point) != WAI_OK) {
        const wai_diag why = g->diag != NULL ? *g->diag : (wai_diag){0};
        return blame(m, point, &why, g->status);
    }
    note_sizes(m, true);
    return compared ? compare(m, point) : WAI_OK;
}

/* The ends of all ranges in all combinations, as far as there are not too many;
 * the largest dims come last and stay. */
static wai_status try_corners(maker *m) {
    wai_graph *g = m->graph;
    const uint32_t symbols = m->dynamic->symbol_count;
    const uint32_t corners = symbols <= MOST_COMBINED ? 1u << symbols : 2;
    for (uint32_t i = 0; i < m->examples.odd_count && g->status == WAI_OK; i++) {
        try_point(m, m->examples.odd_points[i], true);
    }
    for (uint32_t corner = 0; corner < corners && g->status == WAI_OK; corner++) {
        uint32_t *point = take(g, m->options->dim_count, sizeof *point);
        const bool last = corner + 1 == corners;
        for (uint32_t i = 0, s = 0; point != NULL && i < m->options->dim_count; i++) {
            const wai_dim *dim = &m->options->dims[i];
            point[i] = last || (corner >> s & 1) != 0 ? dim->max : dim->min;
            s += dim->min < dim->max;
        }
        if (point == NULL) {
            return g->status;
        }
        try_point(m, point, corner == 0 || last);
    }
    return g->status;
}

/* ---- sizes ---- */

/* Sizes in the examples as well: two values are of one class only if they agree
 * there, too. */
static void note_examples(maker *m) {
    const wai_examples *e = &m->examples;
    for (uint32_t k = 0; k < e->count; k++) {
        uint32_t cell = 0, number = 0;
        for (uint32_t i = 0; i < m->graph->input_count; i++, number++) {
            memcpy(m->types[number].dims, e->traces[k].cells + cell,
                   m->types[number].rank * sizeof(uint32_t));
            cell += m->types[number].rank;
        }
        for (const wai_node *node = m->graph->first; node != NULL; node = node->next) {
            cell += node->op->params_size / 4;
            for (uint32_t i = 0; i < node->out_count; i++, number++) {
                memcpy(m->types[number].dims, e->traces[k].cells + cell,
                       m->types[number].rank * sizeof(uint32_t));
                cell += m->types[number].rank;
            }
        }
        note_sizes(m, k >= e->first_test);
    }
}

static void set_sizes(maker *m) {
    note_examples(m);
    for (uint32_t i = 0; i < m->dynamic->value_count; i++) {
        wai_value *value = m->dynamic->values[i];
        value->size_class = (uint32_t)(m->sizes[i].hash ^ m->sizes[i].hash >> 32);
        value->reserved = m->sizes[i].largest;
    }
}

/* ---- slices that cut nothing ---- */

/* The formula is dim `axis` of `value`, as it is. */
static bool is_dim(const wai_dynamic *d, const wai_formula *f, const wai_value *value,
                   uint32_t axis) {
    const wai_formula_term *t = &f->terms[0];
    bool others = false;
    for (uint32_t i = 1; i < WAI_FORMULA_TERMS; i++) {
        others = others || f->terms[i].factor != 0;
    }
    return !others && t->factor == 1 && f->constant == 0 && f->divisor == 1 && f->offset == 0 &&
           f->modulus == 0 && f->least == INT32_MIN && f->most == INT32_MAX &&
           t->dims[0].value != WAI_NO_VALUE && d->values[t->dims[0].value] == value &&
           t->dims[0].axis == axis && t->dims[1].value == WAI_NO_VALUE &&
           t->dims[2].value == WAI_NO_VALUE;
}

/* Every axis from its start to its end, whatever the dims are. Examples kept
 * such slices, since one of them could not know. `use`: the node's first. */
static bool cuts_nothing(const wai_dynamic *d, const wai_node *node, uint32_t use) {
    const wai_slice_params *p = node->params;
    const wai_value *x = node->in[0];
    bool whole = node->op == &wai_op_slice && node->out[0]->output_count == 0;
    for (uint32_t axis = 0; whole && axis < x->type.rank; axis++) {
        const uint32_t word = offsetof(wai_slice_params, dims) / 4 + axis;
        while (use < d->use_count && d->uses[use].node == node && d->uses[use].word < word) {
            whole = false; /* a start or step that follows from dims */
            use++;
        }
        whole = whole && p->start[axis] == 0 && p->step[axis] == 1 &&
                p->dims[axis] == x->type.dims[axis];
        if (use < d->use_count && d->uses[use].node == node && d->uses[use].word == word) {
            whole = whole && is_dim(d, &d->formulas[d->uses[use++].formula], x, axis);
        }
    }
    return whole;
}

/* Their value is their input's: for what reads it, and for formulas. */
static void drop_slices(maker *m) {
    wai_graph *g = m->graph;
    wai_dynamic *d = m->dynamic;
    uint32_t use = 0, kept = 0;
    for (wai_node *node = g->first, *next; node != NULL && g->status == WAI_OK; node = next) {
        next = node->next;
        const bool drop = cuts_nothing(d, node, use);
        for (; use < d->use_count && d->uses[use].node == node; use++) {
            if (!drop) {
                d->uses[kept++] = d->uses[use];
            }
        }
        if (!drop) {
            continue;
        }
        for (uint32_t i = 0; i < d->value_count; i++) {
            d->values[i] = d->values[i] == node->out[0] ? node->in[0] : d->values[i];
        }
        wai_value_replace(g, node->out[0], node->in[0]);
        wai_graph_remove(g, node);
    }
    d->use_count = kept;
}

wai_status wai_dynamic_make(wai_graph *graph, const wai_onnx_model *model,
                            const wai_compile_options *options) {
    maker m = {.graph = graph, .options = options};
    wai_symbol *symbols = take(graph, options->dim_count, sizeof *symbols);
    m.dynamic = take(graph, 1, sizeof *m.dynamic);
    if (graph->status != WAI_OK) {
        return graph->status;
    }
    for (size_t i = 0; i < options->dim_count; i++) {
        symbols[i] =
            (wai_symbol){options->dims[i].name, options->dims[i].min, options->dims[i].max};
    }
    m.examples = (wai_examples){.model = model,
                                .options = options,
                                .symbols = symbols,
                                .symbol_count = (uint32_t)options->dim_count};
    if (wai_examples_make(&m.examples, graph) != WAI_OK ||
        wai_fit_words(&m.fit, &m.examples, graph) != WAI_OK ||
        wai_front_pack(graph, options) != WAI_OK || resolve(&m) != WAI_OK ||
        name_symbols(&m) != WAI_OK || try_corners(&m) != WAI_OK) {
        return graph->status;
    }
    graph->dynamic = m.dynamic;
    set_sizes(&m);
    drop_slices(&m);
    return wai_graph_check(graph);
}
