// Appended to the worker file by locked.test.mjs: tries, from inside the locked
// worker, all that it must not be able to do. Only what is named here is kept
// from before the lock-down.
(() => {
  const post = self.postMessage.bind(self);
  const here = String(self.location);
  const later = self.setTimeout.bind(self);
  const load = (source) => import(source);
  /** Each must throw, reject, or find nothing. */
  const attempts = {
    fetch: () => fetch(here),
    xhr: () => {
      const x = new XMLHttpRequest();
      x.open('GET', here);
      x.send();
    },
    websocket: () => new WebSocket(here.replace('http', 'ws')),
    eventSource: () => new EventSource(here),
    webTransport: () => new WebTransport(here),
    importScripts: () => importScripts(here),
    importSelf: () => load(here),
    importData: () => load('data:text/javascript,1'),
    // biome-ignore lint/security/noGlobalEval: it must throw
    eval: () => eval('1'),
    // biome-ignore lint/security/noGlobalEval: it must throw
    indirectEval: () => globalThis.eval('1'),
    functionConstructor: () => (() => {}).constructor('return 1')(),
    asyncFunctionConstructor: () => (async () => {}).constructor('return 1')(),
    generatorConstructor: () => function* () {}.constructor('yield 1')().next(),
    timerString: () => setTimeout('1'),
    indexedDB: () => indexedDB.open('x'),
    caches: () => caches.open('x'),
    storage: () => navigator.storage.getDirectory(),
    locks: () => navigator.locks.request('x', () => 1),
    serviceWorker: () => navigator.serviceWorker.ready,
    beacon: () => navigator.sendBeacon(here),
    broadcast: () => new BroadcastChannel('x'),
    messageChannel: () => new MessageChannel(),
    nestedWorker: () => new Worker(here),
    sharedWorker: () => new SharedWorker(here),
    fontFace: () => new FontFace('x', `url(${here})`).load(),
    cookies: () => cookieStore.getAll(),
    fileSystem: () => new FileReaderSync(),
    throughPrototype: () => Object.getPrototypeOf(self).fetch(here),
    throughConstructor: () => self.constructor.prototype.importScripts(here),
    throughDescriptor: () =>
      Object.getOwnPropertyDescriptor(
        Object.getPrototypeOf(Object.getPrototypeOf(self)),
        'indexedDB',
      ).get.call(self),
    crypto: () => crypto.subtle.digest,
    url: () => URL.createObjectURL(new Blob(['1'])),
  };
  self.addEventListener('message', async ({ data }) => {
    if (data.probe !== true) return;
    const escaped = [];
    const attempt = (name) =>
      Promise.race([attempts[name](), new Promise((_, reject) => later(reject, 1000))]);
    for (const name of Object.keys(attempts)) {
      try {
        const got = await attempt(name);
        if (got !== undefined || !['xhr'].includes(name)) escaped.push(`${name}: ${got}`);
      } catch {
        // as it must be
      }
    }
    const left = [];
    for (
      let owner = globalThis;
      owner && owner !== Object.prototype;
      owner = Object.getPrototypeOf(owner)
    ) {
      left.push(
        ...Object.getOwnPropertyNames(owner).filter(
          (name) =>
            Object.getOwnPropertyDescriptor(owner, name).value !== undefined ||
            Object.getOwnPropertyDescriptor(owner, name).get,
        ),
      );
    }
    post({ id: -1, probe: { escaped, left, attempts: Object.keys(attempts).length } });
  });
})();
