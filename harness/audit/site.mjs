// A folder or a live address as one thing: files with their bytes and the headers that they come with.
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { join, relative, sep } from 'node:path';
import { WasmAIError } from '../../web/errors.js';
import { headersOf, pagePolicyOf } from '../server/policies.mjs';
import { scanPage } from './scripts.mjs';

const MOST_FILES = 2000;
const MOST_BYTES = 512 << 20;
const SECONDS = 20;

/**
 * @typedef {object} File
 * @property {Uint8Array<ArrayBuffer>} bytes
 * @property {Record<string, string> | null} headers  lower-case names; null: not known
 * @typedef {object} Site
 * @property {'folder' | 'url'} kind
 * @property {Map<string, File>} files  by path below the folder or the address
 * @property {any} manifest
 * @property {string[]} missing  files of the manifest that are not there
 * @property {{ protocol: string, host: string, certificate?: any, trusted?: boolean, server?: string }} [transport]
 */

const lower = (headers) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

/** @param {string} text @param {string} where */
function readManifest(text, where) {
  try {
    const manifest = JSON.parse(text);
    return manifest?.format === 1 && manifest.files ? manifest : null;
  } catch (error) {
    throw new WasmAIError('MALFORMED', where, `is not JSON: ${error.message}`);
  }
}

/** The headers that the folder's own rules give: our manifest's, or a `_headers` file's. */
function headerRules(manifest, netlify) {
  if (manifest) {
    const { workers = [], frame } = manifest;
    const pagePolicy = pagePolicyOf(manifest);
    return (path) => lower(headersOf(path, { workers, frame, pagePolicy, hsts: true }));
  }
  if (netlify === null) return () => null;
  const blocks = [];
  for (const line of netlify.split('\n')) {
    if (!line.trim() || line.startsWith('#')) continue;
    if (/^\S/.test(line)) blocks.push({ path: line.trim(), headers: [] });
    else blocks.at(-1)?.headers.push(/^\s*([^:]+):\s*(.*)$/.exec(line)?.slice(1) ?? ['', '']);
  }
  const fits = (pattern, path) =>
    pattern.includes('*')
      ? path.startsWith(pattern.slice(0, pattern.indexOf('*'))) &&
        path.endsWith(pattern.slice(pattern.indexOf('*') + 1))
      : pattern === path;
  return (path) => {
    const found = {};
    for (const { headers } of blocks.filter((block) => fits(block.path, `/${path}`)))
      for (const [name, value] of headers) {
        const key = name.toLowerCase();
        found[key] = key in found ? `${found[key]}, ${value}` : value;
      }
    return found;
  };
}

/** @param {string} folder @returns {Promise<Site>} */
export async function readFolder(folder) {
  /** @type {Map<string, File>} */
  const files = new Map();
  let total = 0;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const full = join(entry.parentPath, entry.name);
    const { size } = await stat(full);
    total += size;
    if (files.size >= MOST_FILES || total > MOST_BYTES) {
      const why = `more than ${MOST_FILES} files or ${MOST_BYTES >> 20} MiB: audit the folder that is deployed`;
      throw new WasmAIError('LIMIT', folder, why);
    }
    const bytes = new Uint8Array(await readFile(full));
    files.set(relative(folder, full).split(sep).join('/'), { bytes, headers: null });
  }
  const text = (name) => {
    const file = files.get(name);
    return file ? new TextDecoder().decode(file.bytes) : null;
  };
  const own = text('manifest.json');
  const manifest = own === null ? null : readManifest(own, join(folder, 'manifest.json'));
  const rules = headerRules(manifest, text('_headers'));
  files.delete('_headers'); // for the host, not for visitors
  for (const [path, file] of files) file.headers = rules(path);
  const missing = Object.keys(manifest?.files ?? {}).filter(
    (path) => !existsSync(join(folder, path)),
  );
  return { kind: 'folder', files, manifest, missing };
}

