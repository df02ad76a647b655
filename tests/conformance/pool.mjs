// Runs many tests on a few threads. A thread that hangs or dies costs its own
// test and is replaced.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

const SECONDS_PER_TEST = 60;
const THREADS = 4;

/**
 * @typedef {object} Outcome
 * @property {import('./run_one.mjs').Result[]} results  in the order of names
 * @property {string[]} complaints  what a place said when it was closed
 *
 * @param {string[]} names
 * @param {{ place: string, setting: import('./places/index.mjs').Setting }} where
 * @param {(done: number) => void} [onDone]
 * @returns {Promise<Outcome>}
 */
export async function runAll(names, where, onDone = () => {}) {
  const results = new Map();
  const waiting = [...names];
  const complaints = [];
  const lanes = Math.min(THREADS, availableParallelism(), names.length);
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      /** @type {Worker | null} */
      let worker = null;
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        worker ??= new Worker(new URL('./worker.mjs', import.meta.url), { workerData: where });
        const answer = await ask(worker, name);
        if (answer.lost) {
          await worker.terminate();
          worker = null;
          results.set(name, { name, status: 'failed', reason: 'crash', detail: answer.lost });
        } else results.set(name, answer);
        onDone(results.size);
      }
      if (worker) {
        const { lost, closed } = await ask(worker, null);
        complaints.push(lost ?? closed);
        await worker.terminate();
      }
    }),
  );
  return {
    results: names.map((name) => results.get(name)),
    complaints: complaints.filter((text) => text !== ''),
  };
}

/** The thread's answer, or { lost: why }. @param {Worker} worker @param {string | null} message */
function ask(worker, message) {
  return new Promise((resolve) => {
    const lose = (lost) => finish({ lost });
    const timer = setTimeout(
      () => lose(`no answer in ${SECONDS_PER_TEST} s`),
      SECONDS_PER_TEST * 1000,
    );
    const onError = (error) => lose(`the thread died: ${error.message}`);
    const onExit = (code) => lose(`the thread ended with ${code}`);
    const finish = (result) => {
      clearTimeout(timer);
      worker.off('message', finish);
      worker.off('error', onError);
      worker.off('exit', onExit);
      resolve(result);
    };
    worker.on('message', finish);
    worker.on('error', onError);
    worker.on('exit', onExit);
    worker.postMessage(message);
  });
}
