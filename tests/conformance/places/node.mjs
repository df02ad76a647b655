// This process: the loader with the runtime wasm, the reference of the other places.
import { load, Tensor } from '../../../web/wasmai.js';

/** @returns {Promise<import('./index.mjs').Place>} */
export async function open() {
  return {
    async run({ bytes, feeds }) {
      const session = await load(bytes, { isolation: 'none' });
      try {
        const tensors = feeds.map(([name, { dtype, data, dims }]) => [
          name,
          new Tensor(/** @type {any} */ (dtype), data, dims),
        ]);
        return /** @type {any} */ (await session.run(Object.fromEntries(tensors)));
      } finally {
        await session.close();
      }
    },
    async close() {},
  };
}
