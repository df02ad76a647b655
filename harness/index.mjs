// @wasm-ai/cli as a module: `const { bytes, report } = await compile(onnxBytes)`.
import { readCertificate } from '../web/certificate.js';
import { closestName, WasmAIError } from '../web/errors.js';
import { Compiler, WINOGRAD } from './compiler.mjs';
import { checkDims, dimMap } from './dims.mjs';
import { measure } from './fuel.mjs';
import { countOps } from './graph_text.mjs';

export { decryptPackage, encryptPackage } from './encryption.mjs';
export { signPackage } from './signing.mjs';
export { WasmAIError };

/**
 * @typedef {object} CompileOptions
 * @property {boolean} [optimize]  all graph passes; default false
 * @property {boolean} [secure]    only what holds under every `--secure` rule of this version
 * @property {'f16'} [quantize]    round weights to float16: half the package, and that half more peak memory
 * @property {'auto' | 'off' | 2 | 4} [winograd]  convolutions of 3x3 by Winograd's method, with optimize: where it
 *   is faster (default), nowhere, or everywhere in tiles of 2x2 or 4x4
 * @property {Record<string, number | string>} [dims]  symbolic dims: name or `input[axis]` -> 8, or
 *   '1..8' to leave it open
 * @property {number} [maxHeapMB]  refuse a package whose peak memory is above
 * @property {number} [maxIterations]  of loops whose count only a run knows, 1 to 1024; default 32.
 *   A run that wants more fails
 *
 * @typedef {object} Report
 * @property {{op: string, count: number}[]} ops  operators of the compiled graph
 * @property {number} params        weights of the source model
 * @property {number} mflop         million floating-point operations of one inference
 * @property {number} packageBytes
 * @property {number} peakBytes     linear memory of one session
 * @property {number | null} fuelPerInference  at the largest dims, on the metered runtime; null: not known
 * @property {string} fuelNote  why it is not known
 * @property {number} goldenCases  that selfTest and `verify --self-test` run
 * @property {string} goldenNote   why there are none
 * @property {{name: string, value: number, min?: number, bound: boolean}[]} dims  symbolic dims:
 *   their values, or the ends of their ranges
 * @property {{name: string, iterations: number}[]} loops  those that maxIterations bounds
 * @property {boolean} optimize
 * @property {'f16' | null} quantize
 * @property {'auto' | 'off' | 2 | 4} winograd
 * @property {boolean} secure
 * @property {import('../web/wasmai.d.ts').Certificate} certificate
 */

const KNOWN_OPTIONS = [
  'optimize',
  'secure',
  'quantize',
  'winograd',
  'dims',
  'maxHeapMB',
  'maxIterations',
];
const LATER_OPTIONS = ['calibrate'];
/** Options of the command that have functions of their own here. */
const ELSEWHERE = {
  sign: 'sign the bytes with signPackage(bytes, { key, name })',
  encrypt: 'encrypt the bytes with encryptPackage(bytes, key)',
};

/**
 * Compile one ONNX model to a package. Throws WasmAIError.
 * @param {Uint8Array | ArrayBuffer} onnx @param {CompileOptions} [options]
 * @returns {Promise<{bytes: Uint8Array, report: Report}>}
 */
export async function compile(onnx, options = {}) {
  checkOptions(options);
  const model = modelBytes(onnx);
  const dims = dimMap(options.dims);
  const compiler = await Compiler.create();
  const outcome = compiler.compile(model, {
    optimize: Boolean(options.optimize),
    quantize: options.quantize,
    winograd: options.winograd,
    maxIterations: options.maxIterations,
    maxMemory: options.maxHeapMB === undefined ? 0 : options.maxHeapMB * 1048576,
    dims,
  });
  checkDims(dims, outcome);
  if (outcome.error) throw outcome.error;
  const written = /** @type {Uint8Array} */ (outcome.bytes);
  const measured = await measure(written);
  const { fuel, why } = hasGuards(compiler, written)
    ? { fuel: 0, why: 'it depends on which branches and iterations a run takes' }
    : measured;
  const bytes = compiler.stateFuel(compiler.stateGolden(written, measured.golden), fuel);
  const dump = compiler.dump(bytes);
  if (dump.error) throw dump.error;
  return {
    bytes,
    report: {
      ...report(bytes, outcome, dump.stages[0].text, options),
      fuelNote: why,
      goldenCases: measured.cases,
      goldenNote: measured.cases ? '' : measured.why,
    },
  };
}

