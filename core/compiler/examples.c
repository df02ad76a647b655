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

static bool is_range(const wai_symbol *symbol) {
    return symbol->min < symbol->max;
}

/* The multiples of `step` in the range, or all when there is none. */
static void steps_of(const wai_symbol *symbol, uint32_t *step, uint32_t *low, uint32_t *count) {
    *low = symbol->min / *step + (symbol->min % *step != 0);
    if (*low > symbol->max / *step) {
        *step = 1;
        *low = symbol->min;
    }
    *count = symbol->max / *step - *low + 1;
}

/* How many points there are, as far as they can be counted by tests. */
static uint32_t count_points(const wai_examples *e, uint32_t step) {
    uint64_t points = 1;
    for (uint32_t s = 0; s < e->symbol_count && points <= e->test_count; s++) {
        uint32_t own_step = step, low, count;
        steps_of(&e->symbols[s], &own_step, &low, &count);
        points *= count;
    }
    return points <= e->test_count ? (uint32_t)points : UINT32_MAX;
}

static uint32_t scatter(uint32_t n) {
    n = (n ^ n >> 16) * 0x7feb352du;
    n = (n ^ n >> 15) * 0x846ca68bu;
    return n ^ n >> 16;
}

/*
 * The place of test `t` among `count` numbers: both ends, the smallest ones, then in
 * turn numbers on end, which leave every rest that a stride can leave, and any. The
 * first symbol has those in order, the others as it comes: so they agree in nothing.
 */
static uint32_t test_place(const wai_examples *e, uint32_t t, uint32_t s, uint32_t count) {
    const uint32_t any = scatter(t * 64 + s + 1);
    uint32_t row = (e->test_count - 4) / 2;
    row = row < count ? row : count;
    if (t < 4) {
        return (t == 0 ? 0 : t == 1 ? count - 1 : t - 1) % count;
    }
    return t % 2 != 0 ? any % count : (count - row) / 2 + (s == 0 ? t / 2 - 2 : any) % row;
}

/* Test `t`: all points of few. */
static void test_point(const wai_examples *e, uint32_t t, uint32_t step, uint32_t *point) {
    uint32_t rest = t, ranges = 0;
    const bool all = count_points(e, step) != UINT32_MAX;
    for (uint32_t s = 0; s < e->symbol_count; s++) {
        uint32_t own_step = step, low, count;
        steps_of(&e->symbols[s], &own_step, &low, &count);
        const uint32_t place = all ? rest % count : test_place(e, t, ranges, count);
        rest /= count;
        ranges += is_range(&e->symbols[s]);
        point[s] = (low + place) * own_step;
    }
}

