// The session in a real page: answers, queue, stopping, recovery, separation, bad packages.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { isolation, makeSite, onEngines, openPage } from './browser.mjs';

let site;
let opened;
let page;

before(async () => {
  const folder = join(tmpdir(), `wasm-ai-session-${process.pid}`);
  const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'stub.wai'), stubPackage());
  site = await makeSite({
    runtime,
    models: [join(folder, 'stub.wai')],
    files: {
      'loop.wai': stubPackage({ mode: 3 }),
      'trap.wai': stubPackage({ mode: 1 }),
      'page.wai': '<!DOCTYPE html><title>app</title>',
    },
  });
});

after(async () => {
  await site?.close();
});

/** A test in a fresh page of each engine. @type {typeof onEngines} */
const inPages = (name, body, options) =>
  onEngines(
    name,
    async (given) => {
      opened = await openPage(given.browser, site);
      ({ page } = opened);
      try {
        await body(given);
      } finally {
        await opened.close();
      }
    },
    options,
  );

inPages('a run gives the right answer, with no violation and no console error', async () => {
  const seen = await page.evaluate(async () => {
    const phases = [];
    const session = await wasmai.load('./models/stub.wai', {
      onProgress: ({ phase }) => phases.push(phase),
    });
    const { y } = await session.run({
      x: new wasmai.Tensor('float32', new Float32Array([1, 2, 3, 4]), [1, 4]),
    });
    const { info } = session;
    await session.close();
    await session.close();
    return { y: [...y.data], dims: [...y.dims], dtype: y.dtype, phases, info };
  });
  assert.deepEqual(seen.y, [2, 4, 6, 8]);
  assert.deepEqual(seen.dims, [1, 4]);
  assert.equal(seen.dtype, 'float32');
  assert.deepEqual(seen.phases, ['download', 'verify', 'open', 'ready']);
  assert.equal(seen.info.isolation, isolation);
  assert.equal(seen.info.runs, 1);
  assert.ok(seen.info.lastMs >= 0);
  assert.deepEqual(await opened.violations(), []);
  assert.deepEqual(opened.complaints, []);
});

inPages('calls queue and answer in order; the caller may change its array at once', async () => {
  const answers = await page.evaluate(async () => {
    const session = await wasmai.load('./models/stub.wai');
    const x = new Float32Array(4);
    const runs = [];
    for (let i = 1; i <= 20; i++) runs.push(session.run({ x: x.fill(i) }));
    return (await Promise.all(runs)).map(({ y }) => y.data[3]);
  });
  assert.deepEqual(
    answers,
    Array.from({ length: 20 }, (_, i) => 2 * (i + 1)),
  );
});

inPages(
  'a wrong feed is refused before anything is copied, naming input, expected and got',
  async () => {
    const errors = await page.evaluate(async () => {
      const session = await wasmai.load('./models/stub.wai');
      const good = new Float32Array(4);
      return Promise.all(
        [
          session.run({ xx: good }),
          session.run({}),
          session.run({ x: new Float32Array(5) }),
          session.run({ x: new Int32Array(4) }),
          session.run({ x: new wasmai.Tensor('float32', good, [2, 2]) }),
          session.run({ x: good, y: good }),
          session.run(/** @type {any} */ (good)),
          session.run({ x: good }, /** @type {any} */ ({ deadline: 5 })),
          session.run({ x: good }, { maxFuel: 5 }),
        ].map(caught),
      );
    });
    assert.deepEqual(
      errors.map(({ code }) => code),
      [...Array(8).fill('ARGUMENT'), 'UNSUPPORTED'],
    );
    assert.match(errors[0].message, /xx: .*did you mean "x"/);
    assert.match(errors[1].message, /x: expected float32 \[1, 4\], got nothing/);
    assert.match(errors[2].message, /got 5 elements/);
    assert.match(errors[3].message, /got Int32Array/);
    assert.match(errors[4].message, /got float32 \[2, 2\]/);
    assert.match(errors[7].message, /did you mean "deadlineMs"/);
  },
);

