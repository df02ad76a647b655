#include "ops/window.h"

#include <string.h>

#include "base/limits.h"

static bool read_auto_pad(wai_lower *l, wai_window *w) {
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    const char *name = wai_attr_string(l, "auto_pad", "NOTSET");
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            w->auto_pad = (wai_auto_pad)i;
            return true;
        }
    }
    WAI_LOWER_REFUSE(l, "auto_pad is %s", name);
    return false;
}

/* `count` numbers of the attribute `name` into `out`, each at least `least`;
 * `fallback` where it is absent. */
static bool read_numbers(wai_lower *l, const char *name, uint32_t count, uint32_t least,
                         uint32_t fallback, uint32_t *out) {
    int64_t values[6];
    uint32_t found = wai_attr_ints(l, name, values, 6);
    if (found != 0 && found != count) {
        WAI_LOWER_REFUSE(l, "%s has %u numbers, %u are needed", name, found, count);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        out[i] = found != 0 ? wai_lower_dim(l, values[i], name) : fallback;
        if (!wai_lower_failed(l) && found != 0 && out[i] < least) {
            WAI_LOWER_REFUSE(l, "%s holds %u", name, out[i]);
        }
    }
    return !wai_lower_failed(l);
}

bool wai_window_read(wai_lower *l, wai_window *w, uint32_t spatial, const uint32_t *kernel) {
    memset(w, 0, sizeof *w);
    w->spatial = spatial;
    uint32_t pads[6];
    if (wai_lower_failed(l) || !read_auto_pad(l, w) ||
        !read_numbers(l, "kernel_shape", spatial, 1, 0, w->kernel) ||
        !read_numbers(l, "strides", spatial, 1, 1, w->stride) ||
        !read_numbers(l, "dilations", spatial, 1, 1, w->dilation) ||
        !read_numbers(l, "pads", 2 * spatial, 0, 0, pads)) {
        return false;
    }
    const bool given = w->kernel[0] != 0;
    if (kernel == NULL && !given) {
        WAI_LOWER_REFUSE(l, "attribute kernel_shape is missing");
        return false;
    }
    for (uint32_t i = 0; i < spatial; i++) {
        if (kernel != NULL && given && w->kernel[i] != kernel[i]) {
            WAI_LOWER_REFUSE(l, "kernel_shape says %u where the weights have %u", w->kernel[i],
                             kernel[i]);
            return false;
        }
        w->kernel[i] = kernel != NULL ? kernel[i] : w->kernel[i];
        if (w->auto_pad == WAI_AUTO_PAD_NOTSET) {
            w->before[i] = pads[i];
            w->after[i] = pads[spatial + i];
        }
    }
    return true;
}

uint64_t wai_window_extent(const wai_window *w, uint32_t axis) {
    return w->kernel[axis] == 0 ? 0 : (uint64_t)(w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

void wai_window_same(wai_window *w, const uint32_t *in) {
    for (uint32_t i = 0; i < w->spatial; i++) {
        uint64_t out = ((uint64_t)in[i] + w->stride[i] - 1) / w->stride[i];
        uint64_t needed = out != 0 ? (out - 1) * w->stride[i] + wai_window_extent(w, i) : 0;
        uint64_t pads = needed > in[i] ? needed - in[i] : 0;
        /* Beyond any limit infer refuses it; here it only must not wrap. */
        pads = pads < WAI_MAX_DIM ? pads : WAI_MAX_DIM;
        uint32_t less = (uint32_t)(pads / 2), more = (uint32_t)(pads - pads / 2);
        w->before[i] = w->auto_pad == WAI_AUTO_PAD_SAME_LOWER ? more : less;
        w->after[i] = w->auto_pad == WAI_AUTO_PAD_SAME_LOWER ? less : more;
    }
}