/* Tests by what the import of one costs: weights, and nodes. */
static uint32_t count_tests(const wai_graph *graph) {
    const uint64_t cost = graph->param_count + 1000ull * graph->node_count + 1;
    const uint64_t tests = 24000000 / cost;
    return tests < WAI_LEAST_TESTS  ? WAI_LEAST_TESTS
           : tests > WAI_MOST_TESTS ? WAI_MOST_TESTS
                                    : (uint32_t)tests;
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
    options.on_loop = NULL;
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

/* The first example's constants, and the form of its graph. */
typedef struct reference {
    uint64_t *hashes;
    uint64_t form;
} reference;

typedef enum finding { TAKEN, NOT_TAKEN, OTHER_FORM } finding;

/* Import at `point` to learn which constants differ from the first example's. */
static finding explore(wai_examples *e, wai_graph *graph, const uint32_t *point, reference *first,
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
    finding found = hashes != NULL ? TAKEN : NOT_TAKEN;
    const uint64_t form = hashes != NULL ? wai_trace_form(&example) : 0;
    if (hashes != NULL && first->hashes == NULL) {
        e->value_count = example.value_count;
        e->test_count = count_tests(&example);
        e->varies = wai_arena_array(graph->arena, e->value_count, sizeof *e->varies);
        first->hashes = wai_arena_array(graph->arena, e->value_count, sizeof *first->hashes);
        first->form = form;
        if (e->varies == NULL || first->hashes == NULL) {
            no_memory(graph);
        } else {
            memcpy(first->hashes, hashes, e->value_count * sizeof *hashes);
        }
    } else if (hashes != NULL && form != first->form) {
        found = OTHER_FORM;
    }
    const uint32_t common =
        example.value_count < e->value_count ? example.value_count : e->value_count;
    const bool counts = found == TAKEN || (found == OTHER_FORM && e->first_test == 0);
    for (uint32_t i = 0; i < common && counts && graph->status == WAI_OK; i++) {
        e->varies[i] = e->varies[i] || hashes[i] != first->hashes[i];
    }
    if (hashes == NULL && why->status == WAI_OK) {
        *why = diag;
    }
    wai_arena_free(&arena);
    return found;
}

static uint32_t *new_point(wai_examples *e, wai_graph *graph) {
    uint32_t *point = wai_arena_array(graph->arena, e->symbol_count, sizeof *point);
    if (point == NULL) {
        no_memory(graph);
    }
    return point;
}

static bool has_range(const wai_examples *e) {
    bool found = false;
    for (uint32_t s = 0; s < e->symbol_count; s++) {
        found = found || is_range(&e->symbols[s]);
    }
    return found;
}

/* Points of the ranges themselves, behind the first examples. */
static wai_status find_tests(wai_examples *e, wai_graph *graph, reference *first, uint32_t step) {
    const uint32_t points = has_range(e) ? count_points(e, step) : 0;
    wai_diag ignored = {0};
    e->first_test = e->count;
    for (uint32_t t = 0; t < e->test_count && t < points && graph->status == WAI_OK; t++) {
        uint32_t *point = new_point(e, graph);
        if (point == NULL) {
            break;
        }
        test_point(e, t, step, point);
        const finding found = explore(e, graph, point, first, &ignored);
        if (found == TAKEN) {
            e->points[e->count++] = point;
        } else if (found == OTHER_FORM) {
            e->odd_points[e->odd_count++] = point;
        }
    }
    return graph->status;
}

/* Points that the model takes: with all numbers, or if it does not take odd
 * ones, with multiples of 2, 4, ... 64. */
static wai_status find_points(wai_examples *e, wai_graph *graph) {
    wai_diag why = {0};
    const uint32_t *refused = NULL;
    for (uint32_t step = 1; step <= 64; step *= 2) {
        reference first = {NULL, 0};
        e->count = 0;
        for (uint32_t t = 0; t < TRIES && e->count < WAI_FIRST_EXAMPLES; t++) {
            uint32_t *point = new_point(e, graph);
            if (point == NULL) {
                return graph->status;
            }
            for (uint32_t s = 0; s < e->symbol_count; s++) {
                const wai_symbol *symbol = &e->symbols[s];
                point[s] = is_range(symbol) ? candidate(symbol, s, t, step) : symbol->min;
            }
            if (explore(e, graph, point, &first, &why) != NOT_TAKEN) {
                e->points[e->count++] = point;
            } else if (refused == NULL) {
                refused = point;
            }
            if (graph->status != WAI_OK || (t == 2 && e->count == 0)) {
                break;
            }
        }
        if (graph->status != WAI_OK || e->count >= WAI_LEAST_EXAMPLES) {
            return graph->status == WAI_OK ? find_tests(e, graph, &first, step) : graph->status;
        }
    }
    graph->status = why.status;
    return wai_fail(graph->diag, why.status, why.where, "with %s: %s",
                    wai_examples_describe(e, graph, refused), why.message);
}

/* Blame the first node that differs in example `k`. */
static wai_status differ(wai_examples *e, wai_graph *graph, uint32_t k) {
    const wai_trace *a = &e->traces[0], *b = &e->traces[k];
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
    return status;
}

/* Whether a dim is 1 or 0 that is not in the first example: then lowerings and passes
 * may write the same thing otherwise. */
static bool has_small_dim(const wai_examples *e, const wai_graph *graph, uint32_t k) {
    const uint32_t *a = e->traces[0].cells, *b = e->traces[k].cells;
    uint32_t cell = 0;
    bool found = false;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        cell += graph->inputs[i].value->type.rank;
    }
    for (const wai_node *node = graph->first; node != NULL; node = node->next) {
        cell += node->op->params_size / 4;
        for (uint32_t i = 0; i < node->out_count; i++) {
            for (uint32_t axis = 0; axis < node->out[i]->type.rank; axis++, cell++) {
                found = found || (b[cell] < 2 && a[cell] > 1);
            }
        }
    }
    for (uint32_t s = 0; s < e->symbol_count; s++) {
        found = found || (e->points[k][s] < 2 && e->points[0][s] > 1);
    }
    return found;
}

/* A test with another form is put aside. */
static void put_aside(wai_examples *e, uint32_t k) {
    e->odd_points[e->odd_count++] = e->points[k];
    e->count--;
    memmove(&e->points[k], &e->points[k + 1], (e->count - k) * sizeof e->points[0]);
}

/* Tests that say less to the end. */
static void put_last(wai_examples *e, const wai_graph *graph) {
    e->sure_count = e->count;
    for (uint32_t k = e->first_test; k < e->sure_count;) {
        if (!has_small_dim(e, graph, k)) {
            k++;
            continue;
        }
        e->sure_count--;
        const wai_trace trace = e->traces[k];
        uint32_t *const point = e->points[k];
        e->traces[k] = e->traces[e->sure_count];
        e->points[k] = e->points[e->sure_count];
        e->traces[e->sure_count] = trace;
        e->points[e->sure_count] = point;
    }
}

static wai_status trace_examples(wai_examples *e, wai_graph *graph) {
    for (uint32_t k = 1; k < e->count && graph->status == WAI_OK;) {
        if (trace_example(e, graph, k) != WAI_OK) {
            return graph->status;
        }
        if (k >= e->first_test && !wai_trace_same_form(&e->traces[0], &e->traces[k])) {
            put_aside(e, k);
        } else if (!wai_trace_same(&e->traces[0], &e->traces[k])) {
            return differ(e, graph, k);
        } else {
            k++;
        }
    }
    put_last(e, graph);
    return graph->status;
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
    return trace_examples(e, graph);
}
