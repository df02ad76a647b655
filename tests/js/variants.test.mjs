// The variants of the runtime: which one a session gets and what it says about it; one package for all,
// so the same layout of packed weights; what `build` ships and `run` takes.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile } from '../../harness/index.mjs';
import { allowRelaxedSimd, prebuiltRuntime } from '../../harness/runtimes.mjs';
import { PAGE_SIZE, readCertificate } from '../../web/certificate.js';
import { openEngine } from '../../web/engine.js';
import { chooseVariant, variantNames as names, variants } from '../../web/variants.js';
import { load, Tensor } from '../../web/wasmai.js';
import { cli, FLOAT, folderFor, noCompiler, onnxFile } from './cli_support.mjs';

const missing = names.map(prebuiltRuntime).filter((file) => !existsSync(file));
const skip = noCompiler || (missing.length > 0 && `${missing} is not built`);
const here = allowRelaxedSimd();
const noRelaxed = skip || (!here && 'this Node.js has no relaxed SIMD');

/** Small whole numbers: their sums and products are exact, rounded once or twice. */
function whole(count, seed) {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 28) - 8;
  });
}

/** A layer for each way in which weights are packed: [op, weight dims, bias?, attributes, input dims, output dims]. */
const LAYERS = [
  ['Conv', [13, 5, 3, 3], {}, [1, 5, 9, 9], [1, 13, 7, 7]],
  ['Conv', [19, 7, 1, 1], {}, [1, 7, 9, 9], [1, 19, 9, 9]],
  ['Conv', [12, 3, 3, 3], { group: 2 }, [1, 6, 9, 9], [1, 12, 7, 7]],
  ['Conv', [3, 5, 3, 3], {}, [1, 5, 9, 9], [1, 3, 7, 7]],
  ['Conv', [11, 1, 3, 3], { group: 11 }, [1, 11, 9, 9], [1, 11, 7, 7]],
  ['Conv', [11, 1, 2, 2], { group: 11 }, [1, 11, 9, 9], [1, 11, 8, 8]],
  ['Conv', [11, 1, 5, 5], { group: 11 }, [1, 11, 9, 9], [1, 11, 5, 5]],
  ['Conv', [11, 1, 1, 1], { group: 11 }, [1, 11, 9, 9], [1, 11, 9, 9]],
  ['ConvTranspose', [5, 11, 3, 3], {}, [1, 5, 9, 9], [1, 11, 11, 11]],
  ['ConvTranspose', [5, 3, 3, 3], {}, [1, 5, 9, 9], [1, 3, 11, 11]],
  ['MatMul', [33, 21], {}, [5, 33], [5, 21]],
  ['MatMul', [33, 3], {}, [5, 33], [5, 3]],
  ['MatMul', [1030, 21], {}, [1, 1030], [1, 21]],
];

const product = (dims) => dims.reduce((a, b) => a * b, 1);
const layers = () =>
  onnxFile({
    nodes: LAYERS.map(([op, , attributes], i) => [
      op,
      op === 'MatMul' ? [`x${i}`, `w${i}`] : [`x${i}`, `w${i}`, `b${i}`],
      [`y${i}`],
      '',
      attributes,
    ]),
    inputs: LAYERS.map(([, , , dims], i) => [`x${i}`, FLOAT, dims]),
    outputs: LAYERS.map(([, , , , dims], i) => [`y${i}`, FLOAT, dims]),
    weights: LAYERS.flatMap(([op, dims, , , out], i) => {
      const weight = [`w${i}`, dims, whole(product(dims), i + 1)];
      return op === 'MatMul' ? [weight] : [weight, [`b${i}`, [out[1]], whole(out[1], i + 50)]];
    }),
  });

/** What a runtime makes of the package: its memory, and every output. */
function play(variant, pack) {
  const runtime = readFileSync(prebuiltRuntime(variant));
  const pages = Math.ceil(readCertificate(pack, 'package').peakSize / PAGE_SIZE);
  const engine = openEngine({ runtime, pack, pages });
  const feeds = engine.inputs.map(({ dims }, i) => ({
    dims,
    data: new Float32Array(whole(product(dims), i + 100)).buffer,
  }));
  const wanted = [...engine.outputs.keys()];
  const outputs = engine.run({ feeds, wanted, carry: [], fuel: 2 ** 40 });
  return {
    memory: engine.memoryBytes(),
    outputs: outputs.map(({ data }) => [...new Float32Array(data)]),
  };
}

for (const optimize of [true, false])
  test(`${optimize ? 'packed by the compiler' : 'packed at open'}, weights have one layout: every variant computes the same`, {
    skip: noRelaxed,
  }, async () => {
    const { bytes } = await compile(layers(), { optimize });
    const simd = play('simd', bytes);
    for (const [i, output] of simd.outputs.entries())
      assert.ok(new Set(output).size > 2, `layer ${i} computes something`);
    for (const name of names) assert.deepEqual(play(name, bytes), simd, name);
  });

const anything = { url: new URL('file:///none'), sha384: null };
const all = { relaxed: anything, simd: anything };

