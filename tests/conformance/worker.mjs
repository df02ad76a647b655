// One thread of the pool: runs the tests that it is sent, one after the other.
import { parentPort, workerData } from 'node:worker_threads';
import { runTest } from './run_one.mjs';

parentPort?.on('message', async (name) => {
  parentPort?.postMessage(await runTest(workerData.root, name));
});
