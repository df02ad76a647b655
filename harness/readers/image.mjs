// .png and .jpg as a tensor: decode (pngjs, jpeg-js), resize, scale, lay out.
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { WasmAIError } from '../../web/errors.js';
import { numberToHalf, typeText } from '../dtypes.mjs';

// Before decoding: a small file can claim a huge picture.
const MAX_PIXELS = 1 << 26;
/** Deflate makes at most so many bytes of one. */
const MOST_OF_PNG = 1032;
/** Every block of 8 x 8 pixels takes at least one bit. */
const MOST_OF_JPEG = 512;
/** Bytes that the decoder takes for one pixel. */
const MOST_OF_PIXEL = 64;
const PNG_CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }; // by colour type

/**
 * @typedef {object} ImageOptions
 * @property {string} [imageSize]  WIDTHxHEIGHT or one number; default: what the input takes
 * @property {string} [mean]   one number or one per channel
 * @property {string} [std]
 * @property {string} [scale]  pixels 0..255 are multiplied by it first
 * @property {string} [layout] nchw or nhwc; default: from the input's dims
 */

/**
 * value = (pixel * scale - mean) / std. Default scale: 1/255, or 1 when a mean
 * or std is above 1 (then they are meant for pixels 0..255).
 * @param {Uint8Array} bytes @param {string} where
 * @param {{name: string, dtype: string, dims: readonly number[]}} slot @param {ImageOptions} options
 * @returns {import('../dtypes.mjs').HostTensor}
 */
export function readImage(bytes, where, slot, options = {}) {
  const shape = imageShape(slot, options, where);
  const picture = decode(bytes, where);
  const pixels = resize(toChannels(picture, shape.channels), shape.width, shape.height);
  const { scale, mean, std } = normalization(options, shape.channels, slot);
  const { channels, width, height } = shape;
  const plane = width * height;
  const values = new Float32Array(channels * plane);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < plane; i++) {
      const value = (pixels.data[i * channels + c] * scale - mean[c]) / std[c];
      values[shape.layout === 'nchw' ? c * plane + i : i * channels + c] = value;
    }
  }
  return { dtype: slot.dtype, dims: [...slot.dims], data: convert(values, slot.dtype) };
}

function convert(values, dtype) {
  if (dtype === 'float32') return values;
  if (dtype === 'float16') return Uint16Array.from(values, numberToHalf);
  return Uint8Array.from(values, (value) => Math.min(255, Math.max(0, Math.round(value))));
}

function imageShape(slot, options, where) {
  const refuse = (why) => new WasmAIError('ARGUMENT', where, why);
  if (!['float32', 'float16', 'uint8'].includes(slot.dtype)) {
    throw refuse(`an image cannot feed ${slot.name}, which is ${typeText(slot)}`);
  }
  const { dims } = slot;
  if (dims.length < 3 || dims.length > 4 || (dims.length === 4 && dims[0] !== 1)) {
    throw refuse(`one image cannot feed ${slot.name}, which is ${typeText(slot)}`);
  }
  const [a, b, c] = dims.slice(-3);
  const isColour = (count) => count === 1 || count === 3 || count === 4;
  const layout = options.layout?.toLowerCase() ?? (!isColour(a) && isColour(c) ? 'nhwc' : 'nchw');
  if (layout !== 'nchw' && layout !== 'nhwc') {
    throw new WasmAIError('ARGUMENT', '--layout', `must be nchw or nhwc, not "${options.layout}"`);
  }
  const [channels, height, width] = layout === 'nchw' ? [a, b, c] : [c, a, b];
  if (!isColour(channels)) {
    throw refuse(`${slot.name} is ${typeText(slot)}: as ${layout} that has ${channels} channels`);
  }
  checkImageSize(options.imageSize, width, height, slot);
  return { layout, channels, height, width };
}

// The package's dims are fixed, so --image-size can only agree with them.
function checkImageSize(text, width, height, slot) {
  if (text === undefined) return;
  const match = /^(\d+)(?:x(\d+))?$/i.exec(text);
  if (match === null) {
    throw new WasmAIError(
      'ARGUMENT',
      '--image-size',
      `write WIDTHxHEIGHT or one number, not "${text}"`,
    );
  }
  if (Number(match[1]) !== width || Number(match[2] ?? match[1]) !== height) {
    throw new WasmAIError(
      'ARGUMENT',
      '--image-size',
      `${text} does not fit ${slot.name}, which takes ${width}x${height}`,
    );
  }
}

