// All peers in one page, run by run in turns; the driver (../compare.mjs) calls it through `window.compare`.
import { readInputs } from './inputs.js';
import { memoryBytes, memoryMark } from './memories.js';

/** @type {Record<string, any>} */
const sessions = {};
let inputs;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function timed(work) {
  const start = performance.now();
  const value = await work();
  return { value, ms: performance.now() - start };
}

window.compare = {
  /** @param {string} id @param {string} peer @param {any} options */
  async open(id, peer, options) {
    inputs ??= await readInputs(options.model);
    const mark = memoryMark();
    const { open } = await import(new URL(`./peer-${peer}.js`, location.href).href);
    const created = await timed(() => open(options));
    const session = created.value;
    sessions[id] = session;
    session.feed(inputs);
    const first = await timed(() => session.run());
    const end = memoryMark();
    session.memory = session.memoryBytes ?? (() => memoryBytes(mark, end));
    const outputs = Object.fromEntries(
      first.value.map(([name, data]) => [name, Float32Array.from(data, Number)]),
    );
    return { createMs: created.ms, firstMs: first.ms, info: session.info(), outputs };
  },

  async warm(id, runs, ms) {
    const start = performance.now();
    for (let i = 0; i < runs || performance.now() - start < ms; i++) await sessions[id].run();
  },

  /** Each peer once per turn, the order moving on; pauseMs lets a pool of threads go to sleep. */
  async turns(ids, count, from, pauseMs) {
    const times = Object.fromEntries(ids.map((id) => [id, []]));
    for (let turn = from; turn < from + count; turn++) {
      for (let i = 0; i < ids.length; i++) {
        const id = ids[(i + turn) % ids.length];
        await pause(pauseMs);
        times[id].push((await timed(() => sessions[id].run())).ms);
      }
    }
    return times;
  },

  async close() {
    const memory = Object.fromEntries(
      Object.entries(sessions).map(([id, session]) => [id, session.memory()]),
    );
    for (const id of Object.keys(sessions)) {
      await sessions[id].close();
      delete sessions[id];
    }
    return memory;
  },
};
