// Ours: the folder of `wasm-ai build --optimize`, in the locked worker.
import { load, Tensor } from './wasmai.js';

/** @param {{ model: string, threads: number, deterministic?: boolean }} options */
export async function open({ model, threads, deterministic = false }) {
  const session = await load(`./models/${model}.wai`, { threads, deterministic });
  let feeds;
  return {
    feed(inputs) {
      feeds = Object.fromEntries(
        session.inputs.map(({ name }) => {
          const { dtype, dims, data } = inputs[name];
          return [name, new Tensor(dtype, data, dims)];
        }),
      );
    },
    async run() {
      const outputs = await session.run(feeds);
      return Object.entries(outputs).map(([name, { data }]) => [name, data]);
    },
    inside: () => session.info.lastMs,
    memoryBytes: () => session.info.memoryBytes,
    info() {
      const { variant, threads: count, threadsReason } = session.info;
      return { variant, threads: count, reason: threadsReason };
    },
    close: () => session.close(),
  };
}
