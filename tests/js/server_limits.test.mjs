// The server under clients that are slow, many, or speak an old TLS: they wait for themselves.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { createServer as createHttps, request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { serveFolder } from '../../harness/server/app.mjs';
import { localCertificate } from '../../harness/server/certificate.mjs';
import { Clients, clientOf, LIMITS } from '../../harness/server/limits.mjs';

const BIG = 24 << 20; // more than the buffers of both sockets
let folder;
let pair;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasm-ai-limits-'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>x</title>');
  writeFileSync(join(folder, 'big.bin'), Buffer.alloc(BIG));
  pair = await localCertificate(join(folder, '.certificate'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** @param {any} t @param {Partial<typeof LIMITS>} limits */
async function served(t, limits, more = {}) {
  const server = await serveFolder({
    folder,
    port: 0,
    host: '127.0.0.1',
    ...pair,
    limits,
    ...more,
  });
  t.after(() => server.close());
  return server;
}

/** @param {number} port @param {Record<string, any>} options */
function get(port, { path = '/', send = request, ...options } = /** @type {any} */ ({})) {
  return new Promise((resolve, reject) => {
    const asked = send(
      { host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false, ...options },
      (response) => {
        response.resume();
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers }),
        );
        response.on('error', reject);
      },
    );
    asked.on('error', reject);
    asked.end(options.body);
  });
}

const opened = (socket, event = 'connect') =>
  new Promise((resolve, reject) => socket.once(event, resolve).once('error', reject));
/** When the other side has hung up; a socket that nobody reads would not notice. */
const closed = (socket) =>
  new Promise((resolve) => {
    socket.on('error', () => {});
    socket.once('close', resolve);
    socket.resume();
  });

test('TLS 1.2 and 1.3, nothing older', async (t) => {
  const server = await served(t, {});
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
  await assert.rejects(get(server.port, old), /alert|protocol|version/i);
  for (const version of ['TLSv1.2', 'TLSv1.3'])
    assert.equal(
      (await get(server.port, { minVersion: version, maxVersion: version })).status,
      200,
    );
  // The client could: a server that still takes TLS 1.1 answers it.
  const weak = createHttps({ ...pair, ...old, maxVersion: 'TLSv1.2' }, (_, response) =>
    response.end(),
  );
  await new Promise((resolve) => weak.listen(0, '127.0.0.1', () => resolve(undefined)));
  t.after(() => weak.close());
  assert.equal((await get(/** @type {any} */ (weak.address()).port, old)).status, 200);
});

test('http answers with a redirect to https, whatever is asked', async (t) => {
  const server = await served(t, {});
  for (const method of ['GET', 'HEAD', 'POST']) {
    const { status, headers } = await get(server.redirectPort, {
      send: plainRequest,
      path: '/a?b=c',
      method,
    });
    assert.equal(status, 308);
    assert.equal(headers.location, `https://127.0.0.1:${server.port}/a?b=c`);
  }
});

test('clients that dawdle are cut off, and others are answered meanwhile', async (t) => {
  const server = await served(t, { handshakeMs: 400, headersMs: 400 });
  const slow = [];
  for (let i = 0; i < 20; i++) {
    const silent = connect(server.port, '127.0.0.1'); // no handshake
    const half = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false });
    await Promise.all([opened(silent), opened(half, 'secureConnect')]);
    half.write('GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: '); // and never an end
    slow.push(closed(silent), closed(half));
  }
  const drip = connect(server.redirectPort, '127.0.0.1');
  await opened(drip);
  const timer = setInterval(() => drip.writable && drip.write('G'), 50);
  slow.push(closed(drip).then(() => clearInterval(timer)));
  assert.equal((await get(server.port)).status, 200);
  await Promise.all(slow);
  assert.equal((await get(server.port)).status, 200);
});

test('a client that does not read, or reads drop by drop, loses its connection', async (t) => {
  for (const limits of [{ idleMs: 300 }, { answerMs: 500, bytesPerSecond: BIG * 10 }]) {
    const server = await served(t, limits);
    const socket = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false });
    await opened(socket, 'secureConnect');
    socket.write('GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n');
    let read = 0;
    socket.on('data', (chunk) => (read += chunk.length)).pause();
    const drop = setInterval(
      () => 'answerMs' in limits && socket.resume().once('data', () => socket.pause()),
      50,
    );
    // A paused socket does not see the end: it looks, once the server must have hung up.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    clearInterval(drop);
    const end = closed(socket);
    await end;
    assert.ok(read < BIG, `${read} of ${BIG} bytes`);
    assert.equal((await get(server.port)).status, 200);
  }
});

