// serve [DIR]: HTTPS with the folder's policies.
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { WasmAIError } from '../../web/errors.js';
import { serveFolder } from '../server/app.mjs';
import { givenCertificate, localCertificate } from '../server/certificate.mjs';
import { LIMITS } from '../server/limits.mjs';
import { cacheRoot } from '../toolchain/cache.mjs';
import { wholeNumber } from './options.mjs';

export const name = 'serve';
export const summary = 'serve a built folder over HTTPS with its policies';
export const description =
  'Serve a folder over HTTPS, each file with its own headers (Content-Security-Policy, ' +
  'isolation, type, caching). Without --key and --cert a self-signed certificate for ' +
  'localhost is made once and kept. http on PORT+1 redirects to https.';
export const example = `wasm-ai serve dist
wasm-ai serve dist --port 9443 --key key.pem --cert cert.pem`;

export function configure(command) {
  command
    .argument('[dir]', 'folder to serve', 'dist')
    .option('--port <number>', 'https port; http on the next one redirects', '8443')
    .option('--host <name>', 'address to listen on; 0.0.0.0 for the whole network', 'localhost')
    .option('--key <file>', 'private key, PEM')
    .option('--cert <file>', 'certificate, PEM')
    .option(
      '--rate <number>',
      'requests per second from one address, 0 for no limit',
      String(LIMITS.rate),
    )
    .option(
      '--connections <number>',
      'open connections from one address',
      String(LIMITS.perAddress),
    );
}

export async function run([dir = 'dist'], options, io) {
  const folder = resolve(dir);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new WasmAIError('ARGUMENT', dir, 'there is no such folder: make it with `wasm-ai build`');
  }
  const port = wholeNumber(String(options.port ?? '8443'), '--port', 0, 65534);
  const limits = {
    rate: wholeNumber(String(options.rate ?? LIMITS.rate), '--rate', 0, 1000000),
    perAddress: wholeNumber(
      String(options.connections ?? LIMITS.perAddress),
      '--connections',
      1,
      LIMITS.connections,
    ),
  };
  if (Boolean(options.key) !== Boolean(options.cert)) {
    throw new WasmAIError(
      'ARGUMENT',
      options.key ? '--cert' : '--key',
      'give --key and --cert together',
    );
  }
  const pair = options.key
    ? await givenCertificate(options.key, options.cert)
    : await localCertificate(join(cacheRoot(), 'server'));
  const server = await serveFolder({
    folder,
    port,
    host: options.host ?? 'localhost',
    limits,
    ...pair,
  }).catch((error) => {
    if (error instanceof WasmAIError) throw error;
    throw new WasmAIError(
      'ARGUMENT',
      options.cert ?? 'certificate',
      `cannot be used: ${error.message}`,
    );
  });
  io.json({ url: server.url, port: server.port, folder });
  io.out(server.url);
  if (!options.cert)
    io.talk('The certificate is self-signed: the browser asks once whether to go on.');
  io.talk('Stop with Ctrl+C.');
  await new Promise((done) => {
    process.once('SIGINT', done);
    process.once('SIGTERM', done);
  });
  await server.close();
  return 0;
}
