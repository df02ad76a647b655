/* Operators of ai.onnx.ml on numbers, by elementwise operators. */
#include <string.h>

#include "ops/lowering.h"

static wai_value *list_f32(wai_lower *l, const float *list, uint32_t count) {
    const wai_type type = {WAI_F32, 1, {count}};
    return wai_emit_constant(l->graph, &type, list);
}

/* Columns of x: x[..., y]; a vector counts as one row. */
void wai_lower_array_feature_extractor(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *y = wai_lower_input(l, 1);
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.rank == 0) {
        WAI_LOWER_REFUSE(l, "ArrayFeatureExtractor of a scalar");
        return;
    }
    if (x->type.rank == 1) {
        const uint32_t dims[] = {1, x->type.dims[0]};
        x = wai_emit_reshape(l->graph, x, 2, dims);
    }
    const uint32_t count = (uint32_t)wai_type_count(&y->type);
    wai_value *in[] = {x, wai_emit_reshape(l->graph, y, 1, &count)};
    if (!wai_lower_failed(l)) {
        const wai_gather_params p = {x->type.rank - 1};
        l->out[0] = wai_emit(l->graph, &wai_op_gather, &p, in, 2);
    }
}

/* 1 where x > threshold, else 0, of x's dtype. */
void wai_lower_binarizer(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    wai_value *threshold = wai_emit_scalar_f32(g, wai_attr_float(l, "threshold", 0));
    if (wai_lower_failed(l)) {
        return;
    }
    const wai_dtype dtype = x->type.dtype;
    if (dtype != WAI_F32) { /* f64 holds every int32, and all of an int64 that matters */
        x = wai_emit_cast(g, x, WAI_F64);
        threshold = wai_emit_cast(g, threshold, WAI_F64);
    }
    l->out[0] = wai_emit_cast(g, wai_lower_compare_of(l, WAI_COMPARE_GREATER, x, threshold), dtype);
}

/* (x - offset) * scale, one number for all columns or one for each. */
void wai_lower_scaler(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    uint32_t offsets, scales;
    const float *offset = wai_lower_float_list(l, "offset", &offsets);
    const float *scale = wai_lower_float_list(l, "scale", &scales);
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t rank = x->type.rank, columns = rank > 0 ? x->type.dims[rank - 1] : 1;
    if (offset == NULL || scale == NULL || (offsets != 1 && offsets != columns) ||
        (scales != 1 && scales != columns)) {
        WAI_LOWER_REFUSE(l, "Scaler with %u offsets and %u scales for %u columns", offsets, scales,
                         columns);
        return;
    }
    x = wai_emit_cast(g, x, WAI_F32);
    x = wai_emit_binary(g, WAI_BINARY_SUB, x, list_f32(l, offset, offsets));
    l->out[0] = wai_emit_binary(g, WAI_BINARY_MUL, x, list_f32(l, scale, scales));
}

/* What is `replaced` (NaN or a number) becomes the number of its column. */
void wai_lower_imputer(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    uint32_t count;
    const float *imputed = wai_lower_float_list(l, "imputed_value_floats", &count);
    const float replaced = wai_attr_float(l, "replaced_value_float", 0);
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t rank = x->type.rank, columns = rank > 0 ? x->type.dims[rank - 1] : 1;
    if (x->type.dtype != WAI_F32 || imputed == NULL || (count != 1 && count != columns)) {
        WAI_LOWER_DECLINE(l, "Imputer of elements of %s with %u floats for %u columns",
                          wai_dtype_name(x->type.dtype), count, columns);
        return;
    }
    wai_value *hit = replaced != replaced ? wai_emit_unary(g, WAI_UNARY_IS_NAN, 0, 0, x)
                                          : wai_lower_compare_of(l, WAI_COMPARE_EQUAL, x,
                                                                 wai_emit_scalar_f32(g, replaced));
    l->out[0] = wai_lower_where_of(l, hit, list_f32(l, imputed, count), x);
}

/* x * transpose(coefficients[targets, columns]) + intercepts */
void wai_lower_linear_regressor(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    uint32_t count, intercepts;
    const float *coefficients = wai_lower_float_list(l, "coefficients", &count);
    const float *intercept = wai_lower_float_list(l, "intercepts", &intercepts);
    const int64_t targets = wai_attr_int(l, "targets", 1);
    const char *after = wai_attr_string(l, "post_transform", "NONE");
    if (wai_lower_failed(l)) {
        return;
    }
    if (strcmp(after, "NONE") != 0 || x->type.rank != 2) {
        WAI_LOWER_DECLINE(l, "LinearRegressor of rank %u with post_transform %s", x->type.rank,
                          after);
        return;
    }
    const uint32_t columns = x->type.dims[1];
    if (targets < 1 || targets > count || columns == 0 || count % columns != 0 ||
        count / columns != targets || (intercept != NULL && intercepts != targets)) {
        WAI_LOWER_REFUSE(l,
                         "LinearRegressor with %u coefficients and %u intercepts: %u columns, "
                         "%lld targets",
                         count, intercepts, columns, (long long)targets);
        return;
    }
    const wai_type type = {WAI_F32, 2, {(uint32_t)targets, columns}};
    const uint32_t perm[] = {1, 0};
    wai_value *w = wai_emit_transpose(g, wai_emit_constant(g, &type, coefficients), perm);
    wai_value *y = wai_lower_product(l, wai_emit_cast(g, x, WAI_F32), w);
    l->out[0] = intercept != NULL
                    ? wai_emit_binary(g, WAI_BINARY_ADD, y, list_f32(l, intercept, intercepts))
                    : y;
}