inPages('a deadline stops an endless run, and the next run works', async () => {
  const seen = await page.evaluate(async () => {
    const session = await wasmai.load('./models/stub.wai');
    const start = performance.now();
    const first = caught(session.run({ x: new Float32Array([-2, 0, 0, 0]) }, { deadlineMs: 100 }));
    const queued = session.run({ x: new Float32Array([1, 0, 0, 0]) });
    const error = await first;
    const ms = performance.now() - start;
    const again = (await queued).y.data[0];
    const alsoAgain = (await session.run({ x: new Float32Array([4, 0, 0, 0]) })).y.data[0];
    return { error, ms, again, alsoAgain };
  });
  assert.equal(seen.error.code, 'DEADLINE');
  assert.ok(seen.ms >= 99 && seen.ms < 2000, `${seen.ms} ms`);
  assert.equal(seen.again, 2);
  assert.equal(seen.alsoAgain, 8);
});

inPages(
  'carried state is lost with a run that fails or is stopped, and never an older one is used',
  async () => {
    const seen = await page.evaluate(async () => {
      const session = await wasmai.load('./models/stub.wai');
      const carry = { x: 'y' };
      const x = (...four) => ({ x: new Float32Array(four) });
      const value = async (run) => (await run).y.data[0];
      const begin = await value(session.run(x(1, 0, 0, 0), { carry }));
      const kept = [
        await value(session.run({}, { carry })),
        await value(session.run({}, { carry })),
      ];
      const errors = [];
      // Stopped while it waits: the state before it is there, but not the one that was promised.
      const stop = new AbortController();
      const running = session.run({}, { carry });
      const waiting = caught(session.run({}, { carry, signal: stop.signal }));
      stop.abort();
      const after = caught(session.run({}, { carry }));
      kept.push(await value(running));
      errors.push(await waiting, await after, await caught(session.run({}, { carry })));
      const anew = [await value(session.run(x(3, 0, 0, 0), { carry }))];
      // Stopped in its middle, trapped, failed: a new worker holds nothing.
      for (const what of [-2, -1, -3]) {
        const options = what === -2 ? { carry, deadlineMs: 100 } : { carry };
        errors.push(await caught(session.run(x(what, 0, 0, 0), options)));
        errors.push(await caught(session.run({}, { carry })));
        anew.push(await value(session.run(x(5, 0, 0, 0), { carry })));
        anew.push(await value(session.run({}, { carry })));
      }
      session.reset();
      errors.push(await caught(session.run({}, { carry })));
      await session.close();
      return { begin, kept, anew, codes: errors.map((error) => error?.code), lost: errors[1] };
    });
    assert.equal(seen.begin, 2);
    assert.deepEqual(seen.kept, [4, 8, 16]);
    assert.deepEqual(seen.anew, [6, 10, 20, 10, 20, 10, 20]);
    const codes = ['ABORTED', 'STATE', 'STATE'];
    codes.push('DEADLINE', 'STATE', 'TRAP', 'STATE', 'INTERNAL', 'STATE', 'ARGUMENT');
    assert.deepEqual(seen.codes, codes);
    assert.equal(seen.lost.where, 'x');
    assert.match(seen.lost.message, /feed it to begin anew/);
  },
);

inPages('a signal stops a run, a queued run and a load', async () => {
  const seen = await page.evaluate(async () => {
    const session = await wasmai.load('./models/stub.wai');
    const running = new AbortController();
    const waiting = new AbortController();
    const a = caught(
      session.run({ x: new Float32Array([-2, 0, 0, 0]) }, { signal: running.signal }),
    );
    const b = caught(
      session.run({ x: new Float32Array([1, 0, 0, 0]) }, { signal: waiting.signal }),
    );
    waiting.abort();
    const bError = await b;
    setTimeout(() => running.abort(), 50);
    const aError = await a;
    const next = (await session.run({ x: new Float32Array([3, 0, 0, 0]) })).y.data[0];
    const early = await caught(
      session.run({ x: new Float32Array(4) }, { signal: AbortSignal.abort() }),
    );
    const endless = await caught(wasmai.load('./loop.wai', { signal: AbortSignal.timeout(200) }));
    const before = await caught(wasmai.load('./models/stub.wai', { signal: AbortSignal.abort() }));
    return { codes: [aError, bError, early, endless, before].map(({ code }) => code), next };
  });
  assert.deepEqual(seen.codes, Array(5).fill('ABORTED'));
  assert.equal(seen.next, 6);
});

