// Ours beside the peers, on one model in one browser: first what they answer, then how long a run takes, all in one page
// and in turns, then visits, each in a context of its own.
import { WasmAIError } from '../../web/errors.js';
import { DOWNLOAD, isWeights, OURS, serveComparison } from './compare_site.mjs';
import { PEERS } from './peers/index.mjs';
import { keepBusy } from './processes.mjs';
import { relativeError } from './stats.mjs';

export const defaults = {
  threads: [1],
  peers: Object.keys(PEERS),
  rounds: 3,
  runs: 30,
  warmRuns: 5,
  warmMs: 500,
  visits: 5,
  seconds: 0,
  busy: 0,
};

/** Longer than a pool of threads spins for work that does not come: onnxruntime-web's, 85 ms on three cores. */
const PAUSE_MS = 150;
/** Turns per call into the page. */
const CHUNK = 5;
const VISIT_MS = 120_000;
const VISIT_RUNS = 4;

/**
 * @typedef {import('./prepare.mjs').Prepared} Prepared
 * @param {{ browser: Awaited<ReturnType<typeof import('./processes.mjs').openBrowser>>, model: Prepared,
 *   options: typeof defaults, talk: (text: string) => void }} how
 */
export async function compareModel({ browser, model, options, talk }) {
  const site = await serveComparison(model, options.peers, options.visits > 0);
  try {
    const steady = [];
    for (const threads of options.threads) {
      talk(`${model.name}: ${threads} thread${threads > 1 ? 's' : ''}`);
      steady.push(await steadyState({ browser, site, model, options, threads }));
    }
    const visits = [];
    for (const threads of options.visits > 0 ? options.threads : []) {
      talk(`${model.name}: visits, ${threads} thread${threads > 1 ? 's' : ''}`);
      visits.push(await visitAll({ browser, site, model, options, threads }));
    }
    const { mflop, packageBytes, peakBytes, arenaBytes } = model;
    return { model: model.name, mflop, packageBytes, peakBytes, arenaBytes, steady, visits };
  } finally {
    await site.close();
  }
}

const LABELS = {
  [OURS]: 'WasmAI',
  [DOWNLOAD]: 'package alone',
};
const label = (id) => LABELS[id] ?? PEERS[id].label;

/** Who takes part: us as we come, and besides without what makes us faster, to see what that gives. */
async function lineUp(page, { options, model, threads }) {
  const all = [{ id: OURS, peer: OURS, label: label(OURS), how: {} }];
  const open = (row) =>
    page.evaluate(
      ([id, peer, how]) => /** @type {any} */ (window).compare.open(id, peer, how),
      [row.id, row.peer, { model: model.name, threads, ...row.how }],
    );
  const rows = [];
  const notes = [];
  const add = async (row) => {
    try {
      rows.push({ ...row, ...(await open(row)) });
    } catch (error) {
      notes.push(`${row.label}: ${error.message.split('\n')[0]}`);
    }
  };
  await add(all[0]);
  const first = rows[0]?.info;
  if (first && first.threads !== threads)
    notes.push(
      `WasmAI has ${first.threads} thread${first.threads > 1 ? 's' : ''}: ${first.reason}`,
    );
  if (first && first.variant !== 'simd')
    await add({
      id: `${OURS} simd`,
      peer: OURS,
      label: 'WasmAI simd',
      how: { deterministic: true },
    });
  if (threads > 1)
    await add({ id: `${OURS} 1`, peer: OURS, label: 'WasmAI, 1 thread', how: { threads: 1 } });
  for (const peer of options.peers) await add({ id: peer, peer, label: label(peer), how: {} });
  if (rows.length === 0) throw new WasmAIError('STATE', model.name, notes.join('; '));
  return { rows, notes };
}

async function steadyState({ browser, site, model, options, threads }) {
  const rounds = [];
  let lines;
  for (let round = 0; round < options.rounds; round++) {
    const { page, close } = await browser.newPage();
    try {
      await page.goto(`${site.url}compare.html`);
      await page.waitForFunction(() => 'compare' in window);
      lines = await lineUp(page, { options, model, threads });
      const ids = lines.rows.map(({ id }) => id);
      for (const id of ids) await warm(page, id, options);
      const stop = keepBusy(options.busy);
      const times = await takeTurns(page, ids, options, threads).finally(stop);
      const memory = await page.evaluate(() => /** @type {any} */ (window).compare.close());
      rounds.push({ times, memory, rows: lines.rows });
    } finally {
      await close();
    }
  }
  return { threads, notes: lines?.notes ?? [], peers: peersOf(rounds, model) };
}

const warm = (page, id, { warmRuns, warmMs }) =>
  page.evaluate(
    ([one, runs, ms]) => /** @type {any} */ (window).compare.warm(one, runs, ms),
    [id, warmRuns, warmMs],
  );

