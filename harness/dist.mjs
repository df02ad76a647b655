// The deployable folder: bundles the loader and the worker, gives hashed names to
// what may be cached for ever, and pins the digests of runtime and packages in
// the loader.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as esbuild } from 'esbuild';
import { encryptedFor, pagesOf } from '../web/certificate.js';
import { checkPackage } from '../web/chunks.js';
import { WasmAIError } from '../web/errors.js';
import { runtimeNames, variantOf } from '../web/variants.js';
import { decryptPackage, encryptPackage } from './encryption.mjs';
import { fileError, readBytes, safeName } from './files.mjs';
import { framePage } from './frame_page.mjs';
import { runtimesForPackages } from './model_runtime.mjs';
import { meteredFile, prebuiltRuntime, runtimeFile } from './runtimes.mjs';
import { headerFiles } from './server/hosts.mjs';
import { companion, signFolder } from './signing.mjs';
import { meter } from './toolchain/meter/index.mjs';
import { limitMemory } from './toolchain/meter/memory.mjs';

const WEB = fileURLToPath(new URL('../web/', import.meta.url));
const DIGITS = fileURLToPath(new URL('../models/digits/', import.meta.url));
const COMPILER = fileURLToPath(new URL('../build/wasm/compiler.wasm', import.meta.url));
export const RUNTIME = prebuiltRuntime('simd');
const TARGET = ['chrome93', 'firefox92', 'safari16.4'];
/** @type {import('esbuild').BuildOptions & { write: false }} */
const BUNDLE = {
  bundle: true,
  minify: true,
  target: TARGET,
  supported: { 'import-meta': true, 'dynamic-import': true },
  legalComments: 'none',
  write: false,
  logLevel: 'silent',
};
/** The compiler's driver is written for Node, but needs nothing of it once it has the wasm. */
const COMPILE_WORKER_BUILD = {
  define: { 'import.meta.url': '"https://worker.invalid/"' },
  plugins: [
    {
      name: 'no-node',
      setup(plugin) {
        plugin.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'no-node' }));
        plugin.onLoad({ filter: /.*/, namespace: 'no-node' }, () => ({
          contents: 'module.exports = {}',
        }));
      },
    },
  ],
};
/** A visitor's model takes so much of the tab to compile and no more: 1 GiB. */
const DEMO_COMPILER_PAGES = 16384;
const DEFAULT_CAP_MB = 4096; // all that wasm32 can address

const sha384 = (bytes) => createHash('sha384').update(bytes).digest('hex');

/** @param {string} file @param {Uint8Array} bytes  worker.js -> worker.0123456789ab.js */
function hashedName(file, bytes) {
  const dot = file.lastIndexOf('.');
  return `${file.slice(0, dot)}.${sha384(bytes).slice(0, 12)}${file.slice(dot)}`;
}

/**
 * @typedef {import('../web/variants.js').VariantName} VariantName
 *
 * @typedef {object} DistOptions
 * @property {string} out            folder to write
 * @property {string[]} [models]     .wai files
 * @property {boolean} [optimize]    a runtime with only what the models use, where it can be linked
 * @property {boolean} [secure]      strict page policy; only pinned packages load, on a metered runtime
 * @property {boolean} [hardened]    memory hardening (MEMORY_HARDENING); secure has it in any case
 * @property {string | null} [origin]  https://example.org/ or https://example.org/path/: where it will be; the
 *   strict policy of the header files then names the very files
 * @property {boolean} [demo]        add the demo site
 * @property {number} [maxHeapMB]    MAX_HEAP_SIZE
 * @property {{ key: import('node:crypto').KeyObject, version?: number } | null} [sign]  manifest and packages;
 *   without it a package keeps the signature that is beside it
 * @property {Uint8Array | null} [encrypt]  the key that packages are encrypted with
 * @property {VariantName} [variant] simd: the folder holds only that
 * @property {string} [runtime]      another runtime wasm, as simd and the only one (tests)
 * @property {(text: string) => void} [onStep]
 * @property {(text: string) => void} [onNote]   what did not go as asked, and why
 *
 * @param {DistOptions} options
 */
