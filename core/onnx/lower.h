/*
 * lower.h - what an operator's import part sees of one ONNX node.
 *
 * A lowering reads attributes and inputs, emits operators of ours into
 * l->graph, and sets l->out[]. It reads straight through: getters and emits
 * record the first failure in the graph and then return defaults or NULL.
 * Attributes that no getter asked for make the import fail (unknown means no).
 *
 *   void wai_lower_softmax(wai_lower *l) {
 *       wai_value *x = wai_lower_input(l, 0);
 *       int64_t axis = wai_lower_axis(l, wai_attr_int(l, "axis", -1), x);
 *       ...
 *       l->out[0] = wai_emit(l->graph, &wai_op_softmax, &params, &x, 1);
 *   }
 */
#ifndef WAI_LOWER_H
#define WAI_LOWER_H

#include "graph/graph.h"

struct wai_onnx_node;
struct wai_importer;

typedef struct wai_lower {
    wai_graph *graph;
    const struct wai_onnx_node *node;
    struct wai_importer *importer; /* for bodies: If, Loop, Scan           */
    const char *op_type;           /* ONNX name, such as "LogSoftmax"              */
    uint32_t opset;                /* of the node's domain in this model           */
    wai_value **in;                /* NULL entries: absent                         */
    uint32_t in_count;
    wai_value **out; /* to set: all that are wanted                  */
    uint32_t out_count;
    uint32_t attrs_read[4]; /* bitmap; kept by the getters                  */
    bool unknown;           /* a body holds what cannot be imported, and that
                               is reported: the outputs are not known       */
} wai_lower;

typedef void (*wai_lower_function)(wai_lower *l);

/* UNSUPPORTED / MALFORMED at this node. */
#define WAI_LOWER_DECLINE(l, ...) wai_graph_fail((l)->graph, WAI_ERR_UNSUPPORTED, __VA_ARGS__)
#define WAI_LOWER_REFUSE(l, ...)  wai_graph_fail((l)->graph, WAI_ERR_MALFORMED, __VA_ARGS__)

static inline bool wai_lower_failed(const wai_lower *l) {
    return l->graph->status != WAI_OK;
}

/* ---- inputs ---- */

/* Input `index`, which must be there: MALFORMED and NULL if it is absent. */
wai_value *wai_lower_input(wai_lower *l, uint32_t index);
/* Input `index` or NULL when it is absent. */
wai_value *wai_lower_optional(wai_lower *l, uint32_t index);
/* The dtype that the file gives input `index`, which must be there. It is not the
 * value's where a graph input, an initializer or a Constant was widened (float16 to f32). */
wai_dtype wai_lower_declared(const wai_lower *l, uint32_t index);
/* True if output `index` has a name, that is, is wanted. */
bool wai_lower_wants(const wai_lower *l, uint32_t index);

/*
 * The values of a constant integer input (i32, i64; any rank up to 1), at most
 * `capacity`. Returns the count; *there is false when the input is absent.
 * UNSUPPORTED "input `shape` must be a constant ..." when it is not constant.
 */
uint32_t wai_lower_ints(wai_lower *l, uint32_t index, int64_t *out, uint32_t capacity, bool *there);
/* The same for f32 values. */
uint32_t wai_lower_floats(wai_lower *l, uint32_t index, float *out, uint32_t capacity, bool *there);

/* ---- attributes ---- */

bool wai_attr_has(wai_lower *l, const char *name); /* also marks it as read */
int64_t wai_attr_int(wai_lower *l, const char *name, int64_t fallback);
float wai_attr_float(wai_lower *l, const char *name, float fallback);
/* Never NULL; fallback may be NULL only with wai_attr_has checked before. */
const char *wai_attr_string(wai_lower *l, const char *name, const char *fallback);
/* Returns the count (0 when absent); more than capacity is refused. */
uint32_t wai_attr_ints(wai_lower *l, const char *name, int64_t *out, uint32_t capacity);
uint32_t wai_attr_floats(wai_lower *l, const char *name, float *out, uint32_t capacity);
uint32_t wai_attr_strings(wai_lower *l, const char *name, const char **out, uint32_t capacity);
/* A tensor attribute as a constant value, or NULL when absent. */
wai_value *wai_attr_tensor(wai_lower *l, const char *name);
/* The bytes of a graph attribute, which must be there. */
wai_bytes wai_attr_graph(wai_lower *l, const char *name);
/* Mark as read and known to be without effect on inference. */
void wai_attr_ignore(wai_lower *l, const char *name);

/*
 * Before opset 7 operands broadcast only when the attribute `broadcast` says so,
 * and b's dims stand at `axis` of a's (or at its end): b with dims of 1 behind
 * it, so that it broadcasts as since opset 7. The value itself from then on.
 */
wai_value *wai_lower_aligned(wai_lower *l, const wai_value *a, wai_value *b);

/* ONNX data type number -> dtype; UNSUPPORTED at this node if not covered. */
wai_dtype wai_lower_dtype(wai_lower *l, int64_t onnx_type);

/* `axis` in -rank..rank-1 -> 0..rank-1; refused outside. `rank` may be that of
 * the output (Unsqueeze). */
uint32_t wai_lower_axis(wai_lower *l, int64_t axis, uint32_t rank);

/* int64 -> dim; refused when negative or over WAI_MAX_DIM. `what` names it. */
uint32_t wai_lower_dim(wai_lower *l, int64_t dim, const char *what);

#define WAI_ONNX(name, symbol, first, last) void wai_lower_##symbol(wai_lower *l);
#include "onnx/onnx.def"
#undef WAI_ONNX
#define WAI_MICROSOFT(name, symbol) void wai_lower_##symbol(wai_lower *l);
#include "onnx/microsoft.def"
#undef WAI_MICROSOFT
#define WAI_ML(name, symbol) void wai_lower_##symbol(wai_lower *l);
#include "onnx/ml.def"
#undef WAI_ML

#endif
