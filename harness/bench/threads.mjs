// Chromium's worker threads as Linux sees them: whether one is there still, and busy.
import { readdirSync, readFileSync } from 'node:fs';

/** Process ids. @param {import('playwright-core').Browser} browser */
export async function renderers(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
}

/** Folders of their worker threads, with the time that each has used. @param {number[]} processes */
export function workerThreads(processes) {
  const found = [];
  for (const process of processes) {
    for (const task of readdirSync(`/proc/${process}/task`)) {
      const thread = `/proc/${process}/task/${task}`;
      const text = statOf(thread);
      if (!text.includes('(DedicatedWorker')) continue;
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      found.push({ thread, ticks: Number(fields[11]) + Number(fields[12]) });
    }
  }
  return found;
}

function statOf(thread) {
  try {
    return readFileSync(`${thread}/stat`, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}

/** The one that has used most time. @param {number[]} processes */
export function busiestWorkerThread(processes) {
  const busiest = workerThreads(processes).reduce(
    (one, other) => (other.ticks > one.ticks ? other : one),
    { thread: '', ticks: -1 },
  );
  return busiest.thread;
}
