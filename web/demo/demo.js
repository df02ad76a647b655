/** The demo page: wires the pad, the model and the figures together. */
import { load, Tensor } from '../wasmai.js';
import { assets } from './demo_assets.js';
import { greyOf, normaliseDigit, softmax } from './digit.js';
import { runOwnModel } from './own.js';
import { acceptFiles, Pad } from './pad.js';
import { formatMs, LatencyPlot } from './plot.js';

/** @typedef {import('../wasmai.d.ts').Session} Session */

const MODEL = './models/digits.wai';
const SPEAK_AFTER_MS = 700;
const SURE = 0.5;

/** @param {string} id @returns {any} */
const at = (id) => document.getElementById(id);

/** @type {Session | null} */
let session = null;
/** @type {Float32Array | null} the newest digit, not yet run */
let next = null;
let running = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let speaking;

const plot = new LatencyPlot(at('plot'));
const pad = new Pad(at('pad'), (empty) => {
  at('drop').classList.toggle('used', !empty);
  if (empty) showNothing();
  else classify();
});
const bars = Array.from({ length: 10 }, (_, digit) => makeBar(digit));

acceptFiles({
  button: at('pick'),
  input: at('file'),
  target: at('drop'),
  take: (file) => showImage(file),
});
acceptFiles({
  button: at('own-pick'),
  input: at('own-file'),
  target: at('own-drop'),
  take: (file) =>
    runOwnModel(file, {
      result: at('own-result'),
      status(text, bad = false) {
        at('own-status').textContent = text;
        at('own-status').classList.toggle('bad', bad);
      },
    }),
});
at('clear').addEventListener('click', () => pad.clear());
at('measure').addEventListener('click', measure);
for (const sample of assets.samples) addSample(sample);
start();

async function start() {
  try {
    session = await load(MODEL, { onProgress: showProgress });
  } catch (error) {
    trouble(error);
    return;
  }
  at('load').hidden = true;
  at('measure').disabled = false;
  showInfo();
  if (next) pump();
}

/** @param {import('../wasmai.d.ts').Progress} progress */
function showProgress({ loaded, total, phase }) {
  const says = {
    download: 'Loading the model',
    verify: 'Checking its digest',
    open: 'Opening it in the worker',
    ready: 'Ready',
  };
  at('load-text').textContent = says[phase];
  at('load-bar').value = loaded / total;
}

/** @param {unknown} error */
function trouble(error) {
  at('load').hidden = true;
  at('trouble').hidden = false;
  at('trouble').textContent = error instanceof Error ? error.message : String(error);
}

