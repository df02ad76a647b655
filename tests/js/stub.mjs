// A stand-in for the runtime and for packages: what the loader's protocol is tested with.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import wabt from 'wabt';

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
 * Package bytes that the stub runtime understands; every field can be set to a lie.
 * @param {{ mode?: number, peakSize?: number, packageSize?: number, version?: number, flags?: number, seal?: boolean, extra?: number }} [lies]
 */
export function stubPackage({
  mode = 0,
  peakSize = 131072,
  packageSize,
  version = 2,
  flags = 0,
  seal: sealed = true,
  extra = 64,
} = {}) {
  const bytes = Buffer.alloc(256 + extra + 48);
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
  ];
  for (const [offset, value] of wide) bytes.writeBigUInt64LE(BigInt(value), offset);
  bytes.writeUInt32LE(3, 64);
  bytes.writeUInt32LE(1, 68);
  bytes.fill(0xab, 72, 120);
  bytes[256] = mode;
  return sealed ? seal(bytes) : bytes;
}

/** Write the right digest at the end. */
export function seal(bytes) {
  createHash('sha384')
    .update(bytes.subarray(0, bytes.length - 48))
    .digest()
    .copy(bytes, bytes.length - 48);
  return bytes;
}
