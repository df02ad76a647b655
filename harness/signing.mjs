// Ed25519 keys, and signatures of packages and folders: the making side, and the checking side for
// Node. Their form is web/jws.js, which pages check them with; why they stand beside the package: README.md.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DIGEST_SIZE, encryptedFor, hex, readCertificate } from '../web/certificate.js';
import { WasmAIError } from '../web/errors.js';
import {
  ALGORITHM,
  checkClaims,
  checkContent,
  MAX_JWS,
  parseJws,
  readClaims,
  signedName,
  TYPE,
} from '../web/jws.js';
import { fileError, readBytes } from './files.mjs';

/** @typedef {import('../web/jws.js').Claims} Claims */
/** @typedef {import('node:crypto').KeyObject} KeyObject */

const PRIVATE_MODE = 0o600;
const bad = (where, why) => new WasmAIError('ARGUMENT', where, why);
const sha384 = (bytes) => createHash('sha384').update(bytes).digest('hex');
const json64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** What a key is called in signatures: its RFC 7638 thumbprint. @param {KeyObject} key */
export function keyIdOf(key) {
  const { crv, kty, x } = (key.type === 'private' ? createPublicKey(key) : key).export({
    format: 'jwk',
  });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');
}

/**
 * A new pair as NAME.pem (PKCS#8, for its owner's eyes) and NAME.pub.pem (SPKI); never over a file.
 * @param {string} name
 */
export async function makeKeys(name) {
  const base = name.replace(/(\.pub)?\.pem$/, '');
  const [privateFile, publicFile] = [`${base}.pem`, `${base}.pub.pem`];
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const secret = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeKeyFiles([
    { file: privateFile, text: secret, secret: true },
    { file: publicFile, text: String(publicKey.export({ type: 'spki', format: 'pem' })) },
  ]);
  return { privateFile, publicFile, keyId: keyIdOf(publicKey) };
}

/** All of them or none, and never over a file. @param {{ file: string, text: string, secret?: boolean }[]} files */
export async function writeKeyFiles(files) {
  const written = [];
  try {
    for (const { file, text, secret } of files) {
      const mode = secret ? PRIVATE_MODE : 0o644;
      await writeFile(file, text, { flag: 'wx', mode }).catch((error) => {
        if (error.code !== 'EEXIST') throw fileError(file, error, 'write');
        throw bad(file, 'is there already, and a key is never overwritten: choose a name with -o');
      });
      written.push(file);
    }
  } catch (error) {
    for (const file of written) await rm(file, { force: true });
    throw error;
  }
}

/** @param {string} file of a secret @param {import('node:fs').Stats} stats @param {(note: string) => void} [onNote] */
export function warnOfReaders(file, { mode }, onNote) {
  if (process.platform !== 'win32' && mode & 0o077)
    onNote?.(`note: other users can read ${file}; \`chmod 600 ${file}\` changes that`);
}

/** @param {string} file @param {(note: string) => void} [onNote] @returns {Promise<KeyObject>} */
export async function readPrivateKey(file, onNote) {
  const key = privateKeyOf(Buffer.from(await readBytes(file)).toString('latin1'), file);
  warnOfReaders(file, await stat(file), onNote);
  return key;
}

/** @param {string} pem @param {string} where @returns {KeyObject} */
export function privateKeyOf(pem, where) {
  if (/BEGIN PUBLIC KEY/.test(pem))
    throw bad(where, 'this is a public key; signing needs the private one (NAME.pem)');
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(pem))
    throw bad(
      where,
      'this key has a passphrase: decrypt it first, `openssl pkey -in KEY -out NEW`',
    );
  return ed25519(() => createPrivateKey(pem), where);
}

/** @param {string} file @returns {Promise<KeyObject>} */
export async function readPublicKey(file) {
  const pem = Buffer.from(await readBytes(file)).toString('latin1');
  if (/PRIVATE KEY/.test(pem))
    throw bad(file, 'this is a private key; checking needs only the public one (NAME.pub.pem)');
  return ed25519(() => createPublicKey(pem), file);
}

