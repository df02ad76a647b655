// The loader and the engine in Node, against a stand-in runtime: sources, damage, lies.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import wabt from 'wabt';
import { buildDist } from '../../harness/dist.mjs';
import { seal, stubPackage, writeStubRuntime } from './stub.mjs';

let folder;
/** @type {typeof import('../../web/wasmai.d.ts')} */
let wasmai;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-loader-'));
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
  await buildDist({ out: join(folder, 'dist'), runtime, models: [join(folder, 'stub.wai')] });
  wasmai = await import(pathToFileURL(join(folder, 'dist/wasmai.js')).href);
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** @param {any} source @param {any} [options] */
async function failure(source, options) {
  try {
    const session = await wasmai.load(source, options);
    await session.close();
  } catch (error) {
    assert.ok(error instanceof wasmai.WasmAIError, `not a WasmAIError: ${error?.stack}`);
    assert.ok(error.message.length > 10 && error.where.length > 0);
    return error;
  }
  return null;
}

async function double(session) {
  const { y } = await session.run({ x: new Float32Array([1, 2, 3, 4]) });
  return [...y.data];
}

test('every kind of source opens the same model', async () => {
  const bytes = stubPackage();
  const path = join(folder, 'stub.wai');
  const oneByOne = new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const around = Buffer.concat([Buffer.from('xxxxx'), bytes, Buffer.from('yy')]);
  const view = new DataView(around.buffer, around.byteOffset + 5, bytes.length);
  for (const source of [
    path,
    pathToFileURL(path),
    new Response(bytes),
    oneByOne,
    new Uint8Array(bytes).buffer,
    bytes,
    view,
    pathToFileURL(join(folder, 'dist/models/stub.wai')),
  ]) {
    const session = await wasmai.load(source);
    assert.deepEqual(await double(session), [2, 4, 6, 8]);
    assert.equal(session.info.isolation, 'none');
    assert.equal(session.info.certificate.paramCount, 1234);
    await session.close();
  }
});

test("the caller's bytes stay the caller's: not taken, and changing them later changes nothing", async () => {
  const bytes = new Uint8Array(stubPackage());
  const loading = wasmai.load(bytes);
  bytes.fill(0);
  const session = await loading.catch((error) => error);
  // Either it saw the good bytes whole or refused: never a mixture.
  if (!(session instanceof wasmai.WasmAIError))
    assert.deepEqual(await double(session), [2, 4, 6, 8]);
  assert.equal(bytes.length, 320);
});

test('a package cut at any byte is refused as MALFORMED', async () => {
  const bytes = stubPackage();
  for (let size = 0; size < bytes.length; size++) {
    const error = await failure(bytes.subarray(0, size));
    assert.equal(error?.code, 'MALFORMED', `cut at ${size}`);
  }
});

test('a package with any byte changed is refused', async () => {
  const bytes = stubPackage();
  const codes = new Set();
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] ^= 0x41;
    const error = await failure(changed);
    assert.ok(error, `byte ${at}`);
    codes.add(error.code);
  }
  assert.deepEqual([...codes].sort(), ['INTEGRITY', 'LIMIT', 'MALFORMED', 'UNSUPPORTED']);
});

test('a header that lies is refused before memory is taken', async () => {
  const lies = [
    [stubPackage({ peakSize: 2 ** 41 }), 'LIMIT', /MiB/],
    [stubPackage({ packageSize: 2 ** 40, peakSize: 2 ** 41 }), 'MALFORMED', /head of 256 bytes/],
    [stubPackage({ peakSize: 100 }), 'MALFORMED', /peak memory/],
    [stubPackage({ packageSize: 10 }), 'MALFORMED', /10 bytes/],
    [stubPackage({ version: 2 }), 'UNSUPPORTED', /format 2, .* compile the model again/],
    [stubPackage({ flags: 4 }), 'UNSUPPORTED', /flags 0x4/],
    [Buffer.from('<!DOCTYPE html><title>x</title>'), 'MALFORMED', /HTML/],
    [Buffer.from('version https://git-lfs.github.com/spec/v1\n'), 'MALFORMED', /git lfs pull/],
    [Buffer.from('\x08\x07\x12\x07pytorch', 'latin1'), 'MALFORMED', /compile it first/],
    [Buffer.from([0x1f, 0x8b, 8, 0]), 'MALFORMED', /gzip/],
  ];
  const wide = stubPackage({ seal: false });
  wide.writeBigUInt64LE(2n ** 63n, 40);
  lies.push([seal(wide), 'MALFORMED', /peak size/]);
  for (const [bytes, code, message] of lies) {
    const error = await failure(bytes);
    assert.equal(error?.code, code, String(error?.message));
    assert.match(String(error?.message), message);
  }
});

test('a runtime that lies about its tensors is caught before its memory is read', async () => {
  for (const mode of [4, 5, 6, 7]) {
    const error = await failure(stubPackage({ mode }));
    assert.equal(error?.code, 'INTERNAL', `mode ${mode}`);
  }
  assert.equal((await failure(stubPackage({ mode: 1 })))?.code, 'TRAP');
  const refused = await failure(stubPackage({ mode: 2 }));
  assert.equal(refused?.code, 'UNSUPPORTED');
  assert.match(refused.message, /^stub node: failed because/);
});

test('a runtime that imports more than its memory is refused', async () => {
  const tools = await wabt();
  const text = '(module (import "env" "memory" (memory 1)) (import "env" "fetch" (func)))';
  const runtime = join(folder, 'importing.wasm');
  writeFileSync(runtime, tools.parseWat('importing.wat', text).toBinary({}).buffer);
  await buildDist({ out: join(folder, 'importing'), runtime });
  const { load } = await import(pathToFileURL(join(folder, 'importing/wasmai.js')).href);
  await assert.rejects(load(stubPackage()), { code: 'INTEGRITY', message: /imports env\.fetch/ });
});

