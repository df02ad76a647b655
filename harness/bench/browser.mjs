// Chromium for the benchmark. A fresh context per page: nothing compiled or cached is left over.

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
