// expectations.txt: the tests that are refused today, each with the class of
// its reason. Every other test must pass.
import { readFileSync } from 'node:fs';

export const EXPECTATIONS = new URL('./expectations.txt', import.meta.url);

export const CLASSES = {
  operator: 'an operator that is not in this version',
  opset: 'an operator at an opset that is not covered',
  dtype: 'an element type that is not in this version',
  attribute: 'an attribute or a combination of shapes that is not in this version',
  constant: 'an input that must be a constant is computed by the model',
  dynamic: 'sizes that are known only at run time',
  domain: 'operators outside ai.onnx',
  sequence: 'sequences, optionals and maps',
  training: 'training operators',
  disputed: 'onnxruntime agrees with us and not with the expected output',
  data: 'the test feeds another shape than its own model declares',
  noise: 'the expected output holds rounding noise above the tolerance where the exact answer is 0',
  random: 'the expected output is what another generator of random numbers drew',
  bug: 'a wrong answer or a failure of ours: to be repaired',
};

/** Classes of rows that people write: the test does not pass, and the reason is known. */
export const BY_HAND = ['disputed', 'data', 'noise', 'random', 'bug'];

/** @returns {Map<string, string>} test name -> class */
export function readExpectations() {
  const rows = new Map();
  for (const line of readFileSync(EXPECTATIONS, 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [name, reason] = line.split('\t');
    if (!Object.hasOwn(CLASSES, reason))
      throw new Error(`expectations.txt: "${line}": unknown class`);
    if (rows.has(name)) throw new Error(`expectations.txt: ${name} is listed twice`);
    rows.set(name, reason);
  }
  return rows;
}

/** @param {Map<string, string>} rows */
export function expectationsText(rows) {
  const classes = Object.entries(CLASSES).map(([name, about]) => `#   ${name.padEnd(10)} ${about}`);
  const lines = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map((row) => row.join('\t'));
  return `# Tests of libonnx-testdata that WasmAI refuses today: name, tab, class of the reason. Without a
# version the test is of ONNX 1.17.
# Written by \`node tests/conformance/update.mjs\`, which adds refusals and drops
# what passes; rows of class ${BY_HAND.map((name) => `"${name}"`).join(', ')} are written by hand. Classes:
${classes.join('\n')}
${lines.join('\n')}
`;
}
