// The engines that pages run in, behind one shape; whoever drives one cannot see which it is.
import { WasmAIError } from '../../web/errors.js';
import { findBrowser, howTo } from '../toolchain/browsers.mjs';

/**
 * @typedef {object} Page
 * @property {(url: string) => Promise<unknown>} goto
 * @property {(work: any, argument?: any) => Promise<any>} evaluate  a function that needs nothing from
 *   around it, awaited in the page; numbers, bigints, typed arrays and plain data go in and come out
 * @property {(work: any, argument?: any, options?: { timeout?: number }) => Promise<unknown>} waitForFunction
 *
 * @typedef {object} OpenedPage
 * @property {Page} page
 * @property {string[]} complaints  errors on the console and uncaught ones, up to the last evaluate
 * @property {() => Promise<unknown>} close
 *
 * @typedef {object} Browser
 * @property {string} name
 * @property {string} version
 * @property {() => Promise<OpenedPage>} newPage
 * @property {() => Promise<void>} close
 */

/** @type {Record<import('../toolchain/browsers.mjs').BrowserName, () => Promise<{ launch(file: string): Promise<Browser> }>>} */
const DRIVERS = {
  chromium: () => import('./chromium.mjs'),
  firefox: () => import('./firefox.mjs'),
  webkit: () => import('./webkit.mjs'),
};

/** STATE where it is not installed. @param {import('../toolchain/browsers.mjs').BrowserName} name */
export async function launchBrowser(name) {
  const executablePath = findBrowser(name);
  if (!executablePath) throw new WasmAIError('STATE', name, `is not installed; ${howTo(name)}`);
  const { launch } = await DRIVERS[name]();
  return launch(executablePath);
}
