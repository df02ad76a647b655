// Encrypting packages, and the keys for it; with Node's crypto, so that the loader's WebCrypto
// (web/records.js, web/encryption.js) is checked against another hand's work. The format: README.md.
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { encryptedFor, RECORD_SIZE, readCertificate } from '../web/certificate.js';
import { bytesOfJwk, importDecryptionKey, openEncrypted } from '../web/encryption.js';
import { WasmAIError } from '../web/errors.js';
import { AES256GCM } from '../web/records.js';
import { readBytes } from './files.mjs';
import { warnOfReaders, writeKeyFiles } from './signing.mjs';

const KEY_SIZE = 32;
const TAG_SIZE = 16;
const derive = (key, salt, info, size) => Buffer.from(hkdfSync('sha256', key, salt, info, size));

/** The name of a key in files: says nothing about it. @param {Uint8Array} key */
export const encryptionKeyId = (key) =>
  `wasm-ai:${derive(key, '', 'wasm-ai key id\0', 8).toString('hex')}`;

/** A new key as NAME.jwk (RFC 7517, for its owner's eyes); never over a file. @param {string} name */
export async function makeEncryptionKey(name) {
  const file = `${name.replace(/\.jwk$/, '')}.jwk`;
  const key = randomBytes(KEY_SIZE);
  const keyId = encryptionKeyId(key);
  const jwk = { kty: 'oct', use: 'enc', kid: keyId, k: key.toString('base64url') };
  await writeKeyFiles([{ file, text: `${JSON.stringify(jwk)}\n`, secret: true }]);
  return { keyFile: file, keyId };
}

/**
 * A key file: what makeEncryptionKey writes, or 32 bytes of somebody's own.
 * @param {string} file @param {(note: string) => void} [onNote] @returns {Promise<Uint8Array>}
 */
export async function readEncryptionKey(file, onNote) {
  const bytes = await readBytes(file);
  const key = bytes.length === KEY_SIZE ? bytes : bytesOfJwk(Buffer.from(bytes).toString('latin1'));
  if (!key) {
    throw new WasmAIError(
      'ARGUMENT',
      file,
      'this is not an encryption key: make one with `wasm-ai keygen --encryption`',
    );
  }
  warnOfReaders(file, await stat(file), onNote);
  return key;
}

/**
 * RFC 8188: header, then records of `recordSize` bytes.
 * @param {Uint8Array} bytes @param {Uint8Array} key
 * @param {{ coding: import('../web/records.js').Coding, salt: Uint8Array, recordSize: number, keyId: string }} how
 */
export function encryptRecords(bytes, key, { coding, salt, recordSize, keyId }) {
  const header = Buffer.alloc(21 + keyId.length);
  header.set(salt);
  header.writeUInt32BE(recordSize, 16);
  header[20] = keyId.length;
  header.write(keyId, 21, 'latin1');
  const contentKey = derive(key, salt, coding.info, coding.bits / 8);
  const base = derive(key, salt, 'Content-Encoding: nonce\0', 12);
  const room = recordSize - TAG_SIZE - 1;
  const count = Math.max(1, Math.ceil(bytes.length / room));
  const parts = [header];
  for (let i = 0; i < count; i++) {
    const nonce = Buffer.from(base);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ i) >>> 0, 8); // packages have less than 2^32 records
    const cipher = createCipheriv(
      /** @type {import('node:crypto').CipherGCMTypes} */ (`aes-${coding.bits}-gcm`),
      contentKey,
      nonce,
    );
    const mark = Buffer.of(i === count - 1 ? 2 : 1);
    parts.push(cipher.update(bytes.subarray(i * room, (i + 1) * room)), cipher.update(mark));
    cipher.final();
    parts.push(cipher.getAuthTag());
  }
  return Buffer.concat(parts);
}

/**
 * A package for those who have the key. Every call gives other bytes: the salt is random.
 * @param {Uint8Array} bytes @param {Uint8Array} key 32 bytes
 */
export function encryptPackage(bytes, key) {
  if (!(key instanceof Uint8Array) || key.length !== KEY_SIZE)
    throw new WasmAIError('ARGUMENT', 'encryptPackage', `the key must be ${KEY_SIZE} bytes`);
  const keyId = encryptionKeyId(key);
  const salt = randomBytes(16);
  return encryptRecords(bytes, key, { coding: AES256GCM, salt, recordSize: RECORD_SIZE, keyId });
}

/** What is in it. @param {Uint8Array} bytes @param {Uint8Array} key @param {string} where */
export async function decryptPackage(bytes, key, where) {
  const imported = await importDecryptionKey(new Uint8Array(key));
  return (await openEncrypted(new Uint8Array(bytes), imported, where)).plain;
}

/**
 * For commands with --decrypt: a file's bytes, decrypted where they are encrypted.
 * @param {string} file @param {string | undefined} keyFile @param {(note: string) => void} [onNote]
 */
export async function readPlain(file, keyFile, onNote) {
  const bytes = await readBytes(file);
  if (!keyFile) {
    if (encryptedFor(bytes) !== null) readCertificate(bytes, file); // says which key is needed
    return bytes;
  }
  const key = await readEncryptionKey(keyFile, onNote);
  if (encryptedFor(bytes) === null)
    throw new WasmAIError('ARGUMENT', '--decrypt', `${file} is not encrypted: leave it out`);
  return decryptPackage(bytes, key, file);
}
