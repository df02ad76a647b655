/* DepthToSpace and SpaceToDepth: no operators of ours, but
 * reshape - transpose - reshape. */
#include <string.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"

/* The input (rank 4, else NULL) and a block size that is at least 1. */
static wai_value *read_block(wai_lower *l, uint32_t *block) {
    wai_value *x = wai_lower_input(l, 0);
    int64_t size = wai_attr_int(l, "blocksize", 0);
    if (wai_lower_failed(l)) {
        return NULL;
    }
    if (x->type.rank != 4 || size < 1 || size > WAI_MAX_DIM) {
        WAI_LOWER_REFUSE(l, "input of rank %u, not 4, or blocksize %lld", x->type.rank,
                         (long long)size);
        return NULL;
    }
    *block = (uint32_t)size;
    return x;
}

void wai_lower_depth_to_space(wai_lower *l) {
    uint32_t b = 1;
    wai_value *x = read_block(l, &b);
    const char *mode = wai_attr_string(l, "mode", "DCR");
    if (wai_lower_failed(l)) {
        return;
    }
    bool depth_first = strcmp(mode, "DCR") == 0;
    if (!depth_first && strcmp(mode, "CRD") != 0) {
        WAI_LOWER_REFUSE(l, "mode \"%s\" is not DCR or CRD", mode);
        return;
    }
    const uint32_t *d = x->type.dims;
    uint64_t area = (uint64_t)b * b;
    if (d[1] % area != 0 || (uint64_t)d[2] * b > WAI_MAX_DIM || (uint64_t)d[3] * b > WAI_MAX_DIM) {
        WAI_LOWER_REFUSE(l, "%u channels are no multiple of blocksize %u squared", d[1], b);
        return;
    }
    uint32_t channels = (uint32_t)(d[1] / area);
    uint32_t dcr[6] = {d[0], b, b, channels, d[2], d[3]};
    uint32_t crd[6] = {d[0], channels, b, b, d[2], d[3]};
    static const uint32_t dcr_perm[6] = {0, 3, 4, 1, 5, 2}, crd_perm[6] = {0, 1, 4, 2, 5, 3};
    uint32_t out[4] = {d[0], channels, d[2] * b, d[3] * b};
    x = wai_emit_reshape(l->graph, x, 6, depth_first ? dcr : crd);
    x = wai_emit_transpose(l->graph, x, depth_first ? dcr_perm : crd_perm);
    l->out[0] = wai_emit_reshape(l->graph, x, 4, out);
}

void wai_lower_space_to_depth(wai_lower *l) {
    uint32_t b = 1;
    wai_value *x = read_block(l, &b);
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t *d = x->type.dims;
    if (d[2] % b != 0 || d[3] % b != 0 || (uint64_t)b * b * d[1] > WAI_MAX_DIM) {
        WAI_LOWER_REFUSE(l, "height %u or width %u is no multiple of blocksize %u", d[2], d[3], b);
        return;
    }
    uint32_t blocks[6] = {d[0], d[1], d[2] / b, b, d[3] / b, b};
    static const uint32_t perm[6] = {0, 3, 5, 1, 2, 4};
    uint32_t out[4] = {d[0], b * b * d[1], d[2] / b, d[3] / b};
    x = wai_emit_reshape(l->graph, x, 6, blocks);
    x = wai_emit_transpose(l->graph, x, perm);
    l->out[0] = wai_emit_reshape(l->graph, x, 4, out);
}
