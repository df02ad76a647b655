/**
 * The one error type. Everything that this package throws is a WasmAIError:
 * `code` for programs, `where` for the culprit (an input, a URL, a node), and a
 * message that tells a person what to do.
 */

/** @typedef {import('./wasmai.d.ts').ErrorCode} ErrorCode */

/** Numbers of wai_status in core/include/wasmai.h, as the wasm returns them. */
const STATUS_CODES = /** @type {const} */ ([
  'INTERNAL', // 0 is success; as an error it is our bug
  'ARGUMENT',
  'STATE',
  'MALFORMED',
  'UNSUPPORTED',
  'LIMIT',
  'MEMORY',
  'INTEGRITY',
  'INTERNAL',
]);

export class WasmAIError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} where
   * @param {string} message
   * @param {{ cause?: unknown, used?: number, allowed?: number }} [options]
   */
  constructor(code, where, message, options) {
    super(where ? `${where}: ${message}` : message, options);
    this.name = 'WasmAIError';
    this.code = code;
    this.where = where;
    if (options?.used !== undefined) this.used = options.used;
    if (options?.allowed !== undefined) this.allowed = options.allowed;
  }
}

/** @param {number} status @returns {ErrorCode} */
export function codeOfStatus(status) {
  return STATUS_CODES[status] ?? 'INTERNAL';
}

/**
 * What crosses from the worker to the page: plain data, no stack of ours.
 * @typedef {{ code: ErrorCode, where: string, message: string, used?: number, allowed?: number }} ErrorData
 */

/** @param {unknown} error @returns {ErrorData} */
export function errorToData(error) {
  if (error instanceof WasmAIError) {
    const prefix = `${error.where}: `;
    const message =
      error.where && error.message.startsWith(prefix)
        ? error.message.slice(prefix.length)
        : error.message;
    const { code, where, used, allowed } = error;
    return { code, where, message, used, allowed };
  }
  return { code: 'INTERNAL', where: 'worker', message: String(error) };
}

/** Where a MEMORY error is that may be none a moment later. */
export const BROWSER_MEMORY = 'browser memory';

const CODES = new Set([...STATUS_CODES, 'SIGNATURE', 'ABORTED', 'DEADLINE', 'FUEL', 'TRAP', 'CSP']);

/** The worker is not trusted more than the wasm in it: its words are checked too.
 * @param {any} data @returns {WasmAIError} */
export function errorFromData(data) {
  const text = (/** @type {unknown} */ value, /** @type {number} */ limit) =>
    typeof value === 'string' ? value.slice(0, limit) : '';
  const count = (/** @type {unknown} */ value) =>
    Number.isSafeInteger(value) ? Number(value) : undefined;
  const code = CODES.has(data?.code) ? data.code : 'INTERNAL';
  return new WasmAIError(
    code,
    text(data?.where, 256) || 'worker',
    text(data?.message, 1024) || 'unknown error',
    { used: count(data?.used), allowed: count(data?.allowed) },
  );
}

/**
 * The name in `known` that `name` was probably meant to be.
 * @param {string} name @param {Iterable<string>} known @returns {string | undefined}
 */
export function closestName(name, known) {
  let best;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best;
}

/** Levenshtein distance, one row. @param {string} a @param {string} b */
function editDistance(a, b) {
  const row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    let diagonal = row[0];
    row[0] = i;
    for (let j = 1; j <= b.length; j++) {
      const above = row[j];
      row[j] = Math.min(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] === b[j - 1] ? 0 : 1));
      diagonal = above;
    }
  }
  return row[b.length];
}
