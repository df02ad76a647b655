// From the call to the first answer, all bytes in memory. Each measurement has a page of its own,
// because onnxruntime-web starts its wasm once per page; peers take turns, and the order turns too.
import { call, inFreshPage } from './browser.mjs';
import { outputErrors } from './outputs.mjs';
import { median, pairedRatio, summary } from './stats.mjs';

/** One row is one peer: what it is called, and the page that its policy needs. */
export const PEERS = [
  { peer: 'worker', label: 'wasm-ai, locked worker', page: 'locked.html' },
  { peer: 'none', label: "wasm-ai, isolation 'none'", page: 'wasm.html' },
  { peer: 'ort', label: 'onnxruntime-web, main thread', page: 'wasm.html' },
];

export const defaults = { rounds: 15, again: 2 };

/** @param {{ browser: any, site: any, model: any, options: typeof defaults }} how */
export async function measure({ browser, site, model, options: { rounds, again } }) {
  /** @type {Record<string, { fresh: any[], again: any[] }>} */
  const times = Object.fromEntries(PEERS.map(({ peer }) => [peer, { fresh: [], again: [] }]));
  const outputs = {};
  for (let round = -1; round < rounds; round++) {
    const warmUp = round < 0;
    for (let i = 0; i < PEERS.length; i++) {
      const { peer, page: file } = PEERS[(i + round + PEERS.length) % PEERS.length];
      const done = await inFreshPage(browser, site.url + file, async (page) => {
        await call(page, 'prepare', peer, model.name);
        return call(page, 'open', again, warmUp);
      });
      if (warmUp) {
        outputs[peer] = done.outputs;
        continue;
      }
      times[peer].fresh.push(done.times[0]);
      times[peer].again.push(...done.times.slice(1));
    }
  }
  const errors = outputErrors(outputs);
  const peers = PEERS.map(({ peer, label }) => ({
    peer,
    label,
    relativeError: errors[peer],
    fresh: totals(times[peer].fresh),
    again: totals(times[peer].again),
    raw: times[peer],
  }));
  const ort = peers.find(({ peer }) => peer === 'ort');
  const freshTotals = (row) => row.raw.fresh.map(({ total }) => total);
  return peers.map((row) => ({
    ...row,
    paired: pairedRatio(freshTotals(row), freshTotals(ort)),
    ratio: {
      fresh: row.fresh.total.p50 / /** @type {any} */ (ort).fresh.total.p50,
      again: row.again.total.p50 / /** @type {any} */ (ort).again.total.p50,
    },
  }));
}

function totals(list) {
  const phases = {};
  for (const name of Object.keys(list[0]?.phases ?? {})) {
    phases[name] = median(list.map((times) => times.phases[name]));
  }
  return {
    total: summary(list.map(({ total }) => total)),
    create: summary(list.map(({ create }) => create)),
    run: summary(list.map(({ run }) => run)),
    phases,
  };
}

const ms = (value) => value.toFixed(1);

export function rowsOf(peers) {
  return [
    [
      'from call to first answer',
      'fresh ms',
      'create',
      '1st run',
      'of ort',
      'paired',
      'again ms',
      'of ort',
      'rel. error',
    ],
    ...peers.map(({ label, fresh, again, ratio, paired, relativeError }) => [
      label,
      ms(fresh.total.p50),
      ms(fresh.create.p50),
      ms(fresh.run.p50),
      ratio.fresh.toFixed(3),
      paired.toFixed(3),
      ms(again.total.p50),
      ratio.again.toFixed(3),
      relativeError.toExponential(1),
    ]),
  ];
}
