// One table: which headers each kind of file gets. The server applies it, and
// the header files for other hosts are written from it. The reasons are in
// README.md beside this file.

import { WORKER_POLICY } from '../../web/lockdown.js';

export { WORKER_POLICY };
export const LITERAL_POLICY =
  "default-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'";
const NOTHING = "default-src 'none'";

/**
 * The sandboxed frame's, also in its file as a <meta>: the workers that it makes of its blob: inherit it.
 * No address is in it: its one script is there by hash, and import() in a worker finds nothing.
 * @param {string} script hash of its script
 */
export const framePolicy = (script) =>
  [
    "default-src 'none'",
    `script-src '${script}' 'wasm-unsafe-eval'`,
    'worker-src blob:',
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types wasm-ai-frame',
  ].join('; ');

/** `--secure`. A host that knows its own address narrows worker-src and frame-src to the very files. */
export function strictPolicy({
  workers = "'self'",
  frames = "'self'",
  trustedTypes = ['wasm-ai'],
} = {}) {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "style-src 'self'",
    `worker-src ${workers}`,
    `frame-src ${frames}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    `trusted-types ${trustedTypes.join(' ')}`,
  ].join('; ');
}

/**
 * The policy of a folder's pages. With its own address known, the strict one names the very files.
 * @param {{ policy?: string, workers?: string[], frame?: { file: string }, trustedTypes?: string[],
 *   origin?: string | null }} folder  as in its manifest; origin: with a / at its end
 */
export function pagePolicyOf({ policy, workers = [], frame, trustedTypes, origin }) {
  if (policy !== 'strict') return LITERAL_POLICY;
  const exact = (/** @type {string[]} */ files) =>
    origin && files.length ? files.map((file) => `${origin}${file}`).join(' ') : "'self'";
  return strictPolicy({
    workers: exact(workers),
    frames: exact(frame ? [frame.file] : []),
    trustedTypes,
  });
}

/** Every response, whatever it is. */
export const EVERY = {
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
};

/**
 * For hosts with a name of their own. Not from the local server: it would hold for every port of
 * localhost. Without includeSubDomains, which is not ours to decide.
 */
export const HSTS = { 'Strict-Transport-Security': 'max-age=63072000' };

/** Inference needs none of these; a page that wants the camera says so in its own copy. */
const FEATURES = [
  ...['accelerometer', 'bluetooth', 'camera', 'display-capture', 'geolocation', 'gyroscope', 'hid'],
  ...['magnetometer', 'microphone', 'midi', 'payment', 'publickey-credentials-get'],
  ...['screen-wake-lock', 'serial', 'usb', 'xr-spatial-tracking'],
];

const PAGE_HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Permissions-Policy': FEATURES.map((feature) => `${feature}=()`).join(', '),
  'X-Frame-Options': 'SAMEORIGIN', // the literal policy says nothing of frames
};

/**
 * Rows in order, the first whose `suffix` fits counts. `csp: 'page'` and `'frame'` stand for the
 * policies of the site's pages and frame. The rows of worker and frame are chosen by name, from the manifest.
 */
/** @type {{ name: string, suffix: string[], type: string, csp: string, headers: Record<string, string> }[]} */
export const KINDS = [
  {
    name: 'worker',
    suffix: [],
    type: 'text/javascript; charset=utf-8',
    csp: WORKER_POLICY,
    headers: { 'Cross-Origin-Embedder-Policy': 'require-corp' },
  },
  // A page; of the last one: without it Firefox loads it into no sandboxed frame of a page with COEP.
  {
    name: 'frame',
    suffix: [],
    type: 'text/html; charset=utf-8',
    csp: 'frame',
    headers: { ...PAGE_HEADERS, 'Cross-Origin-Resource-Policy': 'cross-origin' },
  },
  {
    name: 'page',
    suffix: ['.html', '.htm'],
    type: 'text/html; charset=utf-8',
    csp: 'page',
    headers: PAGE_HEADERS,
  },
  // A script without a policy of its own could be started as an unrestricted worker.
  {
    name: 'script',
    suffix: ['.js', '.mjs'],
    type: 'text/javascript; charset=utf-8',
    csp: NOTHING,
    headers: { 'Cross-Origin-Embedder-Policy': 'require-corp' },
  },
  { name: 'wasm', suffix: ['.wasm'], type: 'application/wasm', csp: NOTHING, headers: {} },
  {
    name: 'package',
    suffix: ['.wai', '.onnx'],
    type: 'application/octet-stream',
    csp: NOTHING,
    headers: {},
  },
  { name: 'signature', suffix: ['.jws'], type: 'application/jose', csp: NOTHING, headers: {} },
  { name: 'style', suffix: ['.css'], type: 'text/css; charset=utf-8', csp: NOTHING, headers: {} },
  { name: 'data', suffix: ['.json'], type: 'application/json', csp: NOTHING, headers: {} },
  {
    name: 'text',
    suffix: ['.txt', '.md', '.ts', '.map'],
    type: 'text/plain; charset=utf-8',
    csp: NOTHING,
    headers: {},
  },
  {
    name: 'webmanifest',
    suffix: ['.webmanifest'],
    type: 'application/manifest+json',
    csp: NOTHING,
    headers: {},
  },
  { name: 'png', suffix: ['.png'], type: 'image/png', csp: NOTHING, headers: {} },
  { name: 'jpeg', suffix: ['.jpg', '.jpeg'], type: 'image/jpeg', csp: NOTHING, headers: {} },
  { name: 'webp', suffix: ['.webp'], type: 'image/webp', csp: NOTHING, headers: {} },
  { name: 'avif', suffix: ['.avif'], type: 'image/avif', csp: NOTHING, headers: {} },
  { name: 'gif', suffix: ['.gif'], type: 'image/gif', csp: NOTHING, headers: {} },
  { name: 'svg', suffix: ['.svg'], type: 'image/svg+xml', csp: NOTHING, headers: {} },
  { name: 'icon', suffix: ['.ico'], type: 'image/x-icon', csp: NOTHING, headers: {} },
  { name: 'font', suffix: ['.woff2'], type: 'font/woff2', csp: NOTHING, headers: {} },
  { name: 'wav', suffix: ['.wav'], type: 'audio/wav', csp: NOTHING, headers: {} },
  { name: 'mp3', suffix: ['.mp3'], type: 'audio/mpeg', csp: NOTHING, headers: {} },
  { name: 'mp4', suffix: ['.mp4'], type: 'video/mp4', csp: NOTHING, headers: {} },
  { name: 'webm', suffix: ['.webm'], type: 'video/webm', csp: NOTHING, headers: {} },
  { name: 'other', suffix: [''], type: 'application/octet-stream', csp: NOTHING, headers: {} },
];

/**
 * What goes out compressed. Not packages: weights become 8 % smaller, for a second's work per 10 MB; nor
 * pictures and sounds.
 */
export const COMPRESSED = [
  ...['text/html', 'text/javascript', 'text/css', 'text/plain', 'image/svg+xml'],
  ...['application/wasm', 'application/json', 'application/manifest+json'],
];

/** A name that changes with its content: name.0123456789ab.ext */
export const HASHED = /\.[0-9a-f]{12}\.[a-z]+$/;

/** @param {string} path below the folder, no leading slash @param {Site} [site] */
export function kindOf(path, { workers = [], frame } = {}) {
  if (workers.includes(path)) return KINDS[0];
  if (frame?.file === path) return KINDS[1];
  const name = path.toLowerCase();
  return /** @type {typeof KINDS[number]} */ (
    KINDS.find(({ suffix }) => suffix.some((end) => name.endsWith(end)))
  );
}

/** @param {string} csp @param {Site} site */
function policyFor(csp, { pagePolicy = LITERAL_POLICY, frame }) {
  if (csp === 'page') return pagePolicy;
  return csp === 'frame' && frame ? `${framePolicy(frame.script)}; frame-ancestors 'self'` : csp;
}

/**
 * @param {typeof KINDS[number]} kind
 * @param {Site & { immutable?: boolean }} site
 * @returns {Record<string, string>}
 */
export function headersOfKind(kind, { immutable = false, hsts = false, ...site } = {}) {
  return {
    'Content-Type': kind.type,
    'Content-Security-Policy': policyFor(kind.csp, site),
    ...EVERY,
    ...(hsts ? HSTS : {}),
    ...kind.headers,
    'Cache-Control': immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
}

/**
 * workers, frame: as in the manifest; script: hash of the frame's one script.
 * @typedef {{ workers?: string[], frame?: { file: string, script: string }, pagePolicy?: string, hsts?: boolean }} Site
 */

/** All headers of one file. @param {string} path @param {Site} site */
export function headersOf(path, site) {
  return headersOfKind(kindOf(path, site), { ...site, immutable: HASHED.test(path) });
}
