// The browser that nothing works without.

import { ensureBrowser, findBrowser } from './browsers.mjs';

export const findChromium = () => findBrowser('chromium');
export const ensureChromium = () => ensureBrowser('chromium');
