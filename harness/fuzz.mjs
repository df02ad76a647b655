// `npm run fuzz -- onnx|package [seconds]`: libFuzzer on the whole compiler, or on the reader and
// the kernels, under the sanitizers. What it finds lies in build/fuzz/crashes; replay it with
//   node harness/toolchain/run.mjs build/native-asan/fuzz_onnx FILE
// The corpus grows in build/fuzz/corpus-*; what found a bug becomes a case of tests/unit, ops or reject.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Compiler } from './compiler.mjs';
import { Model } from './readers/onnx_schema.mjs';
import { build } from './toolchain/build.mjs';
import { projectDir, step } from './toolchain/cache.mjs';
import { commandLine } from './toolchain/env.mjs';
import { environmentDir } from './toolchain/environment.mjs';
import { ensureLibraries } from './toolchain/libraries.mjs';
import { ensureToolchain, failSetup } from './toolchain/setup.mjs';

const targets = ['onnx', 'package'];
const dir = path.join(projectDir, 'build/fuzz');

// Larger inputs cost time per run and say nothing more.
const maxSeed = 8192;

/** @param {import('./toolchain/env.mjs').Toolchain} toolchain @param {string} cmd @param {string[]} args @param {Record<string, string>} [env] */
function inside(toolchain, cmd, args, env = {}) {
  const line = commandLine(toolchain, cmd, args, { env });
  return new Promise((resolve, reject) => {
    const child = spawn(line.file, line.args, { cwd: line.cwd, env: line.env, stdio: 'inherit' });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 128));
  });
}

async function buildTargets() {
  const toolchain = await ensureToolchain();
  const libraries = await ensureLibraries(toolchain, 'asan');
  const configured = await inside(toolchain, 'cmake', [
    ...['-G', 'Ninja', '-S', projectDir, '-B', dir, '-DCMAKE_BUILD_TYPE='],
    ...['-DCMAKE_C_COMPILER=clang', '-DWAI_SANITIZE=ON', '-DWAI_FUZZ=ON'],
    `-DWAI_LIBRARIES=${libraries}`,
  ]);
  if (configured !== 0 || (await inside(toolchain, 'ninja', ['-C', dir])) !== 0)
    throw new Error('the fuzz targets do not build');
  return toolchain;
}

/** @param {number | undefined} count */
const io = (count, prefix = 'x', dims = [1, 2, 4, 4]) =>
  Array.from({ length: count ?? 0 }, (_, i) => ({
    name: `${prefix}${i}`,
    type: { tensorType: { elemType: 1, shape: { dim: dims.map((n) => ({ dimValue: n })) } } },
  }));

// The tables of operators: file, domain, what a row says.
const tables = [
  ['onnx.def', '', /^WAI_ONNX\("(\w+)", \w+, \d+, (\d+)\)/gm],
  ['microsoft.def', 'com.microsoft', /^WAI_MICROSOFT\("(\w+)", \w+\)/gm],
  ['ml.def', 'ai.onnx.ml', /^WAI_ML\("(\w+)", \w+\)/gm],
];

/** One node of every operator of the tables, with one, two and three inputs: some compile, all are ONNX. */
function generated() {
  const rows = tables.flatMap(([file, domain, row]) => {
    const text = fs.readFileSync(path.join(projectDir, 'core/onnx', String(file)), 'utf8');
    return [...text.matchAll(/** @type {RegExp} */ (row))].map(([, opType, last]) => ({
      domain,
      opType,
      last,
    }));
  });
  return rows.flatMap(({ domain, opType, last }) =>
    [1, 2, 3].map((count) =>
      Model.encode({
        irVersion: 8,
        opsetImport: [
          { domain: '', version: Number(last ?? 22) },
          ...(domain === '' ? [] : [{ domain, version: 1 }]),
        ],
        graph: {
          node: [
            {
              domain,
              opType,
              input: Array.from({ length: count }, (_, i) => `x${i}`),
              output: ['y0'],
              name: 'n',
            },
          ],
          input: io(count),
          output: io(1, 'y'),
        },
      }).finish(),
    ),
  );
}

/** The ONNX project's operator tests, where the toolchain's environment has them. */
function operatorTests() {
  const folder = ['usr/share/libonnx-testdata/data/node']
    .flatMap((name) => [path.join(environmentDir('build'), name), `/${name}`])
    .find((name) => fs.existsSync(name));
  if (!folder) return [];
  return fs
    .readdirSync(folder)
    .map((name) => path.join(folder, name, 'model.onnx'))
    .filter((name) => fs.existsSync(name) && fs.statSync(name).size <= maxSeed)
    .map((name) => fs.readFileSync(name));
}

/** A length and its field's number, as protobuf writes them: 7 bits a byte. @param {number} value */
const varint = (value) =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];

