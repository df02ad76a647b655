/**
 * All bytes of a package in a buffer of our own, checked while they come in: the head against what
 * is pinned or signed before room is made for the rest, each chunk against the head as soon as it is
 * whole, by the worker that opens it where there is one. The first bad one ends the download.
 */
import { encryptedFor, HEADER_SIZE, hasMagic, pagesOf, readCertificate } from './certificate.js';
import { ChunkChecks, checkHead, sha384Of, wrongSize } from './chunks.js';
import { WasmAIError } from './errors.js';
import { checkContent, signatureError } from './jws.js';
import { Keeping, Pouring } from './pouring.js';
import { abortedError } from './rpc.js';
import { partsOf } from './sources.js';
import { letOthersRun } from './turns.js';

/** @typedef {import('./signature.js').Proof} Proof */
/** @typedef {import('./sources.js').Source} Source */

/**
 * @typedef {object} Receiving
 * @property {number} capMB
 * @property {AbortSignal | undefined} signal
 * @property {(progress: import('./wasmai.d.ts').Progress) => void} onProgress
 * @property {Promise<Proof> | null} proof  of its signature: a bad one ends the download
 * @property {boolean} encrypted  then it is checked as it is here, and what is in it where it is decrypted
 * @property {(certificate: import('./wasmai.d.ts').Certificate) => Destination} pour  where it goes
 */

/**
 * Not kept: only there. Kept: here, and there as well unless the sink comes out as null.
 * @typedef {{ kept: false, sink: Promise<import('./pouring.js').Sink> }
 *   | { kept: true, sink: Promise<import('./pouring.js').Sink | null> | null }} Destination
 */

/**
 * All of it as `bytes` where it is kept; what is to be known of it where it was poured.
 * @typedef {{ size: number, bytes: Uint8Array<ArrayBuffer> | null, about: import('./pouring.js').AboutBytes | null,
 *   proof: Proof | null }} Received
 */

/** @param {Source} source @param {Receiving} options @returns {Promise<Received>} */
export async function receivePackage(source, options) {
  const { parts, refused } = await openSource(source, options);
  try {
    const take = options.encrypted ? receiveEncrypted : receive;
    return await take(source, { ...options, parts, refused });
  } catch (error) {
    parts.cancel();
    throw error;
  }
}

/** @param {Source} source @param {Receiving} options */
async function openSource({ where, open }, { signal, proof }) {
  /** @type {Promise<never>} */
  const aborted = new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(abortedError(where)), { once: true });
  });
  aborted.catch(() => {});
  const opened = await Promise.race([open(), aborted]);
  // Only now: where package and signature are both missing, the address is wrong.
  /** @type {Promise<never>} */
  const refused = new Promise((_, reject) => {
    proof?.catch(reject);
    aborted.catch(reject);
  });
  refused.catch(() => {});
  return { parts: partsOf(opened, where), refused };
}

/** @typedef {Receiving & { parts: import('./sources.js').Parts, refused: Promise<never> }} Taking */

/** @param {Source} source @param {Taking} options */
async function receive(source, options) {
  const { capMB, onProgress, proof: proofComing, parts, refused } = options;
  const { where } = source;
  const next = () => Promise.race([parts.next(), refused]);
  const header = await atLeast(HEADER_SIZE, new Uint8Array(0), next);
  const stated = readCertificate(header, where);
  pagesOf(stated, capMB, where);
  const start = await atLeast(stated.headSize, header, next);
  if (start.length < stated.headSize) throw wrongSize(stated.packageSize, start.length, where);

  const head = start.slice(0, stated.headSize); // a caller's bytes may change under our hands
  const certificate = readCertificate(head, where);
  const { packageSize: size, headSize } = certificate;
  if (headSize !== head.length) throw wrongSize(headSize, head.length, where);
  const digest = await Promise.race([checkHead(head, where), refused]);
  const proof = await Promise.race([proofComing, refused]);
  if (proof) checkContent(proof.claims, { size, head: digest }, where);
  if (source.head && source.head !== digest) throw notPinned(where);
  const room = await Promise.race([roomFor(head, certificate, source, options), refused]);
  const checks = new ChunkChecks(head, certificate, where, room);
  const nextGood = () => Promise.race([parts.next(), refused, checks.failed]);
  let loaded = head.length;
  for (
    let part = /** @type {Uint8Array | null} */ (start.subarray(loaded));
    part;
    part = await nextGood()
  ) {
    if (part.length > size - loaded) throw wrongSize(size, loaded + part.length, where);
    room.set(part, loaded);
    loaded += part.length;
    await Promise.race([checks.advance(loaded), refused]);
    await letOthersRun(); // bytes that are there already would come without a pause
    onProgress({ loaded, total: size, phase: 'download' });
  }
  if (loaded !== size) throw wrongSize(size, loaded, where);
  onProgress({ loaded, total: size, phase: 'verify' });
  await Promise.race([checks.end(), refused]);
  // Whoever pins the whole file pays for a second pass over it.
  const { bytes } = room;
  const whole = source.sha384 && bytes && (await sha384Of(bytes, where));
  if (source.sha384 !== whole) throw notPinned(where);
  return { size, bytes, about: await room.about(), proof: proof ?? null };
}

