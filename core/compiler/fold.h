/* fold.h - evaluate a node with the runtime's own kernels. */
#ifndef WAI_FOLD_H
#define WAI_FOLD_H

#include "graph/graph.h"

/*
 * wai_graph.fold: all inputs of `node` are constants, its outputs' types are
 * inferred; sets their data. UNSUPPORTED leaves the node as it is.
 */
wai_status wai_fold_node(wai_graph *graph, wai_node *node);

#endif
