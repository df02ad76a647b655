/* sha384.h - SHA-384 (FIPS 180-4), for the compiler and native tools. The
 * browser verifies with WebCrypto; the runtime wasm does not link this. */
#ifndef WAI_SHA384_H
#define WAI_SHA384_H

#include <stddef.h>
#include <stdint.h>

void wai_sha384(uint8_t out[48], const void *data, size_t size);

#endif
