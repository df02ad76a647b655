// WebKitGTK's MiniBrowser over plain WebDriver: HTTP calls to WebKitWebDriver, on a screen that Xvfb makes.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../server/port.mjs';
import { answerOf, callSource, waitUntil, watchComplaints, write } from './in_page.mjs';
import { doesNotStart, startProgram } from './process.mjs';

const SCRIPT_MS = 600_000;

/** @param {string} driverPath @returns {Promise<import('./index.mjs').Browser>} */
export async function launch(driverPath) {
  const home = await mkdtemp(join(tmpdir(), 'wasm-ai-webkit-'));
  const screen = startProgram(
    'Xvfb',
    ['-displayfd', '3', '-nolisten', 'tcp', '-screen', '0', '1024x768x24'],
    process.env,
  );
  /** @type {(() => Promise<unknown>)[]} */
  const closers = [() => rm(home, { recursive: true, force: true, maxRetries: 5 }), screen.close];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const [, display] = await screen.hear(/^(\d+)$/m);
    const env = {
      ...process.env,
      HOME: home,
      XDG_RUNTIME_DIR: home,
      DISPLAY: `:${display}`,
      WEBKIT_DISABLE_COMPOSITING_MODE: '1', // nobody looks: a page opens in 0.2 s instead of 0.6
    };
    const port = await freePort();
    const driver = startProgram(driverPath, [`--port=${port}`, '--host=127.0.0.1'], env);
    closers.push(driver.close);
    const { session, version } = await startSession(port, driver, driverPath);
    closers.push(() => session('DELETE', '').catch(() => {}));
    // The first window stays: with the last one the session would end.
    const first = await session('GET', '/window');
    const inTurn = turns();
    return { name: 'webkit', version, newPage: () => newPage(session, first, inTurn), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @param {number} port @param {ReturnType<typeof startProgram>} driver @param {string} driverPath */
async function startSession(port, driver, driverPath) {
  const root = `http://127.0.0.1:${port}`;
  for (let open = false; !open; ) {
    if (driver.ended()) throw doesNotStart(driverPath, driver.said());
    open = await fetch(`${root}/status`).then(
      () => true,
      () => new Promise((resolve) => setTimeout(resolve, 20, false)),
    );
  }
  const wanted = { browserName: 'MiniBrowser', acceptInsecureCerts: true };
  const { sessionId, capabilities } = await ask(root, 'POST', '/session', {
    capabilities: { alwaysMatch: wanted },
  }).catch((error) => {
    throw doesNotStart(driverPath, `${error.message} ${driver.said()}`, error);
  });
  /** @param {string} method @param {string} path @param {object} [body] */
  const session = (method, path, body) => ask(root, method, `/session/${sessionId}${path}`, body);
  await session('POST', '/timeouts', { script: SCRIPT_MS });
  return { session, version: capabilities.browserVersion };
}

/** @param {string} root @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} */
async function ask(root, method, path, body) {
  const response = await fetch(root + path, { method, body: body && JSON.stringify(body) });
  const { value } = /** @type {any} */ (await response.json());
  if (!response.ok) throw new Error(`${path}: ${value.error}: ${value.message}`);
  return value;
}

/** Commands go to the window that was chosen last: choosing and telling must not be torn apart. */
function turns() {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  return (/** @type {() => Promise<any>} */ work) => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
}

const drain = () => /** @type {any} */ (globalThis).wasmAiComplaints?.splice(0) ?? [];

/**
 * @param {Awaited<ReturnType<typeof startSession>>['session']} session
 * @param {string} first  a window that is always there
 * @param {ReturnType<typeof turns>} inTurn
 */
async function newPage(session, first, inTurn) {
  const { handle } = await inTurn(async () => {
    await session('POST', '/window', { handle: first });
    return session('POST', '/window/new', { type: 'window' });
  });
  /** @type {string[]} */
  const complaints = [];
  /** @param {string} method @param {string} path @param {object} [body] */
  const tell = (method, path, body) =>
    inTurn(async () => {
      await session('POST', '/window', { handle });
      return session(method, path, body);
    });
  /** @param {Function | string} work @param {unknown} [argument] */
  const evaluate = async (work, argument) => {
    const script = `const done = arguments[1];
      const heard = () => (${drain})();
      (${callSource(work)})(arguments[0]).then((text) => done([text, heard()]));`;
    const args = [write(argument)];
    const [text, heard] = await tell('POST', '/execute/async', { script, args });
    complaints.push(...heard);
    return answerOf(text);
  };
  /** @type {import('./index.mjs').Page} */
  const page = {
    async goto(url) {
      await tell('POST', '/url', { url });
      await evaluate(watchComplaints);
    },
    evaluate,
    waitForFunction: (work, argument, options) => waitUntil(page, work, argument, options),
  };
  return { page, complaints, close: () => tell('DELETE', '/window') };
}
