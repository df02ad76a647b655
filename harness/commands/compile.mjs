// compile MODEL.onnx: ONNX to a package.
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { WasmAIError } from '../../web/errors.js';
import { readConfig } from '../config.mjs';
import { encryptionKeyId, encryptPackage, readEncryptionKey } from '../encryption.mjs';
import { readBytes, writeWhole } from '../files.mjs';
import { compile } from '../index.mjs';
import { bytesText, tableText } from '../io.mjs';
import { nameToSign, readPrivateKey, signFile } from '../signing.mjs';
import { collect, parseDims, refuseLater, signedVersion, wholeNumber } from './options.mjs';

export const name = 'compile';
export const summary = 'compile an ONNX model to a package';
export const description = `Compile an ONNX model (opsets 7 to 21) to a .wai package: one file with the plan,
the packed weights, a certificate of its memory and of the fuel of one inference, and golden outputs
for \`verify --self-test\`.`;
export const example = `wasm-ai compile mobilenet.onnx -o mobilenet.wai --optimize --dim batch=1
wasm-ai compile model.onnx --max-heap 128 --json`;

const LATER = {
  calibrate: 'it belongs to --quantize int8',
};

export function configure(command) {
  command
    .argument('<model>', 'ONNX file')
    .option('-o, --output <file>', 'package to write (default: MODEL.wai in this folder)')
    .option('--optimize', 'all graph passes: folding, fusion, channels-last layout')
    .option(
      '--secure',
      'today: recorded in the report only; packages always run on the deterministic runtime with memory ' +
        'fixed by the certificate, and `build --secure` meters and hardens it',
    )
    .option('--dim <name=N>', 'a symbolic dim: name=8, name=1..8 or input[axis]=8; repeat', collect)
    .option(
      '--max-iterations <N>',
      'of loops whose count only a run knows; a run that wants more fails (default: 32)',
    )
    .option('--max-heap <MiB>', 'refuse a model that needs more memory (also MAX_HEAP_SIZE)')
    .option(
      '--quantize <type>',
      'f16: round weights to float16, half the package, more peak memory (int8 and int4 are not in this version)',
    )
    .option(
      '--winograd <tile>',
      "3x3 convolutions by Winograd's method, with --optimize: auto (where it is faster), off, or 2 or 4 for all " +
        'of them in tiles of that size; results differ in their last bits (default: auto)',
    )
    .option('--calibrate <dir>', 'not in this version')
    .option('--sign <key>', 'sign the package (to OUT.wai.jws) with this private key, PEM')
    .option('--signed-version <N>', 'of the signature, only grows (default: the time)')
    .option(
      '--encrypt <keyfile>',
      'encrypt the package with this key, from `wasm-ai keygen --encryption`',
    );
}

export async function run([model], options, io) {
  refuseLater(options, LATER);
  const dims = parseDims(options.dim);
  const maxIterations =
    options.maxIterations && wholeNumber(options.maxIterations, '--max-iterations', 1, 1024);
  const config = readConfig({ MAX_HEAP_SIZE: options.maxHeap });
  const version = signedVersion(options.signedVersion);
  const key = options.sign ? await readPrivateKey(options.sign, io.talk) : null;
  const secret = options.encrypt ? await readEncryptionKey(options.encrypt, io.talk) : null;
  const output = options.output ?? `${basename(model).replace(/\.onnx$/i, '')}.wai`;
  if (resolve(output) === resolve(model)) {
    throw new WasmAIError('ARGUMENT', output, 'this would overwrite the model');
  }

  const bar = io.progress('compiling', 3);
  try {
    const onnx = await readBytes(model);
    bar.update(1, `${basename(model)}, ${bytesText(onnx.length)}`);
    const { bytes: plain, report } = await compile(onnx, {
      optimize: options.optimize,
      secure: options.secure,
      quantize: options.quantize,
      winograd: /^[24]$/.test(options.winograd) ? Number(options.winograd) : options.winograd,
      dims,
      maxIterations,
      maxHeapMB: config.MAX_HEAP_SIZE,
    });
    const bytes = secret ? encryptPackage(plain, secret) : plain;
    bar.update(2, `writing ${bytesText(bytes.length)}`);
    await writeWhole(output, bytes);
    const signature =
      key && signFile(bytes, { kind: 'package', name: nameToSign(output), key, version });
    if (signature) await writeWhole(`${output}.jws`, signature.text);
    bar.done();
    print(output, report, { signature, encryption: secret && encryptionKeyId(secret) }, io);
  } finally {
    bar.done();
  }
}

function print(output, report, { signature, encryption }, io) {
  if (!signature && existsSync(`${output}.jws`))
    io.talk(`note: ${output}.jws is from before; \`wasm-ai sign\` makes it anew`);
  for (const { name: dim, value, bound } of report.dims) {
    if (!bound)
      io.talk(
        `note: dim ${dim} is not given and is ${value}; set it with --dim ${dim}=N or MIN..MAX`,
      );
  }
  for (const { name: loop, iterations } of report.loops) {
    io.talk(
      `note: loop ${loop} may run ${iterations} times at most, and fails a run that wants more; ` +
        'set that with --max-iterations N',
    );
  }
  if (report.fuelNote)
    io.talk(
      `note: fuel per inference is not known (${report.fuelNote}); runs have a fixed budget, or maxFuel`,
    );
  if (report.goldenNote && report.goldenNote !== report.fuelNote)
    io.talk(
      `note: there are no golden outputs (${report.goldenNote}); verify --self-test needs them`,
    );
  const { claims: signed = null, keyId = null } = signature ?? {};
  io.json({ output, ...report, signature: signed && { ...signed, keyId }, encryption });
  const rows = report.ops.map(({ op, count }) => [op, String(count)]);
  io.out(`${io.paint('bold', output)}
${tableText(rows, [1])}
operators      ${report.certificate.stepCount}
params         ${report.params}
MFLOP          ${report.mflop.toFixed(2)}
package        ${bytesText(report.packageBytes)}
peak memory    ${bytesText(report.peakBytes)}
fuel           ${report.fuelPerInference ?? 'not known'} per inference
golden         ${report.goldenCases || 'no'} ${report.goldenCases === 1 ? 'case' : 'cases'}${encryption ? `\nencrypted      for key ${encryption}` : ''}${signed ? `\nsigned         version ${signed.version}, key ${keyId}` : ''}`);
}
