// What hostile code would try from inside the worker, and how it looks round there. Bundled into a test
// build of the worker (escape.test.mjs) as one more request, it runs after the lock-down and holds what
// worker.js and engine.js hold. An attack gives a value when it got through and throws or rejects when
// not; where the way leads to a server, that one says whether something arrived.

const later = globalThis.setTimeout.bind(globalThis); // to give up waiting, nothing else
const { ownKeys } = Reflect;
const load = (/** @type {string} */ source) => import(source);
const happens = (target, good, bad = 'error') =>
  new Promise((resolve, reject) => {
    target[`on${good}`] = () => resolve(good);
    target[`on${bad}`] = () => reject(new Error(bad));
  });

/** @param {string} own address on the page's site @param {string} other on another @param {string} here the worker's */
const network = (own, other, here) => ({
  fetchOwn: () => fetch(`${own}fetchOwn`, { mode: 'no-cors' }),
  fetchOther: () => fetch(`${other}fetchOther`, { mode: 'no-cors' }),
  fetchPost: () => fetch(`${other}fetchPost`, { method: 'POST', body: 'x', keepalive: true }),
  request: () => fetch(new Request(`${own}request`)),
  xhr: () => {
    const x = new XMLHttpRequest();
    x.open('GET', `${other}xhr`);
    x.send();
    return happens(x, 'load');
  },
  xhrSync: () => {
    const x = new XMLHttpRequest();
    x.open('GET', `${own}xhrSync`, false);
    x.send();
    return x.status;
  },
  webSocket: () => happens(new WebSocket(`${other}webSocket`.replace('http', 'ws')), 'open'),
  webSocketStream: () =>
    new WebSocketStream(`${other}webSocketStream`.replace('http', 'ws')).opened,
  eventSource: () => happens(new EventSource(`${other}eventSource`), 'open'),
  webTransport: () => new WebTransport(`${other}webTransport`.replace('http:', 'https:')),
  beacon: () => navigator.sendBeacon(`${other}beacon`, 'x'),
  rtc: () => new RTCPeerConnection(),
  font: () => new FontFace('x', `url(${own}font)`).load(),
  cacheAdd: async () => (await caches.open('x')).add(`${own}cacheAdd`),
  importScripts: () => importScripts(`${own}importScripts`),
  importOwn: () => load(`${own}importOwn`),
  importOther: () => load(`${other}importOther`),
  importOfWorker: () => load(here.startsWith('http') ? `${here}?importOfWorker` : here),
  worker: () => happens(new Worker(`${own}worker`), 'message'),
  workerBlob: () =>
    happens(new Worker(URL.createObjectURL(new Blob(['postMessage(1)']))), 'message'),
  sharedWorker: () => new SharedWorker(`${own}sharedWorker`),
  wasmStreaming: () => WebAssembly.compileStreaming(fetch(`${own}wasmStreaming`)),
});

const code = () => ({
  // biome-ignore lint/security/noGlobalEval: it must throw
  eval: () => eval('1'), // direct
  // biome-ignore lint/security/noGlobalEval: it must throw
  evalOfGlobal: () => globalThis.eval('1'),
  functionConstructor: () => (() => {}).constructor('return 1')(),
  asyncConstructor: () => (async () => {}).constructor('return 1')(),
  generatorConstructor: () => function* () {}.constructor('yield 1')().next(),
  asyncGeneratorConstructor: () => async function* () {}.constructor('yield 1')().next(),
  timerText: () => setTimeout('1'),
  importData: () => load('data:text/javascript,export default 1'),
  importBlob: () => load(URL.createObjectURL(new Blob(['1'], { type: 'text/javascript' }))),
  callSites: () => {
    const { prepareStackTrace } = Error;
    Error.prepareStackTrace = (_, sites) => sites;
    const [site] = /** @type {any} */ (new Error('x').stack);
    Error.prepareStackTrace = prepareStackTrace;
    if (!site.getThis() && !site.getFunction()) throw new Error('nothing in it');
    return site;
  },
});

const storage = () => ({
  indexedDB: () => happens(indexedDB.open('x'), 'success'),
  cacheOpen: () => caches.open('x'),
  files: () => navigator.storage.getDirectory(),
  cookies: () => cookieStore.getAll(),
  localStorage: () => localStorage.setItem('x', '1') ?? 'stored',
});

const messages = () => ({
  broadcast: () => new BroadcastChannel('attack').postMessage('broadcast') ?? 'sent',
  locks: () => navigator.locks.request('x', () => 'held'),
  serviceWorker: () => navigator.serviceWorker.getRegistrations(),
  channel: () => new MessageChannel(),
  report: () => new ReportingObserver(() => {}).observe() ?? 'observed',
  notification: () => new Notification('x'),
  globalMessage: () => globalThis.postMessage({ attack: 'globalMessage' }) ?? 'sent',
  constructor_: () => globalThis.constructor.prototype.importScripts.call,
  inherited: () =>
    Object.getOwnPropertyDescriptors(
      Object.getPrototypeOf(Object.getPrototypeOf(globalThis)),
    ).indexedDB.get?.call(globalThis),
  clock: () => performance.now(),
});

/** @param {{ own: string, other: string }} at @param {string} here */
export async function attack({ own, other }, here) {
  const groups = { ...network(own, other, here), ...code(), ...storage(), ...messages() };
  const work = Object.entries(groups).map(async ([name, attempt]) => {
    const giveUp = new Promise((_, reject) => later(() => reject(new Error('nothing came')), 3000));
    try {
      const got = await Promise.race([(async () => attempt())(), giveUp]);
      return { name, got: got === undefined ? null : Object.prototype.toString.call(got) };
    } catch (error) {
      return { name, got: null, why: String(error).slice(0, 80) };
    }
  });
  return Promise.all(work);
}

const protoOf = Object.getPrototypeOf;
/** What syntax leads to, whatever the global scope has. */
const SYNTAX = {
  'Object.prototype': protoOf({}),
  'Function.prototype': protoOf(() => {}),
  'AsyncFunction.prototype': protoOf(async () => {}),
  'GeneratorFunction.prototype': protoOf(function* () {}),
  'AsyncGeneratorFunction.prototype': protoOf(async function* () {}),
  'Array.prototype': protoOf([]),
  'ArrayIterator.prototype': protoOf([].values()),
  'Iterator.prototype': protoOf(protoOf([].values())),
  'RegExp.prototype': protoOf(/x/),
  TypedArray: protoOf(Uint8Array),
};

/**
 * All objects that can be reached: through the global scope and syntax, properties, accessors and
 * prototypes. By the names of those that have members of their own; members are not listed.
 */
export function reachable() {
  /** @type {Map<any, string>} */
  const names = new Map();
  /** @type {Set<string>} */
  const owners = new Set();
  /** @type {[string, any, string][]} */
  const waiting = [
    ...Object.entries(SYNTAX).map(([name, value]) => [name, value, '']),
    ['globalThis', globalThis, ''],
  ];
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const [name, value, owner] = next;
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) continue;
    if (names.has(value)) continue;
    names.set(value, name);
    if (owner) owners.add(owner);
    waiting.push([`${name}.__proto__`, protoOf(value), '']);
    for (const key of ownKeys(value)) {
      const {
        value: held,
        get,
        set,
      } = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(value, key));
      const path = `${name}.${String(key)}`.replace(/^globalThis\./, '');
      for (const part of [held, get, set]) waiting.push([path, part, name]);
      if (!get) continue;
      try {
        waiting.push([path, value[key], name]);
      } catch {
        // it wants another receiver
      }
    }
  }
  return [...owners].sort();
}
