/* core/ops/parts.h: dims are numbers. */
#include <stdbool.h>

#include "never.h"

bool __wrap_wai_has_live(void);

bool __wrap_wai_has_live(void) {
    return false;
}

NEVER_INT(wai_live_open, P4, P2)
NEVER_INT(wai_live_resize, void *, int, P2)
NEVER_INT(wai_live_settle, P2)
NEVER_INT(wai_live_run, P2)
NEVER_INT(wai_live_varies, void *, int)
