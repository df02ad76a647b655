// build: the deployable folder.
import { WasmAIError } from '../../web/errors.js';
import { readConfig } from '../config.mjs';
import { buildDist } from '../dist.mjs';
import { encryptionKeyId, readEncryptionKey } from '../encryption.mjs';
import { bytesText, tableText } from '../io.mjs';
import { keyIdOf, readPrivateKey } from '../signing.mjs';
import { collect, signedVersion } from './options.mjs';

export const name = 'build';
export const summary = 'make the folder to deploy: loader, worker, runtime, packages, headers';
export const description =
  'Make a folder that can be deployed as it is: loader (wasmai.js, wasmai.d.ts), worker, runtime, ' +
  'packages, manifest.json with the SHA-384 of each file, and header files for hosts.';
export const example = `wasm-ai build --model digits.wai -o dist
wasm-ai build --model digits.wai --optimize --secure`;

const PLATFORMS = ['browser', 'node', 'edge', 'extension'];

export function configure(command) {
  command
    .option('--platform <name>', 'browser (node, edge, extension: not in this version)', 'browser')
    .option('--model <file>', 'package to include; repeat', collect)
    .option('--optimize', 'a runtime with only the operators that the models use')
    .option(
      '--secure',
      'strict page policy with Trusted Types; the loader takes only pinned packages, runs have a budget of instructions, ' +
        'and memory is hardened (that alone: MEMORY_HARDENING=true)',
    )
    .option('--sign <key>', 'sign manifest and packages with this private key, PEM')
    .option('--signed-version <N>', 'of the signatures, only grows (default: the time)')
    .option(
      '--encrypt <keyfile>',
      'encrypt the packages with this key, from `wasm-ai keygen --encryption`; those that are stay as they are',
    )
    .option(
      '--origin <address>',
      'where the folder will be, https://example.org/: the policy in its header files names the very files (with --secure)',
    )
    .option(
      '--variant <name>',
      'simd: no runtime with relaxed SIMD, so the same bits in every browser (also VARIANT)',
    )
    .option('--demo', 'add the demo site')
    .option('--max-heap <MiB>', 'refuse models that need more memory (also MAX_HEAP_SIZE)')
    .option('-o, --output <dir>', 'folder to write', 'dist');
}

/** @param {{ origin?: string, secure?: boolean }} options */
function originOf({ origin, secure }) {
  if (origin === undefined) return null;
  const bad = (/** @type {string} */ why) => new WasmAIError('ARGUMENT', '--origin', why);
  if (!secure) throw bad('only the policy of --secure names addresses: give both');
  if (!/^https:\/\/[\w.-]+(:\d+)?(\/[\w.~%-]+)*\/?$/.test(origin)) {
    throw bad(
      `must be the https address of the folder, such as https://example.org/, not "${origin}"`,
    );
  }
  return origin.endsWith('/') ? origin : `${origin}/`;
}

export async function run(_args, options, io) {
  const platform = options.platform ?? 'browser';
  if (!PLATFORMS.includes(platform)) {
    throw new WasmAIError(
      'ARGUMENT',
      '--platform',
      `must be one of ${PLATFORMS.join(', ')}, not "${platform}"`,
    );
  }
  if (platform !== 'browser') {
    throw new WasmAIError(
      'UNSUPPORTED',
      `--platform ${platform}`,
      'not in this version; browser is',
    );
  }
  const config = readConfig({ MAX_HEAP_SIZE: options.maxHeap, VARIANT: options.variant });
  const version = signedVersion(options.signedVersion);
  const key = options.sign ? await readPrivateKey(options.sign, io.talk) : null;
  const secret = options.encrypt ? await readEncryptionKey(options.encrypt, io.talk) : null;
  const out = options.output ?? 'dist';
  const steps = options.demo ? 4 : 3;
  const bar = io.progress('building', steps);
  let done = 0;
  let manifest;
  const notes = []; // said when the bar is gone
  try {
    manifest = await buildDist({
      out,
      models: options.model,
      optimize: Boolean(options.optimize),
      secure: Boolean(options.secure),
      hardened: config.MEMORY_HARDENING,
      variant: config.VARIANT,
      demo: Boolean(options.demo),
      origin: originOf(options),
      maxHeapMB: config.MAX_HEAP_SIZE,
      sign: key && { key, version },
      encrypt: secret,
      onStep: (text) => bar.update(done++, text),
      onNote: (text) => notes.push(text),
    });
  } finally {
    bar.done();
  }
  for (const note of notes) io.talk(note);
  const signed = key && { version, keyId: keyIdOf(key) };
  const encrypted = secret && encryptionKeyId(secret);
  io.json({ output: out, signed, encrypted, ...manifest });
  const rows = Object.entries(manifest.files)
    .filter(([path]) => !path.startsWith('headers/'))
    .map(([path, { size }]) => [path, bytesText(size)]);
  io.out(`${io.paint('bold', out)}\n${tableText(rows, [1])}`);
  if (signed) io.out(`signed  version ${signed.version}, key ${signed.keyId}`);
  if (encrypted) io.out(`encrypted  for key ${encrypted}`);
  io.talk(
    `Serve it with \`wasm-ai serve ${out}\`; header files for other hosts are in ${out}/headers.`,
  );
}
