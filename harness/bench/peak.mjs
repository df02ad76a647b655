// What the machine can do: a module whose `run(n)` does n turns of multiply-adds of four floats, into as many sums
// as registers hold, with operands that are loaded. As simd does it (multiply, then add), or fused.

const [ROWS, COLUMNS] = [6, 2];
const SUMS = ROWS * COLUMNS;
const UNROLL = 2;
const [N, P, A, B] = [0, 1, 2, 3];
const FIRST = B + COLUMNS;
const [I32, V128] = [0x7f, 0x7b];
/** Floating point operations of one turn. */
export const TURN = SUMS * UNROLL * 4 * 2;

/** @param {number} value @returns {number[]} */
const leb = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >> 7)]);
/** @param {number} id @param {number[]} body */
const section = (id, body) => [id, ...leb(body.length), ...body];
/** @param {number} local */
const get = (local) => [0x20, local];
/** @param {number} local */
const set = (local) => [0x21, local];
/** @param {number} address a local @param {number} offset */
const load = (address, offset) => [...get(address), 0xfd, 0x00, 4, ...leb(offset)];
const add = [0xfd, 0xe4, 0x01];
const multiply = [0xfd, 0xe6, 0x01];
const fused = [0xfd, 0x85, 0x02];

/** @param {boolean} relaxed */
export function peakModule(relaxed) {
  /** @param {number} b @param {number} sum */
  const step = (b, sum) =>
    relaxed
      ? [...get(A), ...get(b), ...get(sum), ...fused, ...set(sum)]
      : [...get(A), ...get(b), ...multiply, ...get(sum), ...add, ...set(sum)];
  const columns = Array.from({ length: COLUMNS }, (_, column) => B + column);
  const sums = Array.from({ length: SUMS }, (_, i) => FIRST + i);
  /** Each operand loaded serves a row or a column of sums. @param {number} at */
  const turn = (at) => [
    ...columns.flatMap((b, i) => [...load(P, at + 16 * i), ...set(b)]),
    ...Array.from({ length: ROWS }, (_, row) => [
      ...load(P, at + 16 * (COLUMNS + row)),
      ...set(A),
      ...columns.flatMap((b, i) => step(b, FIRST + row * COLUMNS + i)),
    ]).flat(),
  ];
  const loop = [
    ...[0x03, 0x40, ...get(N), 0x41, 0x30, 0x71, ...set(P)],
    ...Array.from({ length: UNROLL }, (_, i) => turn(256 * i)).flat(),
    ...[...get(N), 0x41, 1, 0x6b, 0x22, N, 0x0d, 0, 0x0b], // n -= 1; again unless 0
  ];
  const kept = [0x41, 0, ...sums.flatMap((sum, i) => [...get(sum), ...(i ? add : [])])];
  const locals = [2, 1, I32, 1 + COLUMNS + SUMS, V128];
  const body = [...locals, ...loop, ...kept, 0xfd, 0x0b, 4, ...leb(4096), 0x0b];
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [1, 3, 0x72, 0x75, 0x6e, 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}
