// Draws the report of ../report.mjs: tables of HTML, curves of uPlot.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import './report.css';

const data = JSON.parse(document.querySelector('#data')?.textContent ?? '{}');
const main = /** @type {HTMLElement} */ (document.querySelector('main'));
const COLOURS = ['#0b6e4f', '#c1121f', '#1d4ed8', '#b45309', '#6d28d9', '#0e7490', '#525252'];

function put(parent, tag, text = '', more = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  Object.assign(element, more);
  parent.append(element);
  return element;
}

const number = (value, digits = 1) =>
  value === null || value === undefined ? '–' : value.toFixed(digits);
const mib = (bytes) => (bytes ? number(bytes / 2 ** 20) : '–');
const kib = (bytes) => (bytes ? number(bytes / 1024, 0) : '–');

/** Columns are [head, cell]; a row's first cell is its head. */
function table(parent, columns, rows) {
  const element = put(parent, 'table');
  const head = put(put(element, 'thead'), 'tr');
  for (const [name] of columns) put(head, 'th', name);
  const body = put(element, 'tbody');
  for (const row of rows) {
    const line = put(body, 'tr');
    columns.forEach(([, cell], i) => void put(line, i === 0 ? 'th' : 'td', String(cell(row))));
  }
}

function plot(parent, title, { x, lines, xLabel, yLabel, log = false }) {
  const scale = log ? { distr: /** @type {3} */ (3) } : {};
  const values = (_, ticks) =>
    ticks.map((tick) => (tick === null ? '' : String(+tick.toPrecision(4))));
  const axis = (label) => ({ label, values, labelSize: 20, size: 55 });
  new uPlot(
    {
      title,
      width: 560,
      height: 300,
      scales: { x: { time: false, ...scale }, y: scale },
      axes: [axis(xLabel), axis(yLabel)],
      series: [
        { label: xLabel },
        ...lines.map(({ label }, i) => ({
          label,
          stroke: COLOURS[i % COLOURS.length],
          width: 2,
          spanGaps: true,
        })),
      ],
    },
    [x, ...lines.map(({ y }) => y)],
    parent,
  );
}

/** Share of the runs that took at most so long. */
function distribution(parent, { threads, curves }) {
  const xs = [...new Set(curves.flatMap(({ times }) => times))].sort((a, b) => a - b);
  const share = (times, x) => times.filter((time) => time <= x).length / times.length;
  const shown = xs.filter((_, i) => i % Math.ceil(xs.length / 400) === 0);
  plot(
    parent,
    `share of runs that took at most so long, ${threads} thread${threads > 1 ? 's' : ''}`,
    {
      x: shown,
      lines: curves.map(({ label, times }) => ({ label, y: shown.map((x) => share(times, x)) })),
      xLabel: 'ms',
      yLabel: 'share',
    },
  );
}

const STEADY = [
  [
    '',
    ({ label, info }) =>
      `${label} (${info.variant}${info.threads > 1 ? `, ${info.threads} threads` : ''}${info.accelerated === false ? ', in part' : ''})`,
  ],
  ['min ms', ({ min }) => number(min)],
  ['p50', ({ p50 }) => number(p50)],
  ['p95', ({ p95 }) => number(p95)],
  ['p99', ({ p99 }) => number(p99)],
  ['max', ({ max }) => number(max)],
  ['p99/p50', ({ tail }) => number(tail, 2)],
  ['GFLOP/s', ({ gflops }) => number(gflops)],
  ['times ours', ({ times }) => number(times?.middle, 2)],
  ['spread', ({ times }) => (times ? `${number(times.low, 2)}–${number(times.high, 2)}` : '–')],
  ['paired', ({ paired }) => number(paired, 2)],
  ['of minima', ({ timesOfMinima }) => number(timesOfMinima, 2)],
  ['wasm MiB', ({ memoryBytes }) => mib(memoryBytes)],
  ['error', ({ relativeError }) => (relativeError === null ? '–' : relativeError.toExponential(1))],
];

const VISITS = [
  ['', ({ label, note }) => (note ? `${label}: ${note}` : label)],
  ['cold: to the answer, ms', ({ answerMs }) => number(answerMs, 0)],
  ['times ours', ({ times }) => number(times, 2)],
  ['create', ({ createMs }) => number(createMs, 0)],
  ['times ours', ({ timesCreate }) => number(timesCreate, 2)],
  ['first run', ({ firstRunMs }) => number(firstRunMs, 0)],
  ['warm cache', ({ warmAnswerMs }) => number(warmAnswerMs, 0)],
  ['requests then', ({ warmRequests }) => number(warmRequests, 0)],
  ['longest task', ({ longTaskMs }) => number(longTaskMs, 0)],
  ['wasm MiB', ({ memoryBytes }) => mib(memoryBytes)],
  ['process MiB', ({ highWater }) => mib(highWater)],
  ['code gzip KB', ({ download }) => kib(download?.code.gzip)],
  ['code brotli KB', ({ download }) => kib(download?.code.brotli)],
  ['with the model', ({ download }) => kib(download?.all.brotli)],
];

function drawModel({ model, mflop, packageBytes, steady, visits }) {
  put(main, 'h2', model);
  put(main, 'p', `${number(mflop, 0)} MFLOP, package ${mib(packageBytes)} MiB`);
  for (const state of steady) {
    table(main, STEADY, state.rows);
    for (const note of state.notes) put(main, 'p', note, { className: 'note' });
  }
  const plots = put(main, 'div', '', { className: 'plots' });
  for (const state of steady) distribution(plots, state);
  for (const { threads, rows } of visits) {
    put(main, 'h3', `visits, ${threads} thread${threads > 1 ? 's' : ''}`);
    table(main, VISITS, rows);
  }
}

function drawScaling({ title, axis, points, series, slopes }) {
  put(main, 'h2', title);
  const plots = put(main, 'div', '', { className: 'plots' });
  for (const { name, unit, lines } of series) {
    plot(plots, name, { x: points, lines, xLabel: axis, yLabel: unit, log: true });
  }
  table(
    main,
    [
      ['grows with the power of', ({ label }) => label],
      ['', ({ value }) => number(value, 2)],
    ],
    slopes,
  );
}

const { machine, date } = data;
put(main, 'h1', 'WasmAI bench');
put(
  main,
  'p',
  `${date}: ${machine.cpu}, ${machine.cores} cores, load ${number(machine.load)}, ${machine.browser}; ${machine.peers.join(', ')}`,
);
put(
  main,
  'p',
  'Peers take turns run by run in one page; “times ours” is the middle of the rounds’ ratios of medians, above 1 we are faster. A visit is a fresh context: navigation to the first answer.',
);
if (data.overAll.length > 0)
  table(
    main,
    [
      ['all models', ({ label }) => label],
      ['threads', ({ threads }) => threads],
      ['models', ({ nets }) => nets],
      ['times ours, geometric mean', ({ mean }) => number(mean, 2)],
      ['least', ({ least }) => number(least, 2)],
      ['paired', ({ paired }) => number(paired, 2)],
      ['of minima', ({ minima }) => number(minima, 2)],
    ],
    data.overAll,
  );
for (const model of data.models) drawModel(model);
for (const one of data.scaling) drawScaling(one);
