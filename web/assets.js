/**
 * Where the loader's own files are. This is the source tree's version, for Node;
 * `wasm-ai build` writes another one into the bundle, with hashed names, pinned
 * digests and the packages it was built with. Bundlers find the files by the
 * `new URL('./x', import.meta.url)` pattern; the worker must stay one file, as is.
 */

/** @typedef {{ url: URL, sha384: string | null }} Asset */
/**
 * What a package must be: the digest of its head, from which all of it follows, or (encrypted: it
 * shows no head) the SHA-384 of the whole file.
 * @typedef {{ file: string, sha384: string, head: string | null }} Pin
 *
 * @typedef {object} Assets
 * @property {URL} base       what the names in `packages` are relative to
 * @property {URL} worker
 * @property {URL | null} nodeHelper  a thread in Node; null in a built folder
 * @property {{ url: URL, workerSha384: string } | null} frame  what `isolation: 'frame'` needs; null in the source tree
 * @property {Partial<Record<import('./variants.js').RuntimeName, Asset>>} runtimes
 * @property {Record<string, Pin>} packages  plain name -> what `build` made of it
 * @property {number} maxHeapMB  MAX_HEAP_SIZE at build; no caller can raise it
 * @property {boolean} hardened  memory hardening for every package; no caller can switch it off
 * @property {boolean} secure    refuse packages without a pinned digest
 */

/** @type {Assets} */
export const assets = {
  base: new URL('./', import.meta.url),
  worker: new URL('./worker.js', import.meta.url),
  nodeHelper: new URL('./help_node.js', import.meta.url),
  frame: null,
  runtimes: {
    'relaxed.threads': {
      url: new URL('../build/wasm/runtime-relaxed.threads.wasm', import.meta.url),
      sha384: null,
    },
    relaxed: { url: new URL('../build/wasm/runtime-relaxed.wasm', import.meta.url), sha384: null },
    'simd.threads': {
      url: new URL('../build/wasm/runtime-simd.threads.wasm', import.meta.url),
      sha384: null,
    },
    simd: { url: new URL('../build/wasm/runtime-simd.wasm', import.meta.url), sha384: null },
  },
  packages: {},
  maxHeapMB: 4096,
  hardened: false,
  secure: false,
};
