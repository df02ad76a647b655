// Options that several commands share, and options that are announced but not
// in this version: those are refused by name, never ignored.
import { WasmAIError } from '../../web/errors.js';
import { dimMap } from '../dims.mjs';
import { versionOfNow } from '../signing.mjs';

/** For commander: collect a repeatable option. */
export const collect = (value, list = []) => [...list, value];

/** `--dim name=8` or `--dim input[0]=8`, repeated -> { name: 8 } @param {string[]} [texts] */
export function parseDims(texts = []) {
  const dims = {};
  for (const text of texts) {
    const cut = text.lastIndexOf('=');
    const [name, value] = [text.slice(0, cut), text.slice(cut + 1)];
    if (cut < 1) {
      throw new WasmAIError(
        'ARGUMENT',
        `--dim ${text}`,
        'write it as name=8, name=1..8 or input[axis]=8',
      );
    }
    if (Object.hasOwn(dims, name)) {
      throw new WasmAIError('ARGUMENT', `--dim ${text}`, `${name} is given twice`);
    }
    if (!/^\d+(\.\.\d+)?$/.test(value)) {
      throw new WasmAIError(
        'ARGUMENT',
        `--dim ${text}`,
        `"${value}" is neither a whole number nor a range such as 1..8`,
      );
    }
    dims[name] = value.includes('..') ? value : Number(value);
  }
  dimMap(dims);
  return dims;
}

/** @param {Record<string, any>} options @param {Record<string, string>} later name -> what to do */
export function refuseLater(options, later) {
  for (const [name, instead] of Object.entries(later)) {
    if (options[name] === undefined || options[name] === false) continue;
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    throw new WasmAIError('UNSUPPORTED', flag, `not in this version; ${instead}`);
  }
}

/** How pictures become inputs: for commands that take `--input`. */
export function addInputOptions(command) {
  return command
    .option('-i, --input <[name=]file>', 'value of an input; repeat for each', collect)
    .option(
      '--image-size <WxH>',
      'size to which an image is resized; default: what the input takes',
    )
    .option('--mean <list>', 'subtracted per channel, such as 0.485,0.456,0.406', '0')
    .option('--std <list>', 'divided by per channel, such as 0.229,0.224,0.225', '1')
    .option(
      '--scale <factor>',
      'pixels 0..255 times this; default 1/255, or 1 if a mean or std is above 1',
    )
    .option('--layout <name>', 'nchw or nhwc; default: from the input');
}

/** `--signed-version N`, and the time where it is left out. @param {string} [text] */
export function signedVersion(text) {
  if (text === undefined) return versionOfNow();
  return wholeNumber(text, '--signed-version', 0, Number.MAX_SAFE_INTEGER);
}

/** A whole number within bounds. */
export function wholeNumber(text, flag, low, high) {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= low && value <= high)) {
    throw new WasmAIError(
      'ARGUMENT',
      flag,
      `must be a whole number ${low} to ${high}, not "${text}"`,
    );
  }
  return value;
}
