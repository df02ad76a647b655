/**
 * A receipt: which runtime made which outputs from which package and inputs, by their SHA-384. JSON whose
 * keys are always in one order, so that its text can be signed or compared.
 */
import { sha384Of } from './chunks.js';

/** @typedef {import('./wasmai.d.ts').Receipt} Receipt */
/** @typedef {import('./wasmai.d.ts').ReceiptTensor} ReceiptTensor */
/** @typedef {Pick<ReceiptTensor, 'name' | 'dtype'>} Named */

/** @typedef {{ dtype: string, dims: readonly number[], data: ArrayBuffer | ArrayBufferView }} AnyTensor */

/**
 * The digest of core/package/format.h, hexadecimal; of the bytes as they are at the call. The name is
 * not in it: a state has one digest as an output and as the next run's input.
 * @param {AnyTensor} tensor
 */
export function tensorDigest({ dtype, dims, data }) {
  const head = new TextEncoder().encode(`wasm-ai tensor 1\n${dtype} ${dims.join(',')}\n`);
  const { buffer, byteOffset, byteLength } = ArrayBuffer.isView(data) ? data : new Uint8Array(data);
  const all = new Uint8Array(head.length + byteLength);
  all.set(head);
  all.set(new Uint8Array(buffer, byteOffset, byteLength), head.length);
  return sha384Of(all, 'tensor');
}

/**
 * Of the bytes as they are at the call.
 * @param {readonly Named[]} slots @param {{ dims: readonly number[], data: ArrayBuffer | ArrayBufferView }[]} tensors
 * @returns {Promise<ReceiptTensor[]>}
 */
export function describeTensors(slots, tensors) {
  return Promise.all(
    slots.map(async ({ name, dtype }, i) => {
      const { dims, data } = tensors[i];
      const sha384 = await tensorDigest({ dtype, dims, data });
      return Object.freeze({ name, dtype, dims: Object.freeze([...dims]), sha384 });
    }),
  );
}

/** The runtime's bytes are shared by sessions and never written to. @type {WeakMap<Uint8Array, Promise<string>>} */
const runtimes = new WeakMap();

/**
 * @param {{ runtime: Uint8Array<ArrayBuffer>, variant: import('./variants.js').VariantName, head: string, inputs: ReceiptTensor[],
 *   outputs: ReceiptTensor[], fuel: number | null }} parts
 * @returns {Promise<Receipt>}
 */
export async function makeReceipt({ runtime, variant, head, inputs, outputs, fuel }) {
  const known = runtimes.get(runtime) ?? sha384Of(runtime, 'runtime');
  runtimes.set(runtime, known);
  return Object.freeze({
    receipt: /** @type {const} */ (1),
    runtime: Object.freeze({ variant, sha384: await known }),
    package: Object.freeze({ head }),
    inputs: Object.freeze(inputs),
    outputs: Object.freeze(outputs),
    fuel,
  });
}
