// What the benchmark's pages load, served from one origin: our folder as `build` makes it with the
// headers that `serve` gives it, the peer's own files, the models and their inputs.
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { load } from '../../web/wasmai.js';
import { casesOf } from '../cases.mjs';
import { buildDist } from '../dist.mjs';
import { bytesOf, dtypeByName, elementCount } from '../dtypes.mjs';
import { readBytes, safeName } from '../files.mjs';
import { compile } from '../index.mjs';
import { headersOf, LITERAL_POLICY, strictPolicy } from '../server/policies.mjs';

const PAGE = fileURLToPath(new URL('./page/', import.meta.url));
const ORT_FILES = ['ort.wasm.bundle.min.mjs', 'ort-wasm-simd-threaded.wasm'];
const ORT = fileURLToPath(new URL('./node_modules/onnxruntime-web/dist/', import.meta.url));

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

/** @typedef {{ name: string, onnx: Uint8Array, pack: Uint8Array, inputs: Record<string, import('../dtypes.mjs').HostTensor>, inputsFrom: string }} Model */

/** Compile one model and find inputs for it. @param {string} path @returns {Promise<Model>} */
export async function readModel(path) {
  const folder = dirname(path);
  const file = basename(path).replace(/\.onnx$/i, '');
  const name = safeName(file === 'model' ? basename(folder) : file);
  const onnx = await readBytes(path);
  const [first] = file === 'model' ? casesOf(folder) : [];
  const { bytes: pack } = await compile(onnx, { optimize: true, dims: first?.dims });
  if (first) {
    return { name, onnx, pack, inputs: first.readInputs(), inputsFrom: `case ${first.name}` };
  }
  const session = await load(pack);
  const inputs = Object.fromEntries(
    session.inputs.map(({ name: slot, dtype, dims }) => [slot, randomTensor(dtype, [...dims])]),
  );
  await session.close();
  return { name, onnx, pack, inputs, inputsFrom: 'seeded random' };
}

function randomTensor(dtype, dims) {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
  const data = new (dtypeByName(dtype).array)(elementCount(dims));
  const convert = typeof data[0] === 'bigint' ? BigInt : Number;
  const isFloat = dtype.startsWith('float');
  for (let i = 0; i < data.length; i++) data[i] = convert(isFloat ? next() : next() < 0.5 ? 0 : 1);
  return { dtype, dims, data };
}

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
  for (const name of ORT_FILES) files.set(`ort/${name}`, { file: join(ORT, name) });
  for (const name of Object.keys(PAGES)) files.set(name, { file: join(PAGE, 'page.html') });
  for (const name of ['page.js', 'inputs.js', 'recovery.js'])
    files.set(name, { file: join(PAGE, name) });
  files.set('favicon.ico', { bytes: new Uint8Array(0) });
  for (const { name, onnx, pack, inputs } of models) {
    files.set(`models/${name}.onnx`, { bytes: onnx });
    files.set(`models/${name}.wai`, { bytes: pack });
    const slots = Object.entries(inputs).map(([slot, { dtype, dims, data }], i) => {
      const file = `models/${name}.${i}.bin`;
      files.set(file, { bytes: bytesOf(data) });
      return { name: slot, dtype, dims, file: `./${file}` };
    });
    files.set(`models/${name}.inputs.json`, { bytes: Buffer.from(JSON.stringify(slots)) });
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
  const read = async (folder, names) => {
    const sizes = {};
    for (const name of names) sizes[name] = gzipped(await readFile(join(folder, name)));
    return sizes;
  };
  const ours = await read(dist, ['wasmai.js', ...manifest.workers, manifest.runtimes.simd]);
  const ort = await read(ORT, ORT_FILES);
  const total = (sizes) => Object.values(sizes).reduce((sum, { gzip }) => sum + gzip, 0);
  return {
    ours: { files: ours, gzip: total(ours) },
    ort: { files: ort, gzip: total(ort) },
    models: Object.fromEntries(
      models.map(({ name, onnx, pack }) => [name, { wai: gzipped(pack), onnx: gzipped(onnx) }]),
    ),
  };
}

export async function peerVersion() {
  const text = await readFile(join(ORT, '..', 'package.json'), 'utf8');
  return `onnxruntime-web ${JSON.parse(text).version}`;
}
