/**
 * From any grey image to the 28 x 28 that the model was trained on: the ink's box
 * scaled to 20, its centre of mass in the middle. The same steps as
 * models/digits/data.py (`normalise`); tests compare the two.
 */

const SIZE = 28;
const LONGEST = 20;
const INK = 0.2; // of the brightest pixel

/** @typedef {{ data: Float32Array, width: number, height: number }} Grey white ink on black, 0..1 */

/** @param {Grey} image @returns {Float32Array} 784 values; all zero when there is no ink */
export function normaliseDigit(image) {
  const out = new Float32Array(SIZE * SIZE);
  const crop = cropInk(image);
  if (!crop) return out;
  const scale = LONGEST / Math.max(crop.width, crop.height);
  const small = resize(
    crop,
    Math.max(1, Math.round(crop.width * scale)),
    Math.max(1, Math.round(crop.height * scale)),
  );
  let mass = 0;
  let x = 0;
  let y = 0;
  small.data.forEach((value, i) => {
    mass += value;
    x += value * ((i % small.width) + 0.5);
    y += value * (Math.floor(i / small.width) + 0.5);
  });
  const place = (/** @type {number} */ centre, /** @type {number} */ size) =>
    Math.min(Math.max(Math.round(SIZE / 2 - centre), 0), SIZE - size);
  const left = place(x / mass, small.width);
  const top = place(y / mass, small.height);
  for (let row = 0; row < small.height; row++) {
    for (let column = 0; column < small.width; column++) {
      const value = small.data[row * small.width + column];
      out[(top + row) * SIZE + left + column] = Math.min(Math.max(value, 0), 1);
    }
  }
  return out;
}

/** @param {Grey} image @returns {Grey | null} */
function cropInk({ data, width, height }) {
  let brightest = 0;
  for (const value of data) brightest = Math.max(brightest, value);
  if (brightest === 0) return null;
  const box = { left: width, right: -1, top: height, bottom: -1 };
  data.forEach((value, i) => {
    if (value <= INK * brightest) return;
    const x = i % width;
    const y = Math.floor(i / width);
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
  });
  const size = { width: box.right - box.left + 1, height: box.bottom - box.top + 1 };
  const crop = new Float32Array(size.width * size.height);
  for (let row = 0; row < size.height; row++) {
    const from = (box.top + row) * width + box.left;
    crop.set(data.subarray(from, from + size.width), row * size.width);
  }
  return { data: crop, ...size };
}

/** Triangle filter that widens when it makes smaller, rows then columns. @param {Grey} image @param {number} width @param {number} height */
function resize(image, width, height) {
  const across = resizeRows(image, width);
  return transpose(resizeRows(transpose(across), height));
}

/** @param {Grey} image @param {number} width @returns {Grey} */
function resizeRows(image, width) {
  const step = image.width / width;
  const reach = Math.max(step, 1);
  const data = new Float32Array(width * image.height);
  for (let column = 0; column < width; column++) {
    const centre = (column + 0.5) * step;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const last = Math.min(image.width, Math.floor(centre + reach + 0.5));
    const weights = Array.from({ length: last - first }, (_, i) =>
      Math.max(0, 1 - Math.abs((first + i - centre + 0.5) / reach)),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let row = 0; row < image.height; row++) {
      let sum = 0;
      weights.forEach((weight, i) => {
        sum += weight * image.data[row * image.width + first + i];
      });
      data[row * width + column] = sum / total;
    }
  }
  return { data, width, height: image.height };
}

/** @param {Grey} image @returns {Grey} */
function transpose({ data, width, height }) {
  const turned = new Float32Array(data.length);
  data.forEach((value, i) => {
    turned[(i % width) * height + Math.floor(i / width)] = value;
  });
  return { data: turned, width: height, height: width };
}

/**
 * Canvas pixels as white ink on black: dark ink on a light ground is turned round.
 * @param {ImageData} pixels @returns {Grey}
 */
export function greyOf({ data, width, height }) {
  const grey = new Float32Array(width * height);
  for (let i = 0; i < grey.length; i++) {
    const light = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
    grey[i] = ((light / 255) * data[4 * i + 3]) / 255;
  }
  let edge = 0;
  let count = 0;
  for (let i = 0; i < grey.length; i++) {
    const x = i % width;
    const y = Math.floor(i / width);
    if (x > 0 && y > 0 && x < width - 1 && y < height - 1) continue;
    edge += grey[i];
    count++;
  }
  const dark = edge / count <= 0.5;
  return { data: dark ? grey : grey.map((value) => 1 - value), width, height };
}

/** Logits as probabilities. @param {ArrayLike<number>} logits */
export function softmax(logits) {
  const values = Array.from(logits);
  const highest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - highest));
  const total = powers.reduce((sum, value) => sum + value, 0);
  return powers.map((value) => value / total);
}
