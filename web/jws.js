/**
 * The signature file, NAME.wai.jws or manifest.json.jws: one compact JWS (RFC 7515) with EdDSA on
 * Ed25519 (RFC 8037). This file knows its form and what it may claim; `signature.js` checks it in
 * pages with WebCrypto, harness/signing.mjs makes and checks it with Node's crypto.
 *
 *     header   {"alg":"EdDSA","typ":"wasm-ai+jws","kid":"<RFC 7638 thumbprint of the key>"}
 *     payload  {"kind":"package","name":"digits.wai","size":143152,"sha384":"<96 hex digits>",
 *               "head":"<96 hex digits>","version":20261122180312,"iat":1795370592}
 *
 * What is not written above is refused: another algorithm, a key or an address in the header, a
 * claim too many, base64url that could be written in another way.
 */
import { WasmAIError } from './errors.js';

export const TYPE = 'wasm-ai+jws';
export const ALGORITHM = 'EdDSA';
/** Ten times what `wasm-ai sign` writes: the name is the only part of unknown length. */
export const MAX_JWS = 4096;
const SIGNATURE_SIZE = 64;

/**
 * @typedef {object} Claims
 * @property {'package' | 'manifest'} kind
 * @property {string} name     file name without the hash that `build` puts into it
 * @property {number} size
 * @property {string} sha384   of the whole file, hexadecimal
 * @property {string | null} head  the digest of the package's head, from which every byte of it
 *   follows; null of a manifest and of an encrypted package, which shows none
 * @property {number} version  only grows; readers refuse lower ones than they ask for
 * @property {number} iat      signing time, seconds since 1970
 *
 * @typedef {object} Jws
 * @property {string} keyId    which key, as the header says: a hint, never a reason to trust
 * @property {Uint8Array<ArrayBuffer>} signed     the bytes that the signature is of
 * @property {Uint8Array<ArrayBuffer>} signature
 * @property {string} payload  not to be read before the signature is checked
 */

/** What a file is, as far as it was looked at. @typedef {{ size: number, sha384?: string, head?: string | null }} Content */

/** @param {string} where @param {string} why */
export const signatureError = (where, why) => new WasmAIError('SIGNATURE', where, why);

/** @param {string} where @param {string} what */
const foreign = (where, what) =>
  signatureError(
    where,
    `this is not a signature that \`wasm-ai sign\` makes (${what}): sign the file again`,
  );

/** digits.0123456789ab.wai -> digits.wai: a signature holds for a model, whatever its build is called.
 * @param {string} name */
export const signedName = (name) => name.replace(/\.[0-9a-f]{12}(?=\.wai$)/, '');

/** @param {string} text @param {string} where @returns {Jws} */
export function parseJws(text, where) {
  const found = /^([\w-]+)\.([\w-]+)\.([\w-]+)(\r?\n)?$/.exec(text);
  if (!found || text.length > MAX_JWS) throw foreign(where, 'not one compact JWS');
  const [, head, body, tail] = found;
  const header = jsonObject(utf8(fromBase64url(head, where), where), where);
  checkNames(header, ['alg', 'typ', 'kid'], 'header', where);
  if (header.alg !== ALGORITHM || header.typ !== TYPE)
    throw foreign(where, `alg must be ${ALGORITHM} and typ ${TYPE}`);
  if (typeof header.kid !== 'string' || !/^[\w-]{43}$/.test(header.kid))
    throw foreign(where, 'kid must be the thumbprint of a key');
  const signature = fromBase64url(tail, where);
  if (signature.length !== SIGNATURE_SIZE) throw foreign(where, 'a signature is 64 bytes');
  return {
    keyId: header.kid,
    signed: new TextEncoder().encode(`${head}.${body}`),
    signature,
    payload: utf8(fromBase64url(body, where), where),
  };
}

/** @param {unknown} value */
const isDigest = (value) => typeof value === 'string' && /^[0-9a-f]{96}$/.test(value);

/** What a signature that was found good claims. @param {Jws} jws @param {string} where @returns {Claims} */
export function readClaims({ payload }, where) {
  const claims = jsonObject(payload, where);
  checkNames(
    claims,
    ['kind', 'name', 'size', 'sha384', 'head', 'version', 'iat'],
    'payload',
    where,
  );
  const { kind, name, size, sha384, head, version, iat } = claims;
  const whole = [size, version, iat].every((value) => Number.isSafeInteger(value) && value >= 0);
  const named = typeof name === 'string' && name !== '';
  const dated = iat <= 8.64e12; // what a Date can hold
  if (
    !['package', 'manifest'].includes(kind) ||
    !named ||
    !whole ||
    !dated ||
    !isDigest(sha384) ||
    !(head === null || isDigest(head))
  )
    throw foreign(where, 'a claim has no sense');
  return { kind, name, size, sha384, head, version, iat };
}

/**
 * Is this what was asked for? Before the file itself is looked at.
 * @param {Claims} claims
 * @param {{ kind: Claims['kind'], name: string | null, minVersion: number }} wanted  name null: any
 * @param {string} where
 */
export function checkClaims(claims, { kind, name, minVersion }, where) {
  if (claims.kind !== kind)
    throw signatureError(
      where,
      `this is the signature of a ${claims.kind}, not of a ${kind}: put the right file here`,
    );
  if (name !== null && claims.name !== name)
    throw signatureError(
      where,
      `this is the signature of "${claims.name}", not of "${name}": put the right files here, ` +
        'or sign again under the new name',
    );
  if (claims.version < minVersion)
    throw signatureError(
      where,
      `version ${claims.version} was signed, but at least ${minVersion} is asked for: this is an ` +
        'old file; deploy the current one, or clear the cache in between',
    );
}

/** Is this the file that was signed? @param {Claims} claims @param {Content} content @param {string} where */
export function checkContent(claims, { size, sha384 = claims.sha384, head = claims.head }, where) {
  if (claims.size !== size || claims.sha384 !== sha384 || claims.head !== head)
    throw signatureError(
      where,
      'this is not the file that was signed: it was changed, or file and signature are of ' +
        'different builds; deploy both together, or clear the cache in between',
    );
}

/** @param {string} text @param {string} where @returns {any} */
function jsonObject(text, where) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw foreign(where, 'not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw foreign(where, 'not a JSON object');
  return value;
}

/** @param {object} object @param {string[]} names @param {string} part @param {string} where */
function checkNames(object, names, part, where) {
  const others = Object.keys(object).filter((name) => !names.includes(name));
  const missing = names.filter((name) => !Object.hasOwn(object, name));
  if (others.length || missing.length)
    throw foreign(where, `its ${part} must have ${names.join(', ')} and nothing else`);
}

/** @param {Uint8Array} bytes @param {string} where */
function utf8(bytes, where) {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw foreign(where, 'not UTF-8');
  }
}

/** @param {Uint8Array} bytes */
export function toBase64url(bytes) {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

/** Only the one way to write these bytes: unused bits must be 0. @param {string} text @param {string} where */
function fromBase64url(text, where) {
  let bytes;
  try {
    bytes = bytesOfBase64(text.replace(/-/g, '+').replace(/_/g, '/'));
  } catch {
    throw foreign(where, 'not base64url');
  }
  if (toBase64url(bytes) !== text) throw foreign(where, 'not base64url in its one right form');
  return bytes;
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
export function bytesOfBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
