// onnxruntime-web as its manual says: the wasm provider, on the main thread, the file as npm has it.
import * as ort from './ort/ort.wasm.bundle.min.mjs';

/** @param {{ model: string, threads: number }} options */
export async function open({ model, threads }) {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = { wasm: './ort/ort-wasm-simd-threaded.wasm' };
  const session = await ort.InferenceSession.create(`./models/${model}.onnx`, {
    executionProviders: ['wasm'],
  });
  let feeds;
  return {
    feed(inputs) {
      feeds = Object.fromEntries(
        session.inputNames.map((name) => {
          const { dtype, dims, data } = inputs[name];
          return [name, new ort.Tensor(dtype, data, dims)];
        }),
      );
    },
    async run() {
      const outputs = await session.run(feeds);
      return session.outputNames.map((name) => [name, outputs[name].data]);
    },
    info: () => ({ variant: 'simd', threads: ort.env.wasm.numThreads }),
    close: () => session.release(),
  };
}
