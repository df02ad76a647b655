// How a session's work is shared among its threads, by the processor time of each: the longest says how fast cores that
// nobody else uses would be, whatever else this machine does meanwhile. In Node, on Linux.
//
//   node harness/bench/balance.mjs MODEL.wai [--runs 40] [--threads 1,2,4]
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { load, Tensor } from '../../web/wasmai.js';
import { elementCount } from '../dtypes.mjs';

const MS_PER_TICK = 10;
const TASKS = '/proc/self/task';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '40' },
    threads: { type: 'string', default: '1,2,4' },
  },
});

/** Milliseconds of processor by thread. */
function times() {
  return new Map(
    readdirSync(TASKS).map((task) => {
      const text = readFileSync(`${TASKS}/${task}/stat`, 'utf8');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return [task, (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK];
    }),
  );
}

/** @param {Uint8Array} pack @param {number} threads @param {number} runs */
async function measure(pack, threads, runs) {
  const session = await load(pack, { isolation: 'none', deterministic: true, threads });
  const feeds = Object.fromEntries(
    session.inputs.map(({ name, dtype, dims }) => {
      if (dtype !== 'float32') throw new Error(`input ${name} is ${dtype}: only float32 here`);
      const data = new Float32Array(elementCount(dims)).map((_, i) => (i % 17) / 17);
      return [name, new Tensor(dtype, data, dims)];
    }),
  );
  for (let i = 0; i < 5; i++) await session.run(feeds);
  await delay(1500); // until all are compiled and there
  const [before, start] = [times(), performance.now()];
  for (let i = 0; i < runs; i++) await session.run(feeds);
  const wall = (performance.now() - start) / runs;
  const used = [...times()]
    .map(([task, ms]) => (ms - (before.get(task) ?? 0)) / runs)
    .sort((a, b) => b - a)
    .slice(0, threads);
  await session.close();
  return { threads, wall, used };
}

for (const file of positionals) {
  const pack = new Uint8Array(readFileSync(file));
  let alone = 0;
  for (const threads of values.threads.split(',').map(Number)) {
    const { wall, used } = await measure(pack, threads, Number(values.runs));
    alone ||= used[0];
    const each = used.map((ms) => ms.toFixed(1)).join(' + ');
    console.log(
      `${file}  ${threads} threads: ${each} ms of processor a run, ${wall.toFixed(1)} ms on the clock; ` +
        `the longest is ${(alone / used[0]).toFixed(2)} times shorter`,
    );
  }
}
