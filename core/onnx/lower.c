/* The getters of lower.h: bounded access to one node's inputs and attributes. */
#include "onnx/lower.h"

#include <string.h>

#include "base/limits.h"
#include "onnx/read.h"
#include "ops/emit.h"

/* ---- inputs ---- */

wai_value *wai_lower_optional(wai_lower *l, uint32_t index) {
    return index < l->in_count ? l->in[index] : NULL;
}

wai_value *wai_lower_input(wai_lower *l, uint32_t index) {
    wai_value *value = wai_lower_optional(l, index);
    if (value == NULL) {
        WAI_LOWER_REFUSE(l, "%s needs input %u", l->op_type, index);
    }
    return value;
}

bool wai_lower_wants(const wai_lower *l, uint32_t index) {
    return index < l->node->output_count && l->node->outputs[index][0] != 0;
}

/* The constant at `index` when it is a list of the wanted kind. */
static const wai_value *constant_list(wai_lower *l, uint32_t index, uint32_t capacity,
                                      bool *there) {
    const wai_value *value = wai_lower_optional(l, index);
    *there = value != NULL;
    if (value == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    if (value->data == NULL) {
        WAI_LOWER_DECLINE(l, "input %u (%s) of %s must be a constant", index,
                          value->name != NULL ? value->name : "computed", l->op_type);
        return NULL;
    }
    if (value->type.rank > 1 || wai_type_count(&value->type) > capacity) {
        WAI_LOWER_REFUSE(l, "input %u of %s must be a list of at most %u numbers", index,
                         l->op_type, capacity);
        return NULL;
    }
    return value;
}

uint32_t wai_lower_ints(wai_lower *l, uint32_t index, int64_t *out, uint32_t capacity,
                        bool *there) {
    const wai_value *value = constant_list(l, index, capacity, there);
    if (value == NULL) {
        return 0;
    }
    uint32_t count = (uint32_t)wai_type_count(&value->type);
    for (uint32_t i = 0; i < count; i++) {
        if (value->type.dtype == WAI_I64) {
            out[i] = ((const int64_t *)value->data)[i];
        } else if (value->type.dtype == WAI_I32) {
            out[i] = ((const int32_t *)value->data)[i];
        } else {
            WAI_LOWER_REFUSE(l, "input %u of %s must be int32 or int64, not %s", index, l->op_type,
                             wai_dtype_name(value->type.dtype));
            return 0;
        }
    }
    return count;
}

uint32_t wai_lower_floats(wai_lower *l, uint32_t index, float *out, uint32_t capacity,
                          bool *there) {
    const wai_value *value = constant_list(l, index, capacity, there);
    if (value == NULL) {
        return 0;
    }
    if (value->type.dtype != WAI_F32) {
        WAI_LOWER_REFUSE(l, "input %u of %s must be float, not %s", index, l->op_type,
                         wai_dtype_name(value->type.dtype));
        return 0;
    }
    uint32_t count = (uint32_t)wai_type_count(&value->type);
    if (count > 0) {
        memcpy(out, value->data, count * sizeof *out);
    }
    return count;
}

/* ---- attributes ---- */

static const wai_onnx_attr *find(wai_lower *l, const char *name) {
    for (uint32_t i = 0; i < l->node->attr_count; i++) {
        if (strcmp(l->node->attrs[i].name, name) == 0) {
            l->attrs_read[i / 32] |= 1u << (i % 32); /* at most 128, see import */
            return &l->node->attrs[i];
        }
    }
    return NULL;
}

/* The attribute when it is there and of the wanted type. */
static const wai_onnx_attr *typed(wai_lower *l, const char *name, int32_t type) {
    const wai_onnx_attr *attr = find(l, name);
    if (attr != NULL && attr->type != type) {
        WAI_LOWER_REFUSE(l, "attribute %s of %s has the wrong type", name, l->op_type);
        return NULL;
    }
    return attr;
}

bool wai_attr_has(wai_lower *l, const char *name) {
    return find(l, name) != NULL;
}

void wai_attr_ignore(wai_lower *l, const char *name) {
    find(l, name);
}

int64_t wai_attr_int(wai_lower *l, const char *name, int64_t fallback) {
    const wai_onnx_attr *attr = typed(l, name, WAI_ONNX_ATTR_INT);
    return attr != NULL ? attr->i : fallback;
}

float wai_attr_float(wai_lower *l, const char *name, float fallback) {
    const wai_onnx_attr *attr = typed(l, name, WAI_ONNX_ATTR_FLOAT);
    return attr != NULL ? attr->f : fallback;
}

const char *wai_attr_string(wai_lower *l, const char *name, const char *fallback) {
    const wai_onnx_attr *attr = typed(l, name, WAI_ONNX_ATTR_STRING);
    return attr != NULL ? attr->s : fallback;
}

/* The `count` entries of a list attribute, of `size` bytes each. */
static uint32_t copy_list(wai_lower *l, const char *name, void *out, uint32_t capacity,
                          const void *list, uint32_t count, size_t size) {
    if (count > capacity) {
        WAI_LOWER_REFUSE(l, "attribute %s of %s lists %u entries, at most %u are possible", name,
                         l->op_type, count, capacity);
        return 0;
    }
    if (count > 0) {
        memcpy(out, list, count * size);
    }
    return count;
}

uint32_t wai_attr_ints(wai_lower *l, const char *name, int64_t *out, uint32_t capacity) {
    const wai_onnx_attr *attr = typed(l, name, WAI_ONNX_ATTR_INTS);
    return attr == NULL
               ? 0
               : copy_list(l, name, out, capacity, attr->ints, attr->int_count, sizeof *out);
}

uint32_t wai_attr_floats(wai_lower *l, const char *name, float *out, uint32_t capacity) {
    const wai_onnx_attr *attr = typed(l, name, WAI_ONNX_ATTR_FLOATS);
    return attr == NULL
               ? 0
               : copy_list(l, name, out, capacity, attr->floats, attr->float_count, sizeof *out);
}

uint32_t wai_attr_strings(wai_lower *l, const char *name, const char **out, uint32_t capacity) {
    const wai_onnx_attr *attr = typed(l, name, WAI_ONNX_ATTR_STRINGS);
    return attr == NULL
               ? 0
               : copy_list(l, name, out, capacity, attr->strings, attr->string_count, sizeof *out);
}

wai_bytes wai_attr_graph(wai_lower *l, const char *name) {
    const wai_onnx_attr *attr = typed(l, name, WAI_ONNX_ATTR_GRAPH);
    if ((attr == NULL || attr->graph.data == NULL) && !wai_lower_failed(l)) {
        WAI_LOWER_REFUSE(l, "%s has no graph %s", l->op_type, name);
    }
    return attr != NULL ? attr->graph : (wai_bytes){NULL, 0};
}

/* ---- broadcasting before opset 7 ---- */

wai_value *wai_lower_aligned(wai_lower *l, const wai_value *a, wai_value *b) {
    if (l->opset >= 7) {
        return b;
    }
    const bool broadcast = wai_attr_int(l, "broadcast", 0) != 0;
    const bool at_end = !wai_attr_has(l, "axis");
    const int64_t axis = wai_attr_int(l, "axis", 0);
    if (a == NULL || b == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    const uint32_t rank = a->type.rank, own = b->type.rank;
    if (!broadcast &&
        !(rank == own && memcmp(a->type.dims, b->type.dims, sizeof a->type.dims) == 0)) {
        WAI_LOWER_REFUSE(l, "the inputs of %s have different dims and broadcast is not set",
                         l->op_type);
        return NULL;
    }
    if (own > rank) {
        WAI_LOWER_REFUSE(l, "input 1 of %s has %u axes, input 0 has %u", l->op_type, own, rank);
        return NULL;
    }
    if (!broadcast || at_end || own == 0) {
        return b;
    }
    const uint32_t from = wai_lower_axis(l, axis, rank);
    if (!wai_lower_failed(l) && from + own > rank) {
        WAI_LOWER_REFUSE(l, "the %u axes of input 1 of %s do not fit at axis %u of %u", own,
                         l->op_type, from, rank);
    }
    if (wai_lower_failed(l)) {
        return NULL;
    }
    uint32_t dims[WAI_MAX_RANK];
    for (uint32_t i = 0; i < rank - from; i++) {
        dims[i] = i < own ? b->type.dims[i] : 1;
    }
    return wai_emit_reshape(l->graph, b, rank - from, dims);
}

/* ---- numbers ---- */

uint32_t wai_lower_axis(wai_lower *l, int64_t axis, uint32_t rank) {
    int64_t from_front = axis < 0 ? axis + rank : axis;
    if (from_front < 0 || from_front >= rank) {
        WAI_LOWER_REFUSE(l, "axis %lld of %s is outside rank %u", (long long)axis, l->op_type,
                         rank);
        return 0;
    }
    return (uint32_t)from_front;
}

uint32_t wai_lower_dim(wai_lower *l, int64_t dim, const char *what) {
    if (dim < 0 || dim > (int64_t)WAI_MAX_DIM) {
        WAI_LOWER_REFUSE(l, "%s of %s is %lld, outside 0..%u", what, l->op_type, (long long)dim,
                         WAI_MAX_DIM);
        return 0;
    }
    return (uint32_t)dim;
}