inPages('a trap and a failed run name themselves, and the next run works', async () => {
  const seen = await page.evaluate(async () => {
    const session = await wasmai.load('./models/stub.wai');
    const trap = await caught(session.run({ x: new Float32Array([-1, 0, 0, 0]) }));
    const afterTrap = (await session.run({ x: new Float32Array([5, 0, 0, 0]) })).y.data[0];
    const failed = await caught(session.run({ x: new Float32Array([-3, 0, 0, 0]) }));
    const afterFailed = (await session.run({ x: new Float32Array([6, 0, 0, 0]) })).y.data[0];
    const opening = await caught(wasmai.load('./trap.wai'));
    return { trap, afterTrap, failed, afterFailed, opening };
  });
  assert.equal(seen.trap.code, 'TRAP');
  assert.equal(seen.afterTrap, 10);
  assert.equal(seen.failed.code, 'INTERNAL');
  assert.match(seen.failed.message, /stub node: failed because it was asked to/);
  assert.equal(seen.afterFailed, 12);
  assert.equal(seen.opening.code, 'TRAP');
});

inPages(
  'close rejects what runs and what waits with STATE, and so does use after close',
  async () => {
    const codes = await page.evaluate(async () => {
      const session = await wasmai.load('./models/stub.wai');
      const running = caught(session.run({ x: new Float32Array([-2, 0, 0, 0]) }));
      const waiting = caught(session.run({ x: new Float32Array(4) }));
      await session.close();
      const late = caught(session.run({ x: new Float32Array(4) }));
      return (await Promise.all([running, waiting, late])).map(({ code }) => code);
    });
    assert.deepEqual(codes, ['STATE', 'STATE', 'STATE']);
  },
);

inPages('two sessions share nothing: neither state, nor worker, nor failure', async () => {
  const seen = await page.evaluate(async () => {
    const [one, two] = await Promise.all([
      wasmai.load('./models/stub.wai'),
      wasmai.load('./models/stub.wai'),
    ]);
    const count = new Float32Array([-5, 0, 0, 0]);
    for (let i = 0; i < 4; i++) await one.run({ x: count });
    const counts = [
      (await one.run({ x: count })).y.data[0],
      (await two.run({ x: count })).y.data[0],
    ];
    const stuck = caught(one.run({ x: new Float32Array([-2, 0, 0, 0]) }, { deadlineMs: 60_000 }));
    const meanwhile = (await two.run({ x: new Float32Array([1, 0, 0, 0]) })).y.data[0];
    await caught(two.run({ x: new Float32Array([-1, 0, 0, 0]) }));
    await one.close();
    const afterClose = (await two.run({ x: new Float32Array([2, 0, 0, 0]) })).y.data[0];
    return { counts, meanwhile, stuck: (await stuck).code, afterClose };
  });
  assert.deepEqual(seen, { counts: [5, 1], meanwhile: 2, stuck: 'STATE', afterClose: 4 });
});

