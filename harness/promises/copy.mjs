// Copies of the working tree in the cache folder: they are changed and built, it never is. They are
// kept, so that the next campaign builds only what changed since.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { runWhole } from '../run_whole.mjs';
import { cacheRoot, contentKey, projectDir, SetupError } from '../toolchain/cache.mjs';
import { commandLine } from '../toolchain/env.mjs';
import { ensureToolchain } from '../toolchain/setup.mjs';

const BUILD_MS = 15 * 60_000;
/** Under a folder of its own, so that a build sees no other tree beside it. */
const home = () => path.join(cacheRoot(), 'promises', contentKey(projectDir));

/** @param {string} cwd @param {...string} args */
function git(cwd, ...args) {
  const { status, stdout, stderr } = spawnSync('git', args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  if (status !== 0) throw new SetupError(`git ${args[0]}: ${stderr.trim()}`);
  return stdout;
}

/** Files that git knows or would add. @param {string} dir */
const filesOf = (dir) =>
  git(dir, 'ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate')
    .split('\0')
    .filter((name) => name && fs.existsSync(path.join(dir, name)));

/** One campaign at a time on a tree: they would change each other's copies. */
export function holdCopies() {
  fs.mkdirSync(home(), { recursive: true });
  const lock = path.join(home(), 'lock');
  const owner = fs.existsSync(lock) ? Number(fs.readFileSync(lock, 'utf8')) : 0;
  if (owner && fs.existsSync(`/proc/${owner}`))
    throw new SetupError(`process ${owner} is trying the promises of this tree already`);
  fs.writeFileSync(lock, String(process.pid));
  process.once('exit', () => fs.rmSync(lock, { force: true }));
}

export class Copy {
  /** @param {number} number */
  constructor(number) {
    this.number = number;
    this.dir = path.join(home(), `copy-${number}`, 'tree');
  }

  /** The same files as the working tree; those that are the same keep their times, for ninja. */
  sync() {
    fs.mkdirSync(this.dir, { recursive: true });
    if (!fs.existsSync(path.join(this.dir, '.git'))) git(this.dir, 'init', '-q');
    const wanted = new Set(filesOf(projectDir));
    for (const name of filesOf(this.dir)) {
      if (!wanted.has(name)) fs.rmSync(path.join(this.dir, name), { force: true });
    }
    for (const name of wanted) {
      const to = path.join(this.dir, name);
      const bytes = fs.readFileSync(path.join(projectDir, name));
      if (fs.existsSync(to) && bytes.equals(fs.readFileSync(to))) continue;
      fs.mkdirSync(path.dirname(to), { recursive: true });
      fs.writeFileSync(to, bytes, { mode: fs.statSync(path.join(projectDir, name)).mode });
    }
    git(this.dir, 'add', '-A'); // the rules look at what git knows
    this.#modules();
  }

  /** Hard links: nothing writes there. Links of the workspace lead into the copy by themselves. */
  #modules() {
    const to = path.join(this.dir, 'node_modules');
    const from = path.join(projectDir, 'node_modules');
    const note = path.join(to, '.package-lock.json');
    const same = () =>
      fs.readFileSync(note).equals(fs.readFileSync(path.join(from, '.package-lock.json')));
    if (fs.existsSync(note) && same()) return;
    fs.rmSync(to, { recursive: true, force: true });
    const linked = spawnSync('cp', ['-al', from, to]);
    if (linked.status !== 0) {
      fs.rmSync(to, { recursive: true, force: true });
      fs.cpSync(from, to, { recursive: true, verbatimSymlinks: true });
    }
  }

  /** Everything of these variants. @param {string[]} variants @returns {Promise<string | null>} what is wrong */
  async build(variants) {
    if (variants.length === 0) return null;
    const { code, output } = await runWhole(
      {
        file: process.execPath,
        args: ['harness/toolchain/build.mjs', ...variants],
        cwd: this.dir,
        env: process.env,
      },
      BUILD_MS,
    );
    return code === 0 ? null : output.trim().split('\n').slice(-15).join('\n');
  }

  /** Again, after a change: of the sanitized build only one program. @param {string[]} variants @param {string} test */
  async rebuild(variants, test) {
    if (!variants.includes('asan')) return this.build(variants);
    const line = commandLine(
      await ensureToolchain(),
      'ninja',
      ['-C', path.join(this.dir, 'build/native-asan'), `unit_${path.basename(test, '.c')}`],
      { cwd: this.dir },
    );
    const { code, output } = await runWhole(line, BUILD_MS);
    return code === 0 ? null : output.trim().split('\n').slice(-15).join('\n');
  }

  /** The built modules of another copy; no recipe, which would link that copy's archives. @param {Copy} other */
  take(other) {
    const from = path.join(other.dir, 'build/wasm');
    const to = path.join(this.dir, 'build/wasm');
    fs.mkdirSync(to, { recursive: true });
    for (const name of fs.readdirSync(from).filter((name) => /\.wasm(\.linked)?$/.test(name)))
      fs.copyFileSync(path.join(from, name), path.join(to, name));
  }

  /** @param {string} file */
  read(file) {
    return fs.readFileSync(path.join(this.dir, file), 'utf8');
  }

  /** Put another text in the place of a file's; gives back what undoes it. @param {string} file @param {(text: string) => string} change */
  change(file, change) {
    const full = path.join(this.dir, file);
    const text = this.read(file);
    fs.writeFileSync(full, change(text));
    return () => fs.writeFileSync(full, text);
  }
}
