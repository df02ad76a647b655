// inspect FILE: what a package or an ONNX file holds.
import { createHash } from 'node:crypto';
import { GOLDEN_SECTION, sectionOf } from '../../web/certificate.js';
import { checkPackage } from '../../web/chunks.js';
import { WasmAIError } from '../../web/errors.js';
import { readGolden } from '../../web/golden.js';
import { Compiler } from '../compiler.mjs';
import { checkDims, dimMap, slotText } from '../dims.mjs';
import { readPlain } from '../encryption.mjs';
import { FILL_NAMES } from '../golden.mjs';
import { countOps, slotsOf } from '../graph_text.mjs';
import { bytesText, tableText } from '../io.mjs';
import { readOnnxSummary } from '../readers/onnx.mjs';
import { collect, parseDims } from './options.mjs';

export const name = 'inspect';
export const summary = 'show what a package or an ONNX file holds';
export const example = `wasm-ai inspect model.wai
wasm-ai inspect model.onnx --stage import
wasm-ai inspect model.wai --stage package`;

export function configure(command) {
  command
    .argument('<file>', 'package (.wai) or ONNX file')
    .option(
      '--stage <name>',
      'print the graph as text: import, the name of a pass, plan, or package',
    )
    .option('--decrypt <keyfile>', 'of an encrypted package: its key')
    .option('--dim <name=N>', 'value of a symbolic dim of an ONNX file; repeat', collect);
}

export async function run([file], options, io) {
  const bytes = await readPlain(file, options.decrypt, io.talk);
  const isPackage = bytes[0] === 0x57 && bytes[1] === 0x41 && bytes[2] === 0x49;
  // What is shown must be what was made.
  const checked = isPackage ? await checkPackage(bytes, file) : null;
  const dims = parseDims(options.dim);
  if (isPackage && options.dim) {
    throw new WasmAIError(
      'ARGUMENT',
      '--dim',
      'a package has its dims already; give its ONNX file',
    );
  }
  if (options.stage !== undefined) {
    const stage = isPackage
      ? await packageStage(bytes, options.stage)
      : await onnxStage(bytes, options.stage, dimMap(dims), io);
    io.json({ file, stage: stage.name, text: stage.text });
    io.out(stage.text);
  } else if (checked) {
    await showPackage(file, bytes, checked, io);
  } else {
    showOnnx(file, bytes, io);
  }
}

async function packageText(bytes) {
  const outcome = (await Compiler.create()).dump(bytes);
  if (outcome.error) throw outcome.error;
  return outcome.stages[0];
}

async function packageStage(bytes, stage) {
  if (stage !== 'package') {
    throw new WasmAIError(
      'ARGUMENT',
      `--stage ${stage}`,
      'a package holds the stage "package" only; give its ONNX file for the others',
    );
  }
  return packageText(bytes);
}

async function onnxStage(bytes, wanted, dims, io) {
  const compiler = await Compiler.create();
  const outcome = compiler.compile(bytes, { optimize: true, stages: true, dims });
  checkDims(dims, outcome);
  if (outcome.bytes && wanted === 'package') return packageText(outcome.bytes);
  const found = outcome.stages.filter((stage) => stage.name === wanted).at(-1);
  // A stage from before the failure is what someone who debugs it wants to see.
  if (found) {
    if (outcome.error) io.talk(`note: the model does not compile: ${outcome.error.message}`);
    return found;
  }
  if (outcome.error) throw outcome.error;
  const known = [...new Set(outcome.stages.map((stage) => stage.name)).add('package')].join(', ');
  throw new WasmAIError('ARGUMENT', `--stage ${wanted}`, `there is no such stage; known: ${known}`);
}

async function showPackage(file, bytes, { certificate, head }, io) {
  const { text } = await packageText(bytes);
  const fileDigest = createHash('sha384').update(bytes).digest();
  const slots = { inputs: slotsOf(text, 'input'), outputs: slotsOf(text, 'output') };
  const ops = countOps(text);
  const golden = readGolden(sectionOf(bytes, GOLDEN_SECTION), slots.inputs, slots.outputs);
  io.json({
    file,
    kind: 'package',
    ...slots,
    ops,
    certificate,
    head,
    golden,
    integrity: `sha384-${fileDigest.toString('base64')}`,
  });
  io.out(`${io.paint('bold', file)}  WasmAI package, ${bytesText(bytes.length)}
${slotLines(slots)}
${tableText(
  ops.map(({ op, count }) => [op, String(count)]),
  [1],
)}
certificate
  package      ${bytesText(certificate.packageSize)}
  arena        ${bytesText(certificate.arenaSize)}
  state        ${bytesText(certificate.stateSize)}
  peak memory  ${bytesText(certificate.peakSize)}
  params       ${certificate.paramCount}
  MFLOP        ${(certificate.flopCount / 1e6).toFixed(2)}
  steps        ${certificate.stepCount}
  layout       ${certificate.layout}
  source       sha384 ${certificate.sourceDigest}
  fuel         ${certificate.fuel || 'not stated'}
  head         sha384 ${head}
${goldenLines(golden, slots)}
integrity      sha384-${fileDigest.toString('base64')}`);
}

/** What `verify --self-test` runs and expects. */
function goldenLines({ cases, why }, { inputs, outputs }) {
  if (cases.length === 0) return `golden         none: ${why}`;
  const dims = (slots, list) =>
    slots.map(({ name }, i) => `${name} [${list[i].join(', ')}]`).join(', ');
  const lines = cases.flatMap((one) => [
    `  ${FILL_NAMES[one.fill]}: ${dims(inputs, one.inputs)}`,
    ...outputs.map(
      ({ name }, i) =>
        `    ${name} [${one.outputs[i].dims.join(', ')}] sha384 ${one.outputs[i].sha384}`,
    ),
  ]);
  return ['golden', ...lines].join('\n');
}

function slotLines({ inputs, outputs }) {
  const line = (kind) => (slot) =>
    `${kind}  ${slot.name}  ${slot.kind ? `${slot.kind} of ` : ''}${slotText(slot)}`;
  return [...inputs.map(line('input ')), ...outputs.map(line('output'))].join('\n');
}

function showOnnx(file, bytes, io) {
  const model = readOnnxSummary(bytes, file);
  io.json({ file, kind: 'onnx', bytes: bytes.length, ...model });
  const opsets = model.opsets.map(({ domain, version }) => `${domain} ${version}`).join(', ');
  io.out(`${io.paint('bold', file)}  ONNX model, ${bytesText(bytes.length)}
producer  ${model.producer || 'unknown'}
opset     ${opsets} (IR version ${model.irVersion})
${slotLines(model)}
${tableText(
  model.ops.map(({ op, count }) => [op, String(count)]),
  [1],
)}
nodes     ${model.nodes}
params    ${model.params}`);
}
