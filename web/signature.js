/**
 * Who made this package: the page's trusted keys against the signature beside the package, by
 * WebCrypto, in the page (the worker is not asked: it is what the check protects).
 */

import { WasmAIError } from './errors.js';
import {
  bytesOfBase64,
  checkClaims,
  MAX_JWS,
  parseJws,
  readClaims,
  signatureError,
} from './jws.js';
import { openUrl } from './sources.js';
import { subtleFor } from './subtle.js';

/** @typedef {import('./jws.js').Claims} Claims */
/** @typedef {import('./wasmai.d.ts').LoadOptions} LoadOptions */
/** @typedef {{ claims: Claims, keyId: string, where: string }} Proof */

/**
 * @typedef {object} Trust
 * @property {CryptoKey[]} keys  any of them will do
 * @property {number} minVersion
 * @property {string | URL | null} signature  the JWS itself, or where it is; null: beside the package
 * @property {string | null} name  what the signature must be for; null: as the address says
 */

const ALGORITHM = 'Ed25519';
/** What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, 10.1). */
const SPKI_HEAD = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const KEY_BYTES = 32;

const noEd25519 = (/** @type {string} */ where, /** @type {unknown} */ cause) =>
  new WasmAIError(
    'UNSUPPORTED',
    where,
    'signatures cannot be checked here, this engine has no Ed25519: it needs Chromium 137, ' +
      'Firefox 129, Safari 17 or Node 20, or newer',
    { cause },
  );

const subtle = (/** @type {string} */ where) => subtleFor(where, 'signatures cannot be checked');

/**
 * The text of NAME.pub.pem, as `wasm-ai keygen` writes it -> a key for `load`.
 * @param {string} pem @returns {Promise<CryptoKey>}
 */
export async function importPublicKey(pem) {
  const where = 'importPublicKey';
  const bad = (/** @type {string} */ why) => new WasmAIError('ARGUMENT', where, why);
  if (typeof pem === 'string' && /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem))
    throw bad('this is a private key, which must never reach a page: give NAME.pub.pem');
  const found =
    typeof pem === 'string' &&
    /^\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/.exec(pem);
  if (!found) throw bad('give the text of a public key in PEM, as `wasm-ai keygen` writes it');
  const crypto = subtle(where);
  try {
    const raw = keyOfSpki(bytesOfBase64(found[1].replace(/\s/g, '')));
    return await crypto.importKey('raw', raw, { name: ALGORITHM }, false, ['verify']);
  } catch (cause) {
    if (/** @type {any} */ (cause)?.name === 'NotSupportedError') throw noEd25519(where, cause);
    throw new WasmAIError('ARGUMENT', where, 'this is not an Ed25519 public key', { cause });
  }
}

/**
 * By hand, because WebKitGTK refuses `spki` for one key in 256, those that begin with a zero byte
 * (WebKit bug 307095); `raw` it takes.
 * @param {Uint8Array<ArrayBuffer>} der
 */
function keyOfSpki(der) {
  const fits = der.length === SPKI_HEAD.length + KEY_BYTES;
  if (!fits || !SPKI_HEAD.every((byte, at) => byte === der[at]))
    throw new Error('no Ed25519 SubjectPublicKeyInfo');
  return der.subarray(SPKI_HEAD.length);
}

/** @param {any} key */
const isPublicKey = (key) =>
  typeof CryptoKey === 'function' &&
  key instanceof CryptoKey &&
  key.type === 'public' &&
  key.algorithm.name === ALGORITHM &&
  key.usages.includes('verify');

/**
 * A key that is named but undefined is a mistake of the caller's, and must not switch the check off.
 * @param {LoadOptions} options @returns {Trust | null}
 */
