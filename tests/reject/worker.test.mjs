// A worker that was taken over: whatever it says to the page, load and run reject with a WasmAIError
// at once, or give tensors of which every part fits. The same at random: harness/fuzz/answers.mjs.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { load, Tensor, WasmAIError } from '../../web/wasmai.js';
import { digitsPackage } from './support.mjs';

const image = { name: 'x', dtype: 'float32', dims: [2, 2] };
const varied = { name: 'y', dtype: 'float32', dims: [2, 2], varies: true };
const opened = { inputs: [image], outputs: [varied], metered: false, memoryBytes: 65536 };
const answered = {
  outputs: [{ dims: [2, 2], data: new ArrayBuffer(16) }],
  ms: 1,
  fuel: null,
  memoryBytes: 65536,
};

const sha384 = (buffer) => createHash('sha384').update(new Uint8Array(buffer)).digest('hex');

/** A Worker that answers as it is told, in messages that were cloned. */
function workerThatSays({ begin = {}, pour = {}, open = {}, run = {}, ready = { ready: true } }) {
  return class {
    /** @type {Record<string, ((event: any) => void)[]>} */
    listeners = { message: [], error: [], messageerror: [] };

    constructor() {
      this.say(ready);
    }

    addEventListener(type, listener) {
      this.listeners[type].push(listener);
    }

    terminate() {
      this.listeners = { message: [], error: [], messageerror: [] };
    }

    say(message) {
      const data = structuredClone(message);
      setImmediate(() => {
        for (const listener of this.listeners.message) listener({ data });
      });
    }

    postMessage(request, transfer) {
      const { id, op, pack, bytes } = structuredClone(request, { transfer });
      if (op === 'prepare') this.say({ id });
      else if (op === 'begin') this.say({ id, ...begin });
      else if (op === 'pour') this.say({ id, digest: sha384(bytes), spare: bytes, ...pour });
      else if (op === 'open') this.say({ id, ...opened, pack, ...open });
      else this.say({ id, ...answered, ...run });
    }
  };
}

/** Then the package goes there as a whole, and comes back. */
const NO_MEMORY_YET = {
  begin: { error: { code: 'MEMORY', where: 'browser memory', message: 'x' } },
};

async function outcome(says) {
  const before = globalThis.Worker;
  globalThis.Worker = /** @type {any} */ (workerThatSays(says));
  let session;
  try {
    session = await load(new Uint8Array(digitsPackage), { isolation: 'worker' });
    const x = new Tensor('float32', new Float32Array(4), [2, 2]);
    return { opened: true, outputs: await session.run({ x }) };
  } catch (error) {
    return { error, opened: session !== undefined };
  } finally {
    await session?.close();
    globalThis.Worker = before;
  }
}

test('an honest worker is believed', async () => {
  for (const honest of [{}, NO_MEMORY_YET, { pour: { spare: null } }, { pour: { spare: 'x' } }]) {
    const { outputs } = await outcome(honest);
    assert.deepEqual([...(outputs?.y.dims ?? [])], [2, 2]);
  }
});

const holes = (length) => {
  const list = [];
  list.length = length;
  return list;
};
/** The number and, behind it, nothing: not even undefined. @param {number} number */
const behind = (number) => Object.assign(holes(2), [number]);
const slot = (lie) => ({ inputs: [{ ...image, ...lie }] });
const output = (lie) => ({ run: { outputs: [{ ...answered.outputs[0], ...lie }] } });

/** What it says instead. @type {[string, object][]} */
const LIES = [
  ['a list of 2^32 - 1 inputs that are not there', { open: { inputs: holes(2 ** 32 - 1) } }],
  ['a list of 2^32 - 1 outputs that are not there', { open: { outputs: holes(2 ** 32 - 1) } }],
  ['an input that is not there', { open: { inputs: holes(1) } }],
  [
    'more inputs than any model has',
    { open: { inputs: Array.from({ length: 1025 }, (_, i) => ({ ...image, name: `x${i}` })) } },
  ],
  ['dims with a hole', { open: slot({ dims: behind(2) }) }],
  ['dims that are no numbers', { open: slot({ dims: ['2', 2] }) }],
  ['2^32 - 1 dims', { open: slot({ dims: holes(2 ** 32 - 1) }) }],
  ['ranges with a hole', { open: slot({ symbols: holes(2) }) }],
  ['a dtype that is none', { open: slot({ dtype: 'toString' }) }],
  ['two inputs of one name', { open: { inputs: [image, image] } }],
  ['memory that is no number', { open: { memoryBytes: NaN } }],
  ['memory that is a list', { open: { memoryBytes: [[65536]] } }],
  ['no package back', { ...NO_MEMORY_YET, open: { pack: null } }],
  ['another digest of a chunk', { pour: { digest: sha384(new ArrayBuffer(1)) } }],
  ['no digest of a chunk', { pour: { digest: undefined } }],
  ['a digest that is a list', { pour: { digest: holes(2 ** 32 - 1) } }],
  ['no room, and not why', { begin: { error: {} } }],
  ['an error without words', { open: { error: {} } }],
  ['an error that is a number', { run: { error: 1 } }],
  ['output dims with a hole', output({ dims: behind(4) })],
  ['output dims below zero', output({ dims: [-2, -2] })],
  ['2^32 - 1 output dims', output({ dims: holes(2 ** 32 - 1) })],
  ['an output of other bytes', output({ data: new ArrayBuffer(15) })],
  ['an output that is a view', output({ data: new Float32Array(4) })],
  ['no outputs', { run: { outputs: null } }],
  ['2^32 - 1 outputs that are not there', { run: { outputs: holes(2 ** 32 - 1) } }],
  ['a time that is none', { run: { ms: Infinity } }],
  ['a time below zero', { run: { ms: -1 } }],
  ['fuel that is text', { run: { fuel: '1' } }],
  ['it is not ready', { ready: { error: 'no' } }],
];

for (const [name, lie] of LIES) {
  test(`a worker says: ${name}`, { timeout: 10_000 }, async () => {
    const { error, opened: believed } = await outcome(lie);
    assert.ok(error instanceof WasmAIError, `believed, or: ${error}`);
    assert.ok(error.where && error.message.length > 10, error.message);
    // What it says of itself is checked before there is a session.
    assert.equal(believed, !['begin', 'pour', 'open', 'ready'].some((op) => op in lie));
  });
}
