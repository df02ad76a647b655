// Runs many tests on a few threads. A thread that hangs or dies costs its own
// test and is replaced.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

const SECONDS_PER_TEST = 60;
const THREADS = 4;

/**
 * @param {string} root @param {string[]} names
 * @param {(done: number) => void} [onDone]
 * @returns {Promise<import('./run_one.mjs').Result[]>} in the order of names
 */
export async function runAll(root, names, onDone = () => {}) {
  const results = new Map();
  const waiting = [...names];
  const lanes = Math.min(THREADS, availableParallelism(), names.length);
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      /** @type {Worker | null} */
      let worker = null;
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        worker ??= new Worker(new URL('./worker.mjs', import.meta.url), { workerData: { root } });
        const result = await ask(worker, name);
        if (result.lost) {
          await worker.terminate();
          worker = null;
        }
        results.set(name, result);
        onDone(results.size);
      }
      await worker?.terminate();
    }),
  );
  return names.map((name) => results.get(name));
}

function ask(worker, name) {
  return new Promise((resolve) => {
    const lose = (detail) =>
      finish({ name, status: 'failed', reason: 'crash', detail, ops: '', lost: true });
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
    worker.postMessage(name);
  });
}
