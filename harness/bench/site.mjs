// What the benchmark's pages load, served from one origin: our folder as `build` makes it with the
// headers that `serve` gives it, the peer's own files, the models and their inputs.
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { buildDist } from '../dist.mjs';
import { headersOf, LITERAL_POLICY, strictPolicy } from '../server/policies.mjs';
import { peerFiles } from './peers/index.mjs';
import { inputFiles } from './prepare.mjs';

const PAGE = fileURLToPath(new URL('./page/', import.meta.url));
/** Whom these pages know. */
export const PEER = 'onnxruntime-web';

/** The peer compiles wasm on its page, and so do we with `isolation: 'none'`. */
const WASM_POLICY = LITERAL_POLICY.replace(
  "script-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
);

/** Page name -> policy; the content is the same. */
export const PAGES = {
  'locked.html': LITERAL_POLICY,
  'wasm.html': WASM_POLICY,
  'strict.html': strictPolicy(),
};

/** @typedef {import('./prepare.mjs').Prepared & { onnx: Uint8Array }} Model */

/** @param {Model[]} models @param {{ secure?: boolean }} [dist] how our folder is built */
export async function serveSite(models, { secure = false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'wasm-ai-bench-'));
  const dist = join(folder, 'dist');
  const manifest = await buildDist({ out: dist, secure });
  /** @type {Map<string, { bytes: Uint8Array } | { file: string }>} */
  const files = new Map();
  for (const name of [...Object.keys(manifest.files), 'manifest.json']) {
    files.set(name, { file: join(dist, name) });
  }
  for (const [name, file] of peerFiles(PEER)) files.set(name, { file });
  for (const name of Object.keys(PAGES)) files.set(name, { file: join(PAGE, 'page.html') });
  for (const name of ['page.js', 'inputs.js', 'recovery.js'])
    files.set(name, { file: join(PAGE, name) });
  files.set('favicon.ico', { bytes: new Uint8Array(0) });
  for (const { name, onnx, pack, inputs } of models) {
    files.set(`models/${name}.onnx`, { bytes: onnx });
    files.set(`models/${name}.wai`, { bytes: pack });
    for (const [path, bytes] of inputFiles(name, inputs)) files.set(path, { bytes });
  }

  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '', 'http://x').pathname).slice(1);
    const found = files.get(path);
    if (!found) return void response.writeHead(404).end();
    const type = path.endsWith('.mjs') ? path.replace(/\.mjs$/, '.js') : path;
    const headers = headersOf(type, { workers: manifest.workers, pagePolicy: PAGES[path] });
    response.writeHead(200, headers);
    if ('bytes' in found) response.end(found.bytes);
    else createReadStream(found.file).pipe(response);
  });
  await new Promise((done) => server.listen(0, 'localhost', () => done(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://localhost:${port}/`,
    download: await downloadSizes(dist, manifest, models),
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Bytes over the wire with gzip -9, by file. */
async function downloadSizes(dist, manifest, models) {
  const gzipped = (bytes) => ({ bytes: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length });
  /** @param {Iterable<[string, string]>} files */
  const read = async (files) => {
    const sizes = {};
    for (const [name, file] of files) sizes[name] = gzipped(await readFile(file));
    return sizes;
  };
  const names = ['wasmai.js', ...manifest.workers, manifest.runtimes.simd];
  const ours = await read(names.map((name) => [name, join(dist, name)]));
  const ort = await read(peerFiles(PEER));
  const total = (sizes) => Object.values(sizes).reduce((sum, { gzip }) => sum + gzip, 0);
  return {
    ours: { files: ours, gzip: total(ours) },
    ort: { files: ort, gzip: total(ort) },
    models: Object.fromEntries(
      models.map(({ name, onnx, pack }) => [name, { wai: gzipped(pack), onnx: gzipped(onnx) }]),
    ),
  };
}
