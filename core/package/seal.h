/* seal.h - the hashes of a package: the one place that makes and checks them.
 * For the compiler and native tools; browsers check with WebCrypto. */
#ifndef WAI_PACKAGE_SEAL_H
#define WAI_PACKAGE_SEAL_H

#include "wasmai_compile.h"

/* Put the figures into a written package, so that it can be opened. */
void wai_package_state(uint8_t *package, const wai_certificate *certificate);

/* The same, and the hashes of every chunk and of the head: after this, no byte changes. */
void wai_package_seal(uint8_t *package, const wai_certificate *certificate);

/* WAI_ERR_INTEGRITY when a byte differs from its hash. */
wai_status wai_package_verify(wai_bytes package, wai_diag *diag);

#endif
