/* gemm-config.c asks the page for its number of cores through EM_JS and takes the load-and-splat
 * kernels above four. The runtime imports nothing, so the answer is fixed; see the README. */
#ifndef WAI_SHIM_EMSCRIPTEN_H
#define WAI_SHIM_EMSCRIPTEN_H
#define EM_JS(type, name, parameters, ...)                                                         \
    static inline type name parameters {                                                           \
        return WAI_XNN_CORES;                                                                      \
    }
#endif
