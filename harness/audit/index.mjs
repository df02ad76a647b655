// The audit: a site, a wasm file or a package -> facts and findings. Which findings there are says findings.mjs.
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { encryptedFor, readCertificate } from '../../web/certificate.js';
import { checkPackage } from '../../web/chunks.js';
import { WasmAIError } from '../../web/errors.js';
import { parseJws } from '../../web/jws.js';
import { readBytes } from '../files.mjs';
import { headerFiles } from '../server/hosts.mjs';
import { claimsFor, isMadeBy, nameToSign } from '../signing.mjs';
import { FINDINGS, HOST_WORDS, SEVERITIES } from './findings.mjs';
import {
  allowsEval,
  isFramable,
  pageWeaknesses,
  readPolicies,
  workerWeaknesses,
} from './policy.mjs';
import { scanPage, scanScript } from './scripts.mjs';
import { httpLeadsTo, readFolder, readUrl, takesOldTls } from './site.mjs';
import { readWasm } from './wasm.mjs';

const DAY = 86400 * 1000;
const ASKED_MEMORY = 65536; // pages: all that wasm32 has
const sha384 = (bytes) => createHash('sha384').update(bytes).digest('hex');
const textOf = ({ bytes }) => new TextDecoder().decode(bytes);

/** @typedef {{ id: string, severity: import('./findings.mjs').Severity, where: string[], allows: string, fix: string, hosts?: Record<string, string> }} Finding */

class Report {
  constructor() {
    /** @type {Map<string, string[]>} */
    this.found = new Map();
    /** @type {Record<string, any>} */
    this.facts = {};
  }
  add(id, where, detail = '') {
    if (!FINDINGS[id]) throw new Error(`no such finding: ${id}`);
    const list = this.found.get(id) ?? [];
    const text = detail ? `${where}: ${detail}` : where;
    if (!list.includes(text)) list.push(text);
    this.found.set(id, list);
  }
  /** Worst first, and in the table's order. @returns {Finding[]} */
  findings() {
    return Object.entries(FINDINGS)
      .filter(([id]) => this.found.has(id))
      .map(([id, { severity, allows, fix, header, value }]) => ({
        id,
        severity,
        where: this.found.get(id) ?? [],
        allows,
        fix,
        ...(header && value
          ? {
              hosts: Object.fromEntries(
                Object.entries(HOST_WORDS).map(([host, say]) => [host, say(header, value)]),
              ),
            }
          : {}),
      }))
      .sort((a, b) => SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity));
  }
}

/**
 * ca: PEM of an authority to trust; httpPort: where to look for the redirect; keys: whose signatures there must be
 * @typedef {{ ca?: string, httpPort?: number, maxHeapMB?: number, keys?: import('node:crypto').KeyObject[] }} Options
 *
 * @param {string} target folder, wasm file, package, or http(s) address
 * @param {Options} [options]
 */
export async function audit(target, options = {}) {
  const report = new Report();
  const kind = await inspectTarget(target, options, report);
  return { target, kind, facts: report.facts, findings: report.findings() };
}

async function inspectTarget(target, options, report) {
  if (/^https?:\/\//i.test(target)) {
    if (!URL.canParse(target)) throw new WasmAIError('ARGUMENT', target, 'is not an address');
    const url = new URL(target);
    const site = await readUrl(url, options);
    await inspectTransport(url, site, options, report);
    await inspectSite(site, options, report);
    return 'url';
  }
  const info = await stat(target).catch(() => null);
  if (info?.isDirectory()) {
    await inspectSite(await readFolder(target), options, report);
    return 'folder';
  }
  const bytes = new Uint8Array(await readBytes(target));
  if (bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d) {
    report.facts.wasm = { [target]: inspectWasm(target, bytes, report) };
    return 'wasm';
  }
  const signature = await readFile(`${target}.jws`).catch(() => null);
  const facts = await inspectPackage(target, bytes, signature, options, report);
  report.facts.packages = { [target]: facts };
  if (!signature && !options.keys?.length) report.add('package-unsigned', target);
  return 'package';
}

/**
 * What the signature beside a file says, and, with keys, whether one of them made it.
 * @param {string} path @param {Uint8Array} bytes @param {Uint8Array | null | undefined} signature
 * @param {'package' | 'manifest'} kind @param {{ keys?: import('node:crypto').KeyObject[] }} options @param {Report} report
 */
