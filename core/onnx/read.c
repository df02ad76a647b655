#include "onnx/read.h"

#include <pb_decode.h>
#include <string.h>

#include "base/limits.h"

/* What every reading function shares. */
typedef struct reader {
    wai_arena *arena;
    wai_diag *diag;
    const uint8_t *file;
    wai_status status;
} reader;

/* One field of a message: its number, and a number or bytes. */
typedef struct field {
    uint32_t number;
    pb_wire_type_t wire;
    uint64_t value;  /* varint, fixed64, fixed32                          */
    wai_bytes bytes; /* length-delimited                                  */
    uint64_t offset;
} field;

static void fail(reader *r, wai_status status, uint64_t offset, const char *where,
                 const char *what) {
    if (r->status == WAI_OK) {
        r->status = status;
        wai_fail_at(r->diag, status, offset, where, "%s", what);
    }
}

static uint64_t offset_of(const reader *r, const void *p) {
    return (uint64_t)((const uint8_t *)p - r->file);
}

static void *take(reader *r, size_t count, size_t size) {
    void *memory = wai_arena_array(r->arena, count, size);
    if (memory == NULL) {
        fail(r, WAI_ERR_MEMORY, WAI_NO_OFFSET, NULL, "out of memory in the compiler");
    }
    return memory;
}

static pb_istream_t open_message(wai_bytes message) {
    return pb_istream_from_buffer(message.data, message.size);
}

static bool read_length(pb_istream_t *in, field *out) {
    uint64_t size;
    if (!pb_decode_varint(in, &size) || size > in->bytes_left) {
        return false;
    }
    /* A buffer stream's state is the address of its next byte. */
    out->bytes = (wai_bytes){in->state, (size_t)size};
    return pb_read(in, NULL, (size_t)size);
}

/* The next field; false at the end or after a failure. */
static bool next(reader *r, pb_istream_t *in, const char *what, field *out) {
    if (r->status != WAI_OK || in->bytes_left == 0) {
        return false;
    }
    memset(out, 0, sizeof *out);
    out->offset = offset_of(r, in->state);
    bool end = false;
    bool good = pb_decode_tag(in, &out->wire, &out->number, &end) && !end;
    uint32_t word = 0;
    if (good && out->wire == PB_WT_VARINT) {
        good = pb_decode_varint(in, &out->value);
    } else if (good && out->wire == PB_WT_64BIT) {
        good = pb_decode_fixed64(in, &out->value);
    } else if (good && out->wire == PB_WT_32BIT) {
        good = pb_decode_fixed32(in, &word);
        out->value = word;
    } else if (good) {
        good = out->wire == PB_WT_STRING && read_length(in, out);
    }
    if (!good) {
        fail(r, WAI_ERR_MALFORMED, out->offset, what,
             "the file ends or is damaged here: not a protobuf field");
    }
    return good;
}

/* Does the field have the wire type that the schema says? */
static bool wire_is(reader *r, const field *f, pb_wire_type_t wire, const char *what) {
    if (f->wire != wire) {
        fail(r, WAI_ERR_MALFORMED, f->offset, what, "a field has the wrong protobuf type");
        return false;
    }
    return true;
}

static const char *read_text(reader *r, const field *f, const char *what) {
    if (!wire_is(r, f, PB_WT_STRING, what)) {
        return "";
    }
    if (f->bytes.size > WAI_MAX_NAME) {
        fail(r, WAI_ERR_LIMIT, f->offset, what, "a name is longer than 512 bytes");
        return "";
    }
    if (f->bytes.size > 0 && memchr(f->bytes.data, 0, f->bytes.size) != NULL) {
        fail(r, WAI_ERR_MALFORMED, f->offset, what, "a name holds a zero byte");
        return "";
    }
    const char *text = wai_arena_text(r->arena, (const char *)f->bytes.data, f->bytes.size);
    if (text == NULL) {
        fail(r, WAI_ERR_MEMORY, WAI_NO_OFFSET, NULL, "out of memory in the compiler");
        return "";
    }
    return text;
}

