// A stand-in for the runtime and for packages: what the loader's protocol is tested with.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import wabt from 'wabt';

export const CHUNK = 262144;

/** The stub runtime as wasm, assembled from the text beside this file. */
export async function stubRuntime() {
  const tools = await wabt();
  const module = tools.parseWat(
    'stub-runtime.wat',
    readFileSync(new URL('./stub-runtime.wat', import.meta.url), 'utf8'),
  );
  return Buffer.from(module.toBinary({}).buffer);
}

export async function writeStubRuntime(path) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, await stubRuntime());
  return path;
}

/**
 * Package bytes that the stub runtime understands; every field can be set to a lie. `extra` bytes
 * follow the head, which is 256 bytes as long as they are one chunk.
 * @param {{ mode?: number, peakSize?: number, packageSize?: number, version?: number, flags?: number, seal?: boolean, extra?: number }} [lies]
 */
export function stubPackage({
  mode = 0,
  peakSize = 131072,
  packageSize,
  version = 3,
  flags = 0,
  seal: sealed = true,
  extra = 64,
} = {}) {
  const head = 64 * Math.ceil((152 + 48 * (Math.ceil(extra / CHUNK) + 1)) / 64);
  const bytes = Buffer.alloc(head + extra);
  for (let at = head + 64; at < bytes.length - 3; at += 64) bytes.writeUInt32LE(at, at); // no two chunks alike
  bytes.write('WAI\x1a', 0, 'latin1');
  bytes.writeUInt32LE(version, 4);
  bytes.writeUInt32LE(1, 8);
  bytes.writeUInt32LE(flags, 12);
  const wide = [
    [16, packageSize ?? bytes.length],
    [24, 1024],
    [32, 512],
    [40, peakSize],
    [48, 1234],
    [56, 56789],
    [136, head],
  ];
  for (const [offset, value] of wide) bytes.writeBigUInt64LE(BigInt(value), offset);
  bytes.writeUInt32LE(3, 64);
  bytes.writeUInt32LE(1, 68);
  bytes.fill(0xab, 72, 120);
  bytes[head] = mode;
  return sealed ? seal(bytes) : bytes;
}

/**
 * Make the hashes of the chunks and of the head right (core/package/format.h), as far as sizes
 * that may be lies let it; otherwise the bytes stay as they are.
 * @param {any} bytes
 */
export function seal(bytes) {
  const head = bytes.length < 152 ? 0 : Number(bytes.readBigUInt64LE(136));
  const chunks = Math.ceil((bytes.length - head) / CHUNK);
  const table = head - 48 * (chunks + 1);
  if (chunks < 0 || table < 152) return bytes;
  const put = (from, to, at) =>
    createHash('sha384').update(bytes.subarray(from, to)).digest().copy(bytes, at);
  for (let i = 0; i < chunks; i++) put(head + i * CHUNK, head + (i + 1) * CHUNK, table + 48 * i);
  put(0, head - 48, head - 48);
  return bytes;
}

/** From now on, how many modules were compiled since it was last asked. @returns {() => number} */
export function countCompiled() {
  let compiled = 0;
  WebAssembly.Module = /** @type {any} */ (
    new Proxy(WebAssembly.Module, {
      construct(target, args) {
        compiled++;
        return Reflect.construct(target, args);
      },
    })
  );
  return () => {
    const count = compiled;
    compiled = 0;
    return count;
  };
}
