/*
 * import.h - records to graph: opset, names, initializers, dims bound by the
 * caller; every node lowered to our operators and inferred at once.
 *
 * float16, bfloat16 and the 8-bit floats are widened: initializers become f32, a
 * graph input or output of them keeps its type and meets a cast, everything
 * between computes in f32. So are 4-bit integers, to 8 bits.
 */
#ifndef WAI_ONNX_IMPORT_H
#define WAI_ONNX_IMPORT_H

#include "graph/graph.h"
#include "onnx/lower.h"
#include "onnx/read.h"
#include "wasmai_compile.h"

/* `graph` is initialised and its fold is set. Failure stands in the graph. */
wai_status wai_onnx_import(wai_graph *graph, const wai_onnx_model *model,
                           const wai_compile_options *options);

/* A TensorProto as a constant (narrow types widened). NULL after a failure. */
wai_value *wai_import_tensor(wai_graph *graph, const wai_onnx_tensor *tensor);

/* ONNX data type -> dtype of the graph's value, or 0. float16 gives WAI_F16, not what it is widened
 * to. */
wai_dtype wai_import_dtype(int32_t onnx_type);

/* "float8e4m3fn" and so on, for messages: data types that are not covered. */
const char *wai_import_type_name(int32_t onnx_type);

#endif
