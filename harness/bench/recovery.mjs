// A run that is lost (stopped, out of fuel, its worker killed): how soon its promise is rejected, how
// soon its worker is gone, and what the next run takes on top of its own time. The secure build.
import { existsSync } from 'node:fs';
import { call, inFreshPage } from './browser.mjs';
import { summary } from './stats.mjs';
import { busiestWorkerThread, renderers } from './threads.mjs';

export const defaults = { rounds: 30 };

/** Between rounds, for the next worker in reserve. */
const PAUSE_MS = 300;
/** A run that is stopped has been going on for so long. */
const LATE_MS = 300;
const KINDS = ['abort', 'deadline', 'fuel', 'killed'];
const WARM_RUNS = 10;

/** @param {{ browser: any, site: any, model: any, options: typeof defaults }} how */
export async function measure({ browser, site, model, options: { rounds } }) {
  const rows = [];
  await inFreshPage(browser, `${site.url}strict.html`, async (page) => {
    await call(page, 'openForLoss', model.name, WARM_RUNS);
    for (const kind of KINDS) {
      const raw = await call(page, 'lose', kind, rounds, PAUSE_MS);
      rows.push({ kind, raw, ...figuresOf(raw) });
    }
    const gone = [];
    for (let i = 0; i < rounds; i++) gone.push(await timeToIdle(browser, page));
    rows.push({ kind: 'thread gone', raw: gone, stop: worst(gone), code: '' });
    await call(page, 'closeAfterLoss');
  });
  return rows;
}

const worst = (values) => ({ ...summary(values), max: Math.max(...values) });

function figuresOf(raw) {
  const stops = raw.flatMap(({ stop }) => (stop === null ? [] : [stop]));
  return {
    code: [...new Set(raw.map(({ code }) => code))].join(' '),
    own: summary(raw.map(({ own }) => own)),
    stop: stops.length ? worst(stops) : null,
    next: worst(raw.map(({ next }) => next)),
  };
}

/** From the page's abort() until the thread that was running is no more, by /proc. */
async function timeToIdle(browser, page) {
  const running = call(page, 'stopLate', LATE_MS);
  await new Promise((resolve) => setTimeout(resolve, LATE_MS / 2));
  const thread = busiestWorkerThread(await renderers(browser));
  let left = Date.now();
  const watch = (async () => {
    while (existsSync(thread)) await new Promise((resolve) => setImmediate(resolve));
    left = Date.now();
  })();
  const { asked } = await running;
  await watch;
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  return Math.max(0, left - asked);
}

const ms = (value) => (value === undefined ? '' : value.toFixed(1));

export function rowsOf(rows) {
  return [
    ['lost by', 'code', 'run', 'stop p50', 'max', 'next - run p50', 'max'],
    ...rows.map(({ kind, code, own, stop, next }) => [
      kind,
      code,
      ms(own?.p50),
      ms(stop?.p50),
      ms(stop?.max),
      ms(next?.p50),
      ms(next?.max),
    ]),
  ];
}
