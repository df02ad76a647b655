#!/usr/bin/env node
// Retrains the digit classifier:  node models/train.mjs [options of digits/train.py]
// Uses this machine's python3 if it has all that training needs, else makes the training environment.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runIn } from '../harness/toolchain/env.mjs';
import { makeEnvironment } from '../harness/toolchain/environment.mjs';
import { failSetup } from '../harness/toolchain/setup.mjs';

const cwd = fileURLToPath(new URL('./digits/', import.meta.url));
const needed = 'import numpy, onnx, onnxruntime, PIL, sklearn, torch';

try {
  const here = spawnSync('python3', ['-c', needed]).status === 0;
  const root = here ? '' : await makeEnvironment(true);
  const answer = await runIn(
    { kind: here ? 'path' : 'root', root, id: 'train' },
    'python3',
    ['-B', 'train.py', ...process.argv.slice(2)], // -B: no __pycache__ in the tree
    { cwd, stdio: 'inherit', allowFailure: true },
  );
  process.exitCode = answer.code;
} catch (error) {
  failSetup(error);
}