export function trustOf(options) {
  const { publicKey, minVersion = 0, signature, packageName } = options;
  if (!('publicKey' in options)) {
    for (const name of /** @type {const} */ (['minVersion', 'signature', 'packageName'])) {
      if (options[name] !== undefined)
        throw new WasmAIError('ARGUMENT', name, 'has no sense without publicKey: give both');
    }
    return null;
  }
  const keys = Array.isArray(publicKey) ? [...publicKey] : [publicKey];
  if (keys.length === 0 || !keys.every(isPublicKey)) {
    throw new WasmAIError(
      'ARGUMENT',
      'publicKey',
      'must be an Ed25519 CryptoKey for verifying, or several: make it with ' +
        'importPublicKey(text of NAME.pub.pem), or leave publicKey out',
    );
  }
  if (!(Number.isSafeInteger(minVersion) && minVersion >= 0))
    throw new WasmAIError('ARGUMENT', 'minVersion', 'must be a whole number from 0');
  if (signature !== undefined && typeof signature !== 'string' && !(signature instanceof URL)) {
    throw new WasmAIError(
      'ARGUMENT',
      'signature',
      'must be the text of NAME.wai.jws, or a URL object that says where it is',
    );
  }
  if (packageName !== undefined && !(typeof packageName === 'string' && packageName !== ''))
    throw new WasmAIError('ARGUMENT', 'packageName', 'must be a name such as "digits.wai"');
  return { keys, minVersion, signature: signature ?? null, name: packageName ?? null };
}

/**
 * The signature of a package that may still be on its way: whether a trusted key made it, for a
 * package of this name and version. `checkContent` is the other half.
 * @param {Trust} trust @param {import('./sources.js').Source} source @returns {Promise<Proof>}
 */
export async function readProof(trust, source) {
  const { text, where } = await readSignature(trust, source);
  const jws = parseJws(text, where);
  const crypto = subtle(where);
  for (const key of trust.keys) {
    const good = await crypto
      .verify({ name: ALGORITHM }, key, jws.signature, jws.signed)
      .catch((cause) => {
        throw noEd25519(where, cause);
      });
    if (good !== true) continue;
    const claims = readClaims(jws, where);
    const name = trust.name ?? source.name;
    checkClaims(claims, { kind: 'package', name, minVersion: trust.minVersion }, where);
    return { claims, keyId: jws.keyId, where };
  }
  throw signatureError(
    where,
    `${trust.keys.length === 1 ? 'the trusted key' : `none of the ${trust.keys.length} trusted keys`}` +
      ` did not make this signature (it names key ${jws.keyId}), or it was changed: sign with a ` +
      "trusted key, or give the signer's publicKey",
  );
}

/** @param {Proof | null} proof @returns {import('./wasmai.d.ts').SignatureInfo | null} */
export function signatureInfo(proof) {
  if (!proof) return null;
  const { name, version, iat } = proof.claims;
  return Object.freeze({ name, version, signedAt: new Date(iat * 1000), keyId: proof.keyId });
}

/** @param {Trust} trust @param {import('./sources.js').Source} source */
async function readSignature({ signature }, { where, url }) {
  if (typeof signature === 'string') return { text: signature, where: 'signature' };
  const address = signature ?? (url && besideOf(url));
  if (!address) {
    throw signatureError(
      where,
      'this has no address to look beside for its signature: give the text of NAME.wai.jws as signature',
    );
  }
  try {
    return { text: await shortText(await openUrl(address, address.href)), where: address.href };
  } catch (cause) {
    const error = /** @type {any} */ (cause);
    const why = error instanceof WasmAIError ? error.message.slice(error.where.length + 2) : error;
    throw new WasmAIError(
      'SIGNATURE',
      address.href,
      `the signature cannot be read (${why}): make it with \`wasm-ai sign\` and deploy it beside the package`,
      { cause },
    );
  }
}

/** models/digits.wai?a=b -> models/digits.wai.jws?a=b @param {URL} url */
function besideOf(url) {
  const beside = new URL(url);
  beside.pathname += '.jws';
  beside.hash = '';
  return beside;
}

/** @param {import('./sources.js').Opened} opened */
async function shortText(opened) {
  if ('bytes' in opened) return decode(opened.bytes);
  const reader = opened.stream.getReader();
  let all = new Uint8Array(0);
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const more = new Uint8Array(all.length + part.value.length);
    more.set(all);
    more.set(part.value, all.length);
    all = more;
    if (all.length > MAX_JWS) {
      reader.cancel().catch(() => {});
      break; // parseJws says the rest
    }
  }
  return decode(all);
}

/** ASCII is all that there may be. @param {Uint8Array} bytes */
function decode(bytes) {
  return String.fromCharCode(...bytes.subarray(0, MAX_JWS + 1));
}
