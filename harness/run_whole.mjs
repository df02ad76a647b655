// Runs a command to its end, or ends it with all that it started.
import { spawn } from 'node:child_process';

const AFTER_MS = 3000;

/**
 * A command with its output; with all its processes it is ended at the limit, or soon after it is `done`:
 * what a test left open must not hold us up.
 * @param {{ file: string, args: string[], cwd: string, env: NodeJS.ProcessEnv }} line
 * @param {number} limitMs @param {() => boolean} [done]
 * @returns {Promise<{ code: number, output: string, hung: boolean }>}
 */
export function runWhole({ file, args, cwd, env }, limitMs, done = () => false) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    let hung = false;
    const end = () => {
      try {
        process.kill(-(child.pid ?? 0), 'SIGKILL');
      } catch {
        // all gone
      }
    };
    process.once('exit', end);
    const limit = setTimeout(() => {
      hung = true;
      end();
    }, limitMs);
    const look = setInterval(() => {
      if (!done()) return;
      clearInterval(look);
      setTimeout(end, AFTER_MS).unref();
    }, 250);
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(limit);
      clearInterval(look);
      process.off('exit', end);
      end(); // what it left behind
      resolve({ code: code ?? 128, output, hung });
    });
  });
}