function inspectSignature(path, bytes, signature, kind, { keys = [] }, report) {
  if (!signature) {
    if (keys.length) report.add('signature-missing', path);
    return null;
  }
  const text = Buffer.from(signature).toString('latin1');
  try {
    const claims = claimsFor(bytes, text, { file: path, kind, name: nameToSign(path) });
    const trusted = keys.length ? isMadeBy(keys, parseJws(text, path)) : null;
    if (trusted === false) report.add('signature-untrusted', `${path}.jws`, `key ${claims.keyId}`);
    return { ...claims, trusted };
  } catch {
    report.add('signature-mismatch', `${path}.jws`);
    return null;
  }
}

/** @param {string} path @param {Uint8Array<ArrayBuffer>} bytes @param {Report} report */
function inspectWasm(path, bytes, report) {
  const wasm = readWasm(bytes);
  if (!wasm) {
    report.add('wasm-invalid', path, `by Node ${process.versions.node}`);
    return null;
  }
  const functions = wasm.imports.filter(({ kind }) => kind === 'function');
  if (functions.length) report.add('wasm-function-imports', path, `${functions.length} functions`);
  const runs = functions.filter(({ name }) => /run_script|asm_const/.test(name));
  if (runs.length) report.add('wasm-eval-import', path, runs.map(({ name }) => name).join(', '));
  for (const { imported, max } of wasm.memories)
    if (!imported && (max === null || max >= ASKED_MEMORY))
      report.add('wasm-memory-unbounded', path, max === null ? 'no maximum' : '4 GiB');
  if ([...wasm.imports, ...wasm.exports].some(({ kind }) => kind === 'table'))
    report.add('wasm-table-exposed', path);
  if (wasm.start && functions.length) report.add('wasm-start', path);
  if (!wasm.metered) report.add('wasm-not-metered', path);
  return {
    imports: wasm.imports.map(({ module, name, kind }) => `${module}.${name} ${kind}`),
    exports: wasm.exports.map(({ name, kind }) => `${name} ${kind}`),
    memory: wasm.memories,
    tables: wasm.tables,
    start: wasm.start,
    metered: wasm.metered,
  };
}

/**
 * @param {string} path @param {Uint8Array} bytes @param {Uint8Array | null | undefined} signature
 * @param {Options} options @param {Report} report
 */
async function inspectPackage(path, bytes, signature, options, report) {
  const { maxHeapMB = 4096 } = options;
  const about = {
    sha384: sha384(bytes),
    signature: inspectSignature(path, bytes, signature, 'package', options, report),
  };
  const encrypted = encryptedFor(bytes);
  if (encrypted) return { encrypted, ...about }; // and nothing else can be seen
  const certificate = readCertificate(bytes, path);
  const checked = await checkPackage(bytes, path).catch(() => null);
  if (!checked) report.add('package-damaged', path);
  if (certificate.peakSize > maxHeapMB * 1048576)
    report.add('package-over-cap', path, `${certificate.peakSize} bytes, ${maxHeapMB} MiB allowed`);
  return {
    ...certificate,
    head: checked?.head ?? null,
    ...about,
  };
}

/** @param {import('./site.mjs').Site} site @param {Options} options @param {Report} report */
async function inspectSite(site, { keys }, report) {
  const { files, manifest, missing } = site;
  report.facts = { ...report.facts, files: files.size, wasm: {}, packages: {}, policies: {} };
  inspectIntegrity(site, { keys }, report);
  for (const path of missing) report.add('integrity-missing-file', path);
  for (const [path, file] of files) {
    if (manifest && path.startsWith('headers/')) continue; // for the host, not for visitors
    if (/(^|\/)(id_[a-z0-9]+|[^/]+(?<!\.pub)\.(pem|key|p12|pfx|jwk)|\.env[^/]*)$/i.test(path))
      report.add('exposed-key', path);
    else if (/(^|\/)\.(?!well-known\/)/.test(path)) report.add('exposed-hidden', path);
    if (path.endsWith('.map')) report.add('exposed-map', path);
    if (/\.wasm$/i.test(path)) report.facts.wasm[path] = inspectWasm(path, file.bytes, report);
    if (/\.wai$/i.test(path))
      report.facts.packages[path] = await inspectPackage(
        path,
        file.bytes,
        files.get(`${path}.jws`)?.bytes,
        { keys },
        report,
      );
    await inspectFile(path, file, kindOf(path, file, manifest), site, report);
  }
  if (site.kind === 'folder' && [...files.values()].every(({ headers }) => headers === null))
    report.add('headers-unknown', '.');
}

/** @returns {'worker' | 'frame' | 'page' | 'script' | 'other'} */
function kindOf(path, { headers }, manifest) {
  const isScript = /\.[cm]?js$/i.test(path);
  if (manifest?.workers?.includes(path) || (!manifest && isScript && /worker/i.test(path)))
    return 'worker';
  if (manifest?.frame?.file === path) return 'frame';
  if (/\.html?$/i.test(path) || /text\/html/.test(headers?.['content-type'] ?? '')) return 'page';
  return isScript ? 'script' : 'other';
}

