// How latency and memory grow: with the size of a picture, the batch, the length of a sequence, threads, and bytes of weights.
import { cpus } from 'node:os';
import { tableText } from '../io.mjs';
import { compareModel } from './compare.mjs';
import { steadyFigures, visitFigures } from './figures.mjs';
import { PEERS } from './peers/index.mjs';
import { prepareNet } from './prepare.mjs';
import { slope } from './stats.mjs';

const ALL = Object.keys(PEERS);
const MIB = 2 ** 20;

/** One row is one axis. A net is widened by its -w; at 96 pixels, so that weights and not pixels take the memory. */
export const AXES = {
  pixels: {
    axis: 'pixels of a side, mobilenet_v2',
    points: { 96: '-s96', 160: '-s160', 224: '', 320: '-s320', 512: '-s512' },
    net: 'mobilenet_v2',
    peers: ALL,
  },
  batch: {
    axis: 'pictures at once, mobilenet_v2',
    points: { 1: '', 2: '-b2', 4: '-b4', 8: '-b8', 16: '-b16' },
    net: 'mobilenet_v2',
    peers: ALL,
  },
  tokens: {
    axis: 'tokens, encoder',
    points: { 16: '-l16', 32: '-l32', 64: '-l64', 128: '', 256: '-l256', 512: '-l512' },
    net: 'encoder',
    peers: ALL,
  },
  threads: {
    axis: 'threads, resnet50',
    points: Object.fromEntries(cpus().map((_, i) => [i + 1, ''])),
    net: 'resnet50',
    peers: ALL,
    threads: true,
  },
  bytes: {
    axis: 'MiB of package, mobilenet_v2 widened',
    points: { 25: '-s96-w25', 50: '-s96-w50', 100: '-s96', 200: '-s96-w200', 400: '-s96-w400', 800: '-s96-w800' }, // biome-ignore format: one thought
    net: 'mobilenet_v2',
    peers: ['onnxruntime-web'],
    visits: 1,
  },
};

/**
 * @param {keyof typeof AXES} name
 * @param {{ browser: any, options: any, talk: (text: string) => void }} how
 */
export async function measureAxis(name, { browser, options, talk }) {
  const { axis, points, net, peers, threads = false, visits = 0 } = AXES[name];
  const rows = [];
  const empty = visits > 0 ? await emptyPage(browser) : 0;
  for (const [value, sizes] of Object.entries(points)) {
    const model = await prepareNet(net + sizes);
    const count = threads ? [Number(value)] : [1];
    const result = await compareModel({
      browser,
      model,
      options: { ...options, peers, threads: count, visits },
      talk,
    });
    rows.push({
      at: name === 'bytes' ? model.packageBytes / MIB : Number(value),
      limit: (model.packageBytes + model.arenaBytes) / MIB,
      steady: steadyFigures(result.steady[0], model.mflop),
      visits: result.visits.length ? visitFigures(result.visits[0]) : [],
    });
  }
  return summaryOf(axis, rows, empty / MIB);
}

/** The most memory of a renderer that shows nothing. */
async function emptyPage(browser) {
  const { page, close } = await browser.newPage();
  await page.goto('about:blank');
  const bytes = await browser.highWater();
  await close();
  return bytes ?? 0;
}

function summaryOf(axis, rows, empty) {
  const labels = new Map(rows.flatMap(({ steady }) => steady.map(({ id, label }) => [id, label])));
  const lines = (get) =>
    [...labels].map(([id, label]) => ({
      label,
      y: rows.map((row) => get(row, (list) => list.find((one) => one.id === id)) ?? null),
    }));
  const latency = lines(({ steady }, of) => of(steady)?.p50);
  const memory = lines(({ steady }, of) => mib(of(steady)?.memoryBytes));
  const series = [
    { name: 'latency of a run', unit: 'ms', lines: latency },
    { name: 'WebAssembly memory', unit: 'MiB', lines: memory },
  ];
  if (rows.some(({ visits }) => visits.length > 0)) series.push(...loading(rows, lines, empty));
  const points = rows.map(({ at }) => at);
  const slopes = [
    ...latency.map(({ label, y }) => ({ label: `${label}, latency`, value: slopeOf(points, y) })),
    ...memory.map(({ label, y }) => ({ label: `${label}, memory`, value: slopeOf(points, y) })),
  ];
  return { title: axis, axis, points, series, slopes };
}

const mib = (bytes) => (bytes ? bytes / MIB : null);

/** What a large model costs when it comes in: memory beside package and arena, and how long the page stood still. */
function loading(rows, lines, empty) {
  const process = lines(({ visits }, of) => {
    const high = mib(of(visits)?.highWater);
    return high && high - empty;
  });
  return [
    {
      name: 'most memory of the process, less an empty page',
      unit: 'MiB',
      lines: [{ label: 'package + arena', y: rows.map(({ limit }) => limit) }, ...process],
    },
    {
      name: 'longest task of the page until the answer',
      unit: 'ms',
      lines: lines(({ visits }, of) => Math.max(1, of(visits)?.longTaskMs ?? 0)),
    },
    {
      name: 'navigation to the answer',
      unit: 'ms',
      lines: lines(({ visits }, of) => of(visits)?.answerMs),
    },
  ];
}

function slopeOf(points, ys) {
  const there = ys.map((y, i) => [points[i], y]).filter(([, y]) => y !== null);
  return there.length > 1 ? slope(there.map(([x]) => x), there.map(([, y]) => y)) : null; // biome-ignore format: one thought
}

/** @param {Awaited<ReturnType<typeof measureAxis>>} scaling */
export function scalingText({ axis, points, series, slopes }) {
  const text = (value) => (value === null ? '-' : value.toFixed(value < 10 ? 1 : 0));
  const tables = series.map(({ name, unit, lines }) => {
    const head = [`${name}, ${unit}`, ...points.map(text)];
    const rows = lines.map(({ label, y }) => [label, ...y.map(text)]);
    return tableText([head, ...rows], head.map((_, i) => i).slice(1));
  });
  const powers = slopes.map(
    ({ label, value }) => `${label} ${value === null ? '-' : value.toFixed(2)}`,
  );
  return `\n${axis}\n${tables.join('\n')}\n  grows with the power of: ${powers.join('; ')}`;
}

export const scalingDefaults = {
  rounds: 1,
  runs: 10,
  warmRuns: 2,
  warmMs: 100,
  seconds: 0,
  busy: 0,
  visits: 0,
};
