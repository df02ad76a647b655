// Finds the browsers that packages run in, or installs the distribution's.

import { aptReason } from './apt.mjs';
import { SetupError, step } from './cache.mjs';
import { aptInstall, isRoot, onPath } from './environment.mjs';

/**
 * names: commands, the first that is there counts. variable: says which instead. packages: the
 * distribution's. also: what must be there besides.
 */
const BROWSERS = {
  chromium: {
    title: 'Chromium',
    variable: 'CHROME_PATH',
    names: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
    packages: ['chromium'],
    also: [],
  },
  firefox: {
    title: 'Firefox',
    variable: 'FIREFOX_PATH',
    names: ['firefox-esr', 'firefox'],
    packages: ['firefox-esr'],
    also: [],
  },
  webkit: {
    title: 'WebKit’s driver',
    variable: 'WEBKIT_DRIVER_PATH',
    names: ['WebKitWebDriver'],
    packages: ['webkit2gtk-driver', 'xvfb'],
    also: ['Xvfb'], // GTK has no display of its own to draw on
  },
};

/** @typedef {keyof typeof BROWSERS} BrowserName */

export const BROWSER_NAMES = /** @type {BrowserName[]} */ (Object.keys(BROWSERS));

/** @param {BrowserName} name @returns {string | null} the browser; for WebKit, its driver */
export function findBrowser(name) {
  const { variable, names, also } = BROWSERS[name];
  if (also.some((command) => !onPath(command))) return null;
  return process.env[variable] || names.map(onPath).find(Boolean) || null;
}

/** Why tests skip a browser; false where it is. @param {BrowserName} name */
export const browserMissing = (name) =>
  findBrowser(name) === null && `${BROWSERS[name].title} is not installed: ${howTo(name)}`;

/** @param {BrowserName} name */
export function howTo(name) {
  const { packages, variable } = BROWSERS[name];
  return `install the distribution’s ${packages.join(' and ')}, or name it in ${variable}`;
}

/** @param {BrowserName} name @returns {Promise<string>} its path */
export async function ensureBrowser(name) {
  const there = findBrowser(name);
  if (there) return there;
  const { title, packages } = BROWSERS[name];
  /** @param {string} [why] */
  const missing = (why = '') => new SetupError(`${title} is missing${why}: ${howTo(name)}.`);
  if (!isRoot || !onPath('apt-get')) throw missing();
  step(`installing ${packages.join(', ')} (once)`);
  try {
    await aptInstall(packages);
  } catch (error) {
    throw missing(` and apt-get could not install it (${aptReason(error)})`);
  }
  const installed = findBrowser(name);
  if (!installed) throw missing();
  return installed;
}

/**
 * The engines besides Chromium, where that is possible: without one its tests are skipped by name.
 * One after the other, since apt does one thing at a time.
 */
export async function ensureOtherBrowsers() {
  for (const name of BROWSER_NAMES) {
    try {
      await ensureBrowser(name);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      step(`tests on ${name} will be skipped: ${error.message}`);
    }
  }
}
