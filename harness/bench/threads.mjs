// Chromium's worker threads as Linux sees them: whether one is there still, and busy.
import { readdirSync, readFileSync } from 'node:fs';

/** Process ids. @param {import('playwright-core').Browser} browser */
export async function renderers(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
}

/** The folder of the thread that has used most time. @param {number[]} processes */
export function busiestWorkerThread(processes) {
  let busiest = { thread: '', ticks: -1 };
  for (const process of processes) {
    for (const task of readdirSync(`/proc/${process}/task`)) {
      const thread = `/proc/${process}/task/${task}`;
      const text = readFileSync(`${thread}/stat`, 'utf8');
      if (!text.includes('(DedicatedWorker')) continue;
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      const ticks = Number(fields[11]) + Number(fields[12]);
      if (ticks > busiest.ticks) busiest = { thread, ticks };
    }
  }
  return busiest.thread;
}
