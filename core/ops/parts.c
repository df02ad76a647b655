/* parts.c - in a file of its own: the linker can only replace what is called
 * from another one. */
#include "ops/parts.h"

bool wai_has_depthwise(void) {
    return true;
}

bool wai_has_raw_weights(void) {
    return true;
}

bool wai_has_live(void) {
    return true;
}

bool wai_has_hardening(void) {
    return true;
}
