// Compares what the peers answered, before anybody looks at their times.
import { relativeError } from './stats.mjs';

/**
 * Per peer, how far its outputs are from onnxruntime-web's. Outputs come as base64 of float32.
 * @param {Record<string, Record<string, string>>} outputs
 */
export function outputErrors(outputs) {
  const floats = (text) => {
    const { buffer, byteOffset, byteLength } = Buffer.from(text, 'base64');
    return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
  };
  const errors = {};
  for (const [peer, tensors] of Object.entries(outputs)) {
    const each = Object.entries(outputs.ort).map(([name, want]) =>
      tensors[name] === undefined ? Infinity : relativeError(floats(want), floats(tensors[name])),
    );
    errors[peer] = Math.max(...each);
  }
  return errors;
}
