// One table: which headers each kind of file gets. The server applies it, and
// the header files for other hosts are written from it. The reasons are in
// README.md beside this file.

export const WORKER_POLICY = "default-src 'none'; script-src 'wasm-unsafe-eval'";
export const LITERAL_POLICY =
  "default-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'";
const NOTHING = "default-src 'none'";

/** `--secure`. A host that knows its own address narrows worker-src to the worker files. */
export function strictPolicy({ workers = "'self'", trustedTypes = ['wasm-ai'] } = {}) {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "style-src 'self'",
    `worker-src ${workers}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    `trusted-types ${trustedTypes.join(' ')}`,
  ].join('; ');
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

/**
 * Rows in order, the first whose `suffix` fits counts. `csp: 'page'` stands for
 * the page policy in force. The worker's row is chosen by name, from the manifest.
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
  {
    name: 'page',
    suffix: ['.html', '.htm'],
    type: 'text/html; charset=utf-8',
    csp: 'page',
    headers: {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
      'Permissions-Policy': FEATURES.map((feature) => `${feature}=()`).join(', '),
      'X-Frame-Options': 'SAMEORIGIN', // the literal policy says nothing of frames
    },
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

/** A name that changes with its content: name.0123456789ab.ext */
export const HASHED = /\.[0-9a-f]{12}\.[a-z]+$/;

/** @param {string} path below the folder, no leading slash @param {{ workers?: string[] }} site */
export function kindOf(path, { workers = [] } = {}) {
  if (workers.includes(path)) return KINDS[0];
  const name = path.toLowerCase();
  return /** @type {typeof KINDS[number]} */ (
    KINDS.find(({ suffix }) => suffix.some((end) => name.endsWith(end)))
  );
}

/**
 * @param {typeof KINDS[number]} kind
 * @param {{ pagePolicy?: string, immutable?: boolean, hsts?: boolean }} how
 * @returns {Record<string, string>}
 */
export function headersOfKind(
  kind,
  { pagePolicy = LITERAL_POLICY, immutable = false, hsts = false } = {},
) {
  return {
    'Content-Type': kind.type,
    'Content-Security-Policy': kind.csp === 'page' ? pagePolicy : kind.csp,
    ...EVERY,
    ...(hsts ? HSTS : {}),
    ...kind.headers,
    'Cache-Control': immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
}

/** @typedef {{ workers?: string[], pagePolicy?: string, hsts?: boolean }} Site */

/** All headers of one file. @param {string} path @param {Site} site */
export function headersOf(path, site) {
  return headersOfKind(kindOf(path, site), {
    pagePolicy: site.pagePolicy,
    hsts: site.hsts,
    immutable: HASHED.test(path),
  });
}
