/*
 * read.h - hostile bytes to a program. Structure only: every offset, index
 * and count is in bounds, names are terminated, params have the operator's
 * size, constants lie in the data section with their spare bytes, arena slots
 * in the arena. Types and params are proven by infer, the memory plan by
 * plan/prove.h (both in runtime/session.c).
 */
#ifndef WAI_PACKAGE_READ_H
#define WAI_PACKAGE_READ_H

#include "base/pool.h"
#include "package/program.h"

/* `package` is borrowed by *out and must be aligned to WAI_ALIGN; arrays come
 * from `pool`. */
wai_status wai_package_read(wai_program *out, wai_bytes package, wai_pool *pool, wai_diag *diag);

#endif
