// Firefox over WebDriver BiDi: the protocol's own words over one WebSocket, no driver between.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import { answerOf, callSource, waitUntil, write } from './in_page.mjs';
import { startProgram } from './process.mjs';

/** @param {string} executablePath @returns {Promise<import('./index.mjs').Browser>} */
export async function launch(executablePath) {
  // A profile of its own, which is also its HOME: as root it refuses one that belongs to somebody else.
  const profile = await mkdtemp(join(tmpdir(), 'wasm-ai-firefox-'));
  const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'];
  const program = startProgram(executablePath, args, { ...process.env, HOME: profile });
  const close = async () => {
    await program.whenEnded();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const [, address] = await program.hear(/listening on (ws:\S+)/);
    const wire = await connect(`${address}/session`);
    const { capabilities } = await wire.call('session.new', {
      capabilities: { alwaysMatch: { acceptInsecureCerts: true } },
    });
    await wire.call('session.subscribe', { events: ['log.entryAdded'] });
    return {
      name: 'firefox',
      version: capabilities.browserVersion,
      newPage: () => newPage(wire),
      async close() {
        await wire.call('browser.close').catch(() => {});
        wire.close();
        await close();
      },
    };
  } catch (error) {
    await program.close();
    await close();
    throw error;
  }
}

/** Commands go out numbered, answers come back with the number; the rest are events. @param {string} address */
async function connect(address) {
  const socket = new WebSocket(address, { maxPayload: 1 << 30 });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  /** @type {Map<number, (answer: any) => void>} */
  const waiting = new Map();
  const listeners = new Set();
  let count = 0;
  const settleAll = () => {
    for (const settle of waiting.values()) settle({ error: 'closed', message: 'Firefox is gone' });
    waiting.clear();
  };
  socket.on('close', settleAll);
  socket.on('error', settleAll);
  socket.on('message', (data) => {
    const message = JSON.parse(String(data));
    if (message.type === 'event') for (const listener of listeners) listener(message);
    else waiting.get(message.id)?.(message);
  });
  return {
    listeners,
    close: () => socket.close(),
    /** @param {string} method @param {object} [params] @returns {Promise<any>} */
    async call(method, params = {}) {
      const id = ++count;
      const answer = await new Promise((resolve) => {
        waiting.set(id, resolve);
        if (socket.readyState === WebSocket.OPEN)
          socket.send(JSON.stringify({ id, method, params }));
        else settleAll();
      });
      waiting.delete(id);
      if (answer.error) throw new Error(`${method}: ${answer.error}: ${answer.message}`);
      return answer.result;
    },
  };
}

/** A page in a context of its own: it shares no storage with others. @param {Awaited<ReturnType<typeof connect>>} wire */
async function newPage(wire) {
  const { userContext } = await wire.call('browser.createUserContext');
  const { context } = await wire.call('browsingContext.create', { type: 'tab', userContext });
  /** @type {string[]} */
  const complaints = [];
  const listener = (/** @type {any} */ { method, params }) => {
    if (method !== 'log.entryAdded' || params.level !== 'error') return;
    if (params.source.context === context) complaints.push(params.text);
  };
  wire.listeners.add(listener);
  /** @type {import('./index.mjs').Page} */
  const page = {
    async goto(url) {
      await wire.call('browsingContext.navigate', { context, url, wait: 'complete' });
    },
    async evaluate(work, argument) {
      const { result, exceptionDetails } = await wire.call('script.callFunction', {
        functionDeclaration: callSource(work),
        arguments: [{ type: 'string', value: write(argument) }],
        awaitPromise: true,
        target: { context },
      });
      if (exceptionDetails) throw new Error(exceptionDetails.text);
      return answerOf(result.value);
    },
    waitForFunction: (work, argument, options) => waitUntil(page, work, argument, options),
  };
  return {
    page,
    complaints,
    async close() {
      wire.listeners.delete(listener);
      await wire.call('browser.removeUserContext', { userContext });
    },
  };
}
