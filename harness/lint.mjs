// `npm run lint`: every formatter and linter, as checks; `npm run format` (--write) lets the
// formatters change files. One row is one tool; names on the command line take some of them.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { projectDir } from './toolchain/cache.mjs';
import { commandLine } from './toolchain/env.mjs';
import { ensureNodeModules } from './toolchain/node_modules.mjs';
import { ensureToolchain, failSetup } from './toolchain/setup.mjs';

/** Files that git knows or would add. @param {string[]} patterns */
function projectFiles(...patterns) {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns];
  const names = spawnSync('git', args, { cwd: projectDir, encoding: 'utf8' }).stdout.split('\n');
  return names.filter((name) => name && fs.existsSync(path.join(projectDir, name)));
}

/** A program of node_modules. @param {string} name */
const local = (name) => path.join(projectDir, 'node_modules', '.bin', name);

const write = process.argv.includes('--write');

/** @type {{ name: string, inside?: boolean, formats?: boolean, optional?: boolean, command: () => string[] }[]} */
const tools = [
  {
    name: 'c',
    inside: true,
    formats: true,
    command: () => [
      'clang-format',
      ...(write ? ['-i'] : ['--dry-run', '-Werror']),
      ...projectFiles('*.c', '*.h'),
    ],
  },
  {
    name: 'js',
    formats: true,
    command: () => [local('biome'), 'check', ...(write ? ['--write'] : ['--max-diagnostics=30'])],
  },
  { name: 'types', command: () => [local('tsc'), '-p', 'harness'] },
  { name: 'types-web', command: () => [local('tsc'), '-p', 'web'] },
  {
    // Minutes, so only by name: npm run tidy
    name: 'tidy',
    inside: true,
    optional: true,
    command: () => [
      'clang-tidy',
      '--quiet',
      '-p',
      'build/native',
      ...projectFiles('core/**/*.c', 'harness/native/*.c').filter(
        (name) => !/wasm\/|TEMPLATE/.test(name),
      ),
    ],
  },
];

try {
  await ensureNodeModules();
  const wanted = process.argv.slice(2).filter((name) => !name.startsWith('-'));
  let passed = 0;
  let failed = 0;
  for (const tool of tools) {
    const chosen = wanted.length
      ? wanted.some((name) => tool.name === name || tool.name.startsWith(`${name}-`))
      : !tool.optional;
    if (!chosen || (write && !tool.formats)) continue;
    const [file, ...args] = tool.command();
    const line = tool.inside
      ? commandLine(await ensureToolchain(), file, args)
      : { file, args, cwd: projectDir, env: process.env };
    const answer = spawnSync(line.file, line.args, {
      cwd: line.cwd,
      env: line.env,
      stdio: 'inherit',
    });
    process.stdout.write(`${tool.name}: ${answer.status === 0 ? 'ok' : 'FAILED'}\n`);
    if (answer.status === 0) passed++;
    else failed++;
  }
  process.stdout.write(`${passed} passed, ${failed} failed, 0 skipped\n`);
  process.exitCode = failed ? 1 : 0;
} catch (error) {
  failSetup(error);
}
