/** Latency of the last runs: a dot per run, lines at p50, p95 and p99. */

const KEPT = 100;
const WIDTH = 400;
const HEIGHT = 170;
const LEFT = 44;

/** @param {readonly number[]} sorted @param {number} share */
export function percentile(sorted, share) {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}

/** @param {number} ms */
export function formatMs(ms) {
  return Number.isNaN(ms) ? '–' : `${ms < 10 ? ms.toFixed(2) : ms.toFixed(1)} ms`;
}

export class LatencyPlot {
  /** @type {number[]} */
  #values = [];
  #holder;
  #queued = false;

  /** @param {HTMLElement} holder */
  constructor(holder) {
    this.#holder = holder;
    this.#draw();
  }

  /** @param {number} ms */
  add(ms) {
    this.#values.push(ms);
    if (this.#values.length > KEPT) this.#values.shift();
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      this.#draw();
    });
  }

  percentiles() {
    const sorted = [...this.#values].sort((a, b) => a - b);
    return {
      p50: percentile(sorted, 0.5),
      p95: percentile(sorted, 0.95),
      p99: percentile(sorted, 0.99),
    };
  }

  #draw() {
    const svg = element('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img' });
    const lines = this.percentiles();
    const top = niceAbove(Math.max(0.05, (Number.isNaN(lines.p99) ? 1 : lines.p99) * 1.25));
    const y = (/** @type {number} */ ms) => HEIGHT - 4 - (Math.min(ms, top) / top) * (HEIGHT - 12);
    svg.append(element('line', { class: 'axis', x1: LEFT, x2: WIDTH, y1: y(0), y2: y(0) }));
    for (const share of [0, 0.5, 1]) {
      const text = element('text', { x: 0, y: y(top * share) + 4 });
      text.textContent = `${Number((top * share).toPrecision(2))} ms`;
      svg.append(text);
    }
    for (const [name, ms] of Object.entries(lines)) {
      if (!Number.isNaN(ms))
        svg.append(element('line', { class: name, x1: LEFT, x2: WIDTH, y1: y(ms), y2: y(ms) }));
    }
    this.#values.forEach((ms, i) => {
      const x = LEFT + 4 + (i * (WIDTH - LEFT - 8)) / (KEPT - 1);
      svg.append(element('circle', { class: 'dot', cx: x, cy: y(ms), r: 2 }));
    });
    svg.setAttribute(
      'aria-label',
      this.#values.length === 0
        ? 'Latency of the last 100 runs: none yet'
        : `Latency of the last ${this.#values.length} runs: p50 ${formatMs(lines.p50)}, p95 ${formatMs(lines.p95)}, p99 ${formatMs(lines.p99)}`,
    );
    this.#holder.replaceChildren(svg);
  }
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function element(name, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/** 1, 2 or 5 times a power of ten, at least `value`. @param {number} value */
function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return /** @type {number} */ ([1, 2, 5, 10].find((step) => step * power >= value)) * power;
}
