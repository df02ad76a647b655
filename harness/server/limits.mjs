// What one client may take, so that slow or many clients wait for themselves and not for others.

/**
 * @typedef {object} Limits
 * @property {number} connections  open connections of all clients together
 * @property {number} perAddress   open connections of one address (IPv6: of one /64)
 * @property {number} rate         requests per second of one address, 0 for no limit; twice as many at once
 * @property {number} atOnce       answers of one address under way, longer ones apart; others of it wait
 * @property {number} handshakeMs  for the TLS handshake
 * @property {number} headersMs    for a whole request, which has no body
 * @property {number} idleMs       without a byte in either direction, in the middle of an answer
 * @property {number} keepAliveMs  between requests
 * @property {number} answerMs     for an answer, and on top of it one second per `bytesPerSecond`
 * @property {number} bytesPerSecond
 */

/** @type {Limits} */
export const LIMITS = {
  connections: 512,
  perAddress: 128,
  rate: 1000,
  atOnce: 4,
  handshakeMs: 10000,
  headersMs: 10000,
  idleMs: 30000,
  keepAliveMs: 5000,
  answerMs: 60000,
  bytesPerSecond: 16384,
};

/** An answer that takes longer waits for its reader, which costs others nothing. */
const SHORT_MS = 250;
const FORGET_ABOVE = 4096; // addresses remembered before those at rest are forgotten

/** IPv6 clients own a /64: count it as one. @param {string | undefined} address */
export function clientOf(address = '') {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (!plain.includes(':')) return plain;
  const [head, tail] = plain.split('::');
  const groups = head ? head.split(':') : [];
  const rest = tail ? tail.split(':') : [];
  while (tail !== undefined && groups.length + rest.length < 8) groups.push('0');
  return [...groups, ...rest].slice(0, 4).join(':');
}

/** Counts connections and requests by client. */
export class Clients {
  /** @param {Limits} limits @param {() => number} [now] milliseconds */
  constructor(limits, now = () => performance.now()) {
    this.limits = limits;
    this.now = now;
    /** @type {Map<string, { open: number, tokens: number, at: number, busy: number, waiting: (() => void)[] }>} */
    this.known = new Map();
    /** @type {Set<import('node:net').Socket>} those too that have not said a word yet */
    this.sockets = new Set();
  }

  /** @param {string | undefined} address */
  find(address) {
    const name = clientOf(address);
    let client = this.known.get(name);
    if (!client) {
      if (this.known.size >= FORGET_ABOVE) this.forget();
      client = { open: 0, tokens: this.limits.rate * 2, at: this.now(), busy: 0, waiting: [] };
      this.known.set(name, client);
    }
    return client;
  }

  /** Those without a connection and with all their requests left are as good as new. */
  forget() {
    for (const [name, client] of this.known)
      if (client.open === 0 && this.refill(client) >= this.limits.rate * 2) this.known.delete(name);
  }

  /** @param {{ tokens: number, at: number }} client */
  refill(client) {
    const now = this.now();
    const { rate } = this.limits;
    client.tokens = Math.min(rate * 2, client.tokens + ((now - client.at) / 1000) * rate);
    client.at = now;
    return client.tokens;
  }

  /** False when this address has too many connections already. @param {import('node:net').Socket} socket */
  admit(socket) {
    const client = this.find(socket.remoteAddress);
    if (client.open >= this.limits.perAddress) return false;
    client.open++;
    this.sockets.add(socket);
    socket.once('close', () => {
      client.open--;
      this.sockets.delete(socket);
    });
    return true;
  }

  /** False when this address asks too often. @param {string | undefined} address */
  mayAsk(address) {
    if (this.limits.rate === 0) return true;
    const client = this.find(address);
    if (this.refill(client) < 1) return false;
    client.tokens--;
    return true;
  }

  /**
   * Whoever asks much at once waits for itself: so another address is next soon.
   * @param {string | undefined} address @param {import('node:http').ServerResponse} response
   * @param {() => void} answer
   */
  inTurn(address, response, answer) {
    const client = this.find(address);
    const begin = () => {
      if (response.destroyed) return client.waiting.shift()?.();
      client.busy++;
      let done = false;
      const end = () => {
        if (done) return;
        done = true;
        clearTimeout(timer);
        client.busy--;
        client.waiting.shift()?.();
      };
      const timer = setTimeout(end, SHORT_MS).unref();
      response.once('close', end);
      answer();
    };
    if (client.busy < this.limits.atOnce) begin();
    else client.waiting.push(begin);
  }
}

/**
 * Options for node's createServer. It looks for late clients every half of the shortest time.
 * @param {Limits} limits
 */
export function serverOptions({ headersMs, keepAliveMs, handshakeMs }) {
  return {
    headersTimeout: headersMs,
    requestTimeout: headersMs,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: Math.min(1000, headersMs / 2),
    maxHeaderSize: 16384,
    handshakeTimeout: handshakeMs,
    minVersion: /** @type {'TLSv1.2'} */ ('TLSv1.2'),
  };
}

/**
 * @param {import('node:http').Server} server @param {Clients} clients
 */
export function bound(server, clients) {
  const { limits } = clients;
  server.maxConnections = limits.connections;
  server.setTimeout(limits.idleMs, (socket) => socket.destroy());
  server.prependListener('connection', (/** @type {import('node:net').Socket} */ socket) => {
    if (!clients.admit(socket)) socket.destroy();
  });
  server.on('request', (_request, response) => hurry(response, limits));
  return server;
}

/** A client that reads drop by drop keeps a connection for so long and no longer. */
function hurry(response, { answerMs, bytesPerSecond }) {
  const start = performance.now();
  const check = () => {
    const size = Number(response.getHeader('Content-Length') ?? 0);
    const left = answerMs + (size / bytesPerSecond) * 1000 - (performance.now() - start);
    if (left <= 0) response.socket?.destroy();
    else timer = setTimeout(check, left).unref();
  };
  let timer = setTimeout(check, answerMs).unref();
  response.once('close', () => clearTimeout(timer));
}
