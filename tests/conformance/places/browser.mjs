// A headless browser for each thread: the page of site.mjs loads each package into a locked worker of its own.
import { launchBrowser } from '../../../harness/browsers/index.mjs';
import { WasmAIError } from '../../../web/errors.js';

/**
 * @param {import('../../../harness/toolchain/browsers.mjs').BrowserName} engine
 * @param {import('./index.mjs').Setting} setting @returns {Promise<import('./index.mjs').Place>}
 */
export async function open(engine, { url }) {
  const browser = await launchBrowser(engine);
  const { page, complaints } = await browser.newPage();
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
