/** Where the demo's own files are; `wasm-ai build --demo` writes another one with hashed names. */
export const assets = {
  compileWorker: new URL('./compile_worker.js', import.meta.url),
  /** @type {{ url: URL, sha384: string } | null} */
  compiler: null,
  /** @type {{ file: string, label: number }[]} */
  samples: [],
};
