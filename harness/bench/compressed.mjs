// Bytes as a server would send them. Brotli at its best takes half a minute for the largest peer, so what came out is
// kept in the cache, by content.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { cacheRoot } from '../toolchain/cache.mjs';

const METHODS = {
  gzip: (bytes) => promisify(gzip)(bytes, { level: 9 }),
  br: (bytes) =>
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 11,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
};

/** @param {Uint8Array} bytes @param {'gzip' | 'br'} method @returns {Promise<Buffer>} */
export async function compressed(bytes, method) {
  const folder = join(cacheRoot(), 'compressed');
  mkdirSync(folder, { recursive: true });
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
  const file = join(folder, `${digest}.${method}`);
  try {
    return readFileSync(file);
  } catch {
    const small = await METHODS[method](bytes);
    writeFileSync(file, small);
    return small;
  }
}
