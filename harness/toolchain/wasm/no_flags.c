/* XNNPACK's packing for flags of a convolution that core never sets (weights in the order of
 * TensorFlow). Its addresses are taken all the same. */
#include "never.h"

NEVER(xnn_pack_f32_dwconv_hwg_w, P8, P8)
NEVER(xnn_pack_f32_conv_kgo_w, P8, P4)