/* How often each of the fields 0..63 stands in the message. */
static void count_fields(reader *r, wai_bytes message, const char *what, uint32_t counts[64]) {
    memset(counts, 0, 64 * sizeof counts[0]);
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, what, &f)) {
        if (f.number < 64) {
            counts[f.number]++;
        }
    }
}

/* ---- TensorProto ---- */

static void add_dim(reader *r, wai_onnx_tensor *t, int64_t dim, uint64_t offset) {
    if (t->rank == WAI_MAX_RANK) {
        fail(r, WAI_ERR_UNSUPPORTED, offset, t->name, "a tensor has more than 8 axes");
        return;
    }
    t->dims[t->rank++] = dim;
}

static void read_dims(reader *r, wai_onnx_tensor *t, const field *f) {
    if (f->wire == PB_WT_VARINT) {
        add_dim(r, t, (int64_t)f->value, f->offset);
        return;
    }
    if (!wire_is(r, f, PB_WT_STRING, "tensor dims")) {
        return;
    }
    pb_istream_t in = open_message(f->bytes);
    while (in.bytes_left > 0 && r->status == WAI_OK) {
        uint64_t dim;
        if (!pb_decode_varint(&in, &dim)) {
            fail(r, WAI_ERR_MALFORMED, f->offset, t->name, "the dims of a tensor are damaged");
            return;
        }
        add_dim(r, t, (int64_t)dim, f->offset);
    }
}

static void read_tensor(reader *r, wai_onnx_tensor *t, wai_bytes message) {
    memset(t, 0, sizeof *t);
    t->name = "";
    t->message = message;
    t->offset = offset_of(r, message.data);
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "tensor", &f)) {
        switch (f.number) {
        case 1:
            read_dims(r, t, &f);
            break;
        case 2:
            t->data_type = (int32_t)f.value;
            break;
        case 8:
            t->name = read_text(r, &f, "tensor name");
            break;
        case 9:
            if (wire_is(r, &f, PB_WT_STRING, "tensor raw_data")) {
                t->raw = f.bytes;
                t->raw.data = t->raw.data != NULL ? t->raw.data : message.data;
            }
            break;
        case 13:
            t->external = 1;
            break;
        case 14:
            t->external = t->external || f.value == 1;
            break;
        default:
            break; /* typed data is read by wai_onnx_tensor_data */
        }
    }
}

/* ---- AttributeProto ---- */

static void read_ints(reader *r, wai_onnx_attr *a, const field *f, uint32_t capacity) {
    pb_istream_t in = open_message(f->bytes);
    if (f->wire == PB_WT_VARINT) {
        a->ints[a->int_count++] = (int64_t)f->value;
        return;
    }
    while (in.bytes_left > 0 && wire_is(r, f, PB_WT_STRING, a->name)) {
        uint64_t value;
        if (a->int_count == capacity || !pb_decode_varint(&in, &value)) {
            fail(r, WAI_ERR_MALFORMED, f->offset, a->name, "a list of integers is damaged");
            return;
        }
        a->ints[a->int_count++] = (int64_t)value;
    }
}

static void read_floats(reader *r, wai_onnx_attr *a, const field *f) {
    if (f->wire == PB_WT_32BIT) {
        uint32_t word = (uint32_t)f->value;
        memcpy(&a->floats[a->float_count++], &word, 4);
    } else if (wire_is(r, f, PB_WT_STRING, a->name)) {
        if (f->bytes.size % 4 != 0) {
            fail(r, WAI_ERR_MALFORMED, f->offset, a->name, "a list of floats is damaged");
            return;
        }
        if (f->bytes.size > 0) {
            memcpy(&a->floats[a->float_count], f->bytes.data, f->bytes.size);
        }
        a->float_count += (uint32_t)(f->bytes.size / 4);
    }
}

