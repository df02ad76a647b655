/**
 * The certificate: what a package states about itself in its first bytes, and
 * how large its head is. Layout in core/package/format.h. The loader sizes
 * memory from it; the runtime proves it again from the rest of the package.
 */
import { WasmAIError } from './errors.js';

/** @typedef {import('./wasmai.d.ts').Certificate} Certificate */

/** With the place of the first section, which is where the head ends. */
export const HEADER_SIZE = 152;
export const DIGEST_SIZE = 48;
export const CHUNK_SIZE = 262144;
/** Of an encrypted package: bytes of a record (RFC 8188, web/records.js). */
export const RECORD_SIZE = 65536;
const ALIGN = 64;
const TABLE_AT = 128;
const ENTRY_SIZE = 24;
/** Where the first section begins, which is where the head ends. */
const HEAD_END_AT = TABLE_AT + 8;
export const GOLDEN_SECTION = 7;
/** More sections than any package has. */
const MAX_TABLE = 4096;
export const PAGE_SIZE = 65536;
const FORMAT_VERSION = 3;
const MAX_PAGES = 65536; // 4 GiB, all that wasm32 can address

/** First bytes that are something else, and what to do about it. @type {[RegExp, string][]} */
const LOOKALIKES = [
  [
    /^\s*<(!doctype|html|head|\?xml)/i,
    'your server returned HTML instead of the package: check the path, and that a ' +
      'missing file answers 404 instead of a page',
  ],
  [/^version \S+git-lfs/, 'this is a Git LFS pointer, not the file itself: run `git lfs pull`'],
  [/^\0asm/, 'this is a wasm module, not a package'],
  [
    /^\x08[\x01-\x20][\x12\x1a\x22\x2a\x32\x3a\x42]/,
    'this looks like an ONNX file: compile it first with `wasm-ai compile`',
  ],
  [/^\x1f\x8b/, 'this is gzip data: serve it with `Content-Encoding: gzip`, or unpack it first'],
];

/**
 * @param {Uint8Array} bytes at least the first HEADER_SIZE bytes, or all there are
 * @param {string} where
 * @returns {Certificate}
 */
