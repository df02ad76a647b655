/* Packing of weights for the package; compiler only. */
#include "ops/conv_common.h"
#include "ops/fully_connected.h"

wai_status wai_xnn_pack(wai_step *step, wai_pool *scratch, const uint8_t **packed, size_t *size,
                        wai_diag *diag) {
    bool fits;
    wai_xnn_create *create;
    uint32_t already;
    *packed = NULL;
    *size = 0;
    if (step->op == &wai_op_fully_connected) {
        const wai_fully_connected_params *p = step->params;
        fits = wai_fully_connected_fits(step);
        create = wai_fully_connected_create;
        already = p->packed;
    } else {
        const bool transposed = step->op == &wai_op_deconv2d;
        const wai_conv_kind *kind = transposed ? &wai_deconv2d_kind : &wai_conv2d_kind;
        if (!transposed && step->op != &wai_op_conv2d) {
            return WAI_ERR_UNSUPPORTED;
        }
        const wai_conv_params *p = step->params;
        fits = kind->fits(step);
        create = kind->create;
        already = p->packed;
    }
    const wai_operand *bias = step->in_count > 2 && step->in[2].data != NULL ? &step->in[2] : NULL;
    if (already || !fits || wai_type_count(&step->out[0].type) == 0 || !step->in[1].constant ||
        (bias != NULL && !bias->constant)) {
        return WAI_ERR_UNSUPPORTED;
    }
    return wai_xnn_pack_with(step, create, step->in[1].data, bias != NULL ? bias->data : NULL,
                             scratch, packed, size, diag);
}
