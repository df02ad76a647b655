// What a page of the benchmark can do; the driver (open.mjs, steady.mjs) calls it through
// `window.bench`. All bytes are in memory before a clock starts.

import { bytesAt, readFeeds, readInputs } from './inputs.js';
import { recovery } from './recovery.js';

const plain = (outputs) =>
  Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));

/** Ours. The runtime's bytes come from memory: load() fetches them, and this answers. */
async function prepareOurs(isolation) {
  const { load, Tensor } = await import('./wasmai.js');
  const manifest = await (await fetch('./manifest.json')).json();
  const runtimeUrl = new URL(manifest.runtimes.simd, location.href).href;
  const runtime = await bytesAt(runtimeUrl);
  for (const worker of manifest.workers) await bytesAt(`./${worker}`); // into the HTTP cache
  const { fetch: realFetch } = globalThis;
  globalThis.fetch = (target, ...rest) =>
    String(target) === runtimeUrl
      ? Promise.resolve(new Response(runtime, { headers: { 'Content-Type': 'application/wasm' } }))
      : realFetch(target, ...rest);
  return async (model) => {
    const pack = await bytesAt(`./models/${model}.wai`);
    const feeds = await readFeeds(Tensor, model);
    return async () => {
      const phases = {};
      const onProgress = ({ phase }) => {
        phases[phase] = performance.now();
      };
      const session = await load(pack, { isolation, threads: 1, onProgress });
      return {
        phases,
        run: async () => plain(await session.run(feeds)),
        inside: () => session.info.lastMs,
        memory: () => session.info.memoryBytes,
        close: () => session.close(),
      };
    };
  };
}

/** onnxruntime-web, as its manual says for one thread; on the main thread, so no worker to start. */
async function prepareOrt() {
  const ort = await import('./ort/ort.wasm.bundle.min.mjs');
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = (await bytesAt('./ort/ort-wasm-simd-threaded.wasm')).buffer;
  return async (model) => {
    const onnx = await bytesAt(`./models/${model}.onnx`);
    const inputs = await readInputs(model);
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([name, { dtype, dims, data }]) => [
        name,
        new ort.Tensor(dtype, data, dims),
      ]),
    );
    return async () => {
      const session = await ort.InferenceSession.create(onnx, { executionProviders: ['wasm'] });
      return {
        phases: {},
        run: async () => plain(await session.run(feeds)),
        inside: () => null,
        memory: () => null,
        close: () => session.release(),
      };
    };
  };
}

/** One row is one peer. */
const PEERS = {
  worker: () => prepareOurs('worker'),
  none: () => prepareOurs('none'),
  ort: prepareOrt,
};

/** From the call to the first answer. */
async function timeOpen(open) {
  const start = performance.now();
  const session = await open();
  const created = performance.now();
  const outputs = await session.run();
  const end = performance.now();
  const phases = Object.fromEntries(
    Object.entries(session.phases).map(([name, at]) => [name, at - start]),
  );
  const times = { total: end - start, create: created - start, run: end - created, phases };
  return { session, outputs, times };
}

const encode = (data) => {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = '';
  for (let i = 0; i < bytes.length; i += 32768) {
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  }
  return btoa(text);
};

/** Between closing a model and opening it again, as when a person does it. */
const AGAIN_MS = 300;
let open;

window.bench = {
  ...recovery,

  async prepare(peer, model) {
    open = await (await PEERS[peer]())(model);
  },

  /** The first open of this page, then `again` more. */
  async open(again, wantsOutputs) {
    const times = [];
    let answer;
    for (let i = 0; i <= again; i++) {
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      const { session, outputs, times: taken } = await timeOpen(open);
      times.push(taken);
      answer = outputs;
      await session.close();
    }
    if (!wantsOutputs) return { times };
    return {
      times,
      outputs: Object.fromEntries(Object.entries(answer).map(([name, d]) => [name, encode(d)])),
    };
  },

  /**
   * All peers in this page, in turns of `block` runs; every run's time is kept.
   * `inside` is the time that the worker took, without the messages.
   */
  async steady(peers, model, { runs, block, warmRuns, warmMs }) {
    const sessions = {};
    const result = {};
    for (const peer of peers) {
      const { session, outputs } = await timeOpen(await (await PEERS[peer]())(model));
      sessions[peer] = session;
      result[peer] = { wall: [], inside: [] };
      result[peer].outputs = Object.fromEntries(
        Object.entries(outputs).map(([name, d]) => [name, encode(d)]),
      );
    }
    for (const peer of peers) {
      const start = performance.now();
      for (let i = 0; i < warmRuns || performance.now() - start < warmMs; i++)
        await sessions[peer].run();
    }
    for (let done = 0; done < runs; done += block) {
      for (const peer of peers) {
        const session = sessions[peer];
        for (let i = 0; i < block; i++) {
          const start = performance.now();
          await session.run();
          result[peer].wall.push(performance.now() - start);
          result[peer].inside.push(session.inside());
        }
      }
    }
    for (const peer of peers) {
      result[peer].memory = sessions[peer].memory();
      await sessions[peer].close();
    }
    return result;
  },
};
