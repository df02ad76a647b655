// Runtimes beside each other, or packages, in one process and in turns: in this one, or in a page.

/**
 * Bytes as base64. `every`: hardened, with a look at the weights every so many runs (0: none). `turns`: no runtime but
 * a module of peak.mjs, and how many turns are one run. `pack`, `pages`: of its own.
 * @typedef {{ wasm: string, every?: number, turns?: number, pack?: string, pages?: number }} Peer
 */

/**
 * Times of each peer, in ms, the same count of each.
 * @param {{ peers: Record<string, Peer>, pack?: string, pages?: number, runs: number, warmMs: number, cpu?: boolean }} what
 */
function play({ peers, runs, warmMs, cpu, ...shared }) {
  const spent = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const now = cpu ? spent : () => performance.now();
  const bytesOf = (/** @type {string} */ text) =>
    Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const open = (/** @type {string} */ name) => {
    const { wasm: text, every, turns, pack = '', pages = 0 } = { ...shared, ...peers[name] };
    const module = new WebAssembly.Module(bytesOf(text));
    if (turns !== undefined) {
      const { run } = /** @type {any} */ (new WebAssembly.Instance(module).exports);
      return () => {
        const start = now();
        run(turns);
        return now() - start;
      };
    }
    const bytes = bytesOf(pack);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const wasm = /** @type {any} */ (new WebAssembly.Instance(module, { env: { memory } }).exports);
    const check = (/** @type {number} */ status) => {
      if (status !== 0) throw new Error(`${name} answered status ${status}`);
    };
    wasm.wai_fuel_set?.(1n << 60n);
    if (every !== undefined) check(wasm.wai_glue_harden(0x1f83d9ab, 0x5be0cd19, every));
    const at = wasm.wai_glue_alloc(bytes.length);
    new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
    check(wasm.wai_glue_open(at, bytes.length));
    const io = new Uint32Array(memory.buffer, wasm.wai_glue_io(), 33);
    const input = new Float32Array(memory.buffer, io[15], io[16] / 4);
    const values = input.map((_, i) => (i % 255) / 255);
    return () => {
      wasm.wai_fuel_set?.(1n << 60n);
      input.set(values);
      const start = now();
      check(wasm.wai_glue_run());
      if (every !== undefined) check(wasm.wai_glue_wipe());
      return now() - start;
    };
  };
  const names = Object.keys(peers);
  const run = names.map(open);
  for (const start = performance.now(); performance.now() - start < warmMs; )
    for (const one of run) one();
  // Long enough for the clock of a page, which does not see a short run at all.
  const batch = Math.max(
    ...run.map((one) => {
      let count = 0;
      for (let ms = 0; ms < 5; count++) ms += one();
      return count;
    }),
  );
  /** @type {number[][]} */
  const times = names.map(() => []);
  for (let i = 0; i < runs; i++)
    for (let turn = 0; turn < names.length; turn++) {
      const peer = (i + turn) % names.length;
      let sum = 0;
      for (let count = 0; count < batch; count++) sum += run[peer]();
      times[peer].push(sum / batch);
    }
  return Object.fromEntries(names.map((name, i) => [name, times[i]]));
}

/**
 * @param {import('playwright-core').Browser | null} browser  null: here
 * @param {Parameters<typeof play>[0]} what
 */
export async function playIn(browser, what) {
  if (!browser) return play(what);
  const page = await browser.newPage();
  try {
    return await page.evaluate(
      ([source, how]) => new Function(`return (${source})(...arguments)`)(how),
      /** @type {[string, any]} */ ([String(play), what]),
    );
  } finally {
    await page.close();
  }
}
