// The server: files of one folder with the headers of policies.mjs, and nothing else.

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { join, sep } from 'node:path';
import express from 'express';
import helmet from 'helmet';
import { WasmAIError } from '../../web/errors.js';
import { Compressed, mayBeCompressed } from './compress.mjs';
import { bound, Clients, LIMITS, serverOptions } from './limits.mjs';
import { headersOf, pagePolicyOf } from './policies.mjs';

/** What the folder says about itself; a folder without a manifest is served with the literal policy. */
export function readSite(folder) {
  const file = join(folder, 'manifest.json');
  if (!existsSync(file))
    return { workers: [], packages: {}, policy: 'literal', trustedTypes: [], frame: undefined };
  try {
    const {
      workers = [],
      packages = {},
      policy = 'literal',
      trustedTypes = [],
      frame,
    } = JSON.parse(readFileSync(file, 'utf8'));
    return { workers, packages, policy, trustedTypes, frame };
  } catch (error) {
    throw new WasmAIError('MALFORMED', file, `is not a manifest: ${error.message}`);
  }
}

/**
 * @param {string} folder
 * @param {{ scheme?: 'http' | 'https', clients?: Clients, onRequest?: (path: string) => void }} [options]
 */
export function createApp(folder, { scheme = 'https', clients, onRequest = () => {} } = {}) {
  const root = realpathSync(folder);
  const smaller = new Compressed();
  const app = express();
  app.disable('x-powered-by');
  // The policies are ours, by file; helmet adds the rest. No HSTS: it would hold for every port of localhost.
  app.use(
    helmet({
      contentSecurityPolicy: false,
      strictTransportSecurity: false,
      crossOriginOpenerPolicy: false,
      crossOriginResourcePolicy: false,
      referrerPolicy: false,
      xContentTypeOptions: false,
    }),
  );

  app.use((request, response, next) => {
    onRequest(request.url);
    for (const [name, value] of Object.entries(headersOf('x', {}))) response.setHeader(name, value);
    if (clients && !clients.mayAsk(request.socket.remoteAddress)) {
      response.setHeader('Retry-After', '1');
      return refuse(response, 429, 'too many requests');
    }
    if (hasBody(request)) {
      response.setHeader('Connection', 'close'); // it is not read
      return refuse(response, 413, 'no request has a body here');
    }
    if (request.method === 'GET' || request.method === 'HEAD')
      return clients ? clients.inTurn(request.socket.remoteAddress, response, next) : next();
    response.setHeader('Allow', 'GET, HEAD');
    return refuse(response, 405, 'only GET and HEAD');
  });

  // Read at each request: cheap, and a rebuilt folder is served rightly at once.
  app.use(async (request, response) => {
    const path = plainPath(request.path);
    if (path === null) return refuse(response, 404, 'no such file');
    const site = readSite(root);
    const file =
      Object.hasOwn(site.packages, path) && !existsSync(join(root, path))
        ? site.packages[path].file
        : path;
    let real;
    try {
      real = realpathSync(join(root, file));
    } catch {
      return refuse(response, 404, 'no such file');
    }
    if (!real.startsWith(root + sep)) return refuse(response, 404, 'no such file'); // a link out of the folder
    const pagePolicy = pagePolicyOf({ ...site, origin: originOf(request, scheme) });
    const headers = headersOf(file, { workers: site.workers, frame: site.frame, pagePolicy });
    if (file !== path) headers['Cache-Control'] = 'no-cache'; // asked for by its plain name
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (mayBeCompressed(file)) response.setHeader('Vary', 'Accept-Encoding');
    const encoding = request.headers.range
      ? false
      : request.acceptsEncodings('br') || request.acceptsEncodings('gzip');
    const found = await smaller.of(real, encoding);
    if (found) {
      response.setHeader('Content-Encoding', String(encoding));
      response.setHeader('ETag', found.etag);
      return response.send(found.bytes); // or 304
    }
    return response.sendFile(file, { root, dotfiles: 'deny', cacheControl: false }, (error) => {
      if (!error || response.headersSent) return;
      refuse(response, /** @type {any} */ (error).status === 403 ? 403 : 404, 'no such file');
    });
  });

  app.use((error, _request, response, _next) =>
    refuse(response, error.status >= 400 && error.status < 500 ? error.status : 500, 'bad request'),
  );
  return app;
}

