// What a comparison says: every single time in, the figures that people read out.
import { tableText } from '../io.mjs';
import { OURS } from './compare_site.mjs';
import { geometricMean, median, pairedRatio, roundRatios, summary } from './stats.mjs';

const minimum = (values) => Math.min(...values);

/** One row per peer of one steady state; `times` is how many times ours it takes. */
export function steadyFigures({ peers }, mflop) {
  const ours = peers.find(({ id }) => id === OURS) ?? peers[0];
  return peers.map((peer) => {
    const all = summary(peer.times.flat());
    const alike = peer.times.length === ours.times.length;
    return {
      id: peer.id,
      label: peer.label,
      info: peer.info,
      relativeError: peer.relativeError,
      ...all,
      tail: all.p99 / all.p50,
      gflops: mflop / all.p50,
      times: alike ? roundRatios(peer.times, ours.times) : null,
      paired: alike ? pairedRatio(peer.times.flat(), ours.times.flat()) : null,
      timesOfMinima: alike ? roundRatios(peer.times, ours.times, minimum).middle : null,
      memoryBytes: peer.memoryBytes,
    };
  });
}

const FIELDS = ['answerMs', 'createMs', 'firstRunMs', 'memoryBytes', 'highWater'];

/** One row per peer of the visits; `times` compares the medians of cold visits. */
export function visitFigures({ peers }) {
  const middle = (list, key) => (list.length ? median(list.map((visit) => visit[key] ?? 0)) : null);
  const rows = peers.map(({ id, label, note, cold, warm, download }) => ({
    id,
    label,
    note,
    download,
    ...Object.fromEntries(FIELDS.map((key) => [key, middle(cold, key)])),
    warmAnswerMs: middle(warm, 'answerMs'),
    warmRequests: middle(warm, 'requests'),
    longTaskMs: cold.length ? median(cold.map(({ longTasks }) => longTasks.max)) : null,
  }));
  const ours = rows.find(({ id }) => id === OURS);
  return rows.map((row) => ({
    ...row,
    times: row.answerMs && ours?.answerMs ? row.answerMs / ours.answerMs : null,
    timesCreate: row.createMs && ours?.createMs ? row.createMs / ours.createMs : null,
  }));
}

/** Per peer and number of threads, over all nets. @param {any[]} models */
export function overAll(models) {
  /** @type {Map<string, any[]>} */
  const found = new Map();
  for (const { steady, mflop } of models) {
    for (const state of steady) {
      for (const row of steadyFigures(state, mflop)) {
        if (!row.times || row.id === OURS) continue;
        const key = `${state.threads} ${row.id}`;
        found.set(key, [...(found.get(key) ?? []), { ...row, threads: state.threads }]);
      }
    }
  }
  return [...found.values()].map((rows) => {
    const mean = (get) => geometricMean(rows.map(get));
    return {
      label: rows[0].label,
      threads: rows[0].threads,
      nets: rows.length,
      mean: mean(({ times }) => times.middle),
      least: Math.min(...rows.map(({ times }) => times.middle)),
      paired: mean(({ paired }) => paired),
      minima: mean(({ timesOfMinima }) => timesOfMinima),
    };
  });
}

const number = (value, digits = 1) => (value === null ? '-' : value.toFixed(digits));
const mib = (bytes) => (bytes ? number(bytes / 2 ** 20) : '-');
const kib = (bytes) => (bytes ? number(bytes / 1024, 0) : '-');

/** Variant, and threads where there are several. */
const howText = ({ variant, threads }) => (threads > 1 ? `${variant}, ${threads}` : variant);

export function steadyTable(state, mflop) {
  const head = [
    `${state.threads} thread${state.threads > 1 ? 's' : ''}, ms`,
    ...[
      'min',
      'p50',
      'p95',
      'p99',
      'max',
      'GFLOP/s',
      'of ours',
      'spread',
      'paired',
      'of minima',
      'MiB',
      'error',
    ],
  ];
  const rows = steadyFigures(state, mflop).map((row) => [
    `${row.label} (${howText(row.info)})`,
    ...[row.min, row.p50, row.p95, row.p99, row.max, row.gflops].map((value) => number(value)),
    row.times ? number(row.times.middle, 2) : '-',
    row.times ? `${number(row.times.low, 2)}-${number(row.times.high, 2)}` : '-',
    number(row.paired, 2),
    number(row.timesOfMinima, 2),
    mib(row.memoryBytes),
    row.relativeError === null ? '-' : row.relativeError.toExponential(1),
  ]);
  const notes = state.notes.map((note) => `  note: ${note}`);
  return [tableText([head, ...rows], head.map((_, i) => i).slice(1)), ...notes].join('\n');
}

export function visitTable(visits) {
  const head = [
    `visit, ${visits.threads} thread${visits.threads > 1 ? 's' : ''}`,
    ...['cold ms', 'of ours', 'create', 'of ours', '1st run', 'again', 'asked', 'long task'],
    ...['MiB wasm', 'MiB process', 'KB gzip', 'KB brotli', 'with model'],
  ];
  const rows = visitFigures(visits).map((row) => [
    row.note ? `${row.label}: ${row.note.slice(0, 60)}` : row.label,
    number(row.answerMs, 0),
    number(row.times, 2),
    number(row.createMs, 0),
    number(row.timesCreate, 2),
    number(row.firstRunMs, 0),
    number(row.warmAnswerMs, 0),
    number(row.warmRequests, 0),
    number(row.longTaskMs, 0),
    mib(row.memoryBytes),
    mib(row.highWater),
    kib(row.download?.code.gzip),
    kib(row.download?.code.brotli),
    kib(row.download?.all.brotli),
  ]);
  return tableText([head, ...rows], head.map((_, i) => i).slice(1));
}

export function overAllTable(models) {
  const head = ['all models, of ours', 'threads', 'models', 'mean', 'least', 'paired', 'of minima'];
  const rows = overAll(models).map(({ label, threads, nets, ...ratios }) => [
    label,
    String(threads),
    String(nets),
    ...[ratios.mean, ratios.least, ratios.paired, ratios.minima].map((value) => value.toFixed(2)),
  ]);
  return rows.length ? tableText([head, ...rows], [1, 2, 3, 4, 5, 6]) : '';
}
