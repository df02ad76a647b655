// What the search begins with: a node of every operator, the ONNX project's operator tests, real
// models without their weights, and what earlier searches found worth keeping (tests/fuzz).
// Packages are compiled from them, so that they are always of the present format.

import fs from 'node:fs';
import path from 'node:path';
import { realModelsFolder } from '../cases.mjs';
import { Compiler } from '../compiler.mjs';
import { Model } from '../readers/onnx_schema.mjs';
import { projectDir } from '../toolchain/cache.mjs';
import { environmentDir } from '../toolchain/environment.mjs';
import { withoutWeights, withSymbols } from './onnx_bytes.mjs';
import { Random } from './random.mjs';

// Larger inputs cost time per run and say nothing more.
const MOST_BYTES = 8192;
const MOST_REAL = 49152;

/** What earlier searches found, minimised: models one after another, each with its size in front. */
const corpusFile = path.join(projectDir, 'tests/fuzz/corpus.bin');
/** The few that are larger are worth less than the room that they take. */
const MOST_KEPT = 1000;

/** @param {number | undefined} count */
const io = (count, prefix = 'x', dims = [1, 2, 4, 4]) =>
  Array.from({ length: count ?? 0 }, (_, i) => ({
    name: `${prefix}${i}`,
    type: { tensorType: { elemType: 1, shape: { dim: dims.map((n) => ({ dimValue: n })) } } },
  }));

// The tables of operators: file, domain, what a row says.
const TABLES = [
  ['onnx.def', '', /^WAI_ONNX\("(\w+)", \w+, \d+, (\d+)\)/gm],
  ['microsoft.def', 'com.microsoft', /^WAI_MICROSOFT\("(\w+)", \w+\)/gm],
  ['ml.def', 'ai.onnx.ml', /^WAI_ML\("(\w+)", \w+\)/gm],
];

export function operators() {
  return TABLES.flatMap(([file, domain, row]) => {
    const text = fs.readFileSync(path.join(projectDir, 'core/onnx', String(file)), 'utf8');
    return [...text.matchAll(/** @type {RegExp} */ (row))].map(([, opType, last]) => ({
      domain: String(domain),
      opType,
      last,
    }));
  });
}

/** One node of every operator of the tables, with one, two and three inputs: some compile, all are
 * ONNX. @returns {Uint8Array[]} */
export function operatorModels() {
  return operators().flatMap(({ domain, opType, last }) =>
    [1, 2, 3].map((count) => {
      const input = Array.from({ length: count }, (_, i) => `x${i}`);
      return Model.encode({
        irVersion: 8,
        opsetImport: [
          { domain: '', version: Number(last ?? 22) },
          ...(domain === '' ? [] : [{ domain, version: 1 }]),
        ],
        graph: {
          node: [{ domain, opType, input, output: ['y0'], name: 'n' }],
          input: io(count),
          output: io(1, 'y'),
        },
      }).finish();
    }),
  );
}

/** @typedef {{ nodes: [op: string, input: string[], output: string, attributes?: Record<string, number | number[]>][],
 *   inputs: Record<string, number[]>, outputs: Record<string, number[]>, weights?: Record<string, number[]> }} Net */

