// LiteRT.js: the .tflite file of ../../peers/tflite.mjs, its wasm accelerator (XNNPACK), on the main thread.
import { loadAndCompile, loadLiteRt, Tensor } from '@litertjs/core';
import { channelsLast } from './layout.js';

/** LiteRT.js chooses by what the browser can; which one it was. */
const wasmLoaded = () =>
  performance
    .getEntriesByType('resource')
    .map(({ name }) => name)
    .filter((name) => name.includes('/litert/'))
    .join(' ');

/** @param {{ model: string, threads: number }} options */
export async function open({ model, threads }) {
  const many = threads > 1;
  await loadLiteRt(new URL('./litert/', location.href).href, { threads: many });
  const compiled = await loadAndCompile(`./models/${model}.tflite`, {
    accelerator: 'wasm',
    ...(many ? { cpuOptions: { numThreads: threads } } : {}),
  });
  let feeds;
  return {
    feed(inputs) {
      const details = compiled.getInputDetails();
      feeds = details.map(({ name }) => channelsLast(inputs[name]));
    },
    async run() {
      const tensors = feeds.map(({ data, dims }) => new Tensor(data, dims));
      const outputs = await compiled.run(tensors);
      const names = compiled.getOutputDetails();
      const arrays = outputs.map((output, i) => [names[i].name, output.toTypedArray()]);
      for (const tensor of [...tensors, ...outputs]) tensor.delete();
      return arrays;
    },
    info: () => ({
      variant: wasmLoaded().includes('compat') ? 'simd' : 'relaxed',
      threads: many ? threads : 1,
      accelerated: compiled.isFullyAccelerated,
    }),
    close: () => compiled.delete(),
  };
}