function classify() {
  next = normaliseDigit(greyOf(pad.pixels()));
  const context = at('seen').getContext('2d');
  const image = new ImageData(28, 28);
  next.forEach((value, i) => {
    image.data.set([value * 255, value * 255, value * 255, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
  pump();
}

/** One run at a time, always of the newest drawing. */
async function pump() {
  if (running || !session) return;
  running = true;
  try {
    while (next) {
      const image = next;
      next = null;
      const { logits } = await session.run({ image: new Tensor('float32', image, [1, 1, 28, 28]) });
      if (at('drop').classList.contains('used')) showAnswer(softmax(logits.data));
      note();
    }
  } catch (error) {
    trouble(error);
  } finally {
    running = false;
  }
}

async function measure() {
  if (!session) return;
  at('measure').disabled = true;
  const image = new Tensor('float32', normaliseDigit(greyOf(pad.pixels())), [1, 1, 28, 28]);
  try {
    for (let i = 0; i < 100; i++) {
      await session.run({ image });
      note();
    }
    const { p50, p95, p99 } = plot.percentiles();
    speak(`100 runs: p50 ${formatMs(p50)}, p95 ${formatMs(p95)}, p99 ${formatMs(p99)}`);
  } catch (error) {
    trouble(error);
  }
  at('measure').disabled = false;
}

/** A run is done: latency and memory. */
function note() {
  if (!session) return;
  const { lastMs, runs } = session.info;
  if (lastMs !== null) plot.add(lastMs);
  for (const [name, ms] of Object.entries(plot.percentiles())) at(name).textContent = formatMs(ms);
  at('runs').textContent = String(runs);
  showMemory();
}

/** @param {number[]} shares */
function showAnswer(shares) {
  const best = shares.indexOf(Math.max(...shares));
  shares.forEach((share, digit) => {
    const { item, fill, text } = bars[digit];
    item.classList.toggle('first', digit === best);
    fill.style.transform = `translateX(${(share - 1) * 100}%)`;
    text.textContent = `${(share * 100).toFixed(1)} %`;
  });
  at('best').textContent = String(best);
  at('sure').textContent =
    shares[best] > SURE ? `${(shares[best] * 100).toFixed(1)} % sure` : 'not sure yet';
  speak(`${best}, ${Math.round(shares[best] * 100)} percent`);
}

function showNothing() {
  next = null;
  for (const { item, fill, text } of bars) {
    item.classList.remove('first');
    fill.style.transform = '';
    text.textContent = '';
  }
  at('best').textContent = '–';
  at('sure').textContent = 'waiting for a digit';
  at('seen').getContext('2d').clearRect(0, 0, 28, 28);
  speak('cleared');
}

/** For screen readers, when the pen rests. @param {string} text */
function speak(text) {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    at('spoken').textContent = text;
  }, SPEAK_AFTER_MS);
}

/** @param {number} digit */
function makeBar(digit) {
  const item = document.createElement('li');
  const [label, track, fill, text] = ['span', 'span', 'span', 'span'].map((name) =>
    document.createElement(name),
  );
  label.textContent = String(digit);
  track.className = 'track';
  fill.className = 'fill';
  text.className = 'share';
  track.append(fill);
  item.append(label, track, text);
  at('bars').append(item);
  return { item, fill, text };
}

/** @param {{ file: string, label: number }} sample */
function addSample({ file, label }) {
  const button = document.createElement('button');
  const image = document.createElement('img');
  button.type = 'button';
  image.src = file;
  image.alt = `a handwritten ${label}`;
  button.append(image);
  button.addEventListener('click', async () => {
    const response = await fetch(file);
    await showImage(await response.blob());
  });
  at('samples').append(button);
}

/** @param {Blob} blob */
async function showImage(blob) {
  try {
    await pad.show(blob);
  } catch {
    speak('this is not an image');
    at('sure').textContent = 'this is not an image';
  }
}

/** @param {number} bytes */
function kib(bytes) {
  return bytes < 1048576
    ? `${(bytes / 1024).toFixed(0)} KiB`
    : `${(bytes / 1048576).toFixed(1)} MiB`;
}

function showMemory() {
  if (!session) return;
  const { memoryBytes, peakBytes } = session.info;
  at('memory').value = memoryBytes / peakBytes;
  at('memory-text').textContent = `${kib(memoryBytes)} of ${kib(peakBytes)}`;
}

function showInfo() {
  if (!session) return;
  const { isolation, variant, threads, threadsReason, certificate } = session.info;
  for (const [id, text] of [
    ['chip-isolation', 'locked worker'],
    ['chip-variant', `${variant}, ${threads} thread${threads === 1 ? '' : 's'}`],
  ]) {
    at(id).textContent = text;
    at(id).classList.remove('wait');
  }
  const facts = {
    isolation: isolation === 'worker' ? 'locked worker' : isolation,
    variant,
    threads: `${threads}: ${threadsReason}`,
    package: kib(certificate.packageSize),
    parameters: certificate.paramCount.toLocaleString(),
    'work per run': `${(certificate.flopCount / 1e6).toFixed(1)} MFLOP in ${certificate.stepCount} steps`,
    'source model': `SHA-384 ${certificate.sourceDigest.slice(0, 16)}…`,
  };
  at('facts').replaceChildren(
    ...Object.entries(facts).flatMap(([name, value]) => {
      const [term, what] = [document.createElement('dt'), document.createElement('dd')];
      term.textContent = name;
      what.textContent = value;
      return [term, what];
    }),
  );
  showMemory();
}
