// The runtime wasm in this process under strain: at other addresses, in memory and on a stack full of
// garbage, behind a run with other inputs, and with NaNs of every kind in its inputs. Outputs must be the same to the bit: of what a run
// gives nothing may depend on where it lies, on what was there before, or on sign and payload of a NaN,
// which WebAssembly leaves to the engine.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { arrayFromBytes, bytesOf, dtypeByName, dtypeByNumber } from '../../../harness/dtypes.mjs';
import { PAGE_SIZE, readCertificate } from '../../../web/certificate.js';

const RUNTIME = new URL('../../../build/wasm/runtime-simd.wasm', import.meta.url);
const [HEADER_WORDS, SLOT_WORDS] = [3, 30];
const [DTYPE, RANK, DIMS, POINTER] = [2, 3, 4, 12];
const STACK_SIZE = 262144;
const SHIFT = 3 * 4096 + 64; // no multiple of a page

/** Where and in what a run takes place. @typedef {{ shift: number, garbage: number, hardened?: boolean }} Ground */
const CLEAN = { shift: 64, garbage: 0 };
/** @type {Ground[]} */
const OTHERS = [
  { shift: SHIFT, garbage: 0xff },
  { shift: 7 * SHIFT, garbage: 0x5a, hardened: true },
];

/** By dtype: the NaN that outputs have, and others. @type {Record<string, bigint[]>} */
const NANS = {
  float32: [0x7fc00000n, 0xffc00000n, 0xff812345n],
  float64: [0x7ff8000000000000n, 0xfff8000000000000n, 0xfff0000012345678n],
  float16: [0x7e00n, 0xfe00n, 0xfc01n],
  bfloat16: [0x7fc0n, 0xffc0n, 0xff81n],
  float8e4m3fn: [0x7fn, 0xffn],
  float8e5m2: [0x7fn, 0xfen, 0x7dn],
};

/** @returns {Promise<import('./index.mjs').Place>} */
export async function open() {
  const module = new WebAssembly.Module(readFileSync(RUNTIME));
  return {
    async run({ bytes, feeds }) {
      const outputs = attempt(module, bytes, feeds, CLEAN);
      for (const ground of OTHERS)
        compare(`at ${ground.shift}`, outputs, attempt(module, bytes, feeds, ground));
      const before = feeds.map(([name, tensor]) => [name, withNans(tensor, 2, 0)]);
      const second = attempt(module, bytes, feeds, CLEAN, before);
      if (second.failed !== UNSEEN) compare('behind another run', outputs, second);
      for (const share of [1, 3]) compareNans(module, bytes, feeds, share);
      if (outputs.failed) throw new Error(outputs.failed);
      return outputs.tensors;
    },
    async close() {},
  };
}

/** Every `share`-th number of the inputs as the one NaN, then as others. */
function compareNans(module, bytes, feeds, share) {
  const kinds = feeds.map(([, { dtype }]) => NANS[dtype]?.length ?? 1);
  const most = Math.max(1, ...kinds);
  let first;
  for (let kind = 0; kind < most; kind++) {
    const strained = feeds.map(([name, tensor]) => [name, withNans(tensor, share, kind)]);
    const outputs = attempt(module, bytes, strained, CLEAN);
    first ??= outputs;
    compare(`with NaN ${kind} in every element of ${share}`, first, outputs);
  }
}

function withNans(tensor, share, kind) {
  const nans = NANS[tensor.dtype];
  if (!nans) return tensor;
  const data = bytesOf(tensor.data).slice();
  const { BYTES_PER_ELEMENT: size } = dtypeByName(tensor.dtype).array;
  const bits = Buffer.alloc(8);
  bits.writeBigUInt64LE(nans[kind % nans.length]);
  for (let at = 0; at < data.length; at += size * share) data.set(bits.subarray(0, size), at);
  return { ...tensor, data: arrayFromBytes(dtypeByName(tensor.dtype), data) };
}

/** @typedef {{ failed: string, tensors: Record<string, import('./index.mjs').HostTensor> }} Outcome */

/** @param {string} how @param {Outcome} want @param {Outcome} have */
function compare(how, want, have) {
  assert.equal(have.failed, want.failed, how);
  for (const [name, { data }] of Object.entries(want.tensors)) {
    const [a, b] = [data, have.tensors[name].data].map((one) => Buffer.from(bytesOf(one)));
    if (a.equals(b)) continue;
    const at = a.findIndex((byte, i) => byte !== b[i]);
    assert.fail(`${how}: output ${name} differs at byte ${at} of ${a.length} and ${b.length}`);
  }
}

/** The run before failed: the next one is never done. */
const UNSEEN = 'an earlier run failed: close the session';

/**
 * @param {WebAssembly.Module} module @param {Uint8Array} pack @param {any[]} feeds @param {Ground} ground
 * @param {any[] | null} before  feeds of a run before it
 * @returns {Outcome}
 */
function attempt(module, pack, feeds, { shift, garbage, hardened = false }, before = null) {
  const { peakSize } = readCertificate(pack, 'package');
  const pages = Math.ceil((peakSize + shift) / PAGE_SIZE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const wasm = /** @type {any} */ (new WebAssembly.Instance(module, { env: { memory } }).exports);
  const all = new Uint8Array(memory.buffer);
  all.fill(garbage, 0, STACK_SIZE);
  if (hardened) wasm.wai_glue_harden(garbage, shift, 1);
  all.fill(garbage, wasm.wai_glue_alloc(shift));
  const at = wasm.wai_glue_alloc(pack.length);
  all.set(pack, at);
  let status = wasm.wai_glue_open(at, pack.length);
  const io = wasm.wai_glue_io() / 4;
  const words = new Uint32Array(memory.buffer);
  for (const fed of status === 0 ? [...(before ? [before] : []), feeds] : []) {
    for (let i = 0; i < words[io + 1]; i++)
      write(words, all, io + HEADER_WORDS + i * SLOT_WORDS, fed);
    status = wasm.wai_glue_run();
  }
  if (status !== 0) return { failed: textAt(all, wasm.wai_glue_diag() + 144), tensors: {} };
  const tensors = Array.from({ length: words[io + 2] }, (_, i) =>
    read(words, all, io + HEADER_WORDS + (words[io + 1] + i) * SLOT_WORDS),
  );
  return { failed: '', tensors: Object.fromEntries(tensors) };
}

const nameAt = (words, all, slot) => textAt(all, words[slot], words[slot + 1]);

function textAt(all, at, size = all.indexOf(0, at) - at) {
  return new TextDecoder().decode(all.subarray(at, at + size));
}

function write(words, all, slot, feeds) {
  const name = nameAt(words, all, slot);
  const [, tensor] = feeds.find(([fed]) => fed === name);
  all.set(bytesOf(tensor.data), words[slot + POINTER]);
}

function read(words, all, slot) {
  const { name: dtype } = /** @type {any} */ (dtypeByNumber(words[slot + DTYPE]));
  const dims = [...words.subarray(slot + DIMS, slot + DIMS + words[slot + RANK])];
  const row = dtypeByName(dtype);
  const size = dims.reduce((product, dim) => product * dim, row.array.BYTES_PER_ELEMENT);
  const start = words[slot + POINTER];
  const data = arrayFromBytes(row, all.slice(start, start + size));
  return [nameAt(words, all, slot), { dtype, dims, data }];
}
