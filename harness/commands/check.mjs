// check MODEL.onnx: does it compile, and if not, everything that is in the way.
import { basename } from 'node:path';
import { errorToData } from '../../web/errors.js';
import { Compiler } from '../compiler.mjs';
import { readConfig } from '../config.mjs';
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

const DIMS_HINT = 'open dimensions were taken as 1: give their real sizes with --dim';

export async function run([model], options, io) {
  const dims = dimMap(parseDims(options.dim));
  const onnx = await readBytes(model);
  const compiler = await Compiler.create();
  const { MAX_HEAP_SIZE } = readConfig({});
  const maxMemory = MAX_HEAP_SIZE && MAX_HEAP_SIZE * 2 ** 20;
  const outcome = compiler.compile(onnx, { optimize: true, problems: true, dims, maxMemory });
  const problems = outcome.problems.map((problem) => ({ ...problem, hint: hintFor(problem) }));
  const open = outcome.dims.filter((dim) => !dim.bound);
  // A file that is no ONNX model at all has no list of problems, only the one.
  if (problems.length === 0) {
    checkDims(dims, outcome);
    if (outcome.error) {
      const problem = errorToData(outcome.error);
      // Shapes may clash only because open dimensions were taken as 1.
      const blameDims = problem.code === 'MALFORMED' && open.length > 0;
      if (problem.code !== 'UNSUPPORTED' && !blameDims) throw outcome.error;
      problems.push({ ...problem, hint: blameDims ? DIMS_HINT : hintFor(problem) });
    }
  }
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
      `             hint: --dim ${dim}=N sets it, ${dim}=1..N leaves it open`,
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
