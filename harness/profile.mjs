// Where a run's time goes, from `session.profile()` of several runs: a table, sums by operator, and the
// events of a Chrome trace (chrome://tracing, Perfetto).

/** @typedef {import('../web/wasmai.d.ts').Profile} Profile */
/** @typedef {{ name: string, op: string, ms: number, readBytes: number, writtenBytes: number }} Step */

const median = (/** @type {number[]} */ list) =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];

/** Of each step the median of its times. @param {Profile[]} profiles @returns {Step[]} */
export function medianSteps(profiles) {
  const last = profiles[profiles.length - 1];
  return last.steps.map((step, i) => ({
    ...step,
    ms: median(profiles.map(({ steps }) => steps[i].ms)),
  }));
}

/** Sums by operator, the slowest first. @param {Step[]} steps */
export function byOperator(steps) {
  /** @type {Map<string, { op: string, steps: number, ms: number }>} */
  const sums = new Map();
  for (const { op, ms } of steps) {
    const sum = sums.get(op) ?? { op, steps: 0, ms: 0 };
    sums.set(op, { op, steps: sum.steps + 1, ms: sum.ms + ms });
  }
  return [...sums.values()].sort((a, b) => b.ms - a.ms);
}

const SHOWN = 20;
const mb = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(2);

/** Rows for tableText: operators, then the slowest steps. @param {Step[]} steps */
export function profileRows(steps) {
  const total = steps.reduce((sum, { ms }) => sum + ms, 0);
  const share = (/** @type {number} */ ms) => `${((100 * ms) / (total || 1)).toFixed(1)} %`;
  const slowest = steps
    .map((step, index) => ({ ...step, index }))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, SHOWN);
  return {
    operators: [
      ['operator', 'steps', 'ms', ''],
      ...byOperator(steps).map(({ op, steps: count, ms }) => [
        op,
        String(count),
        ms.toFixed(3),
        share(ms),
      ]),
    ],
    steps: [
      ['step', 'operator', 'name', 'ms', '', 'MB read', 'written'],
      ...slowest.map(({ index, op, name, ms, readBytes, writtenBytes }) => [
        String(index),
        op,
        name,
        ms.toFixed(3),
        share(ms),
        mb(readBytes),
        mb(writtenBytes),
      ]),
    ],
  };
}

/** Trace Event Format, complete events ("X"), times in microseconds: every run, its steps inside. @param {Profile[]} profiles */
export function traceOf(profiles) {
  const at = { pid: 1, tid: 1 };
  let clock = 0;
  const traceEvents = profiles.flatMap(({ ms, steps }, run) => {
    const begin = clock;
    const events = steps.map(({ name, op, ms: took, ...args }) => {
      const event = { name, cat: op, ph: 'X', ts: clock, dur: took * 1000, ...at, args };
      clock += took * 1000;
      return event;
    });
    clock = Math.max(clock, begin + ms * 1000);
    const whole = { name: `run ${run}`, cat: 'run', ph: 'X', ts: begin, dur: clock - begin, ...at };
    return [whole, ...events];
  });
  return { traceEvents, displayTimeUnit: 'ms' };
}
