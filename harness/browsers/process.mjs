// A program that a driver starts, which ends with this process at the latest.
import { spawn } from 'node:child_process';
import { WasmAIError } from '../../web/errors.js';

const START_MS = 60_000;
const END_MS = 5_000;

/**
 * @param {string} file @param {string[]} args @param {Record<string, string | undefined>} env
 * @returns what it said so far, a wait for words of it, and its end
 */
export function startProgram(file, args, env) {
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  let said = '';
  let ended = false;
  const news = new Set();
  const tell = () => {
    for (const hear of news) hear();
  };
  for (const stream of child.stdio.slice(1)) {
    stream?.on('data', (/** @type {Buffer} */ chunk) => {
      said = (said + chunk).slice(-20_000);
      tell();
    });
  }
  const end = new Promise((resolve) => {
    for (const event of ['close', 'error']) {
      child.once(event, (reason) => {
        if (reason instanceof Error) said += reason.message;
        ended = true;
        tell();
        resolve(undefined);
      });
    }
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  return {
    said: () => said,
    ended: () => ended,
    /** @param {RegExp} words @returns {Promise<RegExpExecArray>} */
    hear: (words) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => settle(null), START_MS);
        /** @param {RegExpExecArray | null} found */
        const settle = (found) => {
          clearTimeout(late);
          news.delete(listen);
          if (found) resolve(found);
          else reject(doesNotStart(file, said));
        };
        const listen = () => {
          const found = words.exec(said);
          if (found || ended) settle(found);
        };
        news.add(listen);
        listen();
      }),
    async close() {
      child.kill('SIGTERM');
      const late = setTimeout(kill, END_MS);
      await end;
      clearTimeout(late);
      process.off('exit', kill);
    },
    /** Waits for an end of its own, and ends it if that does not come. */
    async whenEnded() {
      const late = setTimeout(kill, END_MS);
      await end;
      clearTimeout(late);
      process.off('exit', kill);
    },
  };
}

/** @param {string} file @param {string} said @param {unknown} [cause] */
export function doesNotStart(file, said, cause) {
  const last = said.trim().split('\n').slice(-3).join(' / ') || 'it says nothing';
  return new WasmAIError('STATE', file, `does not start: ${last}`, { cause });
}
