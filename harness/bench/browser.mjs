// Chromium for the benchmark. A fresh context per page: nothing compiled or cached is left over.
import { chromium } from 'playwright-core';
import { WasmAIError } from '../../web/errors.js';
import { findChromium } from '../toolchain/chromium.mjs';

export async function launch() {
  const executablePath = findChromium();
  if (!executablePath)
    throw new WasmAIError(
      'STATE',
      'chromium',
      'is not installed; install it, or name it in CHROME_PATH',
    );
  return chromium.launch({
    executablePath,
    args: [
      '--headless=new',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ],
  });
}

/**
 * Do `work` with a page of its own, in a context and so a process of its own.
 * @template T @param {import('playwright-core').Browser} browser @param {string} url
 * @param {(page: import('playwright-core').Page) => Promise<T>} work @returns {Promise<T>}
 */
export async function inFreshPage(browser, url, work) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const complaints = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(url);
    await page.waitForFunction(() => 'bench' in window);
    try {
      return await work(page);
    } catch (error) {
      throw new Error(`${url}: ${error.message}\n${complaints.join('\n')}`);
    }
  } finally {
    await context.close();
  }
}

/** Call `window.bench[method]`. @param {import('playwright-core').Page} page @param {string} method @param {...unknown} args */
export const call = (page, method, ...args) =>
  page.evaluate(
    ([name, list]) => /** @type {any} */ (window).bench[name](...list),
    /** @type {[string, unknown[]]} */ ([method, args]),
  );
