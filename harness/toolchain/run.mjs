// Runs one command with the toolchain, for people:  node harness/toolchain/run.mjs clang --version

import { spawnSync } from 'node:child_process';
import { commandLine } from './env.mjs';
import { ensureToolchain, failSetup } from './setup.mjs';

const [cmd, ...args] = process.argv.slice(2);
if (!cmd) {
  process.stderr.write('usage: node harness/toolchain/run.mjs COMMAND [ARGUMENT]...\n');
  process.exit(2);
}
try {
  const line = commandLine(await ensureToolchain(), cmd, args, { cwd: process.cwd() });
  const answer = spawnSync(line.file, line.args, {
    cwd: line.cwd,
    env: line.env,
    stdio: 'inherit',
  });
  process.exitCode = answer.status ?? 128;
} catch (error) {
  failSetup(error);
}