/* Room for the lists: an element takes at least one byte (ints) or four. */
static void reserve_lists(reader *r, wai_onnx_attr *a, wai_bytes message, uint32_t *int_capacity) {
    size_t ints = 0;
    size_t floats = 0;
    size_t strings = 0;
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "attribute", &f)) {
        if (f.number == 8) {
            ints += f.wire == PB_WT_STRING ? f.bytes.size : 1;
        } else if (f.number == 7) {
            floats += f.wire == PB_WT_STRING ? f.bytes.size / 4 : 1;
        } else if (f.number == 9) {
            strings++;
        }
    }
    a->ints = take(r, ints + 1, sizeof *a->ints);
    a->floats = take(r, floats + 1, sizeof *a->floats);
    a->strings = take(r, strings + 1, sizeof *a->strings);
    *int_capacity = (uint32_t)ints;
}

static int32_t guess_attr_type(const uint32_t counts[64]) {
    static const struct {
        uint8_t number, type;
    } rows[] = {{2, WAI_ONNX_ATTR_FLOAT},  {3, WAI_ONNX_ATTR_INT},    {4, WAI_ONNX_ATTR_STRING},
                {5, WAI_ONNX_ATTR_TENSOR}, {6, WAI_ONNX_ATTR_GRAPH},  {7, WAI_ONNX_ATTR_FLOATS},
                {8, WAI_ONNX_ATTR_INTS},   {9, WAI_ONNX_ATTR_STRINGS}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (counts[rows[i].number] != 0) {
            return rows[i].type;
        }
    }
    return 0;
}

static void read_attr(reader *r, wai_onnx_attr *a, wai_bytes message) {
    memset(a, 0, sizeof *a);
    a->name = a->s = "";
    uint32_t counts[64];
    uint32_t capacity = 0;
    count_fields(r, message, "attribute", counts);
    reserve_lists(r, a, message, &capacity);
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "attribute", &f)) {
        uint32_t word = (uint32_t)f.value;
        switch (f.number) {
        case 1:
            a->name = read_text(r, &f, "attribute name");
            break;
        case 2:
            memcpy(&a->f, &word, 4);
            break;
        case 3:
            a->i = (int64_t)f.value;
            break;
        case 4:
            /* Long texts are documentation, never an option. */
            a->s = f.bytes.size <= WAI_MAX_NAME ? read_text(r, &f, "attribute") : "";
            break;
        case 5:
            a->tensor =
                wire_is(r, &f, PB_WT_STRING, "attribute") ? take(r, 1, sizeof *a->tensor) : NULL;
            if (a->tensor != NULL) {
                read_tensor(r, a->tensor, f.bytes);
            }
            break;
        case 6:
            if (wire_is(r, &f, PB_WT_STRING, "attribute")) {
                a->graph =
                    (wai_bytes){f.bytes.data != NULL ? f.bytes.data : message.data, f.bytes.size};
            }
            break;
        case 7:
            read_floats(r, a, &f);
            break;
        case 8:
            read_ints(r, a, &f, capacity);
            break;
        case 9:
            a->strings[a->string_count++] =
                f.bytes.size <= WAI_MAX_NAME ? read_text(r, &f, "attribute") : "";
            break;
        case 20:
            a->type = (int32_t)f.value;
            break;
        default:
            break;
        }
    }
    if (a->type == 0) {
        a->type = guess_attr_type(counts);
    }
}

/* ---- NodeProto ---- */

static void read_node(reader *r, wai_onnx_node *n, wai_bytes message) {
    memset(n, 0, sizeof *n);
    n->name = n->op_type = n->domain = "";
    n->offset = offset_of(r, message.data);
    uint32_t counts[64];
    count_fields(r, message, "node", counts);
    n->inputs = take(r, counts[1] + 1u, sizeof *n->inputs);
    n->outputs = take(r, counts[2] + 1u, sizeof *n->outputs);
    n->attrs = take(r, counts[5] + 1u, sizeof *n->attrs);
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "node", &f)) {
        switch (f.number) {
        case 1:
            n->inputs[n->input_count++] = read_text(r, &f, "node input");
            break;
        case 2:
            n->outputs[n->output_count++] = read_text(r, &f, "node output");
            break;
        case 3:
            n->name = read_text(r, &f, "node name");
            break;
        case 4:
            n->op_type = read_text(r, &f, "node op_type");
            break;
        case 5:
            if (wire_is(r, &f, PB_WT_STRING, "node attribute")) {
                read_attr(r, &n->attrs[n->attr_count++], f.bytes);
            }
            break;
        case 7:
            n->domain = read_text(r, &f, "node domain");
            break;
        default:
            break;
        }
    }
}

