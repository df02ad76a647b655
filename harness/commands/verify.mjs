// verify FILE.wai or FOLDER: is it what a trusted key signed?
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { WasmAIError } from '../../web/errors.js';
import { isFolder, readBytes } from '../files.mjs';
import { tableText } from '../io.mjs';
import { nameToSign, readFolder, readPublicKey, verifyFile } from '../signing.mjs';
import { collect, wholeNumber } from './options.mjs';

export const name = 'verify';
export const summary = 'check the signatures of a package or a folder';
export const description =
  'Check FILE.wai against FILE.wai.jws, or a folder: the signature of its manifest, every file against ' +
  'the manifest, and the signature of each package. Exit code 0 only if all is as it was signed.';
export const example = `wasm-ai verify digits.wai --key release.pub.pem
wasm-ai verify dist --key old.pub.pem --key new.pub.pem --min-version 7`;

export function configure(command) {
  command
    .argument('<target>', 'package or folder')
    .requiredOption('--key <file>', 'public key, PEM; repeat for several trusted keys', collect)
    .option('--min-version <N>', 'refuse what was signed with a lower version')
    .option('--name <file>', 'of a package: the name that was signed (default: its own)')
    .option('--signature <file>', 'of a package: where its signature is (default: FILE.wai.jws)');
}

export async function run([target], options, io) {
  const minVersion =
    options.minVersion === undefined
      ? 0
      : wholeNumber(options.minVersion, '--min-version', 0, Number.MAX_SAFE_INTEGER);
  const keys = await Promise.all(options.key.map(readPublicKey));
  const folder = isFolder(target);
  if (folder && (options.name || options.signature)) {
    throw new WasmAIError(
      'ARGUMENT',
      options.name ? '--name' : '--signature',
      'is for a package; a folder names its own',
    );
  }
  const { proofs, unsigned } = folder
    ? await verifyFolder(target, keys, minVersion)
    : await verifyPackage(target, keys, minVersion, options);
  io.json({ signatures: proofs, unsigned });
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
}

async function verifyPackage(path, keys, minVersion, { name: signed = path, signature }) {
  const file = signature ?? `${path}.jws`;
  const how = { file, kind: /** @type {const} */ ('package'), name: nameToSign(signed) };
  const proof = await verifyFile(await readBytes(path), { ...how, keys, minVersion });
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
