/*
 * graph.h - the compiler's graph: values, nodes, constants in one arena.
 *
 * Nodes stand in a list that is always a topological order. Every value knows
 * its producer and its users; those links are kept right by the functions
 * below, never by hand. Types are always known: a node comes into being by
 * wai_emit, which infers them.
 *
 * Errors stick: after the first failure every wai_emit returns NULL at once,
 * so that a lowering or a pass reads straight through and asks
 * wai_graph_status() once at its end.
 *
 * A node with a guard that does not hold is skipped at run, and its outputs hold
 * any bytes. What keeps that sound:
 *   - such a value is read by nodes of the same guard, or of one that implies
 *     it; by `where`, whose condition then takes the other operand; and by nodes
 *     that only move bytes (reshape, transpose, concat, slice) on the way to a
 *     `where` or to a slice_at that stops before them. So garbage fails no run
 *     and reaches no output;
 *   - guards themselves are computed by nodes without a guard (and, not,
 *     compare: whole for any bytes), outer and inner joined by `and`, which is
 *     false whatever the inner bytes are when the outer is;
 *   - a pass may take a value out of a guard (it is there more often then), and
 *     what it emits in a node's place inherits the node's guard (wai_pass_at).
 *     It may not let a node read what is there less often than the node runs.
 *
 * Constant folding happens here: a node all of whose inputs are constants is
 * evaluated by `fold` as soon as it is emitted, and its outputs are constants.
 * Shape arithmetic vanishes this way, and so does every transpose of a weight.
 */
#ifndef WAI_GRAPH_H
#define WAI_GRAPH_H

#include "base/arena.h"
#include "base/diag.h"
#include "ops/op.h"

typedef struct wai_node wai_node;

typedef struct wai_value {
    const char *name; /* ONNX name or NULL; for messages and io             */
    wai_type type;
    const void *data;   /* a constant's bytes (borrowed or in the arena, of
                           wai_type_size bytes, aligned to 8), or NULL */
    wai_node *producer; /* NULL for graph inputs and constants              */
    wai_node *origin;   /* of a folded constant: the node that gave it, which
                           is not in the list                               */
    wai_node **users;   /* one entry per operand and guard; a node may stand twice */
    uint32_t user_count, user_capacity;
    uint32_t output_count; /* how many graph outputs are this value         */
    uint32_t id;           /* order of creation, from 0                     */
    /* With symbolic dims (dynamic.h): bytes to reserve where the type, which is
     * that of the largest dims, has fewer; and values of one class have equal
     * sizes in bytes whatever the dims are. */
    uint64_t reserved;
    uint32_t size_class;
    bool kept;     /* a constant that must not be folded with: its node is to run */
    uint32_t mark; /* scratch of whoever walks; not kept            */
} wai_value;

struct wai_node {
    const wai_op *op;
    void *params;    /* of op's struct, in the arena; passes may change it  */
    wai_value **in;  /* NULL entries: absent                                */
    wai_value **out; /* never NULL                                          */
    uint32_t in_count, out_count;
    wai_value *guard; /* one bool: the node runs only when it holds; NULL: always */
    const char *name; /* of the ONNX node it comes from                     */
    wai_node *previous, *next;
    uint32_t mark;
};

typedef struct wai_graph_io {
    const char *name;
    wai_value *value;
} wai_graph_io;

/* Axis `axis` of graph input `input` is symbol number `symbol`. */
typedef struct wai_open_axis {
    uint32_t input, axis, symbol;
} wai_open_axis;

typedef struct wai_graph {
    wai_arena *arena;
    wai_diag *diag;
    wai_status status; /* of the first failure                              */
    wai_node *first, *last;
    uint32_t node_count, value_count;
    wai_graph_io *inputs, *outputs;
    uint32_t input_count, output_count;
    wai_open_axis *open_axes; /* as import met them                         */
    uint32_t open_axis_count;
    struct wai_dynamic *dynamic; /* NULL: all dims are numbers              */
    wai_node *cursor;            /* emit before this; NULL: at the end      */
    const char *scope;           /* name of new nodes, and `where` in messages */
    wai_value *guard;            /* of new nodes                               */
    uint64_t param_count;        /* elements of the source model's weights     */
    uint64_t fold_work;          /* spent of WAI_MAX_FOLD_WORK                 */
    uint64_t fold_growth;        /* spent of WAI_MAX_FOLD_GROWTH               */
    uint32_t data_node_count;    /* nodes emitted whose dims depend on values  */
    uint32_t sample;             /* 0: dims that depend on values are bounds;
                                    else which example to make up              */
    uint64_t decisions;          /* hash of what constants decided about the
                                    structure: branches taken                  */
    bool round_weights;          /* weights become float16 (pass round_weights) */
    uint32_t winograd;           /* a wai_winograd_choice (pass winograd)   */
    bool half_weights;           /* constants are stored as float16 where nothing is lost */
    /* Evaluate `node` (all inputs constant) and set data of its outputs.
     * NULL: no folding. WAI_ERR_UNSUPPORTED: leave the node as it is. */
    wai_status (*fold)(struct wai_graph *graph, wai_node *node);
} wai_graph;

