/* Two wasm kernels include <arm_neon.h> by mistake. */
#include <wasm_simd128.h>