test('the memory is what the certificate states, and cannot grow', async () => {
  const Native = WebAssembly.Memory;
  /** @type {WebAssembly.Memory[]} */
  const made = [];
  WebAssembly.Memory = /** @type {any} */ (
    new Proxy(Native, {
      construct(target, args) {
        made.push(Reflect.construct(target, args));
        return made[made.length - 1];
      },
    })
  );
  try {
    const session = await wasmai.load(stubPackage({ peakSize: 3 * 65536 }));
    assert.equal(made.length, 1);
    assert.equal(made[0].buffer.byteLength, 3 * 65536);
    assert.throws(() => made[0].grow(1), RangeError);
    await session.close();
  } finally {
    WebAssembly.Memory = Native;
  }
});

test('MAX_HEAP_SIZE of the build holds at load, whatever the page asks for', async () => {
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  await buildDist({ out: join(folder, 'capped'), runtime, maxHeapMB: 1 });
  const { load } = await import(pathToFileURL(join(folder, 'capped/wasmai.js')).href);
  const large = stubPackage({ peakSize: 2 << 20 });
  await assert.rejects(load(large, { maxHeapMB: 64 }), { code: 'LIMIT', message: /2 MiB.*1 MiB/ });
  await (await load(stubPackage(), { maxHeapMB: 64 })).close();
});

test('a certificate too small for its own package is refused, not trusted', async () => {
  const error = await failure(stubPackage({ extra: 60000, peakSize: 65536 }));
  assert.equal(error?.code, 'MALFORMED');
});

test('a trap throws the instance away, and the next run works', async () => {
  const session = await wasmai.load(join(folder, 'stub.wai'));
  const run = (/** @type {number} */ value) =>
    session.run({ x: new Float32Array([value, 0, 0, 0]) });
  await assert.rejects(run(-1), { code: 'TRAP' });
  assert.deepEqual(await double(session), [2, 4, 6, 8]);
  await assert.rejects(run(-3), { code: 'INTERNAL', where: 'stub node' });
  assert.deepEqual(await double(session), [2, 4, 6, 8]);
  assert.equal(session.info.runs, 2);
  await session.close();
  await assert.rejects(run(1), { code: 'STATE' });
});

test('options that this release does not have are refused by name, never ignored', async () => {
  const bytes = stubPackage();
  const refused = [
    [{ isolation: 'frame' }, 'UNSUPPORTED'],
    [{ publicKey: {} }, 'ARGUMENT'],
    [{ decryptionKey: {} }, 'ARGUMENT'],
    [{ threads: 17 }, 'ARGUMENT'],
    [{ isolation: 'worker' }, 'UNSUPPORTED'],
    [{ isolation: 'box' }, 'ARGUMENT'],
    [{ threads: 0 }, 'ARGUMENT'],
    [{ maxHeapMB: -1 }, 'ARGUMENT'],
    [{ maxHeapMb: 64 }, 'ARGUMENT'],
    [{ sha384: 'abc' }, 'ARGUMENT'],
    [{ signal: 'now' }, 'ARGUMENT'],
    [{ onProgress: true }, 'ARGUMENT'],
    [{ maxHeapMB: 0.1 }, 'LIMIT'],
    [null, 'ARGUMENT'],
  ];
  for (const [options, code] of refused) {
    assert.equal((await failure(bytes, options))?.code, code, JSON.stringify(options));
  }
  assert.match(
    (await failure(bytes, { maxHeapMb: 64 }))?.message ?? '',
    /did you mean "maxHeapMB"/,
  );
  for (const source of [42, null, undefined, {}, 'http://[']) {
    assert.equal((await failure(source))?.code, 'ARGUMENT');
  }
  const session = await wasmai.load(bytes, { deterministic: true, threads: 1 });
  const x = new Float32Array(4);
  await assert.rejects(session.run({ x }, { deadlineMs: 5 }), { code: 'UNSUPPORTED' });
  await assert.rejects(session.run({ x }, { maxFuel: 5 }), { code: 'UNSUPPORTED' });
  await assert.rejects(session.run({ x }, /** @type {any} */ ({ deadline: 5 })), {
    code: 'ARGUMENT',
  });
});

test('tensors are checked when they are made', () => {
  const { Tensor } = wasmai;
  const bad = [
    ['float33', new Float32Array(1), [1]],
    ['float32', new Float64Array(1), [1]],
    ['float32', [1, 2], [2]],
    ['float32', new Float32Array(2), [3]],
    ['float32', new Float32Array(2), [-1, -2]],
    ['float32', new Float32Array(2), [0.5, 4]],
    ['float32', new Float32Array(1), Array(9).fill(1)],
    ['int64', new Int32Array(1), [1]],
  ];
  for (const [dtype, data, dims] of bad) {
    assert.throws(
      () =>
        new Tensor(
          /** @type {any} */ (dtype),
          /** @type {any} */ (data),
          /** @type {any} */ (dims),
        ),
      { code: 'ARGUMENT' },
    );
  }
  assert.throws(
    () => new Tensor(/** @type {any} */ ('flaot32'), new Float32Array(1)),
    /did you mean "float32"/,
  );
  assert.deepEqual(new Tensor('int64', new BigInt64Array(2)).dims, [2]);
  assert.equal(new Tensor('float16', new Uint16Array(6), [2, 3]).size, 6);
  assert.equal(new Tensor('bool', new Uint8Array(0), [0, 3]).size, 0);
  assert.equal(new Tensor('float32', new Float32Array(1), []).size, 1);
});