function normalization(options, channels, slot) {
  const raw = slot.dtype === 'uint8';
  const mean = numbers(options.mean ?? '0', '--mean', channels);
  const std = numbers(options.std ?? '1', '--std', channels);
  if (std.includes(0)) throw new WasmAIError('ARGUMENT', '--std', 'must not be 0');
  const meantForBytes = raw || [...mean, ...std].some((value) => value > 1);
  const scale =
    options.scale === undefined
      ? meantForBytes
        ? 1
        : 1 / 255
      : numbers(options.scale, '--scale', 1)[0];
  return { scale, mean, std };
}

function numbers(text, flag, count) {
  const values = text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (values.some((value) => !Number.isFinite(value))) {
    throw new WasmAIError('ARGUMENT', flag, `must be numbers with commas, not "${text}"`);
  }
  if (values.length === 1) return new Array(count).fill(values[0]);
  if (values.length !== count) {
    throw new WasmAIError('ARGUMENT', flag, `needs 1 or ${count} numbers, got ${values.length}`);
  }
  return values;
}

function decode(bytes, where) {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const refuse = (why) => new WasmAIError('MALFORMED', where, why);
  const isPng = buffer.length > 24 && buffer.readUInt32BE(0) === 0x89504e47;
  const isJpeg = buffer.length > 3 && buffer[0] === 0xff && buffer[1] === 0xd8;
  if (!isPng && !isJpeg) throw refuse('is neither a PNG nor a JPEG file');
  if (isPng) checkPngSize(buffer, where, refuse);
  const maxResolutionInMP = Math.min(67, (buffer.length * MOST_OF_JPEG) / 1e6);
  const maxMemoryUsageInMB = Math.min(1024, 16 + maxResolutionInMP * MOST_OF_PIXEL);
  try {
    return isPng
      ? PNG.sync.read(buffer)
      : jpeg.decode(buffer, { maxResolutionInMP, maxMemoryUsageInMB, useTArray: true });
  } catch (error) {
    throw refuse(`cannot be decoded: ${error.message ?? error}`);
  }
}

/** @param {Buffer} buffer @param {string} where @param {(why: string) => WasmAIError} refuse */
function checkPngSize(buffer, where, refuse) {
  const [width, height] = [buffer.readUInt32BE(16), buffer.readUInt32BE(20)];
  if (width === 0 || height === 0) throw refuse('the picture has no pixels');
  if (width * height > MAX_PIXELS)
    throw new WasmAIError('LIMIT', where, 'the picture has more than 67 million pixels');
  const bits = buffer[24] * (PNG_CHANNELS[buffer[25]] ?? 1);
  if (height * Math.ceil((width * bits) / 8) > buffer.length * MOST_OF_PNG)
    throw refuse(`${buffer.length} bytes are too few for ${width} x ${height} pixels`);
}

// RGBA bytes -> 1 (luma, as PIL's "L"), 3 or 4 channels. Alpha is dropped, not blended.
function toChannels({ data, width, height }, channels) {
  const count = width * height;
  const out = new Float32Array(count * channels);
  for (let i = 0; i < count; i++) {
    const [r, g, b, a] = [data[4 * i], data[4 * i + 1], data[4 * i + 2], data[4 * i + 3]];
    if (channels === 1) out[i] = Math.round((r * 299 + g * 587 + b * 114) / 1000);
    else out.set(channels === 3 ? [r, g, b] : [r, g, b, a], i * channels);
  }
  return { data: out, width, height, channels };
}

// Bilinear; when it shrinks the triangle widens with it (as PIL's BILINEAR does).
function resize(picture, width, height) {
  const wide = resizeRows(picture, width);
  return height === picture.height ? wide : transpose(resizeRows(transpose(wide), height));
}

function resizeRows(picture, width) {
  if (width === picture.width) return picture;
  const { channels, height } = picture;
  const ratio = picture.width / width;
  const support = Math.max(ratio, 1);
  const out = new Float32Array(width * height * channels);
  for (let x = 0; x < width; x++) {
    const centre = (x + 0.5) * ratio;
    const first = Math.max(0, Math.floor(centre - support));
    const last = Math.min(picture.width, Math.ceil(centre + support));
    const weights = [];
    for (let i = first; i < last; i++) {
      weights.push(Math.max(0, 1 - Math.abs(i + 0.5 - centre) / support));
    }
    const sum = weights.reduce((total, weight) => total + weight, 0);
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < channels; c++) {
        let value = 0;
        let at = (y * picture.width + first) * channels + c;
        for (const weight of weights) {
          value += weight * picture.data[at];
          at += channels;
        }
        out[(y * width + x) * channels + c] = value / sum;
      }
    }
  }
  return { data: out, width, height, channels };
}

function transpose({ data, width, height, channels }) {
  const out = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        out[(x * height + y) * channels + c] = data[(y * width + x) * channels + c];
      }
    }
  }
  return { data: out, width: height, height: width, channels };
}
