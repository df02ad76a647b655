// One visit: from navigation to the first answer, and a few more. The peer is chosen when this is bundled.
import { ARRAYS } from './inputs.js';
import { memoryBytes, memoryMark } from './memories.js';

const longTasks = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longTasks.push(duration);
}).observe({ type: 'longtask', buffered: true });

/** Values that no download waits for: the same on every visit. */
function inputsOf(slots) {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
  const oneOf = (dtype) => (dtype.startsWith('float') ? next() * 2 - 1 : Math.floor(next() * 2));
  const make = (dtype, count) => {
    const data = new ARRAYS[dtype](count);
    const convert = typeof data[0] === 'bigint' ? BigInt : Number;
    for (let i = 0; i < count; i++) data[i] = convert(oneOf(dtype));
    return data;
  };
  return Object.fromEntries(
    slots.map(({ name, dtype, dims }) => {
      const count = dims.reduce((product, dim) => product * dim, 1);
      return [name, { dtype, dims, data: make(dtype, count) }];
    }),
  );
}

/** @param {{ open: Function }} peer */
export async function visit({ open }) {
  const { slots, more, ...options } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
  const mark = memoryMark();
  const start = performance.now();
  const session = await open(options);
  const created = performance.now();
  session.feed(inputsOf(slots));
  const fed = performance.now();
  await session.run();
  const answered = performance.now();
  const later = [];
  for (let i = 0; i < more; i++) {
    const from = performance.now();
    await session.run();
    later.push(performance.now() - from);
  }
  // Long tasks are reported when they are over.
  await new Promise((done) => setTimeout(done, 100));
  const resources = performance.getEntriesByType('resource');
  return {
    answerMs: answered - (fed - created),
    scriptMs: start,
    createMs: created - start,
    firstRunMs: answered - fed,
    laterMs: later,
    memoryBytes: session.memoryBytes?.() ?? memoryBytes(mark),
    transferBytes: resources.reduce((sum, { transferSize }) => sum + transferSize, 0),
    requests: resources.length,
    longTasks: { count: longTasks.length, max: Math.max(0, ...longTasks) },
    info: session.info(),
  };
}
