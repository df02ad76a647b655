#!/usr/bin/env node
// The `wasm-ai` command: a table of commands, each a module in commands/ that
// exports name, summary, example, configure(cmd) and run(args, options, io).
//
// Exit code 0: done. 1: bad input, said in one line. 2: bad command line.
import { readFileSync, realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Command, CommanderError } from 'commander';
import { errorToData, WasmAIError } from '../web/errors.js';
import { createIo } from './io.mjs';

// In the order of --help. Loaded when asked for, so that one command does not
// pay for the others' libraries.
export const COMMANDS = [
  'compile',
  'check',
  'inspect',
  'run',
  'build',
  'serve',
  'audit',
  'bench',
  'keygen',
  'sign',
  'verify',
];

const BAD_INPUT = 1;
const BAD_COMMAND_LINE = 2;

const loadCommand = (name) => import(`./commands/${name}.mjs`);

function version() {
  const header = readFileSync(new URL('../core/include/wasmai.h', import.meta.url), 'utf8');
  return /#define WAI_VERSION +"([^"]+)"/.exec(header)?.[1] ?? 'unknown';
}

/**
 * @param {string[]} argv  without node and script
 * @param {{stdout?: any, stderr?: any}} [streams]
 * @returns {Promise<number>} exit code
 */
export async function main(argv, streams = {}) {
  const { stdout = process.stdout, stderr = process.stderr } = streams;
  const program = new Command('wasm-ai')
    .description('Compile ONNX models to packages that run in a locked-down browser worker.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command')
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
    })
    .exitOverride()
    .addHelpText('after', '\nExample:\n  wasm-ai compile model.onnx -o model.wai --optimize\n');

  let code = 0;
  // Only the command that is called; all of them for help and for suggestions.
  const wanted = COMMANDS.includes(argv[0]) ? [argv[0]] : COMMANDS;
  for (const module of await Promise.all(wanted.map(loadCommand))) {
    addCommand(program, module, { stdout, stderr }, (value) => (code = value));
  }
  try {
    if (argv.length === 0) program.help({ error: true });
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : BAD_COMMAND_LINE;
    throw error;
  }
}

function addCommand(program, module, streams, setCode) {
  const command = program
    .command(module.name)
    .summary(module.summary)
    .description(module.description ?? module.summary);
  module.configure(command);
  command
    .option('--json', 'print the result as one JSON value')
    .option('--quiet', 'no talk and no progress on stderr')
    .addHelpText('after', `\nExample:\n${module.example.replace(/^(?=.)/gm, '  ')}\n`)
    .action(async () => {
      const options = command.opts();
      const io = createIo(options, streams);
      try {
        setCode((await module.run(command.processedArgs, options, io)) ?? 0);
      } catch (error) {
        setCode(BAD_INPUT);
        report(error, io, streams.stderr);
      }
    });
}

// error: <what>: <where>: <why>
function report(error, io, stderr) {
  const { code, where, message } = errorToData(error);
  const unexpected = !(error instanceof WasmAIError);
  const place = unexpected ? 'wasm-ai' : where || 'wasm-ai';
  const why = message.replace(/\s*\n\s*/g, ' ');
  stderr.write(`error: ${code}: ${place}: ${why}\n`);
  if (unexpected && process.env.WASM_AI_DEBUG)
    stderr.write(`${/** @type {any} */ (error)?.stack ?? error}\n`);
  io.json({ error: { code, where: place, message: why } });
}

function isMain() {
  try {
    return import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href;
  } catch {
    return false;
  }
}

if (isMain()) {
  // `wasm-ai inspect x | head` closes the pipe: not an error of ours.
  process.stdout.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  process.exitCode = await main(process.argv.slice(2));
}
