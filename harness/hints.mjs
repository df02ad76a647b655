// What to do about a problem that `check` or `compile` names. First row that
// matches "where: message" wins; the last resort is the row without a pattern.
/** @type {[RegExp, string][]} */
const HINTS = [
  [
    /NonMaxSuppression|TopK|NonZero|Unique|Compress/,
    'its output size depends on data: cut the model before it and do this part in JavaScript',
  ],
  [
    /must be a constant/i,
    'make it an initializer: export with fixed shapes, or run onnx-simplifier over the model',
  ],
  [
    /\b(If|Loop|Scan)\b/,
    'loops of a fixed length are unrolled, others are not in this version: export with fixed shapes',
  ],
  [/com\.microsoft|domain/i, 'export without fused operators of onnxruntime (plain ai.onnx)'],
  [
    /external data/i,
    'save the model as one file: onnx.save(model, path, save_as_external_data=False)',
  ],
  [
    /supported in opsets|opset \d+ is not|ir version/i,
    'convert the model with onnx.version_converter, best to opset 17 or newer',
  ],
  [/spatial axes/, '3-D convolutions and pools are not in this version'],
  [/training/i, 'export the model in inference mode (torch.onnx.export does so by default)'],
  [/float64|double|string|complex|int4/i, 'convert this tensor to float32'],
  [/dim|shape/i, 'give the size with --dim name=N, or export with fixed shapes'],
  [/operator/i, 'not in this version: rewrite it with operators that are, or cut the model there'],
];

/** @param {{where: string, message: string}} problem */
export function hintFor({ where, message }) {
  const text = `${where}: ${message}`;
  return HINTS.find(([pattern]) => pattern.test(text))?.[1] ?? '';
}