/* ---- LabelEncoder ---------------------------------------------------------- */

/* keys_* or values_*: int64s, floats or a tensor; NULL when none is there. */
static wai_value *read_list(wai_lower *l, const char *ints, const char *floats,
                            const char *tensor) {
    uint32_t count;
    const int64_t *whole = wai_lower_int_list(l, ints, &count);
    if (whole != NULL) {
        const wai_type type = {WAI_I64, 1, {count}};
        return wai_emit_constant(l->graph, &type, whole);
    }
    const float *real = wai_lower_float_list(l, floats, &count);
    if (real != NULL) {
        return list_f32(l, real, count);
    }
    wai_value *value = wai_attr_tensor(l, tensor);
    const uint32_t dims = value != NULL ? (uint32_t)wai_type_count(&value->type) : 0;
    return value != NULL ? wai_emit_reshape(l->graph, value, 1, &dims) : NULL;
}

static wai_value *read_default(wai_lower *l, wai_dtype dtype) {
    wai_graph *g = l->graph;
    const int64_t whole = wai_attr_int(l, "default_int64", -1);
    const float real = wai_attr_float(l, "default_float", -0.0f);
    wai_attr_ignore(l, "default_string");
    wai_value *value = wai_attr_tensor(l, "default_tensor");
    if (value != NULL) {
        value = wai_type_count(&value->type) == 1 ? wai_emit_reshape(g, value, 0, NULL) : NULL;
    } else if (dtype == WAI_I64) {
        value = wai_emit_scalar(g, dtype, whole);
    } else {
        value = wai_emit_cast(g, wai_emit_scalar_f32(g, real), dtype);
    }
    if ((value == NULL || value->type.dtype != dtype) && !wai_lower_failed(l)) {
        WAI_LOWER_REFUSE(l, "the default of LabelEncoder is not one %s", wai_dtype_name(dtype));
    }
    return value;
}

/* bool[n, keys]: where x[n, 1] is the key; a key of NaN is every NaN. */
static wai_value *matches(wai_lower *l, wai_value *x, wai_value *keys) {
    wai_value *same = wai_lower_compare_of(l, WAI_COMPARE_EQUAL, x, keys);
    if (x->type.dtype != WAI_F32 && x->type.dtype != WAI_F64) {
        return same;
    }
    wai_value *both = wai_emit_binary(l->graph, WAI_BINARY_AND,
                                      wai_emit_unary(l->graph, WAI_UNARY_IS_NAN, 0, 0, x),
                                      wai_emit_unary(l->graph, WAI_UNARY_IS_NAN, 0, 0, keys));
    return wai_emit_binary(l->graph, WAI_BINARY_OR, same, both);
}

void wai_lower_label_encoder(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    wai_value *keys = read_list(l, "keys_int64s", "keys_floats", "keys_tensor");
    wai_value *values = read_list(l, "values_int64s", "values_floats", "values_tensor");
    if (wai_lower_failed(l)) {
        return;
    }
    if (keys == NULL || values == NULL) {
        WAI_LOWER_DECLINE(l, "LabelEncoder of other elements of keys and values than numbers");
        return;
    }
    const wai_type type = x->type;
    const uint32_t count = (uint32_t)wai_type_count(&type), known = keys->type.dims[0];
    if (keys->type.dtype != type.dtype || known == 0 || values->type.dims[0] != known) {
        WAI_LOWER_REFUSE(l, "LabelEncoder of %s with %u keys of %s and %u values",
                         wai_dtype_name(type.dtype), known, wai_dtype_name(keys->type.dtype),
                         values->type.dims[0]);
        return;
    }
    wai_value *other = read_default(l, values->type.dtype);
    const uint32_t column[] = {count, 1};
    x = wai_emit_reshape(g, x, 2, column);
    if (wai_lower_failed(l)) {
        return;
    }
    wai_value *same = matches(l, x, keys);
    wai_value *found = wai_emit_reduce(g, WAI_REDUCE_MAX, same, 1u << 1, false);
    same = wai_emit_cast(g, same, WAI_U8);
    const wai_arg_reduce_params first = {.axis = 1, .max = 1};
    const wai_gather_params from = {0};
    wai_value *in[] = {
        values, wai_lower_failed(l) ? NULL : wai_emit(g, &wai_op_arg_reduce, &first, &same, 1)};
    wai_value *y = wai_lower_failed(l) ? NULL : wai_emit(g, &wai_op_gather, &from, in, 2);
    y = wai_lower_where_of(l, found, y, other);
    l->out[0] = wai_emit_reshape(g, y, type.rank, type.dims);
}
