// Headless Chromium, a browser for each thread: the page of site.mjs loads each package into a
// locked worker of its own.
import { chromiumPath, launchChromium } from '../../../harness/browsers/chromium.mjs';
import { WasmAIError } from '../../../web/errors.js';

/** @param {import('./index.mjs').Setting} setting @returns {Promise<import('./index.mjs').Place>} */
export async function open({ url }) {
  const browser = await launchChromium(chromiumPath());
  const page = await browser.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(String(url));
  await page.waitForFunction(() => 'runJob' in window);
  return {
    async run(job) {
      const { outputs, error } = await page.evaluate(
        (given) => /** @type {any} */ (window).runJob(given),
        job,
      );
      if (error) throw new WasmAIError(error.code, error.where, error.message);
      return outputs;
    },
    async close() {
      await browser.close();
      if (complaints.length > 0) throw new Error(`the page complained: ${complaints.join('; ')}`);
    },
  };
}
