/*
 * dynamic.h - what a graph with symbolic dims knows beside its nodes, whose
 * types are those of the largest dims: which axes are open, and which words of
 * params follow from dims by which formula (tensor/formula.h).
 *
 * Made by compiler/dynamic.c behind the last pass; plan and writer read it.
 */
#ifndef WAI_DYNAMIC_H
#define WAI_DYNAMIC_H

#include "graph/graph.h"
#include "tensor/formula.h"

typedef struct wai_symbol {
    const char *name;
    uint32_t min, max; /* both included                                     */
} wai_symbol;

/* Word `word` of the node's params is the formula's value; where `over` is not
 * WAI_NO_FORMULA, the f32 quotient of the two formulas. */
typedef struct wai_formula_use {
    wai_node *node;
    uint32_t word, formula, over;
} wai_formula_use;

#define WAI_NO_FORMULA UINT32_MAX

typedef struct wai_dynamic {
    wai_symbol *symbols;
    wai_open_axis *axes;
    wai_formula *formulas; /* over the numbers of `values`                 */
    wai_formula_use *uses; /* in the order of nodes                        */
    wai_value **values;    /* graph inputs, then outputs in order of nodes */
    uint32_t symbol_count, axis_count, formula_count, use_count, value_count;
    bool keep_order; /* formulas name values that are no operands: steps
                        must run in the order of nodes                      */
} wai_dynamic;

#endif
