// What a page does to a session to stop a run in its middle, and how long the next answer takes.
import { bytesAt, readFeeds } from './inputs.js';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const now = () => performance.now();
/** Since 1970, to compare with the driver's clock. */
const epoch = (at) => performance.timeOrigin + at;

/** All workers that the loader started, so that one can be killed behind its back. */
const workers = [];
window.Worker = class extends Worker {
  constructor(url, options) {
    super(url, options);
    workers.push(this);
  }
};

let session;
let feeds;
let own;

async function timedRun(options) {
  const start = now();
  await session.run(feeds, options);
  return now() - start;
}

/** One row is one way to lose a run: when it was to stop, and when it did. */
const LOSSES = {
  async abort() {
    const stop = new AbortController();
    const run = session.run(feeds, { signal: stop.signal }).catch((error) => error);
    await pause(own / 2);
    const asked = now();
    stop.abort();
    return { error: await run, asked };
  },
  async deadline() {
    const deadlineMs = Math.max(1, Math.round(own / 2));
    const asked = now() + deadlineMs;
    return { error: await session.run(feeds, { deadlineMs }).catch((error) => error), asked };
  },
  async fuel() {
    const maxFuel = Math.round(session.info.certificate.fuel / 2);
    return { error: await session.run(feeds, { maxFuel }).catch((error) => error), asked: null };
  },
  /** Ended from outside, which no page is told: the deadline finds it. */
  async killed() {
    const deadlineMs = Math.max(2, Math.round(own));
    const asked = now() + deadlineMs;
    const run = session.run(feeds, { deadlineMs }).catch((error) => error);
    await pause(own / 2);
    for (const worker of workers.splice(0, workers.length - 1)) worker.terminate();
    return { error: await run, asked };
  },
};

export const recovery = {
  /** Opens and warms up; the time of a run. */
  async openForLoss(model, warmRuns) {
    const { load, Tensor } = await import('./wasmai.js');
    feeds = await readFeeds(Tensor, model);
    const pack = await bytesAt(`./models/${model}.wai`);
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-384', pack));
    const sha384 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    session = await load(pack, { sha384 });
    for (let i = 0; i < warmRuns; i++) await timedRun();
  },

  /**
   * Rounds of: a run as it is, a lost one, the next one.
   * @param {string} kind @param {number} rounds @param {number} pauseMs between rounds, for the reserve
   */
  async lose(kind, rounds, pauseMs) {
    const figures = [];
    for (let i = 0; i < rounds; i++) {
      await pause(pauseMs);
      own = await timedRun();
      own = Math.min(own, await timedRun());
      const { error, asked } = await LOSSES[kind]();
      const stopped = now();
      if (!(error instanceof Error)) {
        i--; // it was faster than half of what it took before
        continue;
      }
      const next = await timedRun();
      figures.push({
        code: /** @type {any} */ (error).code,
        own,
        stop: asked === null ? null : stopped - asked,
        next: next - own,
      });
    }
    return figures;
  },

  /** Runs until it is stopped; when that was asked for and answered, on the driver's clock. */
  async stopLate(afterMs) {
    const stop = new AbortController();
    const busy = (async () => {
      for (;;) await session.run(feeds, { signal: stop.signal });
    })().catch(() => now());
    await pause(afterMs);
    const asked = now();
    stop.abort();
    return { asked: epoch(asked), rejected: epoch(await busy) };
  },

  closeAfterLoss: () => session.close(),
};