export async function buildDist(options) {
  const {
    out,
    models = [],
    secure = false,
    demo = false,
    origin = null,
    sign = null,
    encrypt = null,
    maxHeapMB = DEFAULT_CAP_MB,
    onStep = () => {},
  } = options;
  const hardened = secure || Boolean(options.hardened);
  const target = resolve(out);
  const old = await checkTarget(target, out);
  const temporary = `${target}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  /** @type {Map<string, Uint8Array>} */
  const files = new Map();
  const put = (path, content) =>
    files.set(path, typeof content === 'string' ? Buffer.from(content) : content);

  onStep('runtime and packages');
  /** @type {Record<string, import('../web/assets.js').Pin>} */
  const packages = {};
  /** @type {Map<string, Uint8Array>} */
  const contents = new Map();
  /** @type {Map<string, Uint8Array>} */
  const toSign = new Map();
  for (const model of models) {
    const { bytes, given, plain, head } = await readModel(model, maxHeapMB, encrypt);
    const name = `models/${safeName(basename(model))}`;
    if (packages[name])
      throw new WasmAIError(
        'ARGUMENT',
        model,
        `two models are called ${basename(model)}: rename one`,
      );
    const file = hashedName(name, bytes);
    packages[name] = { file, sha384: sha384(bytes), head };
    put(file, bytes);
    contents.set(model, plain);
    toSign.set(file, bytes);
    // What is encrypted here has other bytes than what was signed.
    const signature =
      sign || bytes !== given ? null : await companion(bytes, `${model}.jws`, basename(name));
    if (signature) put(`${file}.jws`, signature);
  }
  const { runtimes, operators } = await putRuntimes(options, contents, put);

  onStep('worker and loader');
  const workerName = await putWorker('worker.js', put);
  const frame = await putFrame(put);
  put(
    'wasmai.js',
    await bundleLoader({
      workerName,
      workerDigest: sha384(files.get(workerName)),
      frameName: frame.file,
      runtimes,
      packages,
      maxHeapMB,
      hardened,
      secure,
    }),
  );
  put('wasmai.d.ts', await readFile(join(WEB, 'wasmai.d.ts')));
  const workers = [workerName];
  const trustedTypes = ['wasm-ai'];
  if (demo) {
    onStep('demo');
    workers.push(await putDemo(put));
    trustedTypes.push('wasm-ai-demo'); // its compile worker
  }

  onStep('manifest and header files');
  const policy = secure ? 'strict' : 'literal';
  const served = [...files.keys(), 'manifest.json'].filter((path) => !path.endsWith('.jws'));
  for (const [name, text] of Object.entries(
    headerFiles({ files: served, workers, frame, policy, trustedTypes, origin }),
  ))
    put(`headers/${name}`, text);
  const manifest = {
    format: 1,
    loader: 'wasmai.js',
    policy,
    secure,
    hardened,
    maxHeapMB,
    workers,
    frame,
    trustedTypes,
    ...(origin && { origin }),
    runtimes: Object.fromEntries(runtimes.map(({ name, file }) => [name, file])),
    operators,
    packages,
    files: Object.fromEntries(
      [...files]
        .filter(([path]) => !path.endsWith('.jws')) // prove themselves, and may be made anew
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([path, bytes]) => [path, { size: bytes.length, sha384: sha384(bytes) }]),
    ),
  };
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  put('manifest.json', text);
  if (sign) {
    toSign.set('manifest.json', Buffer.from(text));
    for (const [path, signature] of signFolder(toSign, sign)) put(path, signature.text);
  }

  try {
    for (const [path, bytes] of files) {
      await mkdir(dirname(join(temporary, path)), { recursive: true });
      await writeFile(join(temporary, path), bytes);
    }
    if (old) await keepOthers(target, temporary, old);
    await swap(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error.code ? fileError(out, error, 'write') : error;
  }
  return manifest;
}

/** Files that an earlier build wrote here, or null; refuses to touch anything else. */
async function checkTarget(target, out) {
  if (!existsSync(target)) return null;
  const list = await readdir(target).catch((error) => {
    throw fileError(out, error, 'write');
  });
  if (list.length === 0) return [];
  try {
    const { format, loader, files } = JSON.parse(
      await readFile(join(target, 'manifest.json'), 'utf8'),
    );
    if (format === 1 && loader === 'wasmai.js')
      return [...Object.keys(files), 'manifest.json'].flatMap((path) => [path, `${path}.jws`]);
  } catch {
    // said below
  }
  throw new WasmAIError(
    'ARGUMENT',
    out,
    'this folder holds something else than an earlier build: empty it or choose another with -o',
  );
}

/** What somebody added to the folder since (a page of their own) stays. */
async function keepOthers(target, temporary, old) {
  const ours = new Set(old);
  for (const entry of await readdir(target, { recursive: true, withFileTypes: true })) {
    const path = relative(target, join(entry.parentPath, entry.name));
    if (entry.isDirectory() || ours.has(path.split(sep).join('/'))) continue;
    await cp(join(target, path), join(temporary, path), { force: false, verbatimSymlinks: true });
  }
}

async function swap(temporary, target) {
  if (!existsSync(target)) return rename(temporary, target);
  const aside = `${temporary}.old`;
  await rename(target, aside);
  try {
    await rename(temporary, target);
  } catch (error) {
    await rename(aside, target);
    throw error;
  }
  return rm(aside, { recursive: true, force: true });
}

/** Those that the folder is to have. @param {DistOptions} options */
function runtimesFor({ secure, hardened, runtime, variant }) {
  if (secure || runtime !== undefined) return /** @type {const} */ (['simd']);
  const exact = hardened || variant === 'simd';
  return runtimeNames.filter((name) => variantOf(name).exact || !exact);
}

/**
 * @param {DistOptions} options @param {Map<string, Uint8Array>} packages
 * @param {(path: string, content: Uint8Array) => void} put
 */
async function putRuntimes(options, packages, put) {
  const names = runtimesFor(options);
  const chosen = await chooseRuntimes(options, packages, names);
  const runtimes = [];
  for (const [i, name] of names.entries()) {
    const path = chosen.files[i];
    const bytes = await (options.secure ? readMetered(options, path) : readRuntime(path));
    const plain = runtimeFile(name);
    const file = hashedName(options.secure ? meteredFile(plain) : plain, bytes);
    put(file, bytes);
    runtimes.push({ name, file, digest: sha384(bytes) });
  }
  return { runtimes, operators: chosen.operators };
}

/**
 * @param {DistOptions} options @param {Map<string, Uint8Array>} packages @param {readonly import('../web/variants.js').RuntimeName[]} names
 * @returns {Promise<{ files: string[], operators: string[] | 'all' }>} a file for each name
 */
async function chooseRuntimes(options, packages, names) {
  const files = names.map((name) => options.runtime ?? prebuiltRuntime(name));
  const full = { files, operators: /** @type {'all'} */ ('all') };
  if (!options.optimize || options.runtime) return full;
  const keepAll = (why) => {
    options.onNote?.(`note: ${why}; the runtime holds all operators`);
    return full;
  };
  if (packages.size === 0) return keepAll('--optimize without --model has nothing to go by');
  if (options.demo) return keepAll('visitors of the demo bring models of their own');
  // No package asks for these (core/ops/parts.h).
  const parts = options.secure || options.hardened ? ['hardening'] : [];
  return (
    (await runtimesForPackages(packages, names, parts)) ??
    keepAll('this machine has no toolchain to link for the models with (npm run build makes it)')
  );
}

async function readRuntime(path) {
  if (!existsSync(path)) {
    throw new WasmAIError(
      'STATE',
      relative(process.cwd(), path),
      'the runtime is not built yet; run `npm start` (or `npm test`) once in the project',
    );
  }
  return readBytes(path);
}

/** @param {DistOptions} options @param {string} path  of the runtime without limits */
async function readMetered(options, path) {
  if (!options.runtime) return readRuntime(meteredFile(path));
  return Buffer.from(meter(await readRuntime(path)).bytes);
}

/**
 * A package after the checks that the loader will make: `bytes` as they are shipped, `plain` as
 * they are run, and the digest of the head where it is to be seen.
 * @param {string} path @param {number} maxHeapMB @param {Uint8Array | null} key to encrypt it with
 */
async function readModel(path, maxHeapMB, key) {
  const given = await readBytes(path);
  const isEncrypted = key !== null && encryptedFor(given) !== null;
  const plain = isEncrypted ? await decryptPackage(given, key, path) : given;
  const { certificate, head } = await checkPackage(plain, path);
  pagesOf(certificate, maxHeapMB, path);
  if (key === null || isEncrypted) return { bytes: given, given, plain, head: key ? null : head };
  return { bytes: encryptPackage(plain, key), given, plain, head: null };
}

/** One classic script: no imports, nothing on the global scope. */
async function bundleScript(source, more = {}) {
  const { outputFiles } = await esbuild({
    ...BUNDLE,
    entryPoints: [join(WEB, source)],
    format: 'iife',
    ...more,
  });
  return outputFiles[0];
}

async function putWorker(source, put, more = {}) {
  const { contents } = await bundleScript(source, more);
  const name = hashedName(basename(source), contents);
  put(name, contents);
  return name;
}

async function putFrame(put) {
  const { html, script } = framePage((await bundleScript('frame.js')).text);
  const file = hashedName('frame.html', Buffer.from(html));
  put(file, html);
  return { file, script };
}

async function bundleModule(source, plugins) {
  const { outputFiles } = await esbuild({
    ...BUNDLE,
    entryPoints: [join(WEB, source)],
    format: 'esm',
    plugins,
  });
  return outputFiles[0].contents;
}

/** Another text in the place of a module. @param {RegExp} filter @param {string} contents */
function replaceModule(filter, contents) {
  return {
    name: 'replace',
    setup: (plugin) => plugin.onLoad({ filter }, () => ({ contents, loader: 'js' })),
  };
}

function bundleLoader(parts) {
  const { workerName, workerDigest, frameName, runtimes } = parts;
  const { packages, maxHeapMB, hardened, secure } = parts;
  const rows = runtimes.map(
    ({ name, file, digest }) =>
      `'${name}': { url: new URL('./${file}', import.meta.url), sha384: '${digest}' }`,
  );
  // The literal `new URL('./x', import.meta.url)` is what bundlers look for.
  const assets = `export const assets = {
    base: new URL('./', import.meta.url),
    worker: new URL('./${workerName}', import.meta.url),
    nodeHelper: null,
    frame: { url: new URL('./${frameName}', import.meta.url), workerSha384: '${workerDigest}' },
    runtimes: { ${rows.join(', ')} },
    packages: ${JSON.stringify(packages)},
    maxHeapMB: ${maxHeapMB},
    hardened: ${hardened},
    secure: ${secure},
  };`;
  return bundleModule('wasmai.js', [replaceModule(/[/\\]web[/\\]assets\.js$/, assets)]);
}

/**
 * The demo: one script beside the loader, and the compiler with a worker of its own.
 * @returns {Promise<string>} the worker's name
 */
async function putDemo(put) {
  const compiler = limitMemory(await readRuntime(COMPILER), DEMO_COMPILER_PAGES);
  const compilerName = hashedName('compiler.wasm', compiler);
  put(compilerName, compiler);
  const workerName = await putWorker('demo/compile_worker.js', put, COMPILE_WORKER_BUILD);
  const samples = await putSamples(put);
  for (const name of ['index.html', 'demo.css', 'favicon.svg']) {
    put(name, await readFile(join(WEB, 'demo', name)));
  }
  const assets = `export const assets = {
    compileWorker: new URL('./${workerName}', import.meta.url),
    compiler: { url: new URL('./${compilerName}', import.meta.url), sha384: '${sha384(compiler)}' },
    samples: ${JSON.stringify(samples)},
  };`;
  put(
    'demo.js',
    await bundleModule('demo/demo.js', [
      replaceModule(/[/\\]demo_assets\.js$/, assets),
      {
        name: 'loader',
        setup: (plugin) =>
          plugin.onResolve({ filter: /[/\\]wasmai\.js$/ }, () => ({
            path: './wasmai.js',
            external: true,
          })),
      },
    ]),
  );
  return workerName;
}

/** Handwritten digits to try, when the model that they are for is in the project. */
async function putSamples(put) {
  const { samples } = JSON.parse(await readFile(join(DIGITS, 'model.json'), 'utf8'));
  const chosen = samples.filter(({ normalised }) => normalised);
  for (const { file } of chosen) put(file, await readFile(join(DIGITS, file)));
  return chosen.map(({ file, label }) => ({ file: `./${file}`, label }));
}
