#include "compiler/examples.h"

#include <string.h>

#include "base/limits.h"

static wai_status no_memory(wai_graph *graph) {
    return wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
}

static void append(char *text, size_t size, const char *format, ...) {
    const size_t at = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    wai_format(text + at, size - at, format, arguments);
    va_end(arguments);
}

const char *wai_examples_describe(const wai_examples *e, wai_graph *graph, const uint32_t *point) {
    size_t size = 1;
    for (uint32_t i = 0; i < e->symbol_count; i++) {
        size += strlen(e->symbols[i].name) + 16;
    }
    char *text = wai_arena_alloc(graph->arena, size);
    for (uint32_t i = 0; text != NULL && i < e->symbol_count; i++) {
        if (e->symbols[i].min < e->symbols[i].max) {
            append(text, size, "%s%s = %u", text[0] != 0 ? ", " : "", e->symbols[i].name, point[i]);
        }
    }
    return text != NULL && text[0] != 0 ? text : "other counts of results";
}

/* ---- where to look ---- */

#define TRIES 9u

static bool is_prime(uint32_t n) {
    for (uint32_t d = 2; d <= n / d; d++) {
        if (n % d == 0) {
            return false;
        }
    }
    return n > 1;
}

/*
 * The number of symbol `s` in try `t`: a prime times `step`, the tries spread
 * over the range and different symbols in different orders, so that numbers are
 * equal to others, or each other's multiples, only where the model says so. A
 * short range is looked at as if it went on; what the model does not take is
 * no example.
 */
static uint32_t candidate(const wai_symbol *symbol, uint32_t s, uint32_t t, uint32_t step) {
    const uint64_t low = symbol->min / step < 2 ? 2 : symbol->min / step;
    const uint64_t high = symbol->max / step < low + 50 ? low + 50 : symbol->max / step;
    const uint32_t place = (t * (2 * s + 1) + s * s) % TRIES;
    uint32_t n = (uint32_t)(low + (high - low) * (2 * place + 1) / (2 * TRIES));
    for (uint32_t skip = s + 1; skip > 0; skip -= is_prime(n)) {
        n++;
    }
    return n * step;
}

/* ---- one example ---- */

wai_status wai_examples_import(const wai_examples *e, const uint32_t *point, uint32_t sample,
                               wai_graph *graph) {
    wai_compile_options options = *e->options;
    wai_dim *dims = wai_arena_array(graph->arena, options.dim_count, sizeof *dims);
    if (dims == NULL) {
        return no_memory(graph);
    }
    for (size_t i = 0; i < options.dim_count; i++) {
        dims[i] = (wai_dim){options.dims[i].name, point[i], point[i]};
    }
    options.dims = dims;
    options.on_dim = NULL;
    options.on_stage = NULL;
    options.on_problem = NULL;
    graph->sample = sample;
    return wai_front_import(graph, e->model, &options);
}

/* ---- constants that differ ---- */

typedef struct walk {
    wai_value **stack;
    uint64_t *hashes; /* per value id; 0: not a constant that is used       */
    uint32_t depth;
} walk;

static void push(walk *w, wai_value *value) {
    if (wai_value_is_constant(value) && w->hashes[value->id] == 0) {
        w->hashes[value->id] = wai_trace_constant(value);
        w->stack[w->depth++] = value;
    }
}

/* Hashes of all constants that nodes read or that those were folded from. */
static uint64_t *hash_constants(const wai_graph *graph) {
    walk w = {wai_arena_array(graph->arena, graph->value_count, sizeof *w.stack),
              wai_arena_array(graph->arena, graph->value_count, sizeof *w.hashes), 0};
    if (w.stack == NULL || w.hashes == NULL) {
        return NULL;
    }
    for (const wai_node *node = graph->first; node != NULL; node = node->next) {
        for (uint32_t i = 0; i < node->in_count; i++) {
            push(&w, node->in[i]);
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        push(&w, graph->outputs[i].value);
    }
    while (w.depth > 0) {
        const wai_node *origin = w.stack[--w.depth]->origin;
        for (uint32_t i = 0; origin != NULL && i < origin->in_count; i++) {
            push(&w, origin->in[i]);
        }
    }
    return w.hashes;
}

/* ---- unfolding ---- */

static bool varies(const wai_examples *e, const wai_value *value) {
    return wai_value_is_constant(value) && value->id < e->value_count && e->varies[value->id];
}

static bool has_origin(wai_graph *graph, const wai_value *value, const char *where) {
    if (value->origin == NULL && graph->status == WAI_OK) {
        char text[WAI_TYPE_TEXT];
        graph->scope = where;
        wai_graph_fail(graph, WAI_ERR_UNSUPPORTED,
                       "a constant that it needs (%s) depends on symbolic dims in a way that "
                       "cannot be computed at run: give these dims one number",
                       wai_type_text(&value->type, text));
    }
    return value->origin != NULL;
}

/* Put back the nodes of all constants that differ, and the nodes behind them. */
static wai_status unfold(const wai_examples *e, wai_graph *graph) {
    for (uint32_t i = 0; i < graph->output_count; i++) {
        wai_value *value = graph->outputs[i].value;
        if (varies(e, value) && has_origin(graph, value, graph->outputs[i].name)) {
            wai_graph_unfold(graph, value, NULL);
        }
    }
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK;) {
        uint32_t i = 0;
        while (i < node->in_count && !varies(e, node->in[i])) {
            i++;
        }
        if (i == node->in_count) {
            wai_graph_keep(graph, node);
            node = node->next;
        } else if (has_origin(graph, node->in[i], node->name)) {
            wai_value *value = node->in[i];
            wai_node *origin = value->origin;
            wai_graph_unfold(graph, value, node);
            node = origin; /* its operands come first */
        }
    }
    return wai_graph_check(graph);
}

