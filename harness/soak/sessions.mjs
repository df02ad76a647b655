// Eight sessions in one page, one of them hostile, and a process beside that takes a whole core.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { quantile } from '../bench/stats.mjs';
import { renderers, workerThreads } from '../bench/threads.mjs';

export const SESSIONS = 8;
/** As long as the worker in reserve outlives the last session (web/reserve.js). */
const RESERVE_MS = 3000;

/** A core's worth of load, for so long at most. @param {number} seconds */
export function hog(seconds) {
  const source = `const end = Date.now() + ${seconds * 1000}; while (Date.now() < end);`;
  const child = spawn(process.execPath, ['-e', source], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const end = () => {
    child.kill('SIGKILL');
    return ended;
  };
  return { end };
}

/** @param {number[]} times */
const latency = (times) => ({
  runs: times.length,
  p50: quantile(times, 0.5),
  p95: quantile(times, 0.95),
  max: Math.max(...times),
});

/**
 * @param {any} page with page.js in it
 * @param {{ model: string, misdeeds: string[], queued: number, seconds: number, gapMs: number }} how
 */
export async function sessionsUnderLoad(page, { model, misdeeds, queued, seconds, gapMs }) {
  const call = (name, ...args) =>
    page.evaluate(
      ([method, list]) => /** @type {any} */ (window).soak[method](...list),
      [name, args],
    );
  await call('open', model, SESSIONS);
  const beside = hog(600);
  try {
    const quiet = await call('steady', seconds, gapMs, []);
    const loud = await call('steady', seconds, gapMs, misdeeds);
    const queue = await call('queue', queued, misdeeds);
    await call('close');
    return {
      quiet: latency(quiet.times),
      loud: latency(loud.times),
      ratio: quantile(loud.times, 0.5) / quantile(quiet.times, 0.5),
      failures: [...quiet.failures, ...loud.failures],
      queue: {
        runs: queued * (SESSIONS - 1),
        ms: queue.ms,
        right: queue.seen.reduce((sum, { right }) => sum + right, 0),
        inOrder: queue.seen.every(({ inOrder }) => inOrder),
      },
      outcomes: [loud.outcomes, queue.outcomes],
    };
  } finally {
    await beside.end();
  }
}

/** Bytes that are the renderer's own; only Linux tells. @param {number} process */
function privateBytes(process) {
  const text = readFileSync(`/proc/${process}/smaps_rollup`, 'utf8');
  const kib = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
  return (kib('Private_Clean') + kib('Private_Dirty')) * 1024;
}

/**
 * Memory and workers of the page, all garbage collected and what lingers gone.
 * @param {number} process @param {import('playwright-core').Page} page
 */
async function memoryOf(process, page) {
  const session = await page.context().newCDPSession(page);
  const workers = () => workerThreads([process]).length;
  await page.waitForTimeout(RESERVE_MS);
  for (let i = 0; workers() > 0 && i < 1000; i++) await page.waitForTimeout(10);
  await page.waitForTimeout(200);
  await session.send('HeapProfiler.collectGarbage');
  await session.send('Performance.enable');
  const { metrics } = await session.send('Performance.getMetrics');
  const metric = (name) => metrics.find((one) => one.name === name)?.value ?? 0;
  await session.detach();
  return {
    workers: workers(),
    heap: metric('JSHeapUsedSize'),
    process: privateBytes(process),
  };
}

/**
 * Memory after rounds of opening and closing; the first round is what warming up takes.
 * @param {import('playwright-core').Browser} browser @param {any} page
 * @param {{ model: string, rounds: number, cycles: number }} how
 */
export async function memoryOverCycles(browser, page, { model, rounds, cycles }) {
  const seen = [];
  let process = 0;
  for (let i = 0; i < rounds; i++) {
    await page.evaluate(
      ([address, count]) => /** @type {any} */ (window).soak.cycles(address, count),
      [model, cycles],
    );
    // Of several renderers the page's is the one that has the worker in reserve now.
    if (i === 0)
      process = (await renderers(browser)).find((one) => workerThreads([one]).length > 0) ?? 0;
    seen.push({ cycles: (i + 1) * cycles, ...(await memoryOf(process, page)) });
  }
  return seen;
}
