/*
 * fit.h - from examples to formulas.
 *
 * Every params word that differs between examples is a function of dims: of the
 * node's operands, of the graph's inputs, or of any value before it. The
 * shortest formula that gives the word in all examples is taken. Five examples
 * determine any formula that is tried; those beyond, and the ends of the
 * ranges (compiler/dynamic.c), are there to prove a wrong one wrong.
 */
#ifndef WAI_FIT_H
#define WAI_FIT_H

#include "compiler/examples.h"

/* A use before its node is final: the node by its place in the list. */
typedef struct wai_fitted_use {
    uint32_t node, word, formula, over;
} wai_fitted_use;

typedef struct wai_fit {
    wai_formula *formulas; /* over numbers: graph inputs, then nodes' outputs */
    wai_fitted_use *uses;
    uint32_t formula_count, use_count;
    bool far; /* a formula names a value that is no operand and no input    */
} wai_fit;

/* UNSUPPORTED, naming the node and word, when there is no formula. */
wai_status wai_fit_words(wai_fit *fit, const wai_examples *e, wai_graph *graph);

#endif