/* ---- all of them ---- */

/* Import at `point` to learn which constants differ from the first example's;
 * `first` keeps those hashes. False when the model does not take the point. */
static bool explore(wai_examples *e, wai_graph *graph, uint32_t *point, uint64_t **first,
                    wai_diag *why) {
    wai_arena arena;
    wai_graph example;
    wai_diag diag = {0};
    wai_arena_init(&arena, e->options->allocator, WAI_MAX_COMPILE_MEMORY);
    wai_graph_init(&example, &arena, &diag);
    uint64_t *hashes = NULL;
    if (wai_examples_import(e, point, e->count + 1, &example) == WAI_OK) {
        hashes = hash_constants(&example);
    }
    if (hashes != NULL && *first == NULL) {
        e->value_count = example.value_count;
        e->varies = wai_arena_array(graph->arena, e->value_count, sizeof *e->varies);
        *first = wai_arena_array(graph->arena, e->value_count, sizeof **first);
        if (e->varies == NULL || *first == NULL) {
            no_memory(graph);
        } else {
            memcpy(*first, hashes, e->value_count * sizeof *hashes);
        }
    }
    const uint32_t common =
        example.value_count < e->value_count ? example.value_count : e->value_count;
    for (uint32_t i = 0; i < common && hashes != NULL && graph->status == WAI_OK; i++) {
        e->varies[i] = e->varies[i] || hashes[i] != (*first)[i];
    }
    if (hashes == NULL && why->status == WAI_OK) {
        *why = diag;
    }
    wai_arena_free(&arena);
    return hashes != NULL && graph->status == WAI_OK;
}

/* Points that the model takes: with all numbers, or if it does not take odd
 * ones, with multiples of 2, 4, ... 64. */
static wai_status find_points(wai_examples *e, wai_graph *graph) {
    wai_diag why = {0};
    const uint32_t *refused = NULL;
    for (uint32_t step = 1; step <= 64; step *= 2) {
        uint64_t *first = NULL;
        e->count = 0;
        for (uint32_t t = 0; t < TRIES && e->count < WAI_MOST_EXAMPLES; t++) {
            uint32_t *point = wai_arena_array(graph->arena, e->symbol_count, sizeof *point);
            if (point == NULL) {
                return no_memory(graph);
            }
            for (uint32_t s = 0; s < e->symbol_count; s++) {
                const wai_symbol *symbol = &e->symbols[s];
                point[s] = symbol->min == symbol->max ? symbol->min : candidate(symbol, s, t, step);
            }
            if (explore(e, graph, point, &first, &why)) {
                e->points[e->count++] = point;
            } else if (refused == NULL) {
                refused = point;
            }
            if (graph->status != WAI_OK || (t == 2 && e->count == 0)) {
                break;
            }
        }
        if (graph->status != WAI_OK || e->count >= WAI_LEAST_EXAMPLES) {
            return graph->status;
        }
    }
    graph->status = why.status;
    return wai_fail(graph->diag, why.status, why.where, "with %s: %s",
                    wai_examples_describe(e, graph, refused), why.message);
}

static wai_status differ(wai_examples *e, wai_graph *graph, uint32_t k) {
    const wai_trace *a = &e->traces[0], *b = &e->traces[k];
    if (a->decisions == b->decisions && a->ends == b->ends && a->node_count == b->node_count &&
        memcmp(a->nodes, b->nodes, a->node_count * sizeof *a->nodes) == 0) {
        return WAI_OK;
    }
    const wai_node *node = graph->first;
    for (uint32_t i = 0; node != NULL && i < b->node_count && a->nodes[i] == b->nodes[i]; i++) {
        node = node->next;
    }
    graph->scope = node != NULL ? node->name : "graph outputs";
    return wai_graph_fail(graph, WAI_ERR_UNSUPPORTED,
                          "with %s the graph has another form than with %s: give smaller ranges, "
                          "or one number",
                          wai_examples_describe(e, graph, e->points[k]),
                          wai_examples_describe(e, graph, e->points[0]));
}

static wai_status trace_example(wai_examples *e, wai_graph *graph, uint32_t k) {
    wai_arena arena;
    wai_graph example;
    wai_arena_init(&arena, e->options->allocator, WAI_MAX_COMPILE_MEMORY);
    wai_graph_init(&example, &arena, graph->diag);
    wai_compile_options quiet = *e->options;
    quiet.on_stage = NULL;
    wai_status status = wai_examples_import(e, e->points[k], k + 1, &example);
    if (status == WAI_OK) {
        status = unfold(e, &example);
    }
    if (status == WAI_OK) {
        status = wai_front_rewrite(&example, &quiet);
    }
    if (status == WAI_OK && !wai_trace_take(&e->traces[k], &example, graph->arena)) {
        status = no_memory(graph);
    }
    wai_arena_free(&arena);
    graph->status = status;
    return status == WAI_OK ? differ(e, graph, k) : status;
}

wai_status wai_examples_make(wai_examples *e, wai_graph *graph) {
    if (find_points(e, graph) != WAI_OK ||
        wai_examples_import(e, e->points[0], 1, graph) != WAI_OK || unfold(e, graph) != WAI_OK ||
        wai_front_rewrite(graph, e->options) != WAI_OK) {
        return graph->status;
    }
    if (!wai_trace_take(&e->traces[0], graph, graph->arena)) {
        return no_memory(graph);
    }
    for (uint32_t k = 1; k < e->count && graph->status == WAI_OK; k++) {
        trace_example(e, graph, k);
    }
    return graph->status;
}
