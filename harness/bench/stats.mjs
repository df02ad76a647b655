// Numbers out of lists of numbers. The machine is shared and noisy: medians, and ratios of medians.

/** @param {number[]} values @param {number} q  0 to 1 */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const next = sorted[Math.min(low + 1, sorted.length - 1)];
  return sorted[low] + (next - sorted[low]) * (at - low);
}

/** @param {number[]} values */
export const median = (values) => quantile(values, 0.5);

/** @param {number[]} values */
export function summary(values) {
  return {
    count: values.length,
    min: Math.min(...values),
    p25: quantile(values, 0.25),
    p50: median(values),
    p75: quantile(values, 0.75),
    p95: quantile(values, 0.95),
    p99: quantile(values, 0.99),
    max: Math.max(...values),
  };
}

/** @param {number[]} values */
export const geometricMean = (values) =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/**
 * Ratios of what was measured side by side, a round at a time: the middle one, and how far they are apart.
 * @param {number[][]} rounds @param {number[][]} others  as many
 * @param {(values: number[]) => number} [figure]  of a round; the median
 */
export function roundRatios(rounds, others, figure = median) {
  const ratios = rounds.map((values, i) => figure(values) / figure(others[i]));
  return { middle: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) };
}

/**
 * How y grows with x: the exponent of the power law that fits best (least squares of the logarithms).
 * @param {number[]} xs @param {number[]} ys
 */
export function slope(xs, ys) {
  const [lx, ly] = [xs.map(Math.log), ys.map(Math.log)];
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(lx), mean(ly)];
  const along = lx.reduce((sum, x, i) => sum + (x - mx) * (ly[i] - my), 0);
  return along / lx.reduce((sum, x) => sum + (x - mx) ** 2, 0);
}

/**
 * How `values` compare with `others` measured in the same turns: each with its neighbour in time,
 * then the median. Holds on a machine whose speed changes between turns.
 * @param {number[]} values @param {number[]} others
 */
export const pairedRatio = (values, others) => median(values.map((value, i) => value / others[i]));

/**
 * The largest difference, relative to the largest value wanted.
 * @param {ArrayLike<number>} want @param {ArrayLike<number>} have
 */
export function relativeError(want, have) {
  if (want.length !== have.length) return Infinity;
  let [difference, largest] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    const d = Math.abs(Number(want[i]) - Number(have[i]));
    if (Number.isNaN(d)) return Number.NaN;
    difference = Math.max(difference, d);
    largest = Math.max(largest, Math.abs(Number(want[i])));
  }
  return largest === 0 ? difference : difference / largest;
}
