/* core/ops/parts.h: packed weights only. */
#include <stdbool.h>

#include "never.h"

bool __wrap_wai_has_raw_weights(void);

bool __wrap_wai_has_raw_weights(void) {
    return false;
}

NEVER(wai_conv2d_plain, void *)
NEVER(wai_deconv2d_plain, void *)
NEVER(wai_fully_connected_plain, void *)