/** What only passes make: depthwise and Winograd convolutions, attention of heads side by side; products with packed weights. @type {Net[]} */
const FUSED = [
  {
    nodes: [
      ['Conv', ['x', 'a'], 'p', { pads: [1, 1, 1, 1], group: 4 }],
      ['Conv', ['p', 'b', 'c'], 'y', { pads: [1, 0, 2, 1] }],
    ],
    inputs: { x: [1, 4, 6, 7] },
    outputs: { y: [1, 5, 7, 6] },
    weights: { a: [4, 1, 3, 3], b: [5, 4, 3, 3], c: [5] },
  },
  {
    nodes: [['Conv', ['x', 'a'], 'y', { strides: [2, 2], pads: [2, 2, 2, 2], group: 4 }]],
    inputs: { x: [2, 4, 7, 9] },
    outputs: { y: [2, 4, 4, 5] },
    weights: { a: [4, 1, 5, 5] },
  },
  {
    nodes: [['Conv', ['x', 'a', 'b'], 'y', { strides: [2, 2], pads: [1, 2, 1, 2] }]],
    inputs: { x: [1, 3, 9, 14] },
    outputs: { y: [1, 9, 5, 8] },
    weights: { a: [9, 3, 3, 3], b: [9] },
  },
  {
    nodes: [
      ['MatMul', ['x', 'a'], 'p'],
      ['Add', ['p', 'b'], 'r'],
      ['Relu', ['r'], 'y'],
    ],
    inputs: { x: [7, 5] },
    outputs: { y: [7, 11] },
    weights: { a: [5, 11], b: [11] },
  },
  {
    nodes: [
      ['Transpose', ['q'], 'qh', { perm: [0, 2, 1, 3] }],
      ['Transpose', ['k'], 'kh', { perm: [0, 2, 3, 1] }],
      ['Transpose', ['v'], 'vh', { perm: [0, 2, 1, 3] }],
      ['MatMul', ['qh', 'kh'], 's'],
      ['Add', ['s', 'mask'], 'm'],
      ['Softmax', ['m'], 'w', { axis: 3 }],
      ['MatMul', ['w', 'vh'], 'yh'],
      ['Transpose', ['yh'], 'y', { perm: [0, 2, 1, 3] }],
    ],
    inputs: { q: [2, 5, 3, 4], k: [2, 6, 3, 4], v: [2, 6, 3, 8], mask: [2, 1, 1, 6] },
    outputs: { y: [2, 5, 3, 8] },
  },
];

/** @returns {Uint8Array[]} */
function fusedModels() {
  const FLOAT = 1;
  const [INT, INTS] = [2, 7]; // types of attributes
  const slots = (/** @type {Record<string, number[]>} */ all) =>
    Object.entries(all).map(([name, dims]) => ({
      name,
      type: {
        tensorType: { elemType: FLOAT, shape: { dim: dims.map((dimValue) => ({ dimValue })) } },
      },
    }));
  const attribute = (/** @type {[string, number | number[]]} */ [name, value]) =>
    Array.isArray(value)
      ? { name, intValues: value, type: INTS }
      : { name, intValue: value, type: INT };
  return FUSED.map(({ nodes, inputs, outputs, weights = {} }) =>
    Model.encode({
      irVersion: 8,
      opsetImport: [{ domain: '', version: 17 }],
      graph: {
        node: nodes.map(([opType, input, output, attributes = {}]) => ({
          ...{ opType, input, output: [output], name: output },
          attribute: Object.entries(attributes).map(attribute),
        })),
        input: slots(inputs),
        output: slots(outputs),
        initializer: Object.entries(weights).map(([name, dims]) => ({
          ...{ name, dims, dataType: FLOAT },
          floatData: Array.from(
            { length: dims.reduce((product, dim) => product * dim) },
            (_, i) => (i % 7) - 3,
          ),
        })),
      },
    }).finish(),
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
    .filter((name) => fs.existsSync(name) && fs.statSync(name).size <= MOST_BYTES)
    .map((name) => fs.readFileSync(name));
}

/** @returns {Buffer[]} */
export function readCorpus() {
  const bytes = fs.readFileSync(corpusFile);
  const models = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at);
    models.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return models;
}

/** @param {Uint8Array[]} models */
export function writeCorpus(models) {
  const parts = models
    .filter(({ length }) => length <= MOST_KEPT)
    .map((model) => {
      const size = Buffer.alloc(4);
      size.writeUInt32LE(model.length);
      return Buffer.concat([size, model]);
    });
  fs.writeFileSync(corpusFile, Buffer.concat(parts));
  return parts.length;
}

function realModels() {
  const folder = realModelsFolder();
  const files = fs.existsSync(folder)
    ? fs.readdirSync(folder).map((name) => path.join(folder, name, 'model.onnx'))
    : [];
  return [...files, path.join(projectDir, 'models/digits/digits.onnx')]
    .filter((file) => fs.existsSync(file))
    .map((file) => withoutWeights(fs.readFileSync(file)))
    .filter((bytes) => bytes.length <= MOST_REAL);
}

/** Models for the targets that read ONNX. @param {boolean} all  or only what is in git */
export function models(all) {
  const kept = [...readCorpus(), ...fusedModels()];
  if (!all) return kept;
  const tests = operatorTests();
  return [
    ...kept,
    ...operatorModels(),
    ...tests,
    ...tests.map((bytes) => withSymbols(bytes).bytes),
    ...realModels(),
  ];
}

