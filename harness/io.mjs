// What a command may say, and where it goes: results on stdout, talk and
// progress on stderr. With --json stdout gets exactly one JSON value.
import { styleText } from 'node:util';
import { SingleBar } from 'cli-progress';

/**
 * @typedef {object} Io
 * @property {boolean} wantsJson
 * @property {(text: string) => void} out      result for people, stdout; nothing under --json
 * @property {(value: unknown) => void} json   result for programs, stdout; only under --json
 * @property {(text: string) => void} talk     what is going on, stderr; nothing under --quiet
 * @property {(label: string, total: number) => Progress} progress  a bar on a terminal
 * @property {(style: any, text: string) => string} paint  colour for `out`, on a terminal only
 * @typedef {object} Progress
 * @property {(value: number, detail?: string) => void} update
 * @property {(total: number) => void} setTotal
 * @property {() => void} done
 */

const SILENT = { update() {}, setTotal() {}, done() {} };

/** @param {NodeJS.WriteStream} stream */
function hasColours(stream) {
  return Boolean(stream.isTTY) && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

/**
 * @param {{json?: boolean, quiet?: boolean}} options
 * @param {{stdout?: any, stderr?: any}} [streams]
 * @returns {Io}
 */
export function createIo(options, { stdout = process.stdout, stderr = process.stderr } = {}) {
  const { json = false, quiet = false } = options;
  const line = (stream, text) => stream.write(text.endsWith('\n') ? text : `${text}\n`);
  return {
    wantsJson: json,
    out: (text) => void (json || line(stdout, text)),
    json: (value) => void (json && line(stdout, JSON.stringify(value, plain, 2))),
    talk: (text) => void (quiet || line(stderr, text)),
    progress: (label, total) => (quiet || !stderr.isTTY ? SILENT : startBar(label, total, stderr)),
    paint: (style, text) => (hasColours(stdout) ? styleText(style, text) : text),
  };
}

function startBar(label, total, stream) {
  const bar = new SingleBar({
    stream,
    format: `${label} [{bar}] {percentage}% {detail}`,
    barCompleteChar: '#',
    barIncompleteChar: '-',
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
  });
  bar.start(Math.max(total, 1), 0, { detail: '' });
  let open = true;
  return {
    update(value, detail = '') {
      bar.update(value, { detail });
      // What follows may block this thread, and with it the bar's own timer.
      bar.render(true);
    },
    setTotal: (value) => bar.setTotal(value),
    done() {
      if (open) bar.stop();
      open = false;
    },
  };
}

// JSON has no BigInt: a safe one becomes a number, any other a string.
function plain(_key, value) {
  if (typeof value !== 'bigint') return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** 1234567 -> "1.18 MiB (1234567 bytes)" @param {number} size */
export function bytesText(size) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  let value = size;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${size} bytes` : `${value.toFixed(2)} ${units[unit]} (${size} bytes)`;
}

/** Rows of strings -> aligned columns; columns in `right` are right-aligned. */
export function tableText(rows, right = []) {
  const widths = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) {
      widths[i] = Math.max(widths[i] ?? 0, String(cell).length);
    }
  }
  const pad = (cell, i) =>
    right.includes(i) ? String(cell).padStart(widths[i]) : String(cell).padEnd(widths[i]);
  return rows.map((row) => `  ${row.map(pad).join('  ').trimEnd()}`).join('\n');
}
