/**
 * Where the loader's own files are. This is the source tree's version, for Node;
 * `wasm-ai build` writes another one into the bundle, with hashed names, pinned
 * digests and the packages it was built with. Bundlers find the files by the
 * `new URL('./x', import.meta.url)` pattern; the worker must stay one file, as is.
 */

/**
 * @typedef {object} Assets
 * @property {URL} base       what the names in `packages` are relative to
 * @property {URL} worker
 * @property {Record<'simd', { url: URL, sha384: string | null }>} runtimes
 * @property {Record<string, { file: string, sha384: string }>} packages  plain name -> file and its digest
 * @property {number} maxHeapMB  MAX_HEAP_SIZE at build; no caller can raise it
 * @property {boolean} secure    refuse packages without a pinned digest
 */

/** @type {Assets} */
export const assets = {
  base: new URL('./', import.meta.url),
  worker: new URL('./worker.js', import.meta.url),
  runtimes: {
    simd: { url: new URL('../build/wasm/runtime-simd.wasm', import.meta.url), sha384: null },
  },
  packages: {},
  maxHeapMB: 4096,
  secure: false,
};
