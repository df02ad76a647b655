// The ONNX files and PyTorch's answers, one folder a model in the cache, keyed by the sources that make it.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot, contentKey, makeOnce, removeTree } from '../toolchain/cache.mjs';
import { runIn } from '../toolchain/env.mjs';
import { makeEnvironment } from '../toolchain/environment.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const needed = 'import numpy, onnx, torch, torchvision';

/** @type {Promise<import('../toolchain/env.mjs').Toolchain> | undefined} */
let found;

/** Python with PyTorch: this machine's if it has all, else the training environment, made once. */
function python() {
  found ??= (async () => {
    const here = { kind: /** @type {const} */ ('path'), root: '', id: 'exports' };
    const answer = await runIn(here, 'python3', ['-c', needed], { allowFailure: true });
    if (answer.code === 0) return here;
    return {
      kind: /** @type {const} */ ('root'),
      root: await makeEnvironment('train'),
      id: 'exports',
    };
  })();
  return found;
}

/** Versions, and which of torch's two exporters are there. */
export async function describePython() {
  const code = `import importlib.util, torch, torchvision
print(f'PyTorch {torch.__version__}, torchvision {torchvision.__version__}, TorchScript exporter;',
      'onnxscript is there' if importlib.util.find_spec('onnxscript') else 'the dynamo exporter needs onnxscript, which the distribution does not have')`;
  return (await runIn(await python(), 'python3', ['-c', code])).stdout.toString().trim();
}

/**
 * The folder of an exported model: model.onnx, cases.json and the .npy files it names.
 * @param {string} family @param {string} name
 */
export async function exported(family, name) {
  const sources = ['export.py', `${family}.py`].map((file) =>
    fs.readFileSync(path.join(here, file)),
  );
  const { root } = await python();
  const key = contentKey(name, path.basename(root), ...sources);
  const home = path.join(cacheRoot(), 'exports');
  fs.mkdirSync(home, { recursive: true });
  const folder = path.join(home, `${name}@${key}`);
  if (fs.existsSync(folder)) return folder;
  // What older sources made is of no use any more.
  for (const old of fs.readdirSync(home)) {
    if (old.startsWith(`${name}@`) && !old.includes(key)) removeTree(path.join(home, old));
  }
  return makeOnce(folder, async (temporary) => {
    // -B: no __pycache__ in the tree
    const args = ['-B', 'export.py', family, name, temporary];
    await runIn(await python(), 'python3', args, { cwd: here });
  });
}
