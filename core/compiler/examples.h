/*
 * examples.h - a model with symbolic dims, imported at several choices of
 * numbers for them.
 *
 * Lowerings and passes know numbers only: a model whose dims are symbols is
 * compiled for examples, and what differs from one to the next depends on the
 * symbols. Constants that differ are computed at run, by the nodes that they
 * were folded from; then the graphs must be equal but for numbers, and
 * compiler/fit.h finds the formulas behind those.
 */
#ifndef WAI_EXAMPLES_H
#define WAI_EXAMPLES_H

#include "compiler/front.h"
#include "compiler/trace.h"
#include "graph/dynamic.h"

/* Five determine every formula that fit.c tries, as long as the numbers that it
 * sees have nothing in common. Tests are points of the ranges, which have: even
 * numbers, multiples, ends, ones. */
#define WAI_LEAST_EXAMPLES 5u
#define WAI_FIRST_EXAMPLES 7u
#define WAI_MOST_TESTS     96u /* of a small model; WAI_LEAST_TESTS of a large one */
#define WAI_LEAST_TESTS    12u
#define WAI_MOST_EXAMPLES  (WAI_FIRST_EXAMPLES + WAI_MOST_TESTS)

typedef struct wai_examples {
    const wai_onnx_model *model;
    const wai_compile_options *options;
    const wai_symbol *symbols; /* per entry of options->dims                */
    uint32_t symbol_count;
    /* Per example: a number for every symbol, and the graph at these. */
    uint32_t *points[WAI_MOST_EXAMPLES];
    wai_trace traces[WAI_MOST_EXAMPLES];
    uint32_t count;
    uint32_t test_count; /* how many to try: that depends on what one costs */
    uint32_t first_test; /* examples from here on are tests                 */
    uint32_t sure_count; /* from here on, tests with dims of 1 or 0, where the same
                            may be written otherwise                        */
    /* Tests at which the graph has another form: a dim of 1, dims that are equal.
     * Only its outputs can be compared there. */
    uint32_t *odd_points[WAI_MOST_TESTS];
    uint32_t odd_count;
    bool *varies; /* per id of a value at import: a constant that differs   */
    uint32_t value_count;
} wai_examples;

/*
 * Make the examples; `graph` becomes the first of them, all passes but packing
 * done. Traces are in graph's arena. UNSUPPORTED when the graphs of the first
 * examples differ in more than numbers, or constants differ anywhere.
 */
wai_status wai_examples_make(wai_examples *e, wai_graph *graph);

/* Import the model at `point`, no passes: what the formulas are tested against
 * at the ends of the symbols' ranges. `graph` is new; its errors stay in it. */
wai_status wai_examples_import(const wai_examples *e, const uint32_t *point, uint32_t sample,
                               wai_graph *graph);

/* "n = 1, m = 512", in graph's arena. */
const char *wai_examples_describe(const wai_examples *e, wai_graph *graph, const uint32_t *point);

#endif
