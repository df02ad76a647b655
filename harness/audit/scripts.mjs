// What a script or a page could do, from its text. Comments are taken out first; what stays is a hint for a
// reader, not a proof: a script that hides it is not found.
import { transform } from 'esbuild';

const RULES = {
  'script-eval': [
    /(?<![.\w$])eval\)?\s*\(/g,
    /\bnew\s+Function\b/g,
    /(?<![.\w$])Function\s*\(\s*["'`]/g,
    /\bset(?:Timeout|Interval)\s*\(\s*["'`]/g,
  ],
  'script-html-sink': [
    /\.(?:inner|outer)HTML\s*=(?!=)/g,
    /\binsertAdjacentHTML\s*\(/g,
    /\bdocument\.write(?:ln)?\s*\(/g,
  ],
};
/** Chromium holds their static imports against the page's policy, not their own. */
const MODULE_WORKER = /\bnew\s+Worker\([^;]{0,300}?\btype:\s*["'`]module["'`]/g;
const BLOB = /["'`]blob:|createObjectURL\s*\(/g;
const ADDRESS = /["'`](https?:\/\/[^\s"'`\\)<>]+)/g;
/** Names of XML, and what can never be a host (RFC 2606). */
const NO_ADDRESS = /^https?:\/\/(www\.w3\.org\/|[^/]*\.invalid(\/|$))/;
/** Files that are loaded, hosts called so, and the folders of packages: /npm/, name@1.2 */
const LOADED = /\.(?:m?js|wasm)(?:[?#]|$)|\/\/cdn\.|\/npm\/|@\d+\./;

/** @param {string} text @returns {Promise<{ id: string, detail: string }[]>} */
export async function scanScript(text) {
  const code = await transform(text, {
    loader: 'js',
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'silent',
  }).then(
    (result) => result.code,
    () => text,
  );
  const found = [];
  for (const [id, patterns] of Object.entries(RULES)) {
    const hits = patterns.flatMap((pattern) => [...code.matchAll(pattern)].map(([hit]) => hit));
    if (hits.length) found.push({ id, detail: `${hits.length} x ${short(hits[0])}` });
  }
  const blobs = code.match(BLOB) ?? [];
  if (blobs.length)
    found.push({ id: 'script-blob', detail: `${blobs.length} x ${short(blobs[0])}` });
  const modules = code.match(MODULE_WORKER) ?? [];
  if (modules.length)
    found.push({ id: 'script-module-worker', detail: `${modules.length} x ${short(modules[0])}` });
  const addresses = new Set(
    [...code.matchAll(ADDRESS)].map(([, url]) => url).filter((url) => !NO_ADDRESS.test(url)),
  );
  const plain = [...addresses].filter((url) => url.startsWith('http:'));
  if (plain.length)
    found.push({ id: 'http-address', detail: `${plain.length} x ${short(plain[0], 80)}` });
  const all = [...addresses].filter((url) => !plain.includes(url));
  for (const [id, wanted] of /** @type {[string, boolean][]} */ ([
    ['script-cdn', true],
    ['script-absolute-url', false],
  ])) {
    const list = all.filter((url) => LOADED.test(url) === wanted);
    if (list.length) found.push({ id, detail: `${list.length} x ${short(list[0], 80)}` });
  }
  return found;
}

const short = (text, size = 40) => text.replace(/\s+/g, ' ').slice(0, size);

/** @param {string} html */
export function scanPage(html) {
  const text = html.replace(/<!--[\s\S]*?-->/g, '');
  const found = [];
  const sources = [];
  for (const [, attributes, body] of text.matchAll(/<script\b([^>]*)>([\s\S]*?)<\/script>/gi)) {
    const source = /\bsrc\s*=\s*["']?([^"'\s>]+)/i.exec(attributes)?.[1];
    if (source) {
      sources.push(source);
      if (/^http:/i.test(source)) found.push({ id: 'http-address', detail: source });
      if (/^(https?:)?\/\//i.test(source) && !/\bintegrity\s*=/i.test(attributes))
        found.push({ id: 'html-no-integrity', detail: source });
    } else if (body.trim() && !/type\s*=\s*["']?[^"'>]*json/i.test(attributes)) {
      found.push({ id: 'html-inline-script', detail: short(body) });
    }
  }
  const handler = /<[a-z][^>]*\son[a-z]+\s*=\s*["'][^"']*/i.exec(text);
  if (handler) found.push({ id: 'html-inline-script', detail: short(handler[0]) });
  const policy = /<meta\b[^>]*http-equiv\s*=\s*["']content-security-policy["'][^>]*>/i.exec(
    text,
  )?.[0];
  const meta = policy && /\bcontent\s*=\s*"([^"]*)"/i.exec(policy)?.[1];
  return { found, sources, meta: meta ?? null };
}