const NO_LONG_TASKS = 'it has no long-task entries';
async function staysResponsive() {
  const seen = await page.evaluate(async () => {
    const session = await wasmai.load('./models/stub.wai');
    await session.run({ x: new Float32Array(4) });
    const tasks = [];
    const observer = new PerformanceObserver((list) =>
      tasks.push(...list.getEntries().map(({ duration }) => duration)),
    );
    observer.observe({ type: 'longtask' });
    // Longer and longer runs, until one took 200 ms on this machine; that one is judged.
    for (let turns = 64; turns <= 1 << 20; turns *= 2) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      tasks.length = 0;
      await session.run({ x: new Float32Array([-4, turns, 0, 0]) });
      if (Number(session.info.lastMs) >= 200) break;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { tasks, ms: session.info.lastMs };
  });
  assert.ok(seen.ms >= 200, `the run took ${seen.ms} ms`);
  assert.deepEqual(seen.tasks, []);
}
inPages(
  'the page stays responsive: no long task while a run of 200 ms and more goes on',
  staysResponsive,
  {
    cannot: { firefox: NO_LONG_TASKS, webkit: NO_LONG_TASKS },
  },
);

inPages('damaged packages are refused by name, and the next load works', async () => {
  const good = stubPackage();
  const flipped = Buffer.from(good);
  flipped[300] ^= 1;
  const errors = await page.evaluate(
    async ({ cut, changed, long, heavy }) => {
      const bytes = (list) => new Uint8Array(list);
      const found = [];
      for (const load of [
        () => wasmai.load(bytes(cut)),
        () => wasmai.load(bytes(changed)),
        () => wasmai.load(bytes(long)),
        () => wasmai.load(bytes(heavy), { maxHeapMB: 16 }),
        () => wasmai.load('./page.html'),
        () => wasmai.load('./page.wai'),
        () => wasmai.load('./missing.wai'),
        () => wasmai.load(new Response(bytes(cut))),
        () => wasmai.load('./models/stub.wai', { sha384: '0'.repeat(96) }),
      ])
        found.push(await caught(load()));
      const session = await wasmai.load('./models/stub.wai');
      found.push((await session.run({ x: new Float32Array([1, 1, 1, 1]) })).y.data[0]);
      return found;
    },
    {
      cut: [...good.subarray(0, 280)],
      changed: [...flipped],
      long: [...good, 0],
      heavy: [...stubPackage({ peakSize: 64 << 20 })],
    },
  );
  assert.equal(errors.pop(), 2);
  assert.ok(errors.every(({ isOurs }) => isOurs));
  assert.deepEqual(
    errors.map(({ code }) => code),
    [
      'MALFORMED',
      'INTEGRITY',
      'MALFORMED',
      'LIMIT',
      'MALFORMED',
      'MALFORMED',
      'ARGUMENT',
      'MALFORMED',
      'INTEGRITY',
    ],
  );
  assert.match(errors[0].message, /truncated: the header says 320 bytes, but there are 280/);
  assert.match(errors[3].message, /64 MiB .* 16 MiB/);
  assert.match(errors[4].message, /returned HTML/);
  assert.match(errors[5].message, /returned HTML/);
});

inPages(
  'a package pinned at build is refused when the file is another, also a valid one',
  async () => {
    const { file } = site.manifest.packages['models/stub.wai'];
    writeFileSync(join(site.root, file), stubPackage({ extra: 96 }));
    try {
      const error = await page.evaluate(() => caught(wasmai.load('./models/stub.wai')));
      assert.equal(error?.code, 'INTEGRITY');
      assert.match(error.message, /pinned/);
    } finally {
      writeFileSync(join(site.root, file), stubPackage());
    }
  },
);

inPages('a changed runtime is refused before it is compiled', async ({ browser }) => {
  const file = join(site.root, site.manifest.runtimes.simd);
  const { readFileSync } = await import('node:fs');
  const original = readFileSync(file);
  const changed = Buffer.from(original);
  changed[changed.length - 1] ^= 1;
  writeFileSync(file, changed);
  try {
    const fresh = await openPage(browser, site);
    const error = await fresh.page.evaluate(() => caught(wasmai.load('./models/stub.wai')));
    assert.equal(error?.code, 'INTEGRITY');
    assert.match(error.where, /runtime-simd/);
    await fresh.close();
  } finally {
    writeFileSync(file, original);
  }
});
