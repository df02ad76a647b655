/* ONNX HannWindow, HammingWindow, BlackmanWindow and MelWeightMatrix: constants
 * of the compiler. */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"

/* Zeros to fill; NULL after a failure. */
static float *take(wai_lower *l, const wai_type *type) {
    if (!wai_type_is_valid(type) || wai_type_size(type) > WAI_MAX_FOLD_SIZE) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_DECLINE(l, "the constant %s is too large", wai_type_text(type, text));
        return NULL;
    }
    const size_t size = wai_slot_size(wai_type_size(type));
    float *data = wai_arena_alloc(l->graph->arena, size);
    if (data == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "no memory for a constant of %zu bytes", size);
        return NULL;
    }
    memset(data, 0, size);
    return data;
}

static void finish(wai_lower *l, const wai_type *type, const float *data, wai_dtype dtype) {
    wai_value *value = wai_graph_constant(l->graph, type, data, NULL);
    l->out[0] = wai_emit_cast(l->graph, value, dtype);
}

static wai_dtype read_dtype(wai_lower *l) {
    return wai_lower_dtype(l, wai_attr_int(l, "output_datatype", 1));
}

/* y = a0 - a1 cos(2 pi i / n) + a2 cos(4 pi i / n); n is the size, or one less
 * when the window is not periodic. */
static const struct window {
    const char *op_type;
    double a[3];
} windows[] = {
    {"HannWindow", {0.5, 0.5, 0}},
    {"HammingWindow", {25.0 / 46, 21.0 / 46, 0}},
    {"BlackmanWindow", {0.42, 0.5, 0.08}},
};

void wai_lower_window(wai_lower *l) {
    const struct window *w = windows;
    while (strcmp(w->op_type, l->op_type) != 0) {
        w++; /* onnx.def has these names and no others */
    }
    int64_t size = 0;
    bool there = false;
    const uint32_t count = wai_lower_ints(l, 0, &size, 1, &there);
    const bool periodic = wai_attr_int(l, "periodic", 1) != 0;
    const wai_dtype dtype = read_dtype(l);
    if (!wai_lower_failed(l) && count != 1) {
        WAI_LOWER_REFUSE(l, "size must be one number");
    }
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t dim = wai_lower_dim(l, size, "size");
    wai_type type = wai_type_make(WAI_F32, 1, &dim);
    float *data = wai_lower_failed(l) ? NULL : take(l, &type);
    if (data == NULL) {
        return;
    }
    const double n = dim - (periodic ? 0.0 : 1.0);
    for (uint32_t i = 0; i < dim; i++) {
        const double angle = 2 * 3.14159265358979323846 * i / n;
        const double y = w->a[0] - w->a[1] * cos(angle) + w->a[2] * cos(2 * angle);
        data[i] = n > 0 ? (float)y : 1;
    }
    finish(l, &type, data, dtype);
}

/* ---- MelWeightMatrix ---------------------------------------------------- */

/* Input `index` as one number. */
static double read_number(wai_lower *l, uint32_t index) {
    const wai_value *value = wai_lower_input(l, index);
    uint32_t count = 0;
    bool there = false;
    double number = 0;
    if (value != NULL && value->type.dtype == WAI_F32) {
        float f = 0;
        count = wai_lower_floats(l, index, &f, 1, &there);
        number = f;
    } else if (value != NULL) {
        int64_t i = 0;
        count = wai_lower_ints(l, index, &i, 1, &there);
        number = (double)i;
    }
    if (!wai_lower_failed(l) && count != 1) {
        WAI_LOWER_REFUSE(l, "input %u must be one number", index);
    }
    return number;
}

/* Spectrogram bin of edge `i` of `bins` triangles, equal steps on the mel scale. */
static double edge(uint32_t i, uint32_t bins, const double hertz[2], double length, double rate) {
    const double low = 2595 * log10(1 + hertz[0] / 700), high = 2595 * log10(1 + hertz[1] / 700);
    const double mel = i * ((high - low) / (bins + 2.0)) + low;
    return floor((length + 1) * (700 * (pow(10, mel / 2595) - 1)) / rate);
}

/* Column `column` of a matrix of `rows` x `columns`: a triangle over `at`. */
static void draw(float *data, uint32_t columns, uint32_t column, const uint32_t at[3]) {
    data += column;
    const uint32_t rise = at[1] - at[0], fall = at[2] - at[1];
    for (uint32_t j = at[0]; j <= at[1]; j++) {
        data[(size_t)j * columns] = rise == 0 ? 1 : (float)((double)(j - at[0]) / rise);
    }
    for (uint32_t j = at[1]; j < at[2]; j++) {
        data[(size_t)j * columns] = (float)((double)(at[2] - j) / fall);
    }
}

void wai_lower_mel_weight_matrix(wai_lower *l) {
    const double bins = read_number(l, 0), length = read_number(l, 1), rate = read_number(l, 2);
    const double hertz[2] = {read_number(l, 3), read_number(l, 4)};
    const wai_dtype dtype = read_dtype(l);
    if (wai_lower_failed(l)) {
        return;
    }
    if (!(bins >= 0 && bins <= WAI_MAX_FOLD_SIZE && length >= 0 && length <= WAI_MAX_FOLD_SIZE &&
          rate >= 1 && hertz[0] >= 0 && hertz[1] >= hertz[0] && hertz[1] <= rate)) {
        WAI_LOWER_REFUSE(l, "bins, length, rate or edges are negative, too large or out of order");
        return;
    }
    const uint32_t columns = (uint32_t)bins;
    uint32_t dims[2] = {(uint32_t)length / 2 + 1, columns};
    wai_type type = wai_type_make(WAI_F32, 2, dims);
    float *data = take(l, &type);
    for (uint32_t i = 0; data != NULL && i < columns; i++) {
        uint32_t at[3];
        for (uint32_t e = 0; e < 3; e++) {
            const double bin = edge(i + e, columns, hertz, length, rate);
            if (!(bin >= 0 && bin < dims[0])) {
                WAI_LOWER_REFUSE(l, "upper_edge_hertz is above the %u bins of the spectrum",
                                 dims[0]);
                return;
            }
            at[e] = (uint32_t)bin;
        }
        draw(data, columns, i, at);
    }
    if (data != NULL) {
        finish(l, &type, data, dtype);
    }
}
