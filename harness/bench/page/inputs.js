// What a page of the benchmark reads before a clock starts.

export const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

export const bytesAt = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());

/** The tensors of one model, as { name: { dtype, dims, data } }. */
export async function readInputs(model) {
  const slots = await (await fetch(`./models/${model}.inputs.json`)).json();
  const feeds = {};
  for (const { name, dtype, dims, file } of slots) {
    feeds[name] = { dtype, dims, data: new ARRAYS[dtype]((await bytesAt(file)).buffer) };
  }
  return feeds;
}

/** The same as tensors of ours. @param {any} Tensor */
export async function readFeeds(Tensor, model) {
  const inputs = await readInputs(model);
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, dims, data }]) => [
      name,
      new Tensor(dtype, data, dims),
    ]),
  );
}