/** @param {() => KeyObject} read @param {string} where */
function ed25519(read, where) {
  let key;
  try {
    key = read();
  } catch (cause) {
    throw new WasmAIError(
      'ARGUMENT',
      where,
      'this is not a key in PEM: make one with `wasm-ai keygen`',
      { cause },
    );
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw bad(
      where,
      `this is a key for ${key.asymmetricKeyType}, not Ed25519: use \`wasm-ai keygen\``,
    );
  return key;
}

/** The time as a number that people can read and that only grows: 20261122180312 (UTC). */
export const versionOfNow = (now = new Date()) =>
  Number(now.toISOString().replace(/\D/g, '').slice(0, 14));

/** What the signature of this file is for. @param {string} path */
export const nameToSign = (path) => signedName(basename(path));

/** The digest that a package says its head has; null where none is shown. @param {Uint8Array} bytes @param {Claims['kind']} kind @param {string} where */
function headOf(bytes, kind, where) {
  if (kind !== 'package' || encryptedFor(bytes) !== null) return null;
  const { headSize } = readCertificate(bytes, where);
  return hex(bytes.subarray(headSize - DIGEST_SIZE, headSize));
}

/** What is signed of a file's bytes. @param {Uint8Array} bytes @param {Claims['kind']} kind @param {string} where */
const contentOf = (bytes, kind, where) => ({
  size: bytes.length,
  sha384: sha384(bytes),
  head: headOf(bytes, kind, where),
});

/**
 * @param {Uint8Array} bytes
 * @param {{ kind: Claims['kind'], name: string, key: KeyObject, version?: number, now?: Date }} how
 * @returns {{ text: string, claims: Claims, keyId: string }} text: the .jws file
 */
export function signFile(bytes, { kind, name, key, now = new Date(), version }) {
  const claims = {
    kind,
    name,
    ...contentOf(bytes, kind, name),
    version: version ?? versionOfNow(now),
    iat: Math.floor(now.getTime() / 1000),
  };
  const keyId = keyIdOf(key);
  const signed = `${json64({ alg: ALGORITHM, typ: TYPE, kid: keyId })}.${json64(claims)}`;
  const text = `${signed}.${signBytes(null, Buffer.from(signed), key).toString('base64url')}\n`;
  if (text.length > MAX_JWS) throw bad(name, 'this name is too long to be signed');
  return { text, claims, keyId };
}

/**
 * The signature of one package: what `wasm-ai sign` writes to NAME.wai.jws.
 * @param {Uint8Array} bytes
 * @param {{ key: string, name: string, version?: number }} options  key: private, PEM; name: as it will be
 *   deployed; version: only grows, the time of signing when left out
 */
export function signPackage(bytes, { key, name, version }) {
  const how = { kind: /** @type {const} */ ('package'), name: nameToSign(name), version };
  return signFile(bytes, { ...how, key: privateKeyOf(key, 'key') }).text;
}

/** Is this the file that was signed, and was its head? @param {Claims} claims @param {Uint8Array} bytes @param {string} file */
function checkFile(claims, bytes, file) {
  checkContent(claims, { size: bytes.length, sha384: sha384(bytes) }, file);
  checkContent(claims, contentOf(bytes, claims.kind, file), file);
}

/** @param {KeyObject[]} keys @param {import('../web/jws.js').Jws} jws */
export const isMadeBy = (keys, { signed, signature }) =>
  keys.some((key) => verifyBytes(null, signed, key, signature));

/**
 * @param {Uint8Array} bytes
 * @param {{ file: string, kind: Claims['kind'], name: string | null, keys: KeyObject[], minVersion?: number }} how
 *   file: where the signature is
 */
export async function verifyFile(bytes, { file, kind, name, keys, minVersion = 0 }) {
  const text = await readSignature(file);
  const jws = parseJws(text, file);
  if (!isMadeBy(keys, jws)) {
    throw new WasmAIError(
      'SIGNATURE',
      file,
      `the given key did not make this signature (it names key ${jws.keyId}; given: ` +
        `${keys.map(keyIdOf).join(', ')}), or it was changed: give the signer's --key, or sign again`,
    );
  }
  const claims = readClaims(jws, file);
  checkClaims(claims, { kind, name, minVersion }, file);
  checkFile(claims, bytes, file);
  return { ...claims, keyId: jws.keyId };
}

/**
 * A signature that travels along with its package: it must be the package's, whoever made it.
 * @param {Uint8Array} bytes @param {string} file  of the signature @param {string} name
 */
export async function companion(bytes, file, name) {
  const text = await readFile(file, 'latin1').catch((error) => {
    if (error.code === 'ENOENT') return null;
    throw fileError(file, error, 'read');
  });
  if (text !== null) claimsFor(bytes, text, { file, kind: 'package', name });
  return text;
}

/**
 * What a signature claims of these bytes, whoever made it: no key is asked.
 * @param {Uint8Array} bytes @param {string} text
 * @param {{ file: string, kind: Claims['kind'], name: string | null }} of
 */
export function claimsFor(bytes, text, { file, kind, name }) {
  const jws = parseJws(text, file);
  const claims = readClaims(jws, file);
  checkClaims(claims, { kind, name, minVersion: 0 }, file);
  checkFile(claims, bytes, file);
  return { ...claims, keyId: jws.keyId };
}

/** @param {string} file */
async function readSignature(file) {
  try {
    return Buffer.from(await readFile(file)).toString('latin1');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT')
      throw fileError(file, error, 'read');
    throw new WasmAIError(
      'SIGNATURE',
      file,
      'there is no signature here: make it with `wasm-ai sign`',
    );
  }
}

/**
 * The signatures of a folder that `build` makes: of each package, and of the manifest, which has
 * the digest of every file. @param {Map<string, Uint8Array>} files  manifest.json and the packages, by path
 * @param {{ key: KeyObject, version?: number, now?: Date }} how
 */
export function signFolder(files, { now = new Date(), ...how }) {
  const signatures = new Map();
  for (const [path, bytes] of files) {
    const kind = path === 'manifest.json' ? 'manifest' : 'package';
    signatures.set(`${path}.jws`, signFile(bytes, { ...how, now, kind, name: nameToSign(path) }));
  }
  return signatures;
}

/**
 * The files that a folder's manifest names, each checked against it.
 * @param {string} folder @param {Uint8Array} manifest  its bytes
 * @returns {Promise<{ packages: Map<string, Uint8Array>, paths: string[] }>}
 */
export async function readFolder(folder, manifest) {
  const file = join(folder, 'manifest.json');
  const { files, packages } = parseManifest(manifest, file);
  const contents = new Map();
  for (const [path, { size, sha384: digest }] of Object.entries(files)) {
    if (!/^[^/\\\0]+(\/[^/\\\0]+)*$/.test(path) || path.split('/').includes('..'))
      throw new WasmAIError('MALFORMED', file, `"${path}" is not a path below this folder`);
    const content = await readBytes(join(folder, path));
    if (content.length !== size || sha384(content) !== digest) {
      throw new WasmAIError(
        'INTEGRITY',
        join(folder, path),
        'differs from the manifest: build the folder again',
      );
    }
    if (packages.includes(path)) contents.set(path, content);
  }
  return { packages: contents, paths: Object.keys(files) };
}

function parseManifest(bytes, file) {
  try {
    const { format, files, packages } = JSON.parse(Buffer.from(bytes).toString());
    if (format !== 1) throw new Error('its format is not 1');
    const names = Object.values(packages).map((entry) => entry.file);
    for (const name of names)
      if (!Object.hasOwn(files, name)) throw new Error(`${name} is not among its files`);
    return { files, packages: names };
  } catch (cause) {
    throw new WasmAIError(
      'MALFORMED',
      file,
      `is not a manifest of \`wasm-ai build\` (${/** @type {Error} */ (cause).message})`,
      { cause },
    );
  }
}