/** The model with options before it, as fuzz_compile takes it. @param {Uint8Array} model @param {number} i */
export function withOptions(model, i) {
  const flags = [1, 0, 17, 3, 13, 25, 33, 65, 81, 16, 129, 145][i % 12]; // see harness/native/fuzz_compile.c
  const head = [flags, 0x51, i % 3 ? 4 : i, 5, i * 7, i % 4, i % 3, 2];
  return Buffer.concat([Uint8Array.from(head.map((byte) => byte & 255)), model]);
}

/** @param {boolean} all */
export async function packages(all) {
  const compiler = await Compiler.create();
  /** Small convolutions take Winograd's method for the asking only. @type {import('../compiler.mjs').CompileRequest[]} */
  const ways = [
    {},
    { optimize: true, winograd: 4 },
    { optimize: true, quantize: 'f16', winograd: 2 },
    { optimize: true },
  ];
  const kept = readCorpus().length; // and then FUSED
  return models(all).flatMap((bytes, i) =>
    (all || i >= kept ? ways : [ways[i % ways.length]]).flatMap((request) => {
      const { bytes: made } = compiler.compile(bytes, { ...request, maxMemory: 1 << 26 });
      return made && made.length <= 1 << 16 ? [made] : [];
    }),
  );
}

/** Packages whose dims change, each with a script for fuzz_live. @param {boolean} all */
export async function livePackages(all) {
  const compiler = await Compiler.create();
  const random = new Random(1);
  const base = [...(all ? operatorTests() : readCorpus()), ...fusedModels()];
  return base.flatMap((model) => {
    const { bytes, dims } = withSymbols(model);
    return (all ? dims : dims.slice(0, 1)).flatMap((open) => {
      const ranges = new Map(
        dims.map((dim) => [`d${dim}`, { min: dim === open ? 1 : dim, max: dim }]),
      );
      /** @type {import('../compiler.mjs').CompileRequest} */
      const request = { optimize: true, winograd: 4, dims: ranges, maxMemory: 1 << 26 };
      const { bytes: made } = compiler.compile(bytes, request);
      const script = Buffer.from(Array.from({ length: 24 }, () => random.below(256)));
      return made && made.length <= MOST_BYTES ? [Buffer.concat([made, script])] : [];
    });
  });
}

const VALUES = 4;
const [LEAST, MOST] = [-(2 ** 31), 2 ** 31 - 1];

/** Dims of values and two formulas over them, see core/tensor/formula.h. */
export function formulas() {
  const random = new Random(2);
  const dim = () => [random.pick([0, 1, 2, 3, 0xffffffff]), random.below(8)];
  const term = () => [random.below(7) - 3, ...dim(), ...dim(), ...dim()];
  const formula = () => [
    random.below(19) - 9,
    ...[...term(), ...term(), ...term()],
    random.pick([1, 2, 3, 0x80000001, 0x80000002]),
    random.below(9) - 4,
    ...[LEAST, MOST, random.pick([0, 0, 3, 7])],
  ];
  return Array.from({ length: 40 }, () => {
    const dims = Array.from({ length: VALUES * 8 }, () => 1 + random.below(99));
    return Buffer.from(Int32Array.from([...dims, ...formula(), ...formula()]).buffer);
  });
}

/** Words of ONNX for libFuzzer: operators, attributes, and what packages begin with. */
export function dictionary() {
  const folder = path.join(projectDir, 'core');
  const sources = ['ops', 'onnx'].flatMap((name) =>
    fs
      .readdirSync(path.join(folder, name))
      .filter((file) => file.endsWith('.c'))
      .map((file) => fs.readFileSync(path.join(folder, name, file), 'utf8')),
  );
  const quoted = sources.flatMap((text) => [...text.matchAll(/"([A-Za-z_]\w{2,31})"/g)]);
  const words = new Set([
    ...['ai.onnx', 'ai.onnx.ml', 'com.microsoft', 'WAI\\x1a', '../../etc/passwd'],
    ...operators().map(({ opType }) => opType),
    ...quoted.map(([, word]) => word),
  ]);
  return [...words].map((word) => `"${word}"\n`).join('');
}
