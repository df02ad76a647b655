/* No operator packs weights at run: all are packed, and neither matmul nor deconv2d is there, which
 * pack in any case. */
#include "never.h"

NEVER(xnn_x32_packw_gemm_goi_ukernel_x8__wasmsimd_u4, P8, P4)
NEVER(xnn_x32_packw_gemm_goi_ukernel_x2c4__wasmsimd_u4, P8, P4)
NEVER(xnn_pack_f32_conv_goki_w, P8, P4, void *)
NEVER(xnn_pack_f32_gemm_gio_w, P8, P4, void *)