void wai_graph_init(wai_graph *graph, wai_arena *arena, wai_diag *diag);

static inline wai_status wai_graph_status(const wai_graph *graph) {
    return graph->status;
}

/* Record a failure (the first one wins) and return it. where = scope. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
wai_status
wai_graph_fail(wai_graph *graph, wai_status status, const char *format, ...);

/* A new value without producer. NULL after a failure. */
wai_value *wai_graph_value(wai_graph *graph, const wai_type *type, const char *name);

/* A constant. `data` is borrowed for the life of the graph. */
wai_value *wai_graph_constant(wai_graph *graph, const wai_type *type, const void *data,
                              const char *name);

static inline bool wai_value_is_constant(const wai_value *value) {
    return value != NULL && value->data != NULL;
}

/* Users plus graph outputs. */
static inline uint32_t wai_value_use_count(const wai_value *value) {
    return value->user_count + value->output_count;
}

/*
 * Add a node at graph->cursor: copies `params`, checks arity, infers, folds.
 * `in` may hold NULL for absent inputs. Trailing absent inputs are dropped.
 * Returns NULL after a failure. When it was folded, the node is not in the
 * list (producer of its outputs is NULL) but its out[] can be read.
 */
wai_node *wai_emit_node(wai_graph *graph, const wai_op *op, const void *params,
                        wai_value *const *in, uint32_t in_count, uint32_t out_count);

/* The same for one output; returns out[0]. */
wai_value *wai_emit(wai_graph *graph, const wai_op *op, const void *params, wai_value *const *in,
                    uint32_t in_count);

/*
 * A node with one output whose bytes are known although its inputs are not
 * (Shape): a constant with `data`, borrowed, whose origin is the node.
 */
wai_value *wai_emit_known(wai_graph *graph, const wai_op *op, const void *params,
                          wai_value *const *in, uint32_t in_count, const void *data);

/*
 * The `limit` of an operator whose count of results depends on values (op.h),
 * of which there are at most `most`: 0, or when examples are made, a count to
 * pretend. Ask only when an input is not constant.
 */
uint32_t wai_graph_limit(wai_graph *graph, uint64_t most);

/*
 * A constant that depends on symbolic dims: put the node it comes from into the
 * list again, before `next`, so that it is computed at run. `value` must have an
 * origin.
 */
void wai_graph_unfold(wai_graph *graph, wai_value *value, wai_node *next);

/* Keep a node that reads constants only from being folded, for ever. */
void wai_graph_keep(wai_graph *graph, wai_node *node);

/* Another guard for a node that is in the list; NULL: it always runs. */
void wai_node_set_guard(wai_graph *graph, wai_node *node, wai_value *guard);

/* Whether a value of `from` is there whenever `node` runs, as far as guards tell. */
static inline bool wai_node_covers(const wai_node *from, const wai_node *node) {
    return from->guard == NULL || from->guard == node->guard;
}

/* Replace operand `index`. */
void wai_node_set_input(wai_graph *graph, wai_node *node, uint32_t index, wai_value *value);

/* After a pass changed a node's inputs or params: infer again and put the new
 * types into its outputs. The outputs' users are not inferred again. */
wai_status wai_node_infer(wai_graph *graph, wai_node *node);

/* Floating-point operations of one run of the node. */
uint64_t wai_node_flops(const wai_node *node);

/* All users of `from`, as operand or guard, and graph outputs that are `from`,
 * take `to`. */
void wai_value_replace(wai_graph *graph, wai_value *from, wai_value *to);

/* Take the node out of the list. Its outputs must have no uses. */
void wai_graph_remove(wai_graph *graph, wai_node *node);

/* The only user of `value` when it has exactly one use and that is not a
 * graph output; else NULL. */
wai_node *wai_value_only_user(const wai_value *value);

/* Order, links, counts and types all agree; INTERNAL if not. For tests and
 * after every pass. */
wai_status wai_graph_check(wai_graph *graph);

/*
 * The graph as text, one node a line in list order:
 *   %7 f32[1,56,56,64] = conv2d(%5, %6:const) {stride_h=2 ...} "layer1.conv"
 * With symbolic dims, types are those of the largest, and behind the outputs stand
 *   range %0[0] = "n" 1..512                the axes that are open
 *   let %9 reshape.dims[1] = 12*%0[0]       params that follow from dims
 * In the arena; NULL when it is used up.
 */
const char *wai_graph_dump(wai_graph *graph);

#endif
