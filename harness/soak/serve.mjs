// `wasm-ai serve` while others ask too much of it: wrk, slow clients, a flood of connections. They come
// from one address, a well-behaved client from another; its latency is what counts.
import { spawn } from 'node:child_process';
import { Agent, request } from 'node:https';
import { fileURLToPath } from 'node:url';
import { quantile } from '../bench/stats.mjs';
import { commandLine } from '../toolchain/env.mjs';
import { makeEnvironment, onPath } from '../toolchain/environment.mjs';

const HOST = '127.0.0.1';
const HONEST = '127.0.0.2';
const GAP_MS = 20;
const file = (name) => fileURLToPath(new URL(name, import.meta.url));

/** @param {string} command @param {string[]} args @param {any} [options] */
function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let said = '';
  child.stdout.on('data', (text) => (said += text));
  child.stderr.on('data', (text) => (said += text));
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, said }));
  });
  ended.catch(() => {});
  return { child, ended, said: () => said };
}

/** The command, as a user starts it. @param {string} folder */
async function startServe(folder) {
  const args = [file('../cli.mjs'), 'serve', folder, '--host', HOST, '--port', '0'];
  const { child, ended, said } = start(process.execPath, args);
  const end = () => {
    child.kill('SIGKILL');
    return ended;
  };
  for (;;) {
    const port = Number(/https:\/\/[^:/]+:(\d+)\//.exec(said())?.[1] ?? 0);
    if (port) return { port, end };
    const wait = new Promise((resolve) => setTimeout(resolve, 20));
    if (await Promise.race([ended.then(() => true), wait]))
      throw new Error(`serve did not start: ${said()}`);
  }
}

/** wrk of this machine, or of the environment that has the web servers. @param {string[]} args */
async function startWrk(args) {
  const root = onPath('wrk') ? '' : await makeEnvironment('hosts');
  const line = commandLine({ kind: root ? 'root' : 'path', root, id: '' }, 'wrk', args);
  return start(line.file, line.args, { cwd: line.cwd, env: line.env });
}

/** @param {number} port @param {string} path @param {Agent} agent */
function ask(port, path, agent) {
  return new Promise((resolve, reject) => {
    const options = { host: HOST, localAddress: HONEST, port, path, agent };
    const asked = request({ ...options, rejectUnauthorized: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode));
    });
    asked.once('error', reject);
    asked.end();
  });
}

/** Ask now and then for so long. @param {number} port @param {string} path @param {number} seconds */
async function behave(port, path, seconds) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const end = performance.now() + seconds * 1000;
  const times = [];
  const failures = [];
  while (performance.now() < end) {
    const begin = performance.now();
    const status = await ask(port, path, agent).catch((error) => error.code ?? error.message);
    if (status === 200) times.push(performance.now() - begin);
    else failures.push(status);
    await new Promise((resolve) => setTimeout(resolve, GAP_MS));
  }
  agent.destroy();
  return {
    asked: times.length + failures.length,
    failures,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
  };
}

/** What wrk says of itself. @param {string} text */
function readWrk(text) {
  const number = (pattern) => Number(pattern.exec(text)?.[1] ?? 0);
  const time = (share) => {
    const [, value, unit] = new RegExp(`${share}%\\s+([\\d.]+)(us|ms|s)`).exec(text) ?? [];
    return Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit ?? 'ms'];
  };
  return {
    requests: number(/(\d+) requests in/),
    refused: number(/Non-2xx or 3xx responses: (\d+)/),
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50: time(50),
    p99: time(99),
  };
}

/** One row is one way to load it. @type {Record<string, (port: number, path: string, seconds: number) => Promise<{ ended: Promise<any>, read?: Function } | null>>} */
const LOADS = {
  'nobody else': async () => null,
  wrk: async (port, path, seconds) => ({
    ...(await startWrk([
      ...['-t', '2', '-c', '32', '-d', `${seconds}s`, '--latency'],
      `https://${HOST}:${port}${path}`,
    ])),
    read: readWrk,
  }),
  'slow clients': async (port, _path, seconds) => attack('slow', port, seconds),
  'a flood of connections': async (port, _path, seconds) => attack('flood', port, seconds),
};

function attack(kind, port, seconds) {
  const args = [file('./attackers.mjs'), kind, String(port), String(seconds)];
  return { ...start(process.execPath, args), read: (text) => ({ opened: Number(text.trim()) }) };
}

/** @param {{ folder: string, path: string, seconds: number }} how */
export async function serveUnderLoad({ folder, path, seconds }) {
  const server = await startServe(folder);
  const rows = [];
  try {
    await behave(server.port, path, 0.5);
    for (const [load, begin] of Object.entries(LOADS)) {
      const other = await begin(server.port, path, seconds);
      const honest = await behave(server.port, path, seconds);
      const { said = '' } = (await other?.ended) ?? {};
      rows.push({ load, ...honest, other: other?.read?.(said) ?? null });
    }
  } finally {
    await server.end();
  }
  return rows;
}
