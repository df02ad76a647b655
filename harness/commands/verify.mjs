// verify FILE.wai or FOLDER: is it what a trusted key signed? Does a package give here what it gave
// its maker (--self-test), or what a receipt says (--receipt)?
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { WasmAIError } from '../../web/errors.js';
import { variants } from '../../web/variants.js';
import { readPlain } from '../encryption.mjs';
import { isFolder, readBytes } from '../files.mjs';
import { tableText } from '../io.mjs';
import { readInputs } from '../readers/index.mjs';
import {
  checkReceiptPackage,
  readReceipt,
  receiptDims,
  replayGolden,
  replayReceipt,
} from '../replay.mjs';
import { openRunner, RUNNER_NAMES } from '../runners/index.mjs';
import { nameToSign, readFolder, readPublicKey, verifyFile } from '../signing.mjs';
import { addInputOptions, collect, wholeNumber } from './options.mjs';

export const name = 'verify';
export const summary = 'check signatures, golden outputs and receipts';
export const description =
  'Check FILE.wai against FILE.wai.jws, or a folder: the signature of its manifest, every file against ' +
  'the manifest, and the signature of each package. With --self-test run the golden cases of a package and ' +
  'compare the bits of its outputs; with --receipt run what a receipt is of, from the same inputs. Exit code 0 ' +
  'only if all is as it was signed, golden and as the receipt says.';
export const example = `wasm-ai verify digits.wai --key release.pub.pem
wasm-ai verify dist --key old.pub.pem --key new.pub.pem --min-version 7
wasm-ai verify digits.wai --self-test --runner chromium
wasm-ai verify --receipt r.json --package digits.wai --input image=3.npy`;

export function configure(command) {
  command
    .argument('[target]', 'package or folder')
    .option('--key <file>', 'public key, PEM; repeat for several trusted keys', collect)
    .option(
      '--decrypt <keyfile>',
      'of an encrypted package: open it with this key and check it too',
    )
    .option('--min-version <N>', 'refuse what was signed with a lower version')
    .option('--name <file>', 'of a package: the name that was signed (default: its own)')
    .option('--signature <file>', 'of a package: where its signature is (default: FILE.wai.jws)')
    .option('--self-test', 'run the golden cases of a package')
    .option('--runner <name>', `where: ${RUNNER_NAMES.join(', ')}`, 'node')
    .option(
      '--receipt <file>',
      'JSON of session.receipt(outputs): run it again, from the same inputs',
    )
    .option('--package <file>', 'what the receipt is of (or the target)');
  addInputOptions(command);
  command.hook('preAction', (self) => {
    const { key, selfTest, receipt, package: pack } = self.opts();
    if (self.processedArgs[0] === undefined && pack === undefined)
      self.error("error: missing required argument 'target'");
    if (!key && !selfTest && !receipt) {
      self.error(
        "error: required option '--key <file>' not specified (or --self-test, --receipt <file>)",
      );
    }
  });
}

export async function run([given], options, io) {
  const target = given ?? options.package;
  const result = {};
  if (options.key) Object.assign(result, await verifySigned(target, options, io));
  if (options.selfTest) result.selfTest = await verifyGolden(target, options, io);
  if (options.receipt) result.receipt = await verifyReceipt(target, options, io);
  io.json(result);
}

/** A runner for as long as `work` takes. */
async function withRunner(target, { runner: name, decrypt, variant }, work) {
  if (isFolder(target))
    throw new WasmAIError('ARGUMENT', target, 'this is a folder; name one of its packages');
  const bytes = await readPlain(target, decrypt);
  const runner = await openRunner(name, bytes, { where: target, variant });
  try {
    return await work(runner, bytes);
  } finally {
    await runner.close();
  }
}

const verifyGolden = (target, options, io) =>
  withRunner(target, options, async (runner, bytes) => {
    const { cases, ms } = await replayGolden(target, bytes, runner);
    const count = `${cases.length} golden ${cases.length === 1 ? 'case' : 'cases'}`;
    io.out(`${target}  ${count} as they must be, to the bit, on ${runner.name}`);
    return { runner: runner.name, cases, ms };
  });

async function verifyReceipt(target, options, io) {
  const receipt = await readReceipt(options.receipt, await readBytes(options.receipt));
  const { variant } = receipt.runtime;
  if (!variants[variant].exact)
    io.talk(`note: the receipt is of ${variant}, whose last bits depend on the processor`);
  return withRunner(target, { ...options, variant }, async (runner, bytes) => {
    await checkReceiptPackage(receipt, target, bytes);
    const dims = receiptDims(receipt, runner.inputs);
    const feeds = await readInputs(options.input ?? [], runner.inputs, options, dims);
    const { runtime } = await replayReceipt(receipt, runner, feeds);
    if (runtime === 'another') {
      io.talk(
        `note: the receipt's runtime (${receipt.runtime.sha384}) is none of this build's: the answer is ` +
          'compared, not the runtime',
      );
    }
    io.out(`${options.receipt}  inputs, package and outputs as it says, on ${runner.name}`);
    return { runner: runner.name, runtime };
  });
}

async function verifySigned(target, options, io) {
  const minVersion =
    options.minVersion === undefined
      ? 0
      : wholeNumber(options.minVersion, '--min-version', 0, Number.MAX_SAFE_INTEGER);
  const keys = await Promise.all(options.key.map(readPublicKey));
  const folder = isFolder(target);
  const single = ['name', 'signature', 'decrypt'].find((option) => options[option]);
  if (folder && single)
    throw new WasmAIError('ARGUMENT', `--${single}`, 'is for a package, not for a folder');
  const { proofs, unsigned } = folder
    ? await verifyFolder(target, keys, minVersion)
    : await verifyPackage(target, keys, minVersion, options);
  const rows = proofs.map(({ file, version, iat, keyId }) => [
    file,
    `version ${version}`,
    new Date(iat * 1000).toISOString(),
    `key ${keyId}`,
  ]);
  io.out(tableText(rows));
  if (unsigned.length) {
    io.talk(
      `note: the signature says nothing of files that are not in the manifest: ${unsigned.join(', ')}`,
    );
  }
  return { signatures: proofs, unsigned };
}

async function verifyPackage(path, keys, minVersion, { name: signed = path, signature, decrypt }) {
  const file = signature ?? `${path}.jws`;
  const how = { file, kind: /** @type {const} */ ('package'), name: nameToSign(signed) };
  const proof = await verifyFile(await readBytes(path), { ...how, keys, minVersion });
  if (decrypt) await readPlain(path, decrypt);
  return { proofs: [{ file: path, ...proof }], unsigned: [] };
}

async function verifyFolder(folder, keys, minVersion) {
  const proofs = [];
  const check = async (path, bytes, kind) => {
    const file = join(folder, `${path}.jws`);
    const proof = await verifyFile(bytes, { file, kind, name: nameToSign(path), keys, minVersion });
    proofs.push({ file: path, ...proof });
  };
  // The manifest first: what it names is read only when it is known to be ours.
  const manifest = await readBytes(join(folder, 'manifest.json'));
  await check('manifest.json', manifest, 'manifest');
  const { packages, paths } = await readFolder(folder, manifest);
  for (const [path, bytes] of packages) await check(path, bytes, 'package');
  const signed = new Set([...paths, 'manifest.json', ...proofs.map(({ file }) => `${file}.jws`)]);
  return { proofs, unsigned: (await filesBelow(folder)).filter((path) => !signed.has(path)) };
}

async function filesBelow(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}
