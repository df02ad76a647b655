// Many sessions, much going wrong at once: every promise settles, every answer is right, and at the end it still runs.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stubPackage, writeStubRuntime } from '../js/stub.mjs';
import { makeSite, onEngines, openPage } from './browser.mjs';

for (const seed of [1, 2, 3]) {
  onEngines(
    `runs, stops, deadlines, traps and closes in random order, seed ${seed}`,
    async ({ browser }) => {
      const folder = mkdtempSync(join(tmpdir(), 'wasm-ai-chaos-'));
      const runtime = await writeStubRuntime(join(folder, 'runtime.wasm'));
      writeFileSync(join(folder, 'stub.wai'), stubPackage());
      const site = await makeSite({ runtime, models: [join(folder, 'stub.wai')] });
      try {
        const { page, complaints } = await openPage(browser, site);
        const seen = await page.evaluate(async (start) => {
          let state = start;
          const random = (/** @type {number} */ below) => {
            state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
            return Math.floor((state / 2 ** 32) * below);
          };
          const pause = (/** @type {number} */ ms) =>
            new Promise((resolve) => setTimeout(resolve, ms));
          const sessions = await Promise.all([0, 1, 2].map(() => wasmai.load('./models/stub.wai')));
          const outcomes = [];
          for (let i = 0; i < 120; i++) {
            const session = sessions[random(3)];
            const value = i + 1;
            const kind = random(8);
            const stop = new AbortController();
            const x = new Float32Array([[-1, -2, -3][kind] ?? value, 0, 0, 0]);
            const options =
              kind === 1 || kind === 3 ? { deadlineMs: 1 + random(40) } : { signal: stop.signal };
            if (kind === 4) setTimeout(() => stop.abort(), random(30));
            outcomes.push(
              session.run({ x }, options).then(
                ({ y }) =>
                  kind > 2 && y.data[0] === 2 * value ? 'right' : `wrong ${kind} ${y.data[0]}`,
                (error) => error.code,
              ),
            );
            if (random(4) === 0) await pause(random(20));
          }
          const settled = await Promise.race([
            Promise.all(outcomes),
            pause(30000).then(() => ['never settled']),
          ]);
          const last = [];
          for (const session of sessions)
            last.push((await session.run({ x: new Float32Array([7, 0, 0, 0]) })).y.data[0]);
          await Promise.all(sessions.map((session) => session.close()));
          return { kinds: [...new Set(settled)].sort(), last };
        }, seed);
        assert.deepEqual(seen.last, [14, 14, 14]);
        assert.ok(seen.kinds.includes('right'));
        const allowed = ['ABORTED', 'DEADLINE', 'INTERNAL', 'TRAP', 'right'];
        assert.deepEqual(
          seen.kinds.filter((kind) => !allowed.includes(kind)),
          [],
        );
        assert.deepEqual(complaints, []);
      } finally {
        await site.close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
}
