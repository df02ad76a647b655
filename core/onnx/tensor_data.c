/* The elements of a TensorProto, wherever the file keeps them. */
#include <pb_decode.h>
#include <string.h>

#include "onnx/read.h"

/* Bytes of one element (4-bit integers: of two) of a type of tensors; 0 for others. */
static size_t element_size(int32_t data_type) {
    static const uint8_t sizes[] = {
        [WAI_ONNX_FLOAT] = 4,      [WAI_ONNX_UINT8] = 1,          [WAI_ONNX_INT8] = 1,
        [WAI_ONNX_UINT16] = 2,     [WAI_ONNX_INT16] = 2,          [WAI_ONNX_INT32] = 4,
        [WAI_ONNX_INT64] = 8,      [WAI_ONNX_BOOL] = 1,           [WAI_ONNX_FLOAT16] = 2,
        [WAI_ONNX_DOUBLE] = 8,     [WAI_ONNX_UINT32] = 4,         [WAI_ONNX_UINT64] = 8,
        [WAI_ONNX_BFLOAT16] = 2,   [WAI_ONNX_FLOAT8E4M3FN] = 1,   [WAI_ONNX_FLOAT8E4M3FNUZ] = 1,
        [WAI_ONNX_FLOAT8E5M2] = 1, [WAI_ONNX_FLOAT8E5M2FNUZ] = 1, [WAI_ONNX_UINT4] = 1,
        [WAI_ONNX_INT4] = 1,
    };
    return data_type > 0 && (size_t)data_type < sizeof sizes ? sizes[data_type] : 0;
}

/* The field that holds elements of this type, and its wire type when the list
 * is not packed (TensorProto in onnx.proto3). */
static uint32_t typed_field(int32_t data_type, pb_wire_type_t *wire) {
    *wire = PB_WT_VARINT;
    switch (data_type) {
    case WAI_ONNX_FLOAT:
        *wire = PB_WT_32BIT;
        return 4;
    case WAI_ONNX_DOUBLE:
        *wire = PB_WT_64BIT;
        return 10;
    case WAI_ONNX_INT64:
        return 7;
    case WAI_ONNX_UINT32:
    case WAI_ONNX_UINT64:
        return 11;
    default:
        return 5; /* int32_data: the small integers, bool, bits of narrow floats */
    }
}

typedef struct sink {
    uint8_t *out;
    size_t left, element;
} sink;

static bool put(sink *s, uint64_t value) {
    if (s->left < s->element) {
        return false;
    }
    memcpy(s->out, &value, s->element); /* little-endian hosts only, as wasm is */
    s->out += s->element;
    s->left -= s->element;
    return true;
}

static bool read_one(pb_istream_t *in, pb_wire_type_t wire, uint64_t *value) {
    uint32_t word = 0;
    switch (wire) {
    case PB_WT_VARINT:
        return pb_decode_varint(in, value);
    case PB_WT_64BIT:
        return pb_decode_fixed64(in, value);
    default:
        if (!pb_decode_fixed32(in, &word)) {
            return false;
        }
        *value = word;
        return true;
    }
}

/* One occurrence of the typed field: packed, or a single element. */
static bool read_list(pb_istream_t *in, pb_wire_type_t found, pb_wire_type_t wire, sink *s) {
    uint64_t value;
    if (found != PB_WT_STRING) {
        return found == wire && read_one(in, wire, &value) && put(s, value);
    }
    pb_istream_t list;
    if (!pb_make_string_substream(in, &list)) {
        return false;
    }
    while (list.bytes_left > 0) {
        if (!read_one(&list, wire, &value) || !put(s, value)) {
            return false;
        }
    }
    return pb_close_string_substream(in, &list);
}

static bool read_typed(const wai_onnx_tensor *tensor, sink *s) {
    pb_wire_type_t wire;
    uint32_t wanted = typed_field(tensor->data_type, &wire);
    pb_istream_t in = pb_istream_from_buffer(tensor->message.data, tensor->message.size);
    while (in.bytes_left > 0) {
        pb_wire_type_t found;
        uint32_t number;
        bool end;
        if (!pb_decode_tag(&in, &found, &number, &end)) {
            return false;
        }
        bool good = number == wanted ? read_list(&in, found, wire, s) : pb_skip_field(&in, found);
        if (!good) {
            return false;
        }
    }
    return s->left == 0;
}

static wai_status read_data(const wai_onnx_tensor *tensor, uint8_t *out, size_t size,
                            wai_diag *diag) {
    if (tensor->raw.data != NULL) {
        if (tensor->raw.size != size) {
            return wai_fail_at(diag, WAI_ERR_MALFORMED, tensor->offset, tensor->name,
                               "raw_data holds %zu bytes, the dims need %zu", tensor->raw.size,
                               size);
        }
        if (size > 0) {
            memcpy(out, tensor->raw.data, size);
        }
        return WAI_OK;
    }
    sink s = {out, size, element_size(tensor->data_type)};
    if (!read_typed(tensor, &s)) {
        return wai_fail_at(diag, WAI_ERR_MALFORMED, tensor->offset, tensor->name,
                           "the tensor's data does not fit its dims (%zu bytes wanted)", size);
    }
    return WAI_OK;
}

/* Two elements in a byte, the first in its lower half; the bytes stand at the end of
 * out[0..count), so that each is read before it is written over. */
static void unpack(uint8_t *out, size_t count, bool is_signed) {
    const uint8_t *packed = out + (count - (count + 1) / 2);
    for (size_t i = 0; i < count; i++) {
        const uint8_t half = (packed[i / 2] >> (i % 2 * 4)) & 15u;
        out[i] = is_signed ? (uint8_t)((half ^ 8u) - 8u) : half;
    }
}

wai_status wai_onnx_tensor_data(const wai_onnx_tensor *tensor, uint8_t *out, size_t size,
                                wai_diag *diag) {
    if (tensor->data_type != WAI_ONNX_UINT4 && tensor->data_type != WAI_ONNX_INT4) {
        return read_data(tensor, out, size, diag);
    }
    const size_t packed = (size + 1) / 2;
    wai_status status = read_data(tensor, out + (size - packed), packed, diag);
    if (status == WAI_OK) {
        unpack(out, size, tensor->data_type == WAI_ONNX_INT4);
    }
    return status;
}