/* ---- ValueInfoProto ---- */

static void read_dim(reader *r, wai_onnx_dim *dim, wai_bytes message) {
    dim->value = -1;
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "shape", &f)) {
        if (f.number == 1) {
            dim->value = (int64_t)f.value;
            if (dim->value < 0) {
                /* Old exporters write -1 for "not known". */
                dim->value = -1;
            }
        } else if (f.number == 2) {
            dim->name = read_text(r, &f, "dimension name");
            dim->name = dim->name[0] != 0 ? dim->name : NULL;
        }
    }
}

static void read_shape(reader *r, wai_onnx_io *io, wai_bytes message) {
    io->has_shape = 1;
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "shape", &f)) {
        if (f.number != 1 || !wire_is(r, &f, PB_WT_STRING, "shape")) {
            continue;
        }
        if (io->rank == WAI_MAX_RANK) {
            fail(r, WAI_ERR_UNSUPPORTED, f.offset, io->name, "a tensor has more than 8 axes");
            return;
        }
        read_dim(r, &io->dims[io->rank++], f.bytes);
    }
}

static void read_tensor_type(reader *r, wai_onnx_io *io, wai_bytes message) {
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "tensor type", &f)) {
        if (f.number == 1) {
            io->elem_type = (int32_t)f.value;
        } else if (f.number == 2 && wire_is(r, &f, PB_WT_STRING, "shape")) {
            io->rank = 0;
            read_shape(r, io, f.bytes);
        }
    }
}

/* Sequence and Optional have one field: 1, the TypeProto of what they hold. */
static wai_bytes held_type(reader *r, wai_bytes message) {
    wai_bytes type = {message.data, 0};
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "type", &f)) {
        if (f.number == 1 && wire_is(r, &f, PB_WT_STRING, "type")) {
            type = f.bytes;
        }
    }
    return type;
}

/* TypeProto { 1: Tensor { 1: elem_type, 2: shape }, 4: Sequence, 9: Optional }: a
 * tensor, a sequence of them, or an optional of one of the two. Other kinds and
 * deeper ones leave elem_type 0. */
static void read_type(reader *r, wai_onnx_io *io, wai_bytes message) {
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "type", &f)) {
        const bool optional = f.number == 9 && !io->optional && !io->sequence;
        const bool sequence = f.number == 4 && !io->sequence;
        if ((f.number != 1 && !optional && !sequence) || !wire_is(r, &f, PB_WT_STRING, "type")) {
            continue;
        }
        if (f.number == 1) {
            read_tensor_type(r, io, f.bytes);
        } else {
            io->optional = io->optional || optional;
            io->sequence = io->sequence || sequence;
            in = open_message(held_type(r, f.bytes));
        }
    }
}

static void read_io(reader *r, wai_onnx_io *io, wai_bytes message) {
    memset(io, 0, sizeof *io);
    io->name = "";
    io->offset = offset_of(r, message.data);
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "graph input or output", &f)) {
        if (f.number == 1) {
            io->name = read_text(r, &f, "name of a graph input or output");
        } else if (f.number == 2 && wire_is(r, &f, PB_WT_STRING, "type")) {
            read_type(r, io, f.bytes);
        }
    }
}

/* ---- GraphProto, ModelProto ---- */

