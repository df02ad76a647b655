// Target `encrypted`: encrypted packages, which any server may have changed, opened with a key that is
// ours. The first byte of an input says whether what follows is the file itself, or what stands in a file
// that is encrypted rightly: so that changes get behind AES-GCM too, to padding, marks and the package.
// A changed file that opens is a finding: nothing of it, the header included, may be another byte.

import { Buffer } from 'node:buffer';
import { importDecryptionKey, openEncrypted } from '../../web/encryption.js';
import { AES256GCM } from '../../web/records.js';
import { encryptionKeyId, encryptPackage, encryptRecords } from '../encryption.mjs';
import { mutate } from './random.mjs';
import { packages } from './seeds.mjs';

const KEY = new Uint8Array(32).fill(7);
const SALT = new Uint8Array(16).fill(9);
const keyId = encryptionKeyId(KEY);
const key = importDecryptionKey(KEY);

/** What the first byte says. */
const FILE = 0;
const CONTENT = 1;
const MOST_SEED = 1 << 15;
/** Of the header: salt, record size, length of the key id and the key id. */
const HEADER_SIZE = 21 + keyId.length;

const of = (/** @type {number} */ kind, /** @type {Uint8Array} */ bytes) =>
  Buffer.concat([Uint8Array.of(kind), bytes]);
/** @param {Uint8Array} content @param {number} recordSize */
const encrypted = (content, recordSize) =>
  encryptRecords(content, KEY, { coding: AES256GCM, salt: SALT, recordSize, keyId });

/** Files as they were made, in base64. @type {Set<string>} */
const made = new Set();

/** @type {import('./javascript.mjs').Target} */
export const encryptedTarget = {
  name: 'encrypted',
  async run(input) {
    const body = input.subarray(1);
    const file = input[0] === CONTENT ? encrypted(body, 65536) : body;
    const { plain } = await openEncrypted(new Uint8Array(file), await key, 'x.wai');
    if (input[0] !== CONTENT && !made.has(body.toString('base64')))
      throw new Error('the file was changed, and it opens');
    return `${plain.length % 16}`;
  },
  async seeds() {
    const packs = (await packages(false)).filter(({ length }) => length <= MOST_SEED).slice(0, 40);
    const files = packs.map((pack) => encryptPackage(pack, KEY));
    // The last: what the small records below are with another number in the header.
    for (const file of [...files, encrypted(packs[0], 65536)]) made.add(file.toString('base64'));
    return [
      ...files.map((file) => of(FILE, file)),
      ...packs.map((pack) => of(CONTENT, pack)),
      of(FILE, encrypted(packs[0], 1024)), // records of another size, and of many
      of(FILE, encryptPackage(new Uint8Array(0), KEY)),
    ];
  },
  words: [Buffer.from(keyId), Buffer.from([0, 1, 0, 0]), Buffer.from([2]), Buffer.from([1, 0, 0])],
  /** Of a file, mostly the header: behind it each change is the same refusal. */
  change(random, input, donors) {
    const kind = input[0];
    const body = input.subarray(1);
    const same = donors.filter((donor) => donor[0] === kind).map((donor) => donor.subarray(1));
    const from = { words: encryptedTarget.words, donors: same };
    if (kind === CONTENT || random.once(8)) return of(kind, mutate(random, body, from));
    const head = mutate(random, body.subarray(0, HEADER_SIZE), { words: from.words });
    return of(kind, Buffer.concat([head, body.subarray(HEADER_SIZE)]));
  },
};
