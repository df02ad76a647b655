/**
 * Encrypted packages: NAME.wai as `wasm-ai compile --encrypt` writes it, in the records of RFC 8188
 * (records.js). Opened in the worker (or, where that has no crypto.subtle, in the frame around it);
 * the page has the key, which gives its bytes to nobody, and the encrypted file.
 */
import { encryptedFor, RECORD_SIZE } from './certificate.js';
import { checkPackage } from './chunks.js';
import { errorToData, WasmAIError } from './errors.js';
import { bytesOfBase64 } from './jws.js';
import { AES256GCM, damaged, decryptRecords, deriveBytes, readRecordHeader } from './records.js';
import { subtleFor } from './subtle.js';

const KEY_SIZE = 32;
const KEY_ID_INFO = 'wasm-ai key id\0';

/** @param {any} key */
const isDecryptionKey = (key) =>
  typeof CryptoKey === 'function' &&
  key instanceof CryptoKey &&
  key.type === 'secret' &&
  key.algorithm.name === 'HKDF' &&
  key.usages.includes('deriveKey') &&
  key.usages.includes('deriveBits');

/**
 * A key that is named but undefined is a mistake of the caller's: never the same as none.
 * @param {{ decryptionKey?: unknown }} options @returns {CryptoKey | null}
 */
export function decryptionKeyOf(options) {
  if (!('decryptionKey' in options)) return null;
  const { decryptionKey } = options;
  if (isDecryptionKey(decryptionKey)) return /** @type {CryptoKey} */ (decryptionKey);
  throw new WasmAIError(
    'ARGUMENT',
    'decryptionKey',
    'must be a CryptoKey for HKDF with the usages deriveKey and deriveBits: make it with ' +
      'importDecryptionKey(the text of NAME.jwk, or its 32 bytes), or leave decryptionKey out',
  );
}

/**
 * What `wasm-ai keygen --encryption` wrote, as text, or the key's 32 bytes -> a key for `load`.
 * Nobody gets its bytes out of it again, this script included.
 * @param {string | BufferSource} key @returns {Promise<CryptoKey>}
 */
export async function importDecryptionKey(key) {
  const where = 'importDecryptionKey';
  const subtle = subtleFor(where, 'packages cannot be decrypted');
  const bytes = typeof key === 'string' ? bytesOfJwk(key) : key;
  if (!(ArrayBuffer.isView(bytes) || bytes instanceof ArrayBuffer) || bytes.byteLength !== KEY_SIZE)
    throw new WasmAIError(
      'ARGUMENT',
      where,
      'give the text of a key as `wasm-ai keygen --encryption` writes it, or its 32 bytes',
    );
  return subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey', 'deriveBits']);
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer> | null} */
export function bytesOfJwk(text) {
  try {
    const { kty, k } = JSON.parse(text);
    if (kty !== 'oct' || typeof k !== 'string') return null;
    const bytes = bytesOfBase64(k.replace(/-/g, '+').replace(/_/g, '/'));
    return bytes.length === KEY_SIZE ? bytes : null;
  } catch {
    return null;
  }
}

/** The name under which a key is written into files: says nothing about it. @param {CryptoKey} key */
export async function keyIdOf(key) {
  const bytes = await deriveBytes(key, new Uint8Array(0), KEY_ID_INFO, 64);
  return `wasm-ai:${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/**
 * An encrypted package, opened and checked like any other. The header is not part of what AES-GCM
 * protects, so all of it must be what it has to be.
 * @param {Uint8Array<ArrayBuffer>} bytes @param {CryptoKey} key @param {string} where
 */
export async function openEncrypted(bytes, key, where) {
  const keyId = await keyIdOf(key);
  const named = encryptedFor(bytes);
  if (named === null) throw damaged(where, 'this is not an encrypted package');
  if (named !== keyId) throw damaged(where, `it is for key ${named}, and ${keyId} was given`);
  const { recordSize } = readRecordHeader(bytes, where);
  if (recordSize !== RECORD_SIZE) throw damaged(where, `its records are of ${recordSize} bytes`);
  const plain = await decryptRecords(bytes, key, AES256GCM, where);
  const { certificate, head } = await checkPackage(plain, where);
  return { plain, certificate, head };
}

/**
 * The same for whoever answers by messages: the package, or why not as data.
 * @param {ArrayBuffer} pack @param {CryptoKey} key @param {string} where
 * @returns {Promise<{ plain?: Uint8Array<ArrayBuffer>, failed?: import('./errors.js').ErrorData }>}
 */
export async function decrypted(pack, key, where) {
  try {
    return { plain: (await openEncrypted(new Uint8Array(pack), key, where)).plain };
  } catch (error) {
    return { failed: errorToData(error) };
  }
}
