// sign FILE.wai or FOLDER: signatures beside packages, and beside the manifest of a folder.
import { join } from 'node:path';
import { encryptedFor } from '../../web/certificate.js';
import { checkPackage } from '../../web/chunks.js';
import { WasmAIError } from '../../web/errors.js';
import { isFolder, readBytes, writeWhole } from '../files.mjs';
import { tableText } from '../io.mjs';
import { nameToSign, readFolder, readPrivateKey, signFile, signFolder } from '../signing.mjs';
import { signedVersion } from './options.mjs';

export const name = 'sign';
export const summary = 'sign a package, or a folder made by build';
export const description =
  'Sign a package (to FILE.wai.jws), or a folder made by `wasm-ai build`: its manifest, which has the ' +
  'SHA-384 of every file, and each of its packages. A signature (JWS, EdDSA) names the file, its size ' +
  'and SHA-384, a version and the time.';
export const example = `wasm-ai sign digits.wai --key release.pem
wasm-ai sign dist --key release.pem --signed-version 7`;

export function configure(command) {
  command
    .argument('<target>', 'package or folder')
    .requiredOption('--key <file>', 'private key, PEM, from `wasm-ai keygen`')
    .option('--signed-version <N>', 'a number that only grows (default: the time, YYYYMMDDhhmmss)')
    .option('--name <file>', 'of a package: the name under which it is deployed');
}

export async function run([target], options, io) {
  const version = signedVersion(options.signedVersion);
  const key = await readPrivateKey(options.key, io.talk);
  if (isFolder(target) && options.name)
    throw new WasmAIError('ARGUMENT', '--name', 'is for a package; a folder names its own');
  const made = isFolder(target)
    ? await signedFolder(target, key, version)
    : await signedPackage(target, key, version, options.name);
  for (const { path, text } of made) await writeWhole(path, text);
  const signatures = made.map(({ path, claims, keyId }) => ({ file: path, ...claims, keyId }));
  io.json({ signatures });
  const rows = signatures.map(({ file, name: of, version: as }) => [file, of, `version ${as}`]);
  io.out(`${tableText(rows)}\nkey id  ${signatures[0].keyId}`);
}

async function signedPackage(path, key, version, deployedAs = path) {
  const bytes = await readBytes(path);
  // What is signed must open; of an encrypted one only who has its key can say.
  if (encryptedFor(bytes) === null) await checkPackage(bytes, path);
  const how = {
    kind: /** @type {const} */ ('package'),
    name: nameToSign(deployedAs),
    key,
    version,
  };
  return [{ path: `${path}.jws`, ...signFile(bytes, how) }];
}

async function signedFolder(folder, key, version) {
  const manifest = await readBytes(join(folder, 'manifest.json'));
  const { packages } = await readFolder(folder, manifest);
  const files = new Map([...packages, ['manifest.json', manifest]]);
  return [...signFolder(files, { key, version })].map(([path, made]) => ({
    path: join(folder, path),
    ...made,
  }));
}