async function takeTurns(page, ids, { runs, seconds }, threads) {
  const times = Object.fromEntries(ids.map((id) => [id, /** @type {number[]} */ ([])]));
  const start = performance.now();
  const enough = (done) => done >= runs && (performance.now() - start) / 1000 >= seconds;
  for (let done = 0; !enough(done); done += CHUNK) {
    const some = await page.evaluate(
      ([list, count, from, pause]) =>
        /** @type {any} */ (window).compare.turns(list, count, from, pause),
      [ids, CHUNK, done, threads > 1 ? PAUSE_MS : 0],
    );
    for (const id of ids) times[id].push(...some[id]);
  }
  return times;
}

const errorOf = (want, have) =>
  Math.max(...Object.keys(want).map((name) => relativeError(want[name], have[name] ?? [])));

/** Per peer what all rounds gave; errors against the reference if there is one, else against the first peer. */
function peersOf(rounds, { reference }) {
  const ids = rounds[0].rows.map(({ id }) => id);
  const rowOf = (round, id) => round.rows.find((row) => row.id === id);
  return ids.map((id) => {
    const there = rounds.filter((round) => rowOf(round, id));
    const { label: name, info, outputs } = rowOf(there[0], id);
    const other = rounds[0].rows.find((row) => row.id !== id);
    const want = reference ?? other?.outputs;
    return {
      id,
      label: name,
      info,
      relativeError: want ? errorOf(want, outputs) : null,
      times: there.map(({ times }) => times[id]),
      createMs: there.map((round) => rowOf(round, id).createMs),
      firstMs: there.map((round) => rowOf(round, id).firstMs),
      memoryBytes: Math.max(...there.map(({ memory }) => memory[id])),
    };
  });
}

/** Visits with an empty cache and again with what the first one left, peers in turns; the first round does not count. */
async function visitAll({ browser, site, model, options, threads }) {
  const ids = [OURS, ...options.peers, DOWNLOAD];
  /** @type {{ id: string, label: string, cold: any[], warm: any[], note: string }[]} */
  const peers = ids.map((id) => ({ id, label: label(id), cold: [], warm: [], note: '' }));
  const downloads = {};
  for (let round = -1; round < options.visits; round++) {
    for (let i = 0; i < peers.length; i++) {
      const row = peers[(i + round + peers.length) % peers.length];
      if (row.note) continue;
      try {
        const pair = await visitTwice({ browser, site, model, threads, id: row.id });
        if (round < 0) {
          downloads[row.id] = await downloadOf(site, pair.asked);
          continue;
        }
        row.cold.push(pair.cold);
        row.warm.push(pair.warm);
      } catch (error) {
        row.note = error.message.split('\n')[0];
      }
    }
  }
  return { threads, peers: peers.map((row) => ({ ...row, download: downloads[row.id] ?? null })) };
}

async function visitTwice({ browser, site, model, threads, id }) {
  const slots = Object.entries(model.inputs).map(([name, { dtype, dims }]) => ({
    name,
    dtype,
    dims,
  }));
  const more = VISIT_RUNS;
  const what = { model: model.name, file: site.package, threads, slots, more };
  const address = `${site.url}visit-${id}.html#${encodeURIComponent(JSON.stringify(what))}`;
  const { page, close } = await browser.newPage();
  try {
    site.takeAsked();
    const cold = await visit(page, address);
    const asked = site.takeAsked();
    const highWater = await browser.highWater();
    // A second tab of the same visitor where there can be one: the process is new, the cache is not.
    const context = /** @type {any} */ (page).context?.();
    const again = context ? await context.newPage() : page;
    if (context) await page.close?.();
    else await page.goto('about:blank');
    const warm = await visit(again, address);
    const askedAgain = site.takeAsked();
    return { cold: { ...cold, highWater }, warm: { ...warm, requests: askedAgain.length }, asked };
  } finally {
    await close();
  }
}

async function visit(page, address) {
  await page.goto(address);
  await page.waitForFunction(() => 'visited' in window, undefined, { timeout: VISIT_MS });
  return page.evaluate(() => /** @type {any} */ (window).visited);
}

/** What a visit asked for, compressed both ways; page and inputs are the bench's own. */
async function downloadOf(site, asked) {
  const paths = [...new Set(asked.filter(({ status }) => status === 200).map(({ path }) => path))];
  const files = [];
  for (const path of paths) if (!path.endsWith('.html')) files.push(await site.sizesOf(path));
  const sum = (list, key) => list.reduce((total, one) => total + one[key], 0);
  const code = files.filter(({ path }) => !isWeights(path));
  const total = (list) => ({
    bytes: sum(list, 'bytes'),
    gzip: sum(list, 'gzip'),
    brotli: sum(list, 'brotli'),
  });
  return { files, code: total(code), all: total(files) };
}