/** Whether some steps may be skipped: what one run takes is then no measure of the next. */
function hasGuards(compiler, bytes) {
  const { error, stages } = compiler.dump(bytes);
  if (error) throw error;
  return / if %\d+(:const)? "/.test(stages[0].text);
}

function report(bytes, outcome, text, options) {
  const certificate = readCertificate(bytes, 'package');
  return {
    ops: countOps(text),
    params: certificate.paramCount,
    mflop: certificate.flopCount / 1e6,
    packageBytes: certificate.packageSize,
    peakBytes: certificate.peakSize,
    fuelPerInference: certificate.fuel || null,
    dims: outcome.dims,
    loops: outcome.loops,
    optimize: Boolean(options.optimize),
    quantize: options.quantize ?? null,
    winograd: options.winograd ?? 'auto',
    secure: Boolean(options.secure),
    certificate,
  };
}

function checkOptions(options) {
  if (options === null || typeof options !== 'object') {
    throw new WasmAIError('ARGUMENT', 'compile', 'the options must be an object');
  }
  for (const key of Object.keys(options)) {
    if (KNOWN_OPTIONS.includes(key) || options[key] === undefined) continue;
    if (Object.hasOwn(ELSEWHERE, key)) throw new WasmAIError('UNSUPPORTED', key, ELSEWHERE[key]);
    if (LATER_OPTIONS.includes(key)) {
      throw new WasmAIError('UNSUPPORTED', key, 'not in this version; leave the option out');
    }
    const close = closestName(key, KNOWN_OPTIONS);
    const hint = close ? `did you mean ${close}?` : `known: ${KNOWN_OPTIONS.join(', ')}`;
    throw new WasmAIError('ARGUMENT', key, `there is no such option; ${hint}`);
  }
  const { quantize } = options;
  if (['int8', 'int4'].includes(quantize)) {
    throw new WasmAIError('UNSUPPORTED', 'quantize', `${quantize} is not in this version; use f16`);
  }
  if (quantize !== undefined && quantize !== 'f16') {
    throw new WasmAIError('ARGUMENT', 'quantize', `must be f16, not ${JSON.stringify(quantize)}`);
  }
  const { winograd } = options;
  if (winograd !== undefined && !WINOGRAD.has(winograd)) {
    const names = [...WINOGRAD.keys()].join(', ');
    throw new WasmAIError(
      'ARGUMENT',
      'winograd',
      `must be one of ${names}, not ${JSON.stringify(winograd)}`,
    );
  }
  const cap = options.maxHeapMB;
  if (cap !== undefined && !(Number.isInteger(cap) && cap >= 1 && cap <= 4096)) {
    throw new WasmAIError('ARGUMENT', 'maxHeapMB', `must be whole MiB, 1 to 4096, not ${cap}`);
  }
  const most = options.maxIterations;
  if (most !== undefined && !(Number.isInteger(most) && most >= 1 && most <= 1024)) {
    throw new WasmAIError('ARGUMENT', 'maxIterations', `must be whole, 1 to 1024, not ${most}`);
  }
}

function modelBytes(onnx) {
  if (onnx instanceof ArrayBuffer) return new Uint8Array(onnx);
  if (ArrayBuffer.isView(onnx)) {
    return new Uint8Array(onnx.buffer, onnx.byteOffset, onnx.byteLength);
  }
  throw new WasmAIError('ARGUMENT', 'compile', 'give the ONNX model as bytes (a Uint8Array)');
}
