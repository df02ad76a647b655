// Target `answers`: a worker that was taken over and says anything. The loader believes nothing of
// it: it rejects with a WasmAIError, or gives tensors of which every part fits the others.

import { createHash } from 'node:crypto';
import { load, Tensor } from '../../web/wasmai.js';
import { Compiler } from '../compiler.mjs';
import { DTYPES, dtypeByName, elementCount } from '../dtypes.mjs';
import { Choices } from './choices.mjs';
import { Random } from './random.mjs';
import { operatorModels } from './seeds.mjs';

/** @type {Uint8Array} */
let pack;
/** Decisions of the worker at hand. */
let choices = new Choices(new Uint8Array());

const slots = (/** @type {string} */ name, /** @type {object} */ more = {}) => [
  { name, dtype: 'float32', dims: [2, 2], ...more },
];
const symbols = [{ name: 'n', min: 1, max: 2 }, null];

/** What an honest worker says. @type {Record<string, (request: any) => any>} */
const HONEST = {
  prepare: ({ id }) => ({ id }),
  begin: ({ id }) =>
    choices.byte() % 4 ? { id } : { id, error: { code: 'MEMORY', where: 'browser memory' } },
  pour: ({ id, bytes }) => ({
    id,
    digest: createHash('sha384').update(new Uint8Array(bytes)).digest('hex'),
    spare: bytes,
  }),
  open: ({ id, pack: given }) => ({
    id,
    inputs: slots('x', choices.byte() & 1 ? { symbols, varies: true } : {}),
    outputs: slots('y', choices.byte() & 1 ? { varies: true } : {}),
    metered: Boolean(choices.byte() & 1),
    memoryBytes: 65536,
    pack: given,
  }),
  run: ({ id }) => ({
    id,
    outputs: [{ dims: [2, 2], data: new ArrayBuffer(16) }],
    ms: 1,
    fuel: 100,
    memoryBytes: 65536,
  }),
};

/** Enough of a Worker for web/rpc.js. */
class HostileWorker {
  constructor() {
    /** @type {Record<string, ((event: any) => void)[]>} */
    this.listeners = {};
    this.ended = false;
    this.say(choices.byte() % 4 ? { ready: true } : choices.spoil({ ready: true }));
  }

  addEventListener(type, listener) {
    this.listeners[type] = [...(this.listeners[type] ?? []), listener];
  }

  terminate() {
    this.ended = true;
  }

  /** Messages arrive as copies, as they do between threads. */
  say(data, type = 'message') {
    let copy;
    try {
      copy = structuredClone(data);
    } catch {
      return; // it cannot be sent
    }
    queueMicrotask(() => {
      if (this.ended) return;
      for (const listener of this.listeners[type] ?? [])
        listener(type === 'message' ? { data: copy } : { message: copy });
    });
  }

  postMessage(request, transfer) {
    const honest = HONEST[request.op](structuredClone(request, { transfer }));
    // Few would get beyond them else.
    const early = request.op === 'begin' || request.op === 'pour';
    if (early && choices.byte() % 16 !== 0) return this.say(honest);
    for (let i = choices.byte() % 4; i > 0; i--) this.extra(request.id);
    const how = choices.byte() % 8;
    if (how === 0) this.say(choices.value());
    else if (how === 1) this.say({ id: request.id, error: choices.value() });
    else if (how === 2) this.say(honest);
    else if (how < 8) this.say(choices.spoil(honest));
  }

  /** What nobody asked for. @param {number} id */
  extra(id) {
    const how = choices.byte() % 6;
    if (how === 0) this.say(choices.pick(['', 'x', 'e'.repeat(99_999)]), 'error');
    else if (how === 1) this.say(choices.value(), 'messageerror');
    else if (how === 2) this.say({ ready: true });
    else this.say({ ...choices.spoil({ id: id + choices.byte() }), outputs: choices.value() });
  }
}

/** Long enough for all that is on its way. */
const idle = () => new Promise((resolve) => setTimeout(resolve, 3));

/** @param {readonly any[]} list */
function checkSlots(list) {
  for (const { name, dtype, dims } of list) {
    const good =
      typeof name === 'string' &&
      DTYPES.some((row) => row.name === dtype) &&
      dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0);
    if (!good) throw new Error(`a slot that is none: ${JSON.stringify({ name, dtype, dims })}`);
  }
}

function checkInfo(info) {
  for (const [key, value] of Object.entries(info)) {
    if (typeof value === 'number' && !(Number.isFinite(value) && value >= 0))
      throw new Error(`info.${key} is ${value}`);
  }
}

function checkOutputs(session, outputs) {
  const names = session.outputs.map(({ name }) => name);
  if (String(Object.keys(outputs).sort()) !== String(names.sort()))
    throw new Error(`outputs ${Object.keys(outputs)} of a model that has ${names}`);
  for (const [name, tensor] of Object.entries(outputs)) {
    if (!(tensor instanceof Tensor) || elementCount(tensor.dims) !== tensor.data.length)
      throw new Error(`output ${name} is no tensor`);
  }
}

/** @param {readonly any[]} inputs */
function zeros(inputs) {
  const feeds = Object.create(null);
  for (const { name, dtype, dims } of inputs) {
    const row = dtypeByName(dtype);
    if (elementCount(dims) > 1e6) return null; // for the caller to refuse
    feeds[name] = new Tensor(dtype, new row.array(elementCount(dims)), [...dims]);
  }
  return feeds;
}

async function useSession(session) {
  checkSlots(session.inputs);
  checkSlots(session.outputs);
  checkInfo(session.info);
  const feeds = zeros(session.inputs);
  if (!feeds) return 'large';
  for (let i = 0; i < 2; i++) {
    const run = session.run(feeds);
    run.catch(() => {});
    const outputs = await Promise.race([run, idle()]);
    checkInfo(session.info);
    if (!outputs) return 'silent';
    checkOutputs(session, outputs);
  }
  return 'answered';
}

async function run(/** @type {Buffer} */ input) {
  const outcome = await loadAndUse(input);
  if (Object.keys(Object.prototype).length || Object.keys(Array.prototype).length)
    throw new Error('a prototype was changed');
  return outcome;
}

async function loadAndUse(/** @type {Buffer} */ input) {
  choices = new Choices(input);
  const before = globalThis.Worker;
  globalThis.Worker = /** @type {any} */ (HostileWorker);
  const stop = new AbortController();
  let session;
  try {
    const loading = load(pack.slice(), { isolation: 'worker', signal: stop.signal });
    loading.catch(() => {});
    session = await Promise.race([loading, idle().then(idle)]);
    if (!session) {
      stop.abort();
      return await loading.then(() => 'loaded late');
    }
    return await useSession(session);
  } finally {
    await session?.close();
    globalThis.Worker = before;
  }
}

/** @type {import('./javascript.mjs').Target} */
export const answers = {
  name: 'answers',
  blamed: [],
  run,
  async seeds() {
    const compiler = await Compiler.create();
    const made = operatorModels().map((model) => compiler.compile(model).bytes);
    pack = /** @type {Uint8Array} */ (made.find((bytes) => bytes !== null));
    const random = new Random(3);
    return Array.from({ length: 64 }, () =>
      Buffer.from(Array.from({ length: 80 }, () => random.below(256))),
    );
  },
};
