/**
 * Encrypted bytes in records, as RFC 8188 lays them out: a header (salt, record size, key id) and
 * records of AES-GCM, the nonce of each made from its number, the last one marked as the last. The
 * content key comes out of the caller's key by HKDF-SHA-256; which AES it is for is a parameter.
 */
import { WasmAIError } from './errors.js';
import { subtleFor } from './subtle.js';

const SALT_SIZE = 16;
const FIXED_SIZE = 21; // salt, u32 record size, u8 length of the key id
const NONCE_SIZE = 12;
const TAG_SIZE = 16;
const LAST = 2; // behind the last record's content; 1 behind that of the others; then zeros

/** @param {string} text */
export const ascii = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/**
 * @typedef {object} Coding
 * @property {string} info  for HKDF: what the content key is for
 * @property {number} bits  of the content key
 */
/** What packages use. RFC 8188 names only its sibling with 128 bits. @type {Coding} */
export const AES256GCM = { info: 'Content-Encoding: aes256gcm\0', bits: 256 };
const NONCE_INFO = 'Content-Encoding: nonce\0';

/** @param {Uint8Array} bytes @param {string} where */
export function readRecordHeader(bytes, where) {
  const size = FIXED_SIZE + (bytes[FIXED_SIZE - 1] ?? 0);
  if (bytes.length < size) throw damaged(where, 'it ends in its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  const recordSize = view.getUint32(SALT_SIZE);
  if (recordSize < TAG_SIZE + 2) throw damaged(where, 'records of no content');
  return {
    size,
    recordSize,
    salt: bytes.slice(0, SALT_SIZE),
    keyId: String.fromCharCode(...bytes.subarray(FIXED_SIZE, size)),
  };
}

/** @param {CryptoKey} key @param {BufferSource} salt @param {string} info @param {number} bits */
export async function deriveBytes(key, salt, info, bits) {
  const how = { name: 'HKDF', hash: 'SHA-256', salt, info: ascii(info) };
  return new Uint8Array(await crypt().deriveBits(how, key, bits));
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes header and records @param {CryptoKey} key for HKDF
 * @param {Coding} coding @param {string} where @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function decryptRecords(bytes, key, { info, bits }, where) {
  const { size, recordSize, salt } = readRecordHeader(bytes, where);
  const how = { name: 'HKDF', hash: 'SHA-256', salt, info: ascii(info) };
  const aes = { name: 'AES-GCM', length: bits };
  const contentKey = await crypt().deriveKey(how, key, aes, false, ['decrypt']);
  const base = await deriveBytes(key, salt, NONCE_INFO, 8 * NONCE_SIZE);
  const plain = new Uint8Array(bytes.length);
  let written = 0;
  let number = 0;
  for (let at = size; at < bytes.length || number === 0; at += recordSize, number++) {
    const record = bytes.subarray(at, at + recordSize);
    const iv = nonceOf(base, number);
    const opened = await crypt()
      .decrypt({ name: 'AES-GCM', iv }, contentKey, record)
      .catch(() => {
        const to = at + record.length - 1;
        throw damaged(where, `bytes ${at} to ${to} cannot be decrypted`);
      });
    const content = contentOf(new Uint8Array(opened), at + recordSize >= bytes.length, where);
    plain.set(content, written);
    written += content.length;
  }
  return plain.subarray(0, written);
}

const crypt = () => subtleFor('decryptionKey', 'packages cannot be decrypted');

/** @param {Uint8Array} base @param {number} number */
function nonceOf(base, number) {
  const nonce = base.slice();
  for (let i = NONCE_SIZE - 1, rest = number; rest > 0; i--, rest = Math.floor(rest / 256))
    nonce[i] ^= rest % 256;
  return nonce;
}

/** A record without its mark and its padding. @param {Uint8Array} record @param {boolean} isLast @param {string} where */
function contentOf(record, isLast, where) {
  let end = record.length - 1;
  while (end >= 0 && record[end] === 0) end--;
  if (record[end] !== (isLast ? LAST : 1)) {
    throw damaged(
      where,
      isLast ? 'it was cut: its last record is not there' : 'records follow the last one',
    );
  }
  return record.subarray(0, end);
}

/** @param {string} where @param {string} what */
export function damaged(where, what) {
  return new WasmAIError(
    'INTEGRITY',
    where,
    `${what}: the decryptionKey is not the one that it was encrypted with, or the file was ` +
      'changed or damaged; fetch it again, or give the right key',
  );
}