static void check_counts(reader *r, const uint32_t counts[64]) {
    if (counts[1] > WAI_MAX_NODES) {
        fail(r, WAI_ERR_LIMIT, WAI_NO_OFFSET, "graph", "the graph has more than 32768 nodes");
    } else if (counts[5] > WAI_MAX_VALUES) {
        fail(r, WAI_ERR_LIMIT, WAI_NO_OFFSET, "graph",
             "the graph has more than 131072 initializers");
    } else if (counts[15] != 0) {
        fail(r, WAI_ERR_UNSUPPORTED, WAI_NO_OFFSET, "graph",
             "sparse initializers are not supported");
    }
}

static void read_graph(reader *r, wai_onnx_graph *out, wai_bytes message) {
    uint32_t counts[64];
    count_fields(r, message, "graph", counts);
    check_counts(r, counts);
    if (r->status != WAI_OK) {
        return;
    }
    out->nodes = take(r, counts[1] + 1u, sizeof *out->nodes);
    out->initializers = take(r, counts[5] + 1u, sizeof *out->initializers);
    out->inputs = take(r, counts[11] + 1u, sizeof *out->inputs);
    out->outputs = take(r, counts[12] + 1u, sizeof *out->outputs);
    out->node_count = out->initializer_count = out->input_count = out->output_count = 0;
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "graph", &f)) {
        bool message_field = f.number == 1 || f.number == 5 || f.number == 11 || f.number == 12;
        if (!message_field || !wire_is(r, &f, PB_WT_STRING, "graph")) {
            continue;
        }
        switch (f.number) {
        case 1:
            read_node(r, &out->nodes[out->node_count++], f.bytes);
            break;
        case 5:
            read_tensor(r, &out->initializers[out->initializer_count++], f.bytes);
            break;
        case 11:
            read_io(r, &out->inputs[out->input_count++], f.bytes);
            break;
        default:
            read_io(r, &out->outputs[out->output_count++], f.bytes);
            break;
        }
    }
}

wai_status wai_onnx_read_graph(wai_onnx_graph *out, wai_bytes message, const wai_onnx_model *model,
                               wai_arena *arena, wai_diag *diag) {
    memset(out, 0, sizeof *out);
    reader r = {arena, diag, model->file, WAI_OK};
    read_graph(&r, out, message);
    return r.status;
}

static void read_opset(reader *r, wai_onnx_opset *opset, wai_bytes message) {
    opset->domain = "";
    pb_istream_t in = open_message(message);
    field f;
    while (next(r, &in, "opset_import", &f)) {
        if (f.number == 1) {
            opset->domain = read_text(r, &f, "opset domain");
        } else if (f.number == 2) {
            opset->version = (int64_t)f.value;
        }
    }
}

wai_status wai_onnx_read(wai_onnx_model *out, wai_bytes file, wai_arena *arena, wai_diag *diag) {
    memset(out, 0, sizeof *out);
    out->file = file.data;
    reader r = {arena, diag, file.data, WAI_OK};
    if (file.size == 0) {
        return wai_fail(diag, WAI_ERR_MALFORMED, "file", "the file is empty");
    }
    uint32_t counts[64];
    count_fields(&r, file, "model", counts);
    if (r.status != WAI_OK) {
        return r.status;
    }
    if (counts[7] != 1) {
        return wai_fail(diag, WAI_ERR_MALFORMED, "model", "not an ONNX model: it holds %u graphs",
                        counts[7]);
    }
    if (counts[25] != 0) {
        return wai_fail(diag, WAI_ERR_UNSUPPORTED, "model",
                        "model-local functions are not supported: inline them when exporting");
    }
    out->opsets = take(&r, counts[8] + 1u, sizeof *out->opsets);
    pb_istream_t in = open_message(file);
    field f;
    while (next(&r, &in, "model", &f)) {
        if (f.number == 1) {
            out->ir_version = (int64_t)f.value;
        } else if (f.number == 7 && wire_is(&r, &f, PB_WT_STRING, "graph")) {
            read_graph(&r, &out->graph, f.bytes);
        } else if (f.number == 8 && wire_is(&r, &f, PB_WT_STRING, "opset_import")) {
            read_opset(&r, &out->opsets[out->opset_count++], f.bytes);
        }
    }
    return r.status;
}
