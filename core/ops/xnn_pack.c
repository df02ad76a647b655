/* Packing of weights for the package; compiler only. */
#include "ops/emit.h"
#include "ops/weighted.h"

static const struct {
    const wai_op *op;
    const wai_weighted_kind *kind;
} packable[] = {
    {&wai_op_conv2d, &wai_conv2d_kind},
    {&wai_op_deconv2d, &wai_deconv2d_kind},
    {&wai_op_fully_connected, &wai_fully_connected_kind},
};

static const wai_weighted_kind *kind_of(const wai_op *op) {
    for (size_t i = 0; i < sizeof packable / sizeof packable[0]; i++) {
        if (packable[i].op == op) {
            return packable[i].kind;
        }
    }
    return NULL;
}

wai_status wai_xnn_pack(wai_step *step, wai_pool *scratch, const uint8_t **packed, size_t *size,
                        wai_diag *diag) {
    *packed = NULL;
    *size = 0;
    const wai_weighted_kind *kind = kind_of(step->op);
    const wai_operand *bias = step->in_count > 2 && step->in[2].data != NULL ? &step->in[2] : NULL;
    if (kind == NULL || wai_weighted_packed(kind, step) || !kind->fits(step) ||
        wai_type_count(&step->out[0].type) == 0 || !step->in[1].constant ||
        (bias != NULL && !bias->constant)) {
        return WAI_ERR_UNSUPPORTED;
    }
    return wai_xnn_pack_with(step, kind->create, step->in[1].data, bias != NULL ? bias->data : NULL,
                             scratch, packed, size, diag);
}