test('which variant, and why', () => {
  const best = here ? 'relaxed' : 'simd';
  /** @type {[Partial<typeof all>, { deterministic?: boolean, hardened?: boolean }, string, RegExp][]} */
  const rows = [
    [all, {}, best, here ? /relaxed SIMD is here/ : /no relaxed SIMD/],
    [all, { deterministic: false }, best, here ? /relaxed SIMD is here/ : /no relaxed SIMD/],
    [all, { deterministic: true }, 'simd', /^deterministic: the same bits/],
    [all, { hardened: true }, 'simd', /^memory hardening/],
    [{ simd: anything }, {}, 'simd', /built without the runtime "relaxed"/],
  ];
  for (const [runtimes, asked, name, why] of rows) {
    const chosen = chooseVariant(runtimes, { hardened: false, ...asked });
    assert.equal(chosen.name, name);
    assert.equal(chosen.exact, name === 'simd');
    assert.match(chosen.why, why);
  }
  const { validate } = WebAssembly;
  try {
    WebAssembly.validate = (bytes) => bytes === variants.simd.probe;
    assert.match(chooseVariant(all, { hardened: false }).why, /no relaxed SIMD here/);
    WebAssembly.validate = () => false;
    assert.throws(() => chooseVariant(all, { hardened: false }), { code: 'UNSUPPORTED' });
  } finally {
    WebAssembly.validate = validate;
  }
});

/** y = softmax(x w): rounded differently by the variants. */
const rounded = () =>
  onnxFile({
    nodes: [
      ['MatMul', ['x', 'w'], ['p']],
      ['Softmax', ['p'], ['y']],
    ],
    inputs: [['x', FLOAT, [4, 300]]],
    outputs: [['y', FLOAT, [4, 40]]],
    weights: [['w', [300, 40], whole(12000, 3).map((value) => value / 49)]],
  });
const input = new Tensor(
  'float32',
  Float32Array.from(whole(1200, 5), (value) => value / 37),
  [4, 300],
);

test('a session says its variant; what needs exact bits is refused where they are not', {
  skip: noRelaxed,
}, async () => {
  const { bytes } = await compile(rounded(), { optimize: true });
  const answers = {};
  for (const [name, options] of Object.entries({
    relaxed: {},
    simd: { deterministic: true },
    hardened: { hardened: true },
  })) {
    const session = await load(bytes, options);
    const { variant, variantReason, deterministic } = session.info;
    assert.equal(variant, name === 'relaxed' ? 'relaxed' : 'simd');
    assert.equal(deterministic, name !== 'relaxed');
    assert.ok(variantReason.length > 20);
    answers[name] = [...(await session.run({ x: input })).y.data];
    if (deterministic) assert.equal((await session.selfTest()).passed, true);
    else await assert.rejects(session.selfTest(), /UNSUPPORTED|deterministic: true/);
    await session.close();
  }
  assert.deepEqual(answers.hardened, answers.simd);
  assert.notDeepEqual(answers.relaxed, answers.simd, 'they do not round alike');
  for (const [i, value] of answers.relaxed.entries())
    assert.ok(Math.abs(value - answers.simd[i]) < 1e-5 * Math.max(...answers.simd));
});

test('build ships both, --secure and --variant simd only the exact one', {
  skip: noRelaxed,
}, async (t) => {
  const folder = folderFor(t);
  const file = join(folder, 'a.wai');
  writeFileSync(file, (await compile(rounded(), { optimize: true })).bytes);
  for (const [options, expected] of [
    [['--optimize'], ['relaxed', 'relaxed.threads', 'simd', 'simd.threads']],
    [['--secure'], ['simd']],
    [
      ['--variant', 'simd'],
      ['simd', 'simd.threads'],
    ],
  ]) {
    const out = join(folder, 'dist');
    const answer = await cli('build', '--model', file, ...options, '-o', out, '--json');
    assert.equal(answer.code, 0, answer.err);
    const { runtimes } = JSON.parse(answer.out);
    assert.deepEqual(Object.keys(runtimes).sort(), expected);
    const wasm = readdirSync(out).filter((name) => name.endsWith('.wasm'));
    assert.deepEqual(wasm.sort(), Object.values(runtimes).sort());
    for (const [name, path] of Object.entries(runtimes))
      assert.ok(path.startsWith(`runtime-${name}.`), path);
  }
});

test('run --variant and VARIANT', { skip: noRelaxed }, async (t) => {
  const folder = folderFor(t);
  const file = join(folder, 'a.wai');
  writeFileSync(file, (await compile(rounded(), { optimize: true })).bytes);
  const run = (...more) => cli('run', file, '--input', 'random:1', '--json', ...more);
  const variantOf = async (...more) => JSON.parse((await run(...more)).out).info.variant;
  assert.equal(await variantOf(), 'simd');
  assert.equal(await variantOf('--variant', 'relaxed'), 'relaxed');
  process.env.VARIANT = 'relaxed';
  t.after(() => delete process.env.VARIANT);
  assert.equal(await variantOf(), 'relaxed');
  assert.equal(await variantOf('--variant', 'simd'), 'simd');
  process.env.MEMORY_HARDENING = 'true';
  t.after(() => delete process.env.MEMORY_HARDENING);
  const refused = await run();
  assert.equal(refused.code, 1);
  assert.match(refused.err, /UNSUPPORTED: --variant relaxed: it is simd: memory hardening/);
});