test('closing does not wait for clients that say nothing', { timeout: 8000 }, async () => {
  const server = await serveFolder({ folder, port: 0, host: '127.0.0.1', ...pair });
  const silent = [server.port, server.redirectPort].map((port) => connect(port, '127.0.0.1'));
  for (const socket of silent) await opened(socket);
  const ends = silent.map(closed);
  await server.close(); // within the handshake's ten seconds
  await Promise.all(ends);
});

test('one address has so many connections and no more; they come back', async (t) => {
  const server = await served(t, { perAddress: 4 });
  const held = [];
  for (let i = 0; i < 4; i++) {
    const socket = connect(server.port, '127.0.0.1');
    await opened(socket);
    held.push(socket);
  }
  await assert.rejects(get(server.port), /hang up|ECONNRESET|disconnected/);
  assert.ok(held.every((socket) => !socket.destroyed));
  for (const socket of held) socket.destroy();
  for (let attempts = 0; ; attempts++) {
    const answer = await get(server.port).catch(() => null);
    if (answer) {
      assert.equal(answer.status, 200);
      break;
    }
    assert.ok(attempts < 100, 'the places are free again');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test('one address asks so often and no more', async (t) => {
  const server = await served(t, { rate: 10 });
  const answers = await Promise.all(Array.from({ length: 40 }, () => get(server.port)));
  const refused = answers.filter(({ status }) => status === 429);
  assert.ok(refused.length >= 10 && refused.length <= 20, `${refused.length} refused`);
  assert.equal(refused[0].headers['retry-after'], '1');
  assert.equal(refused[0].headers['x-content-type-options'], 'nosniff');
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal((await get(server.port)).status, 200);
});

test('a request with a body is refused unread', async (t) => {
  const server = await served(t, {});
  for (const method of ['GET', 'POST']) {
    const { status, headers } = await get(server.port, {
      method,
      body: 'x'.repeat(1000),
      headers: { 'Content-Length': 1000 },
    });
    assert.equal(status, 413);
    assert.equal(headers.connection, 'close');
  }
});

test('counting: time gives requests back, strangers are forgotten, IPv6 counts by its /64', () => {
  let now = 0;
  const clients = new Clients({ ...LIMITS, rate: 2 }, () => now);
  const asked = (address, times) =>
    Array.from({ length: times }, () => clients.mayAsk(address)).filter(Boolean).length;
  assert.equal(asked('10.0.0.1', 9), 4);
  assert.equal(asked('10.0.0.2', 9), 4, 'another address has its own');
  now = 1000;
  assert.equal(asked('10.0.0.1', 9), 2);
  now = 1e6;
  for (let i = 0; i < 5000; i++) clients.mayAsk(`10.1.${i >> 8}.${i & 255}`);
  now = 2e6;
  clients.mayAsk('10.9.9.9');
  assert.ok(clients.known.size <= 4096, `${clients.known.size} remembered`);
  assert.equal(clientOf('2001:db8:1:2:3:4:5:6'), clientOf('2001:db8:1:2::9'));
  assert.notEqual(clientOf('2001:db8:1:2::1'), clientOf('2001:db8:1:3::1'));
  assert.equal(clientOf('::ffff:10.0.0.1'), '10.0.0.1');
  assert.notEqual(clientOf('::1'), clientOf('2001:db8::1'));
});

test('who asks much at once waits for itself, in order, and another address does not', async () => {
  const clients = new Clients({ ...LIMITS, atOnce: 2 });
  const begun = [];
  const ask = (address, name) => {
    const response = /** @type {any} */ (Object.assign(new EventEmitter(), { destroyed: false }));
    clients.inTurn(address, response, () => begun.push(name));
    return response;
  };
  const [first, , third] = ['a', 'b', 'c', 'd', 'e'].map((name) => ask('10.0.0.1', name));
  ask('10.0.0.2', 'other');
  assert.deepEqual(begun, ['a', 'b', 'other']);
  third.destroyed = true; // gone while it waited
  first.emit('close');
  first.emit('close');
  assert.deepEqual(begun, ['a', 'b', 'other', 'd']);
  // An answer that takes long gives its place away.
  for (let i = 0; begun.length < 5 && i < 500; i++)
    await new Promise((next) => setTimeout(next, 10));
  assert.deepEqual(begun, ['a', 'b', 'other', 'd', 'e']);
});
