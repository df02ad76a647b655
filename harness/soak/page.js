// What a page does to the loader under load; driven through `window.soak`. Inputs are random with a
// seed, so the same ones must give the same bits whoever else is running.
import { load, Tensor } from './wasmai.js';

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int32: Int32Array };
const DISTINCT = 4;
const now = () => performance.now();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function randomFeeds(session, seed) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
  return Object.fromEntries(
    session.inputs.map(({ name, dtype, dims }) => {
      const data = new ARRAYS[dtype](dims.reduce((product, dim) => product * dim, 1));
      for (let i = 0; i < data.length; i++) data[i] = next();
      return [name, new Tensor(dtype, data, dims)];
    }),
  );
}

/** The same numbers, bit by bit. */
const same = (one, other) =>
  Object.keys(one).every((name) => {
    const bytes = (tensor) => new Uint8Array(tensor.data.buffer);
    const [a, b] = [bytes(one[name]), bytes(other[name])];
    return a.length === b.length && a.every((value, i) => value === b[i]);
  });

let honest = [];
let hostile = null;
let feeds = [];
let answers = [];

/** One row is one way to be a bad neighbour; each says how it ended. */
const MISDEEDS = {
  deadline: () => hostile.run(feeds[0], { deadlineMs: 1 }),
  fuel: () => hostile.run(feeds[0], { maxFuel: 1000 }),
  abort: () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 2);
    return hostile.run(feeds[0], { signal: stop.signal });
  },
  /** What the stub runtime of the tests does when it is told to. */
  trap: () => hostile.run({ x: new Float32Array([-1, 0, 0, 0]) }),
  endless: () => hostile.run({ x: new Float32Array([-2, 0, 0, 0]) }, { deadlineMs: 50 }),
  endlessFuel: () => hostile.run({ x: new Float32Array([-2, 0, 0, 0]) }, { maxFuel: 2 ** 28 }),
  async memory() {
    await (await load('./models/hungry.wai')).close();
  },
  flood: () => Promise.all(Array.from({ length: 2000 }, () => hostile.run(feeds[0]))),
};

/** Until it is told to stop; what came of it, by code. */
async function misbehave(kinds, isOver) {
  const outcomes = {};
  for (let i = 0; !isOver(); i++) {
    const kind = kinds[i % kinds.length];
    const outcome = await MISDEEDS[kind]().then(
      () => 'done',
      ({ code }) => code,
    );
    const key = `${kind}: ${outcome}`;
    outcomes[key] = (outcomes[key] ?? 0) + 1;
    await pause(0);
  }
  return outcomes;
}

window.soak = {
  async open(model, sessions) {
    const all = await Promise.all(Array.from({ length: sessions }, () => load(model)));
    [hostile, ...honest] = all;
    feeds = Array.from({ length: DISTINCT }, (_, i) => randomFeeds(hostile, i + 1));
    answers = [];
    for (const one of feeds) answers.push(await honest[0].run(one));
  },

  /**
   * Every honest session asks for a run each `gapMs`, for so many seconds.
   * @param {number} seconds @param {number} gapMs @param {string[]} misdeeds  of the hostile one; none: it rests
   */
  async steady(seconds, gapMs, misdeeds) {
    const end = now() + seconds * 1000;
    const isOver = () => now() > end;
    const bad = misdeeds.length ? misbehave(misdeeds, isOver) : null;
    const times = [];
    const failures = [];
    await Promise.all(
      honest.map(async (session, n) => {
        for (let i = n; !isOver(); i++) {
          const start = now();
          try {
            const got = await session.run(feeds[i % DISTINCT]);
            times.push(now() - start);
            if (!same(got, answers[i % DISTINCT])) failures.push('wrong');
          } catch (error) {
            failures.push(error.code);
          }
          await pause(gapMs);
        }
      }),
    );
    return { times, failures, outcomes: await bad };
  },

  /** `count` runs at once on every honest session, beside the hostile one. */
  async queue(count, misdeeds) {
    let over = false;
    const bad = misdeeds.length ? misbehave(misdeeds, () => over) : null;
    const start = now();
    const seen = await Promise.all(
      honest.map(async (session) => {
        const order = [];
        const right = await Promise.all(
          Array.from({ length: count }, async (_, i) => {
            const got = await session.run(feeds[i % DISTINCT]);
            order.push(i);
            return same(got, answers[i % DISTINCT]);
          }),
        );
        return { right: right.filter(Boolean).length, inOrder: order.every((at, i) => at === i) };
      }),
    );
    const ms = now() - start;
    over = true;
    return { seen, ms, outcomes: await bad };
  },

  close: () => Promise.all([hostile, ...honest].map((session) => session.close())),

  /**
   * Open, run, close, as a page does that changes its mind. From bytes: a driver that watches the
   * network keeps every answer in the page's process.
   */
  async cycles(model, count) {
    const pack = new Uint8Array(await (await fetch(model)).arrayBuffer());
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-384', pack));
    const sha384 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    for (let i = 0; i < count; i++) {
      const session = await load(pack, { sha384 });
      await session.run(randomFeeds(session, 1));
      await session.close();
    }
  },
};
