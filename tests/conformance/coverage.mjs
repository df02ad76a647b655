// What is known about each operator: its versions (operators.txt), what the importer takes
// (core/onnx/onnx.def), why it is refused (harness/hints.mjs) and where the tests use it.
import { readFileSync } from 'node:fs';
import { dtypeByOnnx } from '../../harness/dtypes.mjs';
import { REFUSED_OPERATORS } from '../../harness/hints.mjs';
import { Model } from '../../harness/readers/onnx_schema.mjs';

/**
 * @typedef {object} Operator
 * @property {string} name
 * @property {{ since: number, deprecated: boolean }[]} versions  ascending
 * @property {{ first: number, last: number } | null} imported    opsets; null: refused
 * @property {string} refusal                                     what `wasm-ai check` says; "" if imported
 *
 * @returns {Operator[]} of ai.onnx, by name
 */
export function readOperators() {
  const imported = new Map(
    [
      ...readFileSync(new URL('../../core/onnx/onnx.def', import.meta.url), 'utf8').matchAll(ROW),
    ].map(([, name, first, last]) => [name, { first: Number(first), last: Number(last) }]),
  );
  return readFileSync(new URL('./operators.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name, ...versions] = line.split(' ');
      return {
        name,
        versions: versions.map((text) => ({
          since: Number.parseInt(text, 10),
          deprecated: text.endsWith('-'),
        })),
        imported: imported.get(name) ?? null,
        refusal: REFUSED_OPERATORS.get(name) ?? '',
      };
    });
}

const ROW = /^WAI_ONNX\("(\w+)", \w+, (\d+), (\d+)\)/gm;

/**
 * The nodes of a model's main graph.
 * @typedef {{ op: string, opset: number, dtypes: string[] }} Use  dtypes: first input, first output
 *
 * @param {Uint8Array} onnx @returns {Use[]}
 */
export function usesIn(onnx) {
  const { graph, opsetImport } = /** @type {any} */ (Model.decode(onnx));
  const plain = (domain) => (domain === 'ai.onnx' ? '' : (domain ?? ''));
  const opsets = new Map(
    opsetImport.map(({ domain, version }) => [plain(domain), Number(version)]),
  );
  const types = new Map([
    ...graph.initializer.map(({ name, dataType }) => [name, dataType]),
    ...[...graph.input, ...graph.output].map(({ name, type }) => [
      name,
      type?.tensorType?.elemType,
    ]),
  ]);
  return graph.node.map(({ opType, domain, input, output }) => ({
    op: plain(domain) ? `${domain}.${opType}` : opType,
    opset: opsets.get(plain(domain)) ?? 0,
    dtypes: [input[0], output[0]].flatMap((name) => dtypeByOnnx(types.get(name))?.short ?? []),
  }));
}
