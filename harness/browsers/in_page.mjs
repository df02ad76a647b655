// What goes into a page and comes back, for the drivers that carry text only.

/**
 * JSON would lose undefined, NaN, -0, bigints, dates and typed arrays. Used here, and in pages by its
 * source: it must need nothing from around it.
 */
function codec() {
  const special = (/** @type {any} */ value) => {
    if (value === undefined || typeof value === 'function') return ['undefined'];
    if (typeof value === 'bigint') return ['bigint', String(value)];
    if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))
      return ['number', Object.is(value, -0) ? '-0' : String(value)];
    if (value instanceof Date) return ['date', value.toISOString()];
    return ArrayBuffer.isView(value) ? [value.constructor.name, base64(value)] : null;
  };
  /** Typed arrays keep their bits, NaNs' too. @param {ArrayBufferView} view */
  const base64 = ({ buffer, byteOffset, byteLength }) => {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    let text = '';
    for (let i = 0; i < byteLength; i += 32768) {
      text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    }
    return btoa(text);
  };
  /** @param {any} value @returns {any} */
  const pack = (value) => {
    const $ = special(value);
    if ($) return { $ };
    if (Array.isArray(value)) return value.map(pack);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, pack(member)]));
  };
  /** @param {any} value @returns {any} */
  const unpack = (value) => {
    if (Array.isArray(value)) return value.map(unpack);
    if (value === null || typeof value !== 'object') return value;
    if (!Array.isArray(value.$))
      return Object.fromEntries(
        Object.entries(value).map(([key, member]) => [key, unpack(member)]),
      );
    const [kind, content] = value.$;
    if (kind === 'undefined') return undefined;
    if (kind === 'bigint') return BigInt(content);
    if (kind === 'number') return Number(content);
    if (kind === 'date') return new Date(content);
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    return new /** @type {any} */ (globalThis)[kind](bytes.buffer);
  };
  return {
    write: (/** @type {any} */ value) => JSON.stringify(pack(value)),
    read: (/** @type {string} */ text) => unpack(JSON.parse(text)),
  };
}

export const { write, read } = codec();

/**
 * The source of an async function, text to text, that calls `work` in a page.
 * @param {Function | string} work  a function that needs nothing from around it, or an expression
 */
export function callSource(work) {
  const source = typeof work === 'string' ? `() => (${work})` : String(work);
  return `async (text) => {
    const { write, read } = (${codec})();
    try {
      return write({ value: await (${source})(read(text)) });
    } catch (error) {
      return write({ error: error instanceof Error ? error.name + ': ' + error.message : String(error) });
    }
  }`;
}

/** What such a function returned, or the page's error in Playwright's words. @param {string} text */
export function answerOf(text) {
  const answer = read(text);
  if (answer.error !== undefined) throw new Error(`page.evaluate: ${answer.error}`);
  return answer.value;
}

/**
 * Remembers, in the page, what it complains about, for the driver that does not hear it; also used by its
 * source.
 */
export function watchComplaints() {
  const page = /** @type {any} */ (globalThis);
  if (page.wasmAiComplaints) return;
  /** @type {string[]} */
  const complaints = [];
  page.wasmAiComplaints = complaints;
  const original = console.error.bind(console);
  console.error = (...words) => {
    complaints.push(words.map(String).join(' '));
    original(...words);
  };
  page.addEventListener('error', (/** @type {any} */ event) => complaints.push(event.message));
  page.addEventListener('unhandledrejection', (/** @type {any} */ event) =>
    complaints.push(String(event.reason)),
  );
}

/**
 * Asks a page again and again until it says yes.
 * @param {{ evaluate(work: any, argument?: unknown): Promise<any> }} page
 * @param {Function | string} work @param {unknown} [argument] @param {{ timeout?: number }} [options] ms
 */
export async function waitUntil(page, work, argument, { timeout = 30_000 } = {}) {
  const end = Date.now() + timeout;
  while (!(await page.evaluate(work, argument))) {
    if (Date.now() > end) throw new Error(`not so within ${timeout} ms: ${work}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
