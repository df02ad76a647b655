/* core/ops/parts.h: no guard words, nothing is wiped. */
#include <stdbool.h>

#include "never.h"

bool __wrap_wai_has_hardening(void);

bool __wrap_wai_has_hardening(void) {
    return false;
}

NEVER(wai_hardened_fence_weights, void *)
NEVER(wai_hardened_seal, void *)
NEVER_INT(wai_hardened_arm, void *, long long, void *)
NEVER_INT(wai_hardened_begin, P2)
NEVER_INT(wai_hardened_step, void *, long long, void *)
NEVER_INT(wai_hardened_end, P2)
NEVER_INT(wai_hardened_wipe, P2)