/** The number at `at`, and where it ends. @param {Uint8Array} bytes @param {number} at */
function readVarint(bytes, at) {
  let value = 0;
  for (let shift = 1; ; shift *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * shift;
    if (byte < 128 || at >= bytes.length) return { value, end: at };
  }
}

/** A message with every message at `path` (field numbers) replaced by what `leaf` makes of it. All
 * else stays as it is, what the schema does not know included.
 * @param {Uint8Array} bytes @param {number[]} path @param {(bytes: Uint8Array) => Uint8Array} leaf */
function rewrite(bytes, path, leaf) {
  if (path.length === 0) return leaf(bytes);
  const parts = [];
  for (let at = 0; at < bytes.length; ) {
    const key = readVarint(bytes, at);
    const wire = key.value & 7;
    const number = readVarint(bytes, key.end);
    const end = { 0: number.end, 1: key.end + 8, 2: number.end + number.value, 5: key.end + 4 }[
      wire
    ];
    if (wire === 2 && key.value >> 3 === path[0]) {
      const inner = rewrite(bytes.subarray(number.end, end), path.slice(1), leaf);
      parts.push(Uint8Array.from([...varint(key.value), ...varint(inner.length)]), inner);
    } else parts.push(bytes.subarray(at, end));
    at = end ?? bytes.length;
  }
  return Buffer.concat(parts);
}

/** Every dim from 2 to 99 of inputs and outputs as a symbol, d2 to d99: models of symbolic dims. */
function withSymbols(bytes) {
  const dims = new Set();
  const open = (dim) => {
    if (dim.length !== 2 || dim[0] !== 8 || dim[1] < 2 || dim[1] > 99) return dim;
    dims.add(dim[1]);
    const name = Buffer.from(`d${dim[1]}`);
    return Buffer.concat([Uint8Array.from([18, name.length]), name]);
  };
  const graphDims = (io) => [7, io, 2, 1, 2, 1]; // graph, value info, type, tensor, shape, dim
  const inputs = rewrite(bytes, graphDims(11), open);
  return { bytes: rewrite(inputs, graphDims(12), open), dims: [...dims] };
}

async function makeSeeds() {
  const models = [
    fs.readFileSync(path.join(projectDir, 'models/digits/digits.onnx')),
    ...generated(),
    ...operatorTests(),
  ];
  const compiler = await Compiler.create();
  for (const name of targets) fs.mkdirSync(path.join(dir, `corpus-${name}`), { recursive: true });
  let packages = 0;
  const symbolic = operatorTests().map(withSymbols);
  symbolic.forEach(({ bytes, dims }, i) => {
    fs.writeFileSync(path.join(dir, `corpus-onnx/open-${i}`), bytes);
    for (const open of dims) {
      const ranges = new Map();
      for (const dim of dims) ranges.set(`d${dim}`, { min: dim === open ? 1 : dim, max: dim });
      const request = { optimize: true, dims: ranges };
      const { bytes: pack } = compiler.compile(bytes, request);
      if (!pack) continue;
      fs.writeFileSync(path.join(dir, `corpus-package/open-${i}-${open}`), pack);
      packages++;
    }
  });
  models.forEach((bytes, i) => {
    fs.writeFileSync(path.join(dir, `corpus-onnx/seed-${i}`), bytes);
    /** @type {import('./compiler.mjs').CompileRequest[]} */
    const ways = [{}, { optimize: true }, { optimize: true, quantize: 'f16' }];
    for (const [way, request] of ways.entries()) {
      const { bytes: pack } = compiler.compile(bytes, request);
      if (!pack) continue;
      fs.writeFileSync(path.join(dir, `corpus-package/seed-${i}-${way}`), pack);
      packages++;
    }
  });
  step(`seeds: ${models.length} models, ${packages} packages`);
}

async function main() {
  const [target, seconds = '60'] = process.argv.slice(2);
  if (!targets.includes(target) || !/^\d+$/.test(seconds)) {
    process.stderr.write('usage: npm run fuzz -- onnx|package [seconds]\n');
    return 2;
  }
  await build(['wasm']);
  const toolchain = await buildTargets();
  await makeSeeds();
  const crashes = path.join(dir, 'crashes');
  fs.mkdirSync(crashes, { recursive: true });
  return inside(
    toolchain,
    path.join(dir, `fuzz_${target}`),
    [
      path.join(dir, `corpus-${target}`),
      `-max_total_time=${seconds}`,
      `-artifact_prefix=${crashes}/${target}-`,
      ...['-max_len=200000', '-timeout=20', '-rss_limit_mb=2048', '-malloc_limit_mb=600'],
      ...['-print_final_stats=1', '-use_value_profile=1'],
    ],
    { ASAN_OPTIONS: 'allocator_may_return_null=1:detect_leaks=1' },
  );
}

try {
  process.exitCode = /** @type {number} */ (await main());
} catch (error) {
  failSetup(error);
}
