/* diag.h - fill a wai_diag. */
#ifndef WAI_DIAG_H
#define WAI_DIAG_H

#include <stdarg.h>

#include "wasmai.h"

/*
 * Fill *diag (if not NULL and not already filled) and return `status`.
 * `where` may be NULL; unprintable bytes become '?'. `format` knows %s %u %d
 * %zu %llu %lld and %%: printf itself would cost the browser 10 KB.
 * The first failure wins: a diag that holds one is left as it is.
 */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
wai_status
wai_fail(wai_diag *diag, wai_status status, const char *where, const char *format, ...);

/* The same with the byte offset in the input. */
#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
wai_status
wai_fail_at(wai_diag *diag, wai_status status, uint64_t offset, const char *where,
            const char *format, ...);

void wai_diag_clear(wai_diag *diag);

/* The formatter behind the two above: writes at most `size` bytes, always
 * NUL-terminated, unprintable bytes as '?'. Returns the length written. */
size_t wai_format(char *out, size_t size, const char *format, va_list arguments);

#endif
