// The command line itself: help, suggestions, exit codes, settings.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMMANDS } from '../../harness/cli.mjs';
import { readConfig } from '../../harness/config.mjs';
import { addRelu, cli, filesOf, folderFor } from './cli_support.mjs';

const ONE_LINE = /^error: [A-Z]+: [^\n]+: [^\n]+\n$/;

test('help names every command, on stdout, with code 0', async () => {
  const { code, out, err } = await cli('--help');
  assert.equal(code, 0);
  assert.equal(err, '');
  for (const name of COMMANDS) assert.match(out, new RegExp(`^  ${name} `, 'm'));
});

for (const name of COMMANDS) {
  test(`${name} --help has an example`, async () => {
    const { code, out } = await cli(name, '--help');
    assert.equal(code, 0);
    assert.match(out, new RegExp(`Example:\\n  wasm-ai ${name} `));
    assert.match(out, /--json/);
  });
}

test('the version is the one of wasmai.h, also from another folder', (t) => {
  const header = readFileSync(new URL('../../core/include/wasmai.h', import.meta.url), 'utf8');
  const script = new URL('../../harness/cli.mjs', import.meta.url).pathname;
  const out = execFileSync(process.execPath, [script, '--version'], { cwd: folderFor(t) });
  assert.equal(String(out).trim(), /WAI_VERSION +"(.*)"/.exec(header)?.[1]);
});

test('a bad command line has code 2 and a suggestion', async () => {
  /** @type {any[]} */
  const rows = [
    [['complie', 'a.onnx'], /unknown command 'complie'\n\(Did you mean compile\?\)/],
    [
      ['compile', '--optimise', 'a.onnx'],
      /unknown option '--optimise'\n\(Did you mean --optimize\?\)/,
    ],
    [['compile'], /missing required argument 'model'/],
    [['compile', 'a', 'b'], /too many arguments/],
    [['run', 'a.wai', '--input'], /argument missing/],
    [[], /Usage: wasm-ai/],
  ];
  for (const [argv, message] of rows) {
    const { code, out, err } = await cli(...argv);
    assert.equal(code, 2, argv.join(' '));
    assert.equal(out, '');
    assert.match(err, message);
  }
});

test('bad input has code 1, one line, and writes nothing', async (t) => {
  const folder = folderFor(t);
  const model = join(folder, 'm.onnx');
  const out = join(folder, 'm.wai');
  writeFileSync(model, addRelu());
  /** @type {any[]} */
  const rows = [
    [
      ['compile', join(folder, 'absent.onnx')],
      /ARGUMENT: .*absent\.onnx: cannot read: no such file/,
    ],
    [['compile', folder], /this is a folder/],
    [
      ['compile', model, '--quantize', 'int8'],
      /UNSUPPORTED: quantize: int8 is not in this version/,
    ],
    [['compile', model, '--calibrate', folder], /UNSUPPORTED: --calibrate/],
    [
      ['compile', model, '--sign', join(folder, 'key.pem')],
      /ARGUMENT: .*key\.pem: cannot read: no such file/,
    ],
    [['compile', model, '--dim', 'batch=8..1'], /dim batch: .* range such as 1\.\.512, not 8\.\.1/],
    [['compile', model, '--dim', 'batch'], /ARGUMENT: --dim batch: write it as/],
    [['compile', model, '--dim', 'batch=x'], /"x" is neither a whole number nor a range/],
    [['compile', model, '--dim', 'batch=4294967296'], /must be a whole number from 0/],
    [['compile', model, '--dim', 'a=1', '--dim', 'a=2'], /a is given twice/],
    [['compile', model, '--max-heap', '1.5'], /ARGUMENT: --max-heap: must be whole MiB/],
    [['compile', model, '-o', model], /this would overwrite the model/],
    [
      ['build', '--secure', '--origin', 'http://example.org/'],
      /--origin: must be the https address/,
    ],
    [['build', '--secure', '--origin', 'https://example.org/;script-src *'], /--origin: must be/],
    [['build', '--origin', 'https://example.org/'], /only the policy of --secure names addresses/],
    [['run', model, '--input', 'zeros'], /this is an ONNX file; compile it first/],
    [['run', out, '--variant', 'fast'], /ARGUMENT: --variant: must be relaxed or simd, not "fast"/],
    [['run', out, '--threads', '17'], /ARGUMENT: --threads: must be a whole number 1 to/],
    [['run', out, '--threads', '2', '--runner', 'native'], /UNSUPPORTED: --threads 2/],
    [['run', out, '--repeat', '0'], /ARGUMENT: --repeat: must be a whole number 1 to/],
    [['inspect', join(folder, 'absent.wai')], /no such file/],
    [['check', join(folder, 'absent.onnx')], /no such file/],
  ];
  for (const [argv, message] of rows) {
    const { code, out: stdout, err } = await cli(...argv);
    assert.equal(code, 1, `${argv.join(' ')}: ${err}`);
    assert.equal(stdout, '');
    assert.match(err, ONE_LINE);
    assert.match(err, message);
    assert.deepEqual(filesOf(folder), ['m.onnx']);
  }
});

