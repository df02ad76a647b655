/* TensorProto to constant; ONNX data types to ours. */
#include <string.h>

#include "base/limits.h"
#include "onnx/import.h"
#include "ops/emit.h"

wai_dtype wai_import_dtype(int32_t onnx_type) {
    static const uint8_t dtypes[] = {
        [WAI_ONNX_FLOAT] = WAI_F32,
        [WAI_ONNX_UINT8] = WAI_U8,
        [WAI_ONNX_INT8] = WAI_I8,
        [WAI_ONNX_UINT16] = WAI_U16,
        [WAI_ONNX_INT16] = WAI_I16,
        [WAI_ONNX_INT32] = WAI_I32,
        [WAI_ONNX_INT64] = WAI_I64,
        [WAI_ONNX_BOOL] = WAI_BOOL,
        [WAI_ONNX_FLOAT16] = WAI_F16,
        [WAI_ONNX_DOUBLE] = WAI_F64,
        [WAI_ONNX_UINT32] = WAI_U32,
        [WAI_ONNX_UINT64] = WAI_U64,
        [WAI_ONNX_BFLOAT16] = WAI_BF16,
        [WAI_ONNX_FLOAT8E4M3FN] = WAI_F8E4M3FN,
        [WAI_ONNX_FLOAT8E4M3FNUZ] = WAI_F8E4M3FNUZ,
        [WAI_ONNX_FLOAT8E5M2] = WAI_F8E5M2,
        [WAI_ONNX_FLOAT8E5M2FNUZ] = WAI_F8E5M2FNUZ,
        [WAI_ONNX_UINT4] = WAI_U4,
        [WAI_ONNX_INT4] = WAI_I4,
    };
    return onnx_type > 0 && (size_t)onnx_type < sizeof dtypes ? (wai_dtype)dtypes[onnx_type] : 0;
}

const char *wai_import_type_name(int32_t onnx_type) {
    static const char *const names[] = {
        [8] = "string",      [14] = "complex64",      [15] = "complex128",
        [16] = "bfloat16",   [17] = "float8e4m3fn",   [18] = "float8e4m3fnuz",
        [19] = "float8e5m2", [20] = "float8e5m2fnuz", [21] = "uint4",
        [22] = "int4",       [23] = "float4e2m1",
    };
    const bool named = onnx_type > 0 && (size_t)onnx_type < sizeof names / sizeof names[0] &&
                       names[onnx_type] != NULL;
    return named ? names[onnx_type] : "not known";
}

wai_dtype wai_lower_dtype(wai_lower *l, int64_t onnx_type) {
    wai_dtype dtype = onnx_type > 0 && onnx_type < 64 ? wai_import_dtype((int32_t)onnx_type) : 0;
    if (dtype == 0) {
        WAI_LOWER_DECLINE(
            l, "data type %lld (%s) of %s is not supported", (long long)onnx_type,
            wai_import_type_name(onnx_type > 0 && onnx_type < 64 ? (int32_t)onnx_type : 0),
            l->op_type);
    }
    return dtype;
}

/* ONNX says nothing of other bytes in a bool; ours are 0 and 1. */
static void tidy_bools(uint8_t *data, size_t count) {
    for (size_t i = 0; i < count; i++) {
        data[i] = data[i] != 0;
    }
}

static bool tensor_type(wai_graph *g, const wai_onnx_tensor *tensor, wai_type *type) {
    *type = (wai_type){wai_import_dtype(tensor->data_type), tensor->rank, {0}};
    if (tensor->external) {
        wai_graph_fail(
            g, WAI_ERR_UNSUPPORTED,
            "the tensor's data is in another file (external data): save the model as one file");
    } else if (type->dtype == 0) {
        wai_graph_fail(g, WAI_ERR_UNSUPPORTED,
                       "the tensor's data type (ONNX type %d, %s) is not supported",
                       tensor->data_type, wai_import_type_name(tensor->data_type));
    }
    for (uint32_t i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] < 0 || tensor->dims[i] > (int64_t)WAI_MAX_DIM) {
            wai_graph_fail(g, WAI_ERR_MALFORMED, "axis %u of the tensor is %lld, outside 0..%u", i,
                           (long long)tensor->dims[i], WAI_MAX_DIM);
            return false;
        }
        type->dims[i] = (uint32_t)tensor->dims[i];
    }
    if (g->status == WAI_OK && !wai_type_is_valid(type)) {
        wai_graph_fail(g, WAI_ERR_LIMIT, "the tensor is larger than %u bytes", WAI_MAX_TENSOR_SIZE);
    }
    return g->status == WAI_OK;
}

wai_value *wai_import_tensor(wai_graph *g, const wai_onnx_tensor *tensor) {
    const char *scope = g->scope;
    g->scope = tensor->name[0] != 0 ? tensor->name : scope;
    wai_value *value = NULL;
    wai_type type;
    if (g->status == WAI_OK && tensor_type(g, tensor, &type)) {
        size_t size = wai_type_size(&type);
        /* A hostile tensor may claim 2 GB; the file must hold them first. */
        bool plausible = size / 10 <= tensor->message.size;
        uint8_t *data = plausible ? wai_arena_alloc(g->arena, wai_slot_size(size)) : NULL;
        if (!plausible) {
            wai_graph_fail(g, WAI_ERR_MALFORMED, "the dims need %zu bytes, the file holds %zu",
                           size, tensor->message.size);
        } else if (data == NULL) {
            wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
        } else {
            wai_status status = wai_onnx_tensor_data(tensor, data, size, g->diag);
            g->status = g->status == WAI_OK ? status : g->status;
            if (type.dtype == WAI_BOOL) {
                tidy_bools(data, size);
            }
            g->param_count += wai_type_count(&type);
            /* The author chose float16: the package is not to be twice the file. */
            g->half_weights = g->half_weights || type.dtype == WAI_F16;
            value = wai_graph_constant(g, &type, data, tensor->name[0] != 0 ? tensor->name : NULL);
            value = wai_emit_cast(g, value, wai_dtype_computed(type.dtype));
        }
    }
    g->scope = scope;
    return value;
}

wai_value *wai_attr_tensor(wai_lower *l, const char *name) {
    for (uint32_t i = 0; i < l->node->attr_count; i++) {
        const wai_onnx_attr *attr = &l->node->attrs[i];
        if (strcmp(attr->name, name) == 0) {
            l->attrs_read[i / 32] |= 1u << (i % 32);
            if (attr->type != WAI_ONNX_ATTR_TENSOR || attr->tensor == NULL) {
                WAI_LOWER_REFUSE(l, "attribute %s of %s is not a tensor", name, l->op_type);
                return NULL;
            }
            return wai_import_tensor(l->graph, attr->tensor);
        }
    }
    return NULL;
}
