// No runtime at all: our package, fetched. What a visit takes at least, whoever runs the model.

/** @param {{ file: string }} options */
export async function open({ file }) {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file}: ${response.status}`);
  await response.arrayBuffer();
  return {
    feed() {},
    async run() {},
    memoryBytes: () => 0,
    info: () => ({ variant: 'none', threads: 1, reason: '' }),
  };
}
