/**
 * @wasm-ai/web: run a compiled model, locked away from the page.
 *
 *     const session = await load('./models/digits.wai');
 *     const { logits } = await session.run({ image: new Tensor('float32', pixels, [1, 1, 28, 28]) });
 *     await session.close();
 */

export { importDecryptionKey } from './encryption.js';
export { WasmAIError } from './errors.js';
export { load } from './load.js';
export { importPublicKey } from './signature.js';
export { Tensor } from './tensors.js';
