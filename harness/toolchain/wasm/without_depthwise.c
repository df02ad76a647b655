/* core/ops/parts.h: no conv2d of one channel per group. XNNPACK looks at its depthwise kernels for
 * each convolution; a tile of no taps fits none. */
#include <stdbool.h>

#include "never.h"

bool __wrap_wai_has_depthwise(void);
const void *__wrap_xnn_init_f32_dwconv_config(void);
const void *__wrap_xnn_init_f32_vmulcaddc_config(void);

bool __wrap_wai_has_depthwise(void) {
    return false;
}

static const void *const nothing[64]; /* longer than four of the one and one of the other */

const void *__wrap_xnn_init_f32_dwconv_config(void) {
    return nothing;
}

const void *__wrap_xnn_init_f32_vmulcaddc_config(void) {
    return nothing;
}

NEVER(xnn_pack_f32_dwconv_ghw_w, P8, P8)
NEVER(xnn_pack_f32_vmulcaddc_w, P4, P2)
NEVER(xnn_indirection_init_dwconv2d, P8, P8, P4, void *)
