// A browser for the comparison: pages of any engine, and of Chromium the memory of its renderers.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chromiumPath, launchChromium, newPage } from '../browsers/chromium.mjs';
import { launchBrowser } from '../browsers/index.mjs';
import { renderers } from './threads.mjs';

/**
 * @param {import('../toolchain/browsers.mjs').BrowserName} name
 * @returns {Promise<import('../browsers/index.mjs').Browser & { highWater: () => Promise<number | null> }>}
 */
export async function openBrowser(name) {
  if (name !== 'chromium') {
    const browser = await launchBrowser(name);
    return { ...browser, highWater: async () => null };
  }
  const browser = await launchChromium(chromiumPath());
  return {
    name,
    version: browser.version(),
    newPage: () => newPage(browser),
    close: () => browser.close(),
    highWater: async () => Math.max(...(await renderers(browser)).map(highWaterOf)),
  };
}

/** The most memory that a process ever had, in bytes; 0 when it has ended. @param {number} process */
function highWaterOf(process) {
  try {
    const [, kib] =
      /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${process}/status`, 'utf8')) ?? [];
    return Number(kib ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Processes that do nothing, as fast as they can. @param {number} count @returns {() => void} ends them */
export function keepBusy(count) {
  const children = Array.from({ length: count }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  );
  const stop = () => {
    for (const child of children) child.kill('SIGKILL');
    process.off('exit', stop);
  };
  process.on('exit', stop);
  return stop;
}