/** One GET. @param {URL} url @returns {Promise<any>} */
function ask(url, { ca, tls = {}, method = 'GET' } = /** @type {any} */ ({})) {
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    const options = secure
      ? { rejectUnauthorized: false, ca, agent: false, ...tls }
      : { agent: false };
    const asked = (secure ? request : plainRequest)(
      url,
      { method, timeout: SECONDS * 1000, ...options },
      (response) => {
        /** @type {Buffer[]} */
        const chunks = [];
        let size = 0;
        const socket = /** @type {import('node:tls').TLSSocket} */ (response.socket);
        const certificate = secure ? socket.getPeerCertificate() : undefined;
        const trusted = secure ? socket.authorized : undefined;
        response.on('data', (chunk) => {
          size += chunk.length;
          if (size > MOST_BYTES) asked.destroy(new Error(`more than ${MOST_BYTES >> 20} MiB`));
          else chunks.push(chunk);
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode,
            headers: response.headers,
            bytes: new Uint8Array(Buffer.concat(chunks)),
            certificate,
            trusted,
          }),
        );
        response.on('error', reject);
      },
    );
    asked.on('timeout', () => asked.destroy(new Error(`no answer in ${SECONDS} s`)));
    asked.on('error', reject);
    asked.end();
  });
}

/**
 * The page, its scripts and what they name; all that the manifest names when there is one.
 * @param {URL} url @param {{ ca?: string }} options @returns {Promise<Site>}
 */
export async function readUrl(url, { ca } = {}) {
  const base = new URL('./', url);
  const first = await ask(url, { ca }).catch((error) => {
    throw new WasmAIError('ARGUMENT', url.href, `cannot be reached: ${error.message}`);
  });
  if (first.status !== 200)
    throw new WasmAIError(
      'ARGUMENT',
      url.href,
      `answers ${first.status}: give the page's own address`,
    );
  /** @type {Map<string, File>} */
  const files = new Map();
  const pathOf = (address) => address.href.slice(base.href.length).replace(/[?#].*/, '');
  const page = pathOf(url) || 'index.html';
  files.set(page, first);
  const listed = await ask(new URL('manifest.json', base), { ca }).catch(() => null);
  const isJson = listed?.status === 200 && /json/.test(listed.headers['content-type'] ?? '');
  const manifest = isJson
    ? readManifest(new TextDecoder().decode(listed.bytes), `${base.href}manifest.json`)
    : null;
  const missing = [];
  const waiting = new Set(
    Object.keys(manifest?.files ?? {}).filter((path) => !path.startsWith('headers/')),
  );
  const name = (text, from) => {
    if (!URL.canParse(text, from)) return;
    const address = new URL(text, from);
    const path = pathOf(address);
    // A package's plain name stands for its hashed one.
    if (address.href.startsWith(base.href) && path && !manifest?.packages?.[path])
      waiting.add(path);
  };
  for (const source of scanPage(new TextDecoder().decode(first.bytes)).sources) name(source, url);
  // Nothing names them, and a host may answer with a page what is not there.
  const addSignature = async (/** @type {string} */ path) => {
    const file = await ask(new URL(`${path}.jws`, base), { ca }).catch(() => null);
    const isPage = /html/.test(file?.headers['content-type'] ?? '');
    if (file?.status === 200 && !isPage) files.set(`${path}.jws`, file);
  };
  if (manifest) {
    files.set('manifest.json', listed);
    await addSignature('manifest.json');
  }
  for (const path of waiting) {
    if (files.has(path) || files.size >= MOST_FILES) continue;
    const address = new URL(path, base);
    const file = await ask(address, { ca }).catch(() => ({ status: 0 }));
    if (file.status !== 200) {
      if (manifest?.files[path]) missing.push(path);
      continue;
    }
    files.set(path, file);
    if (/\.wai$|^manifest\.json$/.test(path)) await addSignature(path);
    if (!/\.m?js$/.test(path)) continue;
    const text = new TextDecoder().decode(file.bytes);
    for (const [, found] of text.matchAll(/["'`](\.{0,2}\/?[\w./-]+\.(?:m?js|wasm|wai))["'`]/g))
      name(found, address);
  }
  const { certificate, trusted } = first;
  const server = String(first.headers.server ?? '');
  const transport = { protocol: url.protocol, host: url.hostname, certificate, trusted, server };
  return { kind: 'url', files, manifest, missing, transport };
}

/** Whether the server still takes TLS 1.1. @param {URL} url */
export async function takesOldTls(url) {
  const tls = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
  return ask(url, { tls, method: 'HEAD' }).then(
    () => true,
    () => false,
  );
}

/** Where http on this host leads: null when nobody answers. @param {URL} url @param {number} port */
export async function httpLeadsTo(url, port) {
  const plain = new URL(url);
  plain.protocol = 'http:';
  plain.port = String(port);
  const answer = await ask(plain, { method: 'HEAD' }).catch(() => null);
  return answer && String(answer.headers.location ?? '');
}
