// What an ONNX file says about itself, for `inspect`. Nothing is checked here
// but the encoding; the compiler judges the model.
import { WasmAIError } from '../../web/errors.js';
import { dtypeByOnnx } from '../dtypes.mjs';
import { Model } from './onnx_schema.mjs';

/** The dtype of a map, and of sequences and optionals of something else than tensors. */
export const NOT_A_TENSOR = 'not a tensor';

/** @param {Uint8Array} bytes @param {string} where */
export function readOnnxSummary(bytes, where) {
  let model;
  try {
    model = Model.decode(bytes);
  } catch (error) {
    throw new WasmAIError('MALFORMED', where, `is not an ONNX model: ${error.message}`);
  }
  if (!model.graph || model.opsetImport.length === 0) {
    throw new WasmAIError('MALFORMED', where, 'is not an ONNX model: it has no graph or no opset');
  }
  const { graph } = model;
  const weights = new Set(graph.initializer.map((tensor) => tensor.name));
  return {
    irVersion: Number(model.irVersion),
    opsets: model.opsetImport.map(({ domain, version }) => ({
      domain: domain || 'ai.onnx',
      version: Number(version),
    })),
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(' '),
    nodes: graph.node.length,
    ops: countTypes(graph.node),
    params: graph.initializer.reduce((sum, tensor) => sum + elements(tensor), 0),
    inputs: graph.input.filter((input) => !weights.has(input.name)).map(slot),
    outputs: graph.output.map(slot),
  };
}

const elements = (tensor) => tensor.dims.reduce((product, dim) => product * Number(dim), 1);

function countTypes(nodes) {
  const counts = new Map();
  for (const { domain, opType } of nodes) {
    const op = domain && domain !== 'ai.onnx' ? `${domain}.${opType}` : opType;
    counts.set(op, (counts.get(op) ?? 0) + 1);
  }
  return [...counts]
    .map(([op, count]) => ({ op, count }))
    .sort((a, b) => b.count - a.count || (a.op < b.op ? -1 : 1));
}

// A symbolic dim stays its name, a nameless one is '?'.
function slot({ name, type }) {
  const sequence = type?.sequenceType ?? type?.optionalType?.elemType?.sequenceType;
  const tensor = (sequence ?? type?.optionalType)?.elemType?.tensorType ?? type?.tensorType;
  const kind = [type?.optionalType && 'optional', sequence && 'sequence'].filter(Boolean).join(' ');
  const dims = tensor?.shape?.dim ?? [];
  return {
    name,
    ...(kind === '' ? {} : { kind }),
    dtype: tensor
      ? (dtypeByOnnx(tensor.elemType)?.name ?? `ONNX type ${tensor.elemType}`)
      : NOT_A_TENSOR,
    dims: dims.map(
      (dim) => dim.dimParam || (Object.hasOwn(dim, 'dimValue') ? Number(dim.dimValue) : '?'),
    ),
  };
}
