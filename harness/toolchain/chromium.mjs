// Finds Chromium, or installs the distribution's.

import { SetupError, step } from './cache.mjs';
import { aptInstall, isRoot, onPath } from './environment.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** @returns {string | null} */
export function findChromium() {
  if (process.env.CHROME_PATH) return process.env.CHROME_PATH;
  for (const name of names) {
    const file = onPath(name);
    if (file) return file;
  }
  return null;
}

/** @returns {Promise<string>} path of a Chromium */
export async function ensureChromium() {
  const there = findChromium();
  if (there) return there;
  const how =
    'install the distribution’s package chromium, or name a Chromium or Chrome in CHROME_PATH';
  if (!isRoot || !onPath('apt-get')) throw new SetupError(`Chromium is missing: ${how}.`);
  step('installing chromium (once)');
  try {
    await aptInstall(['chromium']);
  } catch {
    throw new SetupError(`Chromium is missing and apt-get could not install it: ${how}.`);
  }
  const installed = findChromium();
  if (!installed) throw new SetupError(`Chromium is missing: ${how}.`);
  return installed;
}
