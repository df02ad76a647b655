// A fuzzer for what is JavaScript: seeded changes of seeds, and an oracle. Every input gets an
// answer or a WasmAIError that says where and what, in bounded time and memory. Inputs that lead
// to an outcome not seen before become seeds themselves.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { WasmAIError } from '../../web/errors.js';
import { mutate, Random } from './random.mjs';

/**
 * @typedef {object} Target
 * @property {string} name
 * @property {() => Uint8Array[] | Promise<Uint8Array[]>} seeds
 * @property {(input: Buffer) => any} run  throws WasmAIError, or gives what it read
 * @property {(random: Random, input: Uint8Array, donors: Uint8Array[]) => Buffer} [change]
 * @property {Uint8Array[]} [words]  that inputs are made of
 * @property {number} [limitMs]      of one input
 * @property {string[]} [blamed]     codes that would be our bug; by default INTERNAL and TRAP
 */

const LIMIT_MS = 2000;
/** Above what is there when the seeds have run. */
const LIMIT_BYTES = 600 << 20;
const MOST_SEEDS = 2000;
const HANG_MS = 30_000;

/** Codes that blame us. */
const BLAMED = ['INTERNAL', 'TRAP'];

/**
 * The outcome of one input in a word, or what is wrong with it.
 * @param {Target} target @param {Buffer} input @returns {Promise<{ outcome: string, wrong?: string }>}
 */
export async function judge(target, input) {
  const begin = performance.now();
  let outcome;
  try {
    const answer = await target.run(input);
    outcome = `ok ${typeof answer === 'string' ? answer : ''}`;
  } catch (error) {
    outcome = outcomeOf(error);
    if (!(error instanceof WasmAIError) || (target.blamed ?? BLAMED).includes(error.code))
      return { outcome, wrong: error?.stack ?? String(error) };
    // Words that a worker says are its own.
    if (!error.where || (!target.blamed && error.message.length < 10))
      return { outcome, wrong: `an error without place or sentence: ${error.stack}` };
  }
  const ms = performance.now() - begin;
  if (ms > (target.limitMs ?? LIMIT_MS)) return { outcome, wrong: `took ${Math.round(ms)} ms` };
  return { outcome };
}

/** @param {any} error */
const outcomeOf = (error) =>
  `${error?.code} ${String(error?.message)
    .replace(/\d+/g, '0')
    .replace(/"[^"]*"/g, '""')
    .slice(-80)}`;

/**
 * @param {Target} target
 * @param {{ seconds: number, seed: number, crashes: string }} how
 * @returns {Promise<{ runs: number, outcomes: number, findings: string[], cpu: number }>}
 */
export async function fuzz(target, { seconds, seed, crashes }) {
  const random = new Random(seed);
  /** @type {Buffer[]} */
  const seeds = (await target.seeds()).map((bytes) => Buffer.from(bytes));
  const watched = watch(target.name, crashes);
  const outcomes = new Set();
  /** @type {string[]} */
  const findings = [];
  const cpu = process.cpuUsage();
  const end = performance.now() + seconds * 1000;
  let runs = 0;
  let base = Infinity;
  const first = [...seeds];
  while (performance.now() < end) {
    const next = first.shift();
    if (!next && base === Infinity) base = process.memoryUsage.rss();
    const input = next ?? change(target, random, seeds);
    watched.begin(input);
    let { outcome, wrong } = await judge(target, input);
    if (wrong?.startsWith('took')) ({ outcome, wrong } = await judge(target, input)); // a busy machine?
    const grown = process.memoryUsage.rss() - base;
    if (!wrong && grown > LIMIT_BYTES) wrong = `holds ${Math.round(grown / 2 ** 20)} MiB`;
    runs++;
    if (wrong) {
      findings.push(`${keep(crashes, target.name, findings.length, input)}: ${wrong}`);
      if (findings.length >= 5 || wrong.startsWith('holds')) break;
    } else if (!outcomes.has(outcome) && !next && seeds.length < MOST_SEEDS) seeds.push(input);
    outcomes.add(outcome);
  }
  watched.stop();
  const used = process.cpuUsage(cpu);
  return { runs, outcomes: outcomes.size, findings, cpu: (used.user + used.system) / 1e6 };
}

/** @param {Target} target @param {Random} random @param {Buffer[]} seeds */
function change(target, random, seeds) {
  const from = random.pick(seeds);
  if (target.change) return target.change(random, from, seeds);
  return mutate(random, from, { words: target.words, donors: seeds });
}

/** @param {string} folder @param {string} name @param {number | string} number @param {Uint8Array} input */
function keep(folder, name, number, input) {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${name}-${process.pid}-${number}`);
  writeFileSync(file, input);
  return file;
}

// An input that never ends would end nothing: another thread looks at the count of inputs and
// writes down the present one when it stands still.
const watcher = `
const { workerData: { shared, file, limit } } = require('node:worker_threads');
const { mkdirSync, writeFileSync, writeSync } = require('node:fs');
const counts = new Int32Array(shared, 0, 3);
let [last, since] = [-1, Date.now()];
setInterval(() => {
  if (Atomics.load(counts, 2)) process.exit();
  if (counts[0] !== last) [last, since] = [counts[0], Date.now()];
  else if (Date.now() - since > limit) {
    mkdirSync(require('node:path').dirname(file), { recursive: true });
    writeFileSync(file, new Uint8Array(shared.slice(12, 12 + counts[1])));
    writeSync(2, file + ': has not ended after ' + limit + ' ms\\n');
    process.kill(process.pid, 'SIGKILL');
  }
}, 1000);
`;

/** @param {string} name @param {string} crashes */
function watch(name, crashes) {
  const shared = new SharedArrayBuffer(12 + (1 << 20));
  const counts = new Int32Array(shared, 0, 3);
  const room = new Uint8Array(shared, 12);
  const file = path.join(crashes, `${name}-${process.pid}-hang`);
  const worker = new Worker(watcher, {
    eval: true,
    workerData: { shared, file, limit: HANG_MS },
  });
  worker.unref();
  return {
    /** @param {Uint8Array} input */
    begin(input) {
      room.set(input.subarray(0, room.length));
      counts[1] = Math.min(input.length, room.length);
      Atomics.add(counts, 0, 1);
    },
    stop: () => Atomics.store(counts, 2, 1),
  };
}
