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
  };
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
    if (!(d <= difference)) difference = d; // keeps NaN
    largest = Math.max(largest, Math.abs(Number(want[i])));
  }
  return largest === 0 ? difference : difference / largest;
}
