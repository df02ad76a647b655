// One thread of the pool: runs the tests that it is sent, one after the other, in one place.
import { parentPort, workerData } from 'node:worker_threads';
import { PLACES } from './places/index.mjs';
import { runTest } from './run_one.mjs';

const { place, setting } = workerData;

/** @type {import('./places/index.mjs').Place | null} */
let other = null;

/** What it complains of. @returns {Promise<string>} */
async function close() {
  const closing = other?.close();
  other = null;
  return (await closing?.catch((error) => String(error.message))) ?? '';
}

parentPort?.on('message', async (name) => {
  if (name === null) return parentPort?.postMessage({ closed: await close() });
  try {
    // Node is where every test runs anyway.
    if (place !== 'node') other ??= await PLACES[place](setting);
  } catch (error) {
    const detail = `the place does not open: ${error.message}`;
    return parentPort?.postMessage({ name, status: 'failed', reason: 'crash', detail });
  }
  const result = await runTest(setting.roots, name, other);
  // Whatever crashed may have taken the place with it.
  if (result.reason === 'crash') await close();
  parentPort?.postMessage(result);
});