/** A request's path below the folder, or null when it is none that we serve. @param {string} raw */
function plainPath(raw) {
  let path;
  try {
    path = decodeURIComponent(raw);
  } catch {
    return null;
  }
  if (!path.startsWith('/') || /[\0\\]/.test(path)) return null;
  if (path.endsWith('/')) path += 'index.html';
  const parts = path.slice(1).split('/');
  return parts.some((part) => part === '' || part.startsWith('.')) ? null : parts.join('/');
}

/** The folder's own address, when the request says a host that can stand in a policy. */
function originOf(request, scheme) {
  const host = request.headers.host ?? '';
  return /^[a-z0-9.-]+(:\d{1,5})?$/i.test(host) ? `${scheme}://${host}/` : null;
}

/** @param {import('express').Request} request */
const hasBody = ({ headers }) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

function refuse(response, status, text) {
  for (const [name, value] of Object.entries(headersOf('x.txt', {})))
    response.setHeader(name, value);
  response.status(status).end(`${status}: ${text}\n`);
}

/** From any http address to the same one under https. */
export function createRedirect(port) {
  return (request, response) => {
    const host =
      /^(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:\d+)?$/i.exec(request.headers.host ?? '')?.[1] ?? 'localhost';
    const path = /^\/(?!\/)[\x21-\x7e]*$/.test(request.url ?? '') ? request.url : '/';
    response.writeHead(308, { Location: `https://${host}:${port}${path}`, 'Content-Length': 0 });
    response.end();
  };
}

/** @param {import('node:net').Server} server @param {number} port @param {string} host */
function listen(server, port, host) {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      reject(
        new WasmAIError(
          'ARGUMENT',
          `${host}:${port}`,
          code === 'EADDRINUSE'
            ? 'this port is taken by another program: stop it or choose another with --port'
            : code === 'EACCES'
              ? 'this port needs more rights: choose one above 1023 with --port'
              : `cannot listen: ${error.message}`,
        ),
      );
    });
    server.listen(port, host, () => resolve(server));
  });
}

/**
 * Serve `folder`. With key and cert: https on port, http on port + 1 redirects. Without: http.
 * @param {{ folder: string, port: number, host?: string, key?: string, cert?: string,
 *   limits?: Partial<import('./limits.mjs').Limits>, onRequest?: (path: string) => void }} options
 */
export async function serveFolder(options) {
  const { folder, port, host = 'localhost', key, cert, onRequest } = options;
  const secure = key !== undefined && cert !== undefined;
  const clients = new Clients({ ...LIMITS, ...options.limits });
  const bounds = serverOptions(clients.limits);
  const app = createApp(folder, { scheme: secure ? 'https' : 'http', clients, onRequest });
  /** @type {import('node:http').Server[]} */
  const servers = [];
  const close = () =>
    Promise.all(
      servers.map(
        (server) =>
          new Promise((done) => {
            server.close(() => done(undefined));
            // closeAllConnections leaves those that are not through their TLS handshake.
            for (const socket of clients.sockets) socket.destroy();
          }),
      ),
    );
  try {
    const main = secure ? createHttps({ ...bounds, key, cert }, app) : createHttp(bounds, app);
    servers.push(await listen(bound(main, clients), port, host));
    const { port: actual } = /** @type {import('node:net').AddressInfo} */ (main.address());
    const found = {
      url: `${secure ? 'https' : 'http'}://${host}:${actual}/`,
      port: actual,
      redirectPort: 0,
      close,
    };
    if (secure) {
      const redirect = bound(createHttp(bounds, createRedirect(actual)), clients);
      servers.push(await listen(redirect, port === 0 ? 0 : port + 1, host));
      found.redirectPort = /** @type {import('node:net').AddressInfo} */ (redirect.address()).port;
    }
    return found;
  } catch (error) {
    for (const server of servers) if (server.listening) server.close();
    throw error;
  }
}
