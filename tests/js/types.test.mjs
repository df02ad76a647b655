// wasmai.d.ts against use: right use compiles, wrong use does not.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

function check(source) {
  const folder = mkdtempSync(join(ROOT, 'build/types-'));
  try {
    writeFileSync(
      join(folder, 'use.ts'),
      `import { importPublicKey, load, Tensor, WasmAIError } from '../../web/wasmai.js';\n${source}`,
    );
    const options = [
      '--noEmit',
      '--strict',
      '--target',
      'es2024',
      '--module',
      'esnext',
      '--moduleResolution',
      'bundler',
      '--lib',
      'es2024,dom,esnext.disposable',
      '--types',
      'node',
      '--ignoreConfig',
    ];
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(ROOT, 'node_modules/typescript/bin/tsc'), ...options, join(folder, 'use.ts')],
      { encoding: 'utf8' },
    );
    return { ok: status === 0, output: stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('the use in the documentation compiles', () => {
  const { ok, output } = check(`
    const session = await load('/models/mobilenet.wai', {
      isolation: 'worker', deterministic: false, threads: 'auto', maxHeapMB: 256,
      signal: AbortSignal.timeout(1000), onProgress: ({ loaded, total, phase }) => console.log(loaded / total, phase),
    });
    const names: string[] = session.inputs.map(({ name, dtype, dims }) => \`\${name} \${dtype} \${dims.length}\`);
    const { logits } = await session.run({ image: new Tensor('float32', new Float32Array(4), [1, 4]), ids: new BigInt64Array(2) }, { deadlineMs: 200 });
    const first: number = logits.data[0];
    try { await load(new Uint8Array(4)); } catch (error) { if (error instanceof WasmAIError && error.code === 'INTEGRITY') console.log(error.where); }
    const { enhanced } = await session.run({ frame: new Float32Array(4) }, { carry: { state: 'stateN' }, outputs: ['enhanced'] });
    session.reset();
    const { passed, cases } = await session.selfTest({ signal: AbortSignal.timeout(1000) });
    const differs: string[] = cases.filter(({ ok }) => !ok).map(({ got, error }) => got.logits?.sha384 ?? error?.code ?? '');
    const outputs = await session.run({ frame: new Float32Array(4) }, { receipt: true });
    const text: string = JSON.stringify(session.receipt(outputs)) + session.receipt(outputs).inputs[0].sha384;
    console.log(passed, differs, text);
    const publicKey = await importPublicKey('-----BEGIN PUBLIC KEY-----');
    await using other = await load(new Response(), { publicKey: [publicKey], minVersion: 7, signature: new URL('x.jws', 'y:/'), packageName: 'm.wai' });
    await using signed = await load('m.wai', { publicKey });
    const version: number = signed.info.signature?.version ?? 0;
    console.log(version, signed.info.signature?.signedAt.getTime());
    console.log(names, first, enhanced.dims, other.info.peakBytes, session.info.certificate.flopCount);
    await session.close();
    export {};
  `);
  assert.ok(ok, output);
});

test('wrong use does not', () => {
  for (const source of [
    "await load('x', { isolate: 'worker' });",
    "await load('x', { publicKey: 'key.pem' });",
    "new Tensor('flaot32', new Float32Array(1));",
    "const s = await load('x'); s.run({ x: 'text' });",
    "const s = await load('x'); s.info.runs = 3;",
    "const s = await load('x'); s.run({}, { carry: ['state'] });",
  ]) {
    assert.equal(check(`${source}\nexport {};`).ok, false, source);
  }
});