test('an unknown runner is refused with a suggestion', async (t) => {
  const file = join(folderFor(t), 'm.wai');
  writeFileSync(file, 'x');
  assert.match((await cli('run', file, '--runner', 'nod')).err, /did you mean node\?/);
  assert.match(
    (await cli('run', file, '--runner', 'safari')).err,
    /use node, native, chromium, firefox, webkit/,
  );
});

test('--json prints an error as one JSON value too', async () => {
  const { code, out, err } = await cli('inspect', '/absent.wai', '--json');
  assert.equal(code, 1);
  assert.match(err, ONE_LINE);
  assert.deepEqual(JSON.parse(out), {
    error: { code: 'ARGUMENT', where: '/absent.wai', message: 'cannot read: no such file' },
  });
});

test('settings: flags over environment over file', (t) => {
  const cwd = folderFor(t);
  writeFileSync(
    join(cwd, 'wasm-ai.config.json'),
    '{"MAX_HEAP_SIZE": 64, "MEMORY_HARDENING": true}',
  );
  assert.deepEqual(readConfig({}, { cwd, env: {} }), { MAX_HEAP_SIZE: 64, MEMORY_HARDENING: true });
  assert.equal(readConfig({}, { cwd, env: { MAX_HEAP_SIZE: '128' } }).MAX_HEAP_SIZE, 128);
  const all = readConfig({ MAX_HEAP_SIZE: '256' }, { cwd, env: { MAX_HEAP_SIZE: '128' } });
  assert.equal(all.MAX_HEAP_SIZE, 256);
  assert.equal(readConfig({}, { cwd, env: { MEMORY_HARDENING: 'false' } }).MEMORY_HARDENING, false);
});

test('settings that are not understood are refused by name', (t) => {
  const cwd = folderFor(t);
  const file = join(cwd, 'wasm-ai.config.json');
  /** @type {any[]} */
  const rows = [
    ['{"MAX_HEAP": 64}', /wasm-ai.config.json: unknown setting "MAX_HEAP"/],
    ['{"MAX_HEAP_SIZE": "lots"}', /MAX_HEAP_SIZE: must be whole MiB/],
    ['{"MAX_HEAP_SIZE": 5000}', /must be whole MiB, 1 to 4096, not 5000/],
    ['{"MEMORY_HARDENING": 3}', /must be true or false/],
    ['{', /is not JSON/],
    ['[]', /must be one JSON object/],
  ];
  for (const [text, message] of rows) {
    writeFileSync(file, text);
    assert.throws(() => readConfig({}, { cwd, env: {} }), message);
  }
  writeFileSync(file, '{}');
  const env = { MAX_HEAP_SIZE: 'x' };
  assert.throws(() => readConfig({}, { cwd, env }), /environment MAX_HEAP_SIZE: must be whole MiB/);
});
