// One origin for one model: our folder as `wasm-ai build --optimize` makes it, the peers' files as npm has them, the
// model as each wants it, and the pages. All cross-origin isolated, scripts and wasm in brotli, everything cacheable;
// what was asked for is written down.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildDist } from '../dist.mjs';
import { headersOf } from '../server/policies.mjs';
import { compressed } from './compressed.mjs';
import { moduleFolders, PEERS, peerFiles } from './peers/index.mjs';
import { inputFiles } from './prepare.mjs';

const PAGE = fileURLToPath(new URL('./page/', import.meta.url));
const COMPRESSIBLE = ['.js', '.mjs', '.wasm', '.json', '.html'];
const YEAR = 'public, max-age=31536000, immutable';
export const OURS = 'wasmai';
/** Visits only: the bytes of our package without any runtime. */
export const DOWNLOAD = 'download';

const adapterOf = (id) => (id === OURS ? 'ours' : id === DOWNLOAD ? 'download' : PEERS[id].adapter);

/** Scripts as an application would bundle them: a page for all, and a visit's script for each. @param {string[]} ids */
async function bundlePages(ids) {
  const { outputFiles } = await build({
    entryPoints: [
      { in: join(PAGE, 'compare.js'), out: 'compare' },
      ...ids.map((id) => ({ in: join(PAGE, `peers/${adapterOf(id)}.js`), out: `peer-${id}` })),
      ...ids.map((id) => ({ in: `visit:${adapterOf(id)}`, out: `visit-${id}` })),
    ],
    outdir: 'out',
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    legalComments: 'none',
    write: false,
    logLevel: 'silent',
    external: ['./wasmai.js', './ort/*', './peer-*'],
    nodePaths: moduleFolders(),
    plugins: [{ name: 'visit', setup: visitScripts }],
  });
  return outputFiles.map(
    ({ path, contents }) =>
      /** @type {[string, Uint8Array]} */ ([path.split('/').at(-1), contents]),
  );
}

function visitScripts(plugin) {
  plugin.onResolve({ filter: /^visit:/ }, ({ path }) => ({ path, namespace: 'visit' }));
  plugin.onLoad({ filter: /.*/, namespace: 'visit' }, ({ path }) => ({
    contents: `import { visit } from './cold.js';
      import * as peer from './peers/${path.slice('visit:'.length)}.js';
      window.visited = visit(peer);`,
    resolveDir: PAGE,
  }));
}

const pageOf = (script) =>
  Buffer.from(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>bench</title><link rel="icon" href="data:,">
<script type="module" src="./${script}"></script></head><body></body></html>
`);

/**
 * @param {{ name: string, onnx: Uint8Array | null, pack: Uint8Array, inputs: Record<string, import('../dtypes.mjs').HostTensor> }} model
 * @param {string[]} peers  ids of PEERS
 * @param {boolean} small  send scripts and wasm in brotli: it takes a while the first time
 */
export async function serveComparison(model, peers, small) {
  const folder = await mkdtemp(join(tmpdir(), 'wasm-ai-bench-'));
  const files = await collect(model, peers, folder);
  // Before any clock: brotli at its best is slow.
  for (const [path, { bytes, file }] of files)
    if (small && isCompressed(path)) await compressed(bytes ?? (await readFile(file ?? '')), 'br');
  /** @type {{ path: string, bytes: number, status: number }[]} */
  let asked = [];
  const server = createServer((request, response) => {
    answer(files, small, request, response).then(
      (one) => void asked.push(one),
      (error) => response.destroy(error),
    );
  });
  await new Promise((done) => server.listen(0, 'localhost', () => done(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://localhost:${port}/`,
    /** Our package, as the page asks for it. */
    package: [...files.keys()].find((path) => path.endsWith('.wai')) ?? '',
    /** What was sent since the last call. */
    takeAsked() {
      const list = asked;
      asked = [];
      return list;
    },
    /** Bytes of a file, with gzip and with brotli. @param {string} path */
    async sizesOf(path) {
      const bytes = await bytesAt(files, path);
      const sizes = { path, bytes: bytes.length, gzip: bytes.length, brotli: bytes.length };
      if (isWeights(path)) return sizes;
      sizes.gzip = (await compressed(bytes, 'gzip')).length;
      sizes.brotli = (await compressed(bytes, 'br')).length;
      return sizes;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const isCompressed = (path) => COMPRESSIBLE.includes(extname(path)) && !isWeights(path);

/** Weights, random ones above all, hardly shrink: they are sent and counted as they are. */
export const isWeights = (path) => path.startsWith('models/');

async function collect({ name, onnx, pack, inputs }, peers, folder) {
  const dist = join(folder, 'dist');
  await writeFile(join(folder, `${name}.wai`), pack);
  const manifest = await buildDist({
    out: dist,
    models: [join(folder, `${name}.wai`)],
    optimize: true,
  });
  /** @type {Map<string, { bytes?: Uint8Array, file?: string, headers: Record<string, string> }>} */
  const files = new Map();
  const put = (path, content, headers = {}) => {
    const site = { workers: manifest.workers, pagePolicy: undefined };
    const all = { ...headersOf(path.replace(/\.mjs$/, '.js'), site), ...headers };
    files.set(path, { ...content, headers: all });
  };
  // Ours with the headers of `serve`; the others' may be cached for ever.
  for (const file of Object.keys(manifest.files))
    put(file, { bytes: await readFile(join(dist, file)) });
  const open = {
    'Content-Security-Policy': "default-src * blob: data: 'unsafe-inline' 'unsafe-eval'",
  };
  const theirs = { ...open, 'Cache-Control': YEAR };
  for (const id of peers) {
    for (const [path, file] of peerFiles(id)) put(path, { file }, theirs);
    for (const [file, bytes] of Object.entries(await PEERS[id].model(onnx, name)))
      put(`models/${file}`, { bytes }, theirs);
  }
  for (const [path, bytes] of await bundlePages([OURS, DOWNLOAD, ...peers])) {
    put(path, { bytes }, theirs);
    if (!path.startsWith('peer-'))
      put(path.replace(/\.js$/, '.html'), { bytes: pageOf(path) }, open);
  }
  for (const [path, bytes] of inputFiles(name, inputs)) put(path, { bytes }, theirs);
  return files;
}

async function bytesAt(files, path) {
  const found = files.get(path);
  return found?.bytes ?? readFile(found?.file ?? '');
}

async function answer(files, small, request, response) {
  const path = decodeURIComponent(new URL(request.url ?? '', 'http://x').pathname).slice(1);
  const found = files.get(path);
  const end = (status, headers, body) => {
    response.writeHead(status, headers).end(body);
    return { path, status, bytes: body?.length ?? 0 };
  };
  if (!found) return end(404, {});
  const bytes = await bytesAt(files, path);
  const etag = `"${bytes.length}-${path}"`;
  const headers = { ...found.headers, ETag: etag, Vary: 'Accept-Encoding' };
  if (request.headers['if-none-match'] === etag) return end(304, headers);
  if (!small || !isCompressed(path) || !/\bbr\b/.test(request.headers['accept-encoding'] ?? ''))
    return end(200, { ...headers, 'Content-Length': bytes.length }, bytes);
  const body = await compressed(bytes, 'br');
  const more = { 'Content-Encoding': 'br', 'Content-Length': body.length };
  return end(200, { ...headers, ...more }, body);
}