/** The strictest that is known of the pages: a script runs under theirs. */
function pagePolicies({ files, manifest }) {
  const texts = [...files]
    .filter(([path, { headers }]) => /\.html?$/i.test(path) && headers)
    .filter(([path]) => path !== manifest?.frame?.file)
    .map(([, { headers }]) => headers?.['content-security-policy'] ?? '');
  return texts.map(readPolicies);
}

/** @param {import('./site.mjs').Site} site @param {Report} report */
async function inspectFile(path, file, kind, site, report) {
  const policies = readPolicies(file.headers?.['content-security-policy'] ?? '');
  if (kind === 'page') {
    const { found, meta } = scanPage(textOf(file));
    for (const { id, detail } of found) report.add(id, path, detail);
    for (const policy of readPolicies(meta ?? '')) {
      policy.delete('frame-ancestors'); // does nothing there
      policies.push(policy);
    }
  } else if (kind === 'frame') {
    policies.push(...readPolicies(scanPage(textOf(file)).meta ?? ''));
    // Its workers, of a blob: that is allowed here and nowhere else, inherit it.
    const weak = policies.length ? workerWeaknesses(policies) : ['it has none'];
    if (weak.length) report.add('frame-policy', path, weak.join(', '));
  } else if (kind !== 'other') {
    // A script runs under its own policy as a worker, under its page's otherwise.
    const pages = pagePolicies(site);
    const held = kind === 'worker' ? [policies] : pages.length ? pages : [policies];
    const free = held.some((list) => allowsEval(list));
    const typed = held.every((list) =>
      list.some((policy) => policy.has('require-trusted-types-for')),
    );
    for (const { id, detail } of await scanScript(textOf(file))) {
      if (id === 'script-eval' && !free) continue; // it cannot run
      if (id === 'script-html-sink' && (typed || kind === 'worker')) continue;
      report.add(id, path, detail);
    }
  }
  const { headers } = file;
  if (policies.length) report.facts.policies[path] = headers?.['content-security-policy'] ?? 'meta';
  if (headers) {
    inspectPolicy(path, kind, policies, headers, report);
    inspectHeaders(path, kind, headers, site, report);
  } else if (kind === 'page' && policies.length) {
    for (const id of pageWeaknesses(policies)) report.add(id, path);
  }
}

function inspectPolicy(path, kind, policies, headers, report) {
  const only = !policies.length && headers['content-security-policy-report-only'];
  if (only && kind !== 'other') report.add('csp-report-only', path);
  if (kind === 'page') {
    if (!policies.length && !only) report.add('csp-missing', path);
    if (policies.length) for (const id of pageWeaknesses(policies)) report.add(id, path);
    if (isFramable(policies) && !headers['x-frame-options']) report.add('csp-framing', path);
  } else if (kind === 'worker') {
    if (!policies.length) report.add('worker-no-policy', path);
    else for (const id of workerWeaknesses(policies)) report.add(id, path);
  } else if (kind === 'script' && !policies.length) report.add('script-no-policy', path);
}

/** Finding -> header, and the kinds of files that need it. @type {[string, string, string[]][]} */
const NEEDED = [
  ['nosniff-missing', 'x-content-type-options', ['page', 'frame', 'worker', 'script', 'other']],
  ['corp-missing', 'cross-origin-resource-policy', ['page', 'frame', 'worker', 'script', 'other']],
  ['coop-missing', 'cross-origin-opener-policy', ['page']],
  ['coep-missing', 'cross-origin-embedder-policy', ['page', 'frame', 'worker']],
  ['referrer-missing', 'referrer-policy', ['page']],
  ['permissions-missing', 'permissions-policy', ['page']],
];
/** @type {[RegExp, RegExp][]} */
const TYPES = [
  [/\.wasm$/i, /^application\/wasm$/],
  [/\.m?js$/i, /^(text|application)\/javascript(;|$)/],
  [/\.wai$/i, /^application\/octet-stream$/],
  [/\.html?$/i, /^text\/html(;|$)/],
];

