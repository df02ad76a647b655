// A run when everything is warm: all peers in one page, in turns of a few runs.
import { call, inFreshPage } from './browser.mjs';
import { PEERS } from './open.mjs';
import { outputErrors } from './outputs.mjs';
import { median, pairedRatio, summary } from './stats.mjs';

export const defaults = { runs: 40, block: 5, warmRuns: 10, warmMs: 1500 };

/** @param {{ browser: any, site: any, model: any, options: typeof defaults }} how */
export async function measure({ browser, site, model, options }) {
  const names = PEERS.map(({ peer }) => peer);
  const result = await inFreshPage(browser, `${site.url}wasm.html`, (page) =>
    call(page, 'steady', names, model.name, options),
  );
  const errors = outputErrors(
    Object.fromEntries(names.map((peer) => [peer, result[peer].outputs])),
  );
  const ort = median(result.ort.wall);
  return PEERS.map(({ peer, label }) => {
    const { wall, inside, memory } = result[peer];
    const wasm = inside.filter((value) => value !== null);
    return {
      peer,
      label,
      relativeError: errors[peer],
      wall: summary(wall),
      inside: wasm.length ? summary(wasm) : null,
      memoryBytes: memory,
      ratio: median(wall) / ort,
      paired: pairedRatio(wall, result.ort.wall),
      raw: wall,
    };
  });
}

const ms = (value) => value.toFixed(2);

export function rowsOf(peers) {
  return [
    ['one warm run', 'p50 ms', 'min', 'in wasm p50', 'of ort', 'paired', 'rel. error'],
    ...peers.map(({ label, wall, inside, ratio, paired, relativeError }) => [
      label,
      ms(wall.p50),
      ms(wall.min),
      inside ? ms(inside.p50) : '',
      ratio.toFixed(3),
      paired.toFixed(3),
      relativeError.toExponential(1),
    ]),
  ];
}
