#include "base/diag.h"

#include <string.h>

const char *wai_status_name(wai_status status) {
    static const char *const names[] = {
        "WAI_OK",
        "WAI_ERR_ARGUMENT",
        "WAI_ERR_STATE",
        "WAI_ERR_MALFORMED",
        "WAI_ERR_UNSUPPORTED",
        "WAI_ERR_LIMIT",
        "WAI_ERR_MEMORY",
        "WAI_ERR_INTEGRITY",
        "WAI_ERR_INTERNAL",
    };
    if ((unsigned)status >= sizeof names / sizeof names[0]) {
        return "WAI_ERR_UNKNOWN";
    }
    return names[status];
}

void wai_diag_clear(wai_diag *diag) {
    if (diag != NULL) {
        memset(diag, 0, sizeof *diag);
        diag->offset = WAI_NO_OFFSET;
    }
}

typedef struct sink {
    char *out;
    size_t left; /* without the NUL */
} sink;

static void put(sink *s, char c) {
    if (s->left == 0) {
        return;
    }
    *s->out++ = (c >= 0x20 && c < 0x7f) ? c : '?';
    s->left--;
}

static void put_text(sink *s, const char *text) {
    for (text = text != NULL ? text : "(null)"; *text != 0; text++) {
        put(s, *text);
    }
}

static void put_number(sink *s, uint64_t n) {
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    while (count > 0) {
        put(s, digits[--count]);
    }
}

static void put_signed(sink *s, int64_t n) {
    if (n < 0) {
        put(s, '-');
        put_number(s, 0 - (uint64_t)n);
    } else {
        put_number(s, (uint64_t)n);
    }
}

size_t wai_format(char *out, size_t size, const char *format, va_list arguments) {
    sink s = {out, size - 1};
    for (const char *p = format; *p != 0; p++) {
        if (*p != '%') {
            put(&s, *p);
            continue;
        }
        p++;
        if (*p == 's') {
            put_text(&s, va_arg(arguments, const char *));
        } else if (*p == 'u') {
            put_number(&s, va_arg(arguments, unsigned));
        } else if (*p == 'd') {
            put_signed(&s, va_arg(arguments, int));
        } else if (*p == 'z' && p[1] == 'u') {
            put_number(&s, va_arg(arguments, size_t));
            p++;
        } else if (*p == 'l' && p[1] == 'l' && p[2] == 'u') {
            put_number(&s, va_arg(arguments, unsigned long long));
            p += 2;
        } else if (*p == 'l' && p[1] == 'l' && p[2] == 'd') {
            put_signed(&s, va_arg(arguments, long long));
            p += 2;
        } else if (*p == 'c') {
            put(&s, (char)va_arg(arguments, int));
        } else if (*p == '%') {
            put(&s, '%');
        } else {
            put_text(&s, "<bad format>");
            break;
        }
    }
    *s.out = 0;
    return (size_t)(s.out - out);
}

static void fill(wai_diag *diag, wai_status status, uint64_t offset, const char *where,
                 const char *format, va_list arguments) {
    if (diag == NULL || diag->status != WAI_OK) {
        return;
    }
    diag->status = status;
    diag->offset = offset;
    sink s = {diag->where, sizeof diag->where - 1};
    put_text(&s, where != NULL ? where : "");
    *s.out = 0;
    wai_format(diag->message, sizeof diag->message, format, arguments);
}

wai_status wai_fail(wai_diag *diag, wai_status status, const char *where, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fill(diag, status, WAI_NO_OFFSET, where, format, arguments);
    va_end(arguments);
    return status;
}

wai_status wai_fail_at(wai_diag *diag, wai_status status, uint64_t offset, const char *where,
                       const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fill(diag, status, offset, where, format, arguments);
    va_end(arguments);
    return status;
}
