// What to do about a problem that `check` or `compile` names: the row of the operator that is refused,
// else the first row that matches "where: message".

const STRINGS = 'strings are not supported: do this part in JavaScript and feed numbers';

/**
 * Operators of ai.onnx that no version of the importer takes, each with what to do instead.
 * @type {Map<string, string>}
 */
export const REFUSED_OPERATORS = new Map([
  [
    'ImageDecoder',
    'decode the image in the page (createImageBitmap, a canvas) and feed its pixels',
  ],
  ['RegexFullMatch', STRINGS],
  ['StringConcat', STRINGS],
  ['StringNormalizer', STRINGS],
  ['StringSplit', STRINGS],
]);

/** @type {[RegExp, string][]} */
const HINTS = [
  [
    /the output's shape is in/,
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
  [/float64|double|string|complex/i, 'convert this tensor to float32'],
  [/dim|shape/i, 'give the size with --dim name=N, or export with fixed shapes'],
  [/operator/i, 'not in this version: rewrite it with operators that are, or cut the model there'],
];

/** @param {{where: string, message: string}} problem */
export function hintFor({ where, message }) {
  const refused = /^operator (\w+) \(opset \d+\) is not supported/.exec(message)?.[1] ?? '';
  const text = `${where}: ${message}`;
  return REFUSED_OPERATORS.get(refused) ?? HINTS.find(([pattern]) => pattern.test(text))?.[1] ?? '';
}