/** @param {Record<string, string>} headers @param {import('./site.mjs').Site} site @param {Report} report */
function inspectHeaders(path, kind, headers, site, report) {
  for (const [id, name, kinds] of NEEDED)
    if (kinds.includes(kind) && !headers[name]) report.add(id, path);
  const isLocal = /^(localhost|127\.|\[?::1)/.test(site.transport?.host ?? '');
  const overTls = site.transport?.protocol !== 'http:';
  if (kind === 'page' && overTls && !isLocal && !headers['strict-transport-security'])
    report.add('hsts-missing', path);
  const type = String(headers['content-type'] ?? '');
  const wanted = TYPES.find(([name]) => name.test(path))?.[1];
  // A folder's rules may leave the type to the host.
  if (wanted && (type || site.kind === 'url') && !wanted.test(type))
    report.add('mime-wrong', path, type || 'none');
  if (
    /immutable/.test(headers['cache-control'] ?? '') &&
    !/[.-](?=[0-9a-z]*\d)[0-9a-z]{8,}\.[a-z]+$/i.test(path)
  )
    report.add('cache-immutable', path);
  if (headers['access-control-allow-origin'] === '*') report.add('cors-any', path);
  if (/\d/.test(headers.server ?? '') || headers['x-powered-by'])
    report.add('version-told', headers.server ?? `x-powered-by: ${headers['x-powered-by']}`);
}

/** @param {import('./site.mjs').Site} site @param {Options} options @param {Report} report */
function inspectIntegrity({ kind, files, manifest }, options, report) {
  const code = [...files.keys()].filter((path) => /\.(wasm|wai)$/i.test(path));
  if (!manifest) {
    if (code.length) report.add('integrity-no-manifest', code[0], `${code.length} files`);
    report.facts.integrity = null;
    return;
  }
  for (const [path, { sha384: digest }] of Object.entries(manifest.files)) {
    const file = files.get(path);
    if (file && sha384(file.bytes) !== digest) report.add('integrity-mismatch', path);
  }
  for (const path of code) if (!manifest.files[path]) report.add('integrity-unlisted', path);
  // The scripts of the build carry the digests of what they load: of a package, that of its head.
  const pins = new Map(
    Object.entries(manifest.files).map(([path, { sha384: digest }]) => [path, digest]),
  );
  for (const { file, head } of Object.values(manifest.packages ?? {}))
    if (head) pins.set(file, head);
  const scripts = [...files]
    .filter(([path]) => /\.m?js$/.test(path) && manifest.files[path])
    .map(([, file]) => textOf(file))
    .join('\n');
  for (const path of code)
    if (pins.has(path) && !scripts.includes(pins.get(path))) report.add('integrity-unpinned', path);
  const names = Object.keys(manifest.files);
  const served = [...names.filter((path) => !path.startsWith('headers/')), 'manifest.json'];
  if (kind === 'folder') {
    const { workers, frame, trustedTypes, policy, origin } = manifest;
    const today = headerFiles({ files: served, workers, frame, trustedTypes, policy, origin });
    for (const [name, text] of Object.entries(today)) {
      const file = files.get(`headers/${name}`);
      if (!file || textOf(file) !== text) report.add('headers-stale', `headers/${name}`);
    }
  }
  report.facts.integrity = {
    files: names.length,
    secure: Boolean(manifest.secure),
    signature: inspectSignature(
      'manifest.json',
      files.get('manifest.json')?.bytes ?? new Uint8Array(),
      files.get('manifest.json.jws')?.bytes,
      'manifest',
      options,
      report,
    ),
  };
}

/** @param {URL} url @param {import('./site.mjs').Site} site @param {{ httpPort?: number }} options @param {Report} report */
async function inspectTransport(url, { transport }, { httpPort }, report) {
  const isLocal = /^(localhost|127\.|\[?::1)/.test(url.hostname);
  report.facts.server = transport?.server || null;
  if (url.protocol === 'http:') {
    if (!isLocal) report.add('http-plain', url.host);
    return;
  }
  const port = httpPort ?? (url.port === '' ? 80 : 0);
  if (port) {
    const location = await httpLeadsTo(url, port);
    if (location !== null && !location.startsWith('https://'))
      report.add('http-no-redirect', `${url.hostname}:${port}`);
  }
  if (await takesOldTls(url)) report.add('tls-old', url.host);
  const { valid_from: from, valid_to: to, issuer } = transport?.certificate ?? {};
  const [begin, end] = [Date.parse(from), Date.parse(to)];
  const days = Math.floor((end - Date.now()) / DAY);
  report.facts.certificate = {
    from,
    to,
    days,
    issuer: issuer?.CN ?? null,
    trusted: transport?.trusted,
  };
  if (days < 0) report.add('cert-expired', url.host, to);
  else if (days < 21) report.add('cert-ends-soon', url.host, to);
  if (end - begin > 398 * DAY) report.add('cert-too-long', url.host, `${from} to ${to}`);
  if (!transport?.trusted) report.add('cert-untrusted', url.host, issuer?.CN ?? '');
}