export function readCertificate(bytes, where) {
  const bad = (/** @type {string} */ message) => new WasmAIError('MALFORMED', where, message);
  if (bytes.length === 0) throw bad('the file is empty');
  const keyId = encryptedFor(bytes);
  if (keyId) {
    throw new WasmAIError(
      'ARGUMENT',
      where,
      `this package is encrypted, for key ${keyId}: give that key (load: decryptionKey; wasm-ai: --decrypt, build: --encrypt)`,
    );
  }
  if (!hasMagic(bytes)) {
    const start = String.fromCharCode(...bytes.subarray(0, 64));
    const known = LOOKALIKES.find(([pattern]) => pattern.test(start));
    throw bad(known ? known[1] : 'this is not a WasmAI package (it does not start with "WAI")');
  }
  if (bytes.length < HEADER_SIZE)
    throw bad(`truncated: ${bytes.length} bytes, less than the smallest package`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_SIZE);
  const version = view.getUint32(4, true);
  if (version !== FORMAT_VERSION) {
    throw new WasmAIError(
      'UNSUPPORTED',
      where,
      `package format ${version}, but this loader reads format ` +
        `${FORMAT_VERSION}: compile the model again, with the same release as the loader`,
    );
  }
  const flags = view.getUint32(12, true);
  if (flags !== 0)
    throw new WasmAIError('UNSUPPORTED', where, `unknown package flags 0x${flags.toString(16)}`);
  const wide = (/** @type {number} */ offset, /** @type {string} */ name) => {
    const value = view.getBigUint64(offset, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw bad(`${name} in the header is ${value}, which cannot be true`);
    return Number(value);
  };
  const certificate = {
    packageSize: wide(16, 'package size'),
    headSize: wide(HEAD_END_AT, 'head size'),
    arenaSize: wide(24, 'arena size'),
    stateSize: wide(32, 'state size'),
    peakSize: wide(40, 'peak size'),
    paramCount: wide(48, 'parameter count'),
    flopCount: wide(56, 'operation count'),
    fuel: wide(120, 'fuel'),
    layout: view.getUint32(8, true),
    stepCount: view.getUint32(64, true),
    sourceDigest: hex(bytes.subarray(72, 72 + DIGEST_SIZE)),
  };
  const { packageSize, headSize } = certificate;
  const least = HEADER_SIZE + (chunkCount(certificate) + 1) * DIGEST_SIZE;
  if (packageSize < headSize)
    throw bad(`the header says ${packageSize} bytes, less than the head alone`);
  if (headSize % ALIGN !== 0 || headSize < least || headSize > least + MAX_TABLE)
    throw bad(`the header says a head of ${headSize} bytes, which cannot be true`);
  if (certificate.peakSize < packageSize)
    throw bad('the header says a peak memory smaller than the package');
  return Object.freeze(certificate);
}

/**
 * The id of the key that an encrypted package is for, from the header of its records; null of
 * anything else. @param {Uint8Array} bytes
 */
export function encryptedFor(bytes) {
  const id = String.fromCharCode(...bytes.subarray(20, 45));
  return /^\x18wasm-ai:[0-9a-f]{16}$/.test(id) ? id.slice(1) : null;
}

/** "WAI" 0x1a, as every package begins that is not encrypted. @param {Uint8Array} bytes */
export const hasMagic = (bytes) =>
  bytes[0] === 0x57 && bytes[1] === 0x41 && bytes[2] === 0x49 && bytes[3] === 0x1a;

/** How many chunks follow the head. @param {Pick<Certificate, 'packageSize' | 'headSize'>} certificate */
export function chunkCount({ packageSize, headSize }) {
  return Math.ceil((packageSize - headSize) / CHUNK_SIZE);
}

/**
 * Where one of its sections begins and ends, or null: by a head whose hash was checked, which says nothing
 * about where its sections lie.
 * @param {Uint8Array} head @param {number} kind @param {number} packageSize @returns {[from: number, to: number] | null}
 */
export function sectionRange(head, kind, packageSize) {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const end = TABLE_AT + view.getUint32(68, true) * ENTRY_SIZE;
  for (let at = TABLE_AT; at + ENTRY_SIZE <= Math.min(end, head.length); at += ENTRY_SIZE) {
    if (view.getUint32(at, true) !== kind) continue;
    const [offset, size] = [8, 16].map((field) => Number(view.getBigUint64(at + field, true)));
    return offset + size <= packageSize ? [offset, offset + size] : null;
  }
  return null;
}

/** A copy of one of its sections, or null. @param {Uint8Array} pack @param {number} kind */
export function sectionOf(pack, kind) {
  const range = sectionRange(pack, kind, pack.length);
  return range && pack.slice(...range);
}

/**
 * What a session has to know of a checked package once its bytes are elsewhere: the certificate's
 * bytes, the digest of the head, and the golden outputs. All that a page gets of an encrypted one.
 * @param {Uint8Array} pack
 */
export function aboutOf(pack) {
  const view = new DataView(pack.buffer, pack.byteOffset, HEADER_SIZE);
  const end = Number(view.getBigUint64(HEAD_END_AT, true));
  return {
    header: pack.slice(0, HEADER_SIZE),
    head: hex(pack.subarray(end - DIGEST_SIZE, end)),
    golden: sectionOf(pack, GOLDEN_SECTION),
  };
}

/**
 * Pages for one instance; refuses above the cap before anything is allocated.
 * @param {Certificate} certificate @param {number} capMB @param {string} where
 */
export function pagesOf(certificate, capMB, where) {
  const cap = Math.min(capMB * 1048576, MAX_PAGES * PAGE_SIZE);
  const pages = Math.ceil(certificate.peakSize / PAGE_SIZE);
  if (pages * PAGE_SIZE > cap) {
    throw new WasmAIError(
      'LIMIT',
      where,
      `the model needs ${mebibytes(pages * PAGE_SIZE)} MiB of memory, more than the ` +
        `allowed ${mebibytes(cap)} MiB: raise maxHeapMB (at build time MAX_HEAP_SIZE) or use a smaller model`,
    );
  }
  return pages;
}

/** @param {number} bytes */
function mebibytes(bytes) {
  return Number((bytes / 1048576).toFixed(bytes % 1048576 ? 2 : 0));
}

/** @param {Uint8Array} bytes */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