/**
 * @param {Uint8Array<ArrayBuffer>} head @param {import('./wasmai.d.ts').Certificate} certificate
 * @param {Source} source @param {Taking} options @returns {Promise<import('./pouring.js').Room>}
 */
async function roomFor(head, certificate, { where, sha384 }, { pour }) {
  const { kept, sink } = sha384 === null ? pour(certificate) : KEPT_HERE;
  if (!kept) return Pouring.into(await sink, head, certificate);
  const bytes = allocate(certificate.packageSize, where);
  bytes.set(head);
  return new Keeping(bytes, head.length, sink, where);
}

/** Where all bytes together must have a hash, too. */
const KEPT_HERE = { kept: /** @type {const} */ (true), sink: null };

/**
 * An encrypted package shows no head: pins and signatures are of the whole file, checked at its end.
 * AES-GCM finds damage even where there are none of them.
 * @param {Source} source @param {Taking} options
 */
async function receiveEncrypted({ where, sha384 }, options) {
  const { onProgress, proof: proofComing, refused } = options;
  const proof = await Promise.race([proofComing, refused]);
  const bytes = await receiveAll(where, options, proof?.claims.size ?? null);
  const total = bytes.length;
  onProgress({ loaded: total, total, phase: 'verify' });
  const digest = proof || sha384 ? await sha384Of(bytes, where) : '';
  if (proof) checkContent(proof.claims, { size: total, sha384: digest, head: null }, where);
  if (sha384 && sha384 !== digest) throw notPinned(where);
  if (encryptedFor(bytes) === null) throw notEncrypted(where);
  return { size: total, bytes, about: null, proof: proof ?? null };
}

/**
 * A file whose size nobody knows, or that was signed with one.
 * @param {string} where @param {Taking} options @param {number | null} signed
 */
async function receiveAll(where, { capMB, onProgress, parts, refused }, signed) {
  const most = signed ?? Math.floor(capMB * 1048576 * 1.01); // more than it can need, whatever is in it
  const next = () => Promise.race([parts.next(), refused]);
  /** @type {Uint8Array[]} */
  const pieces = [];
  let loaded = 0;
  for (let part = await next(); part; part = await next()) {
    // Not by its first bytes alone: an encrypted file begins with a salt, which is any.
    if (loaded === 0 && hasMagic(part) && encryptedFor(part) === null) throw notEncrypted(where);
    pieces.push(part);
    loaded += part.length;
    if (loaded > most) {
      const why = `there are more than the ${most} bytes that `;
      throw signed === null
        ? new WasmAIError('LIMIT', where, `${why}fit into the allowed memory: raise maxHeapMB`)
        : signatureError(where, `${why}were signed: deploy package and signature together`);
    }
    onProgress({ loaded, total: signed ?? loaded, phase: 'download' });
  }
  return fill(allocate(loaded, where), pieces);
}

/** @param {string} where */
function notEncrypted(where) {
  return new WasmAIError(
    'INTEGRITY',
    where,
    'this is not an encrypted package, and a decryptionKey was given: it may have been replaced; ' +
      'deploy the encrypted one, or leave decryptionKey out',
  );
}

/** @param {string} where */
function notPinned(where) {
  return new WasmAIError(
    'INTEGRITY',
    where,
    'this is not the package that was pinned (its SHA-384 differs): build the site again ' +
      'or clear the cache in between',
  );
}

/**
 * `size` bytes from the start, or all there are.
 * @param {number} size @param {Uint8Array} start what came already
 * @param {() => Promise<Uint8Array | null>} next
 */
async function atLeast(size, start, next) {
  const pieces = [start];
  let length = start.length;
  while (length < size) {
    const part = await next();
    if (!part) break;
    pieces.push(part);
    length += part.length;
  }
  return pieces.length === 1 ? start : fill(new Uint8Array(length), pieces);
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {Uint8Array[]} pieces */
function fill(bytes, pieces) {
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** @param {number} size @param {string} where @returns {Uint8Array<ArrayBuffer>} */
function allocate(size, where) {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new WasmAIError(
      'MEMORY',
      where,
      `there is no room for the ${size} bytes of the package`,
      { cause },
    );
  }
}
