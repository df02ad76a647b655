// check MODEL.onnx: does it compile, and if not, everything that is in the way.
import { basename } from 'node:path';
import { errorToData } from '../../web/errors.js';
import { Compiler } from '../compiler.mjs';
import { checkDims, dimMap } from '../dims.mjs';
import { readBytes } from '../files.mjs';
import { hintFor } from '../hints.mjs';
import { collect, parseDims } from './options.mjs';

export const name = 'check';
export const summary = 'say whether a model compiles, and name everything that is in the way';
export const example = `wasm-ai check model.onnx
wasm-ai check model.onnx --dim batch=4 --json`;

export function configure(command) {
  command
    .argument('<model>', 'ONNX file')
    .option('--dim <name=N>', 'value of a symbolic dim: name=8 or input[axis]=8; repeat', collect);
}

export async function run([model], options, io) {
  const dims = dimMap(parseDims(options.dim));
  const onnx = await readBytes(model);
  const compiler = await Compiler.create();
  const outcome = compiler.compile(onnx, { optimize: true, problems: true, dims });
  const problems = outcome.problems.map((problem) => ({ ...problem, hint: hintFor(problem) }));
  // A file that is no ONNX model at all has no list of problems, only the one.
  if (problems.length === 0) {
    checkDims(dims, outcome);
    if (outcome.error && errorToData(outcome.error).code !== 'UNSUPPORTED') throw outcome.error;
    if (outcome.error) {
      const problem = errorToData(outcome.error);
      problems.push({ ...problem, hint: hintFor(problem) });
    }
  }
  const open = outcome.dims.filter((dim) => !dim.bound);
  io.json({ model, ok: problems.length === 0, problems, dims: outcome.dims });
  io.out(text(basename(model), problems, open, io));
  return problems.length === 0 ? 0 : 1;
}

function text(model, problems, open, io) {
  const hinted = new Set();
  const lines = problems.flatMap(({ code, where, message, hint }) => {
    const line = `${io.paint('red', code)}  ${where}: ${message}`;
    if (!hint || hinted.has(hint)) return [line];
    hinted.add(hint); // once is enough for people; --json has it everywhere
    return [line, `             hint: ${hint}`];
  });
  for (const { name: dim, value } of open) {
    lines.push(
      `${io.paint('yellow', 'dynamic')}      ${dim}: taken as ${value}`,
      `             hint: --dim ${dim}=N sets it`,
    );
  }
  const count = problems.length;
  lines.push(
    count === 0
      ? `${model} ${io.paint('green', 'compiles')}`
      : `${model} does not compile: ${count} problem${count === 1 ? '' : 's'}`,
  );
  return lines.join('\n');
}
