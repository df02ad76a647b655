// Chromium by Playwright.
import { WasmAIError } from '../../web/errors.js';
import { howTo } from '../toolchain/browsers.mjs';
import { findChromium } from '../toolchain/chromium.mjs';

const START_MS = 60_000;

/** Chromium on this machine; STATE where there is none. */
export function chromiumPath() {
  const found = findChromium();
  if (found) return found;
  throw new WasmAIError('STATE', 'chromium', `is not installed; ${howTo('chromium')}`);
}

/** Playwright's own browser, for who needs more than pages: headless, with nothing that calls home. @param {string} executablePath @param {string[]} [more] */
export async function launchChromium(executablePath, more = []) {
  const { chromium } = await import('playwright-core');
  const asRoot = process.getuid?.() === 0;
  try {
    return await chromium.launch({
      executablePath,
      timeout: START_MS,
      args: [
        '--headless=new',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        // Chromium does not start as root with its sandbox.
        ...(asRoot ? ['--no-sandbox'] : []),
        ...more,
      ],
    });
  } catch (error) {
    const why = `does not start: ${error.message.split('\n')[0]}`;
    throw new WasmAIError('STATE', executablePath, why, { cause: error });
  }
}

/**
 * A page in a context of its own. Its page is Playwright's.
 * @param {import('playwright-core').Browser} browser
 */
export async function newPage(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { page, complaints, close: () => context.close() };
}

/** @param {string} executablePath @returns {Promise<import('./index.mjs').Browser>} */
export async function launch(executablePath) {
  const browser = await launchChromium(executablePath);
  return {
    name: 'chromium',
    version: browser.version(),
    newPage: () => newPage(browser),
    close: () => browser.close(),
  };
}
