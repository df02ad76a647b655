// `serve` beside clients that ask too much, in short (`npm run soak -- serve` is the long one): whoever
// comes from another address is answered, each time.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { serveUnderLoad } from '../../harness/soak/serve.mjs';
import { makeEnvironment, onPath } from '../../harness/toolchain/environment.mjs';

const missing =
  process.platform !== 'linux'
    ? 'a client of another address on this machine needs Linux'
    : !onPath('wrk') &&
      (await makeEnvironment('hosts').then(
        () => false,
        (error) => `wrk is missing: ${error.message}`,
      ));

test('wrk, slow clients and a flood of connections take nothing from another client', {
  skip: missing,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wasm-ai-serve-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>x</title>');
  const rows = await serveUnderLoad({ folder, path: '/index.html', seconds: 2 });
  t.diagnostic(JSON.stringify(rows));
  assert.equal(rows.length, 4);
  for (const { load, asked, failures } of rows) {
    assert.deepEqual(failures, [], load);
    assert.ok(asked > 2, `${asked} beside ${load}`);
  }
  const [, wrk, slow, flood] = rows.map(({ other }) => other);
  assert.ok(wrk.requests > 10 && slow.opened >= 100 && flood.opened > 100);
});
