// The instructions that the meter knows: name, form of what follows the opcode, how many values it
// takes and leaves. Anything else is refused by its number. Numbers and forms are those of
// https://webassembly.github.io/spec/core/binary/instructions.html, with sign extension, saturating
// conversion, bulk memory and 128-bit SIMD; atomics in modules of shared memory only, which are read, not
// metered. Left out on purpose: tail calls, exceptions, relaxed SIMD, references and tables (no runtime that is
// metered has them; each would need its own thought).

/** @typedef {{ name: string, form: string, takes: number, leaves: number }} Operation */

/** @type {Map<number, Operation>} */
export const operations = new Map();
export const SIMD = 0xfd00;
export const MISC = 0xfc00;
export const ATOMIC = 0x10000;

/** @param {number} base @param {string} form @param {number} takes @param {number} leaves @param {(number | [number, number])[]} codes */
function rows(base, form, takes, leaves, ...codes) {
  for (const code of codes) {
    const [first, last] = typeof code === 'number' ? [code, code] : code;
    for (let op = first; op <= last; op++) {
      const prefix =
        base === SIMD ? '0xfd ' : base === MISC ? '0xfc ' : base === ATOMIC ? '0xfe ' : '0x';
      const name = base ? `${prefix}${op}` : `${prefix}${op.toString(16)}`;
      operations.set(base + op, { name, form, takes, leaves });
    }
  }
}

export const UNREACHABLE = 0x00;
export const NOP = 0x01;
export const BLOCK = 0x02;
export const LOOP = 0x03;
export const IF = 0x04;
export const ELSE = 0x05;
export const END = 0x0b;
export const BR = 0x0c;
export const BR_IF = 0x0d;
export const BR_TABLE = 0x0e;
export const RETURN = 0x0f;
export const CALL = 0x10;
export const CALL_INDIRECT = 0x11;
export const LOCAL_GET = 0x20;
export const LOCAL_SET = 0x21;
export const LOCAL_TEE = 0x22;
export const GLOBAL_GET = 0x23;
export const GLOBAL_SET = 0x24;
export const MEMORY_GROW = 0x40;
export const I32_CONST = 0x41;
export const I64_CONST = 0x42;
export const I32_EQZ = 0x45;
export const I32_ADD = 0x6a;
export const I32_SUB = 0x6b;
export const MEMORY_INIT = MISC + 8;
export const MEMORY_COPY = MISC + 10;
export const MEMORY_FILL = MISC + 11;

/** Operations that take as long as a number on the stack says. */
export const LENGTHS = [MEMORY_GROW, MEMORY_INIT, MEMORY_COPY, MEMORY_FILL];

// Control: what they take and leave depends on types, see body.mjs.
for (const op of [BLOCK, LOOP, IF]) rows(0, 'block', 0, 0, op);
rows(0, '', 0, 0, UNREACHABLE, NOP, RETURN);
rows(0, 'index', 0, 0, BR, CALL);
rows(0, 'index', 1, 0, BR_IF);
rows(0, 'table', 1, 0, BR_TABLE);
rows(0, 'indirect', 0, 0, CALL_INDIRECT);
// Parametric, variables, memory, constants.
rows(0, '', 1, 0, 0x1a); // drop
rows(0, '', 3, 1, 0x1b); // select
rows(0, 'index', 0, 1, LOCAL_GET, GLOBAL_GET);
rows(0, 'index', 1, 0, LOCAL_SET, GLOBAL_SET);
rows(0, 'index', 1, 1, LOCAL_TEE);
rows(0, 'memarg', 1, 1, [0x28, 0x35]);
rows(0, 'memarg', 2, 0, [0x36, 0x3e]);
rows(0, 'zero', 0, 1, 0x3f);
rows(0, 'zero', 1, 1, MEMORY_GROW);
rows(0, 'i32', 0, 1, I32_CONST);
rows(0, 'i64', 0, 1, I64_CONST);
rows(0, 'f32', 0, 1, 0x43);
rows(0, 'f64', 0, 1, 0x44);
// Numeric: tests and one operand, then two operands.
rows(0, '', 1, 1, I32_EQZ, 0x50, [0x67, 0x69], [0x79, 0x7b], [0x8b, 0x91], [0x99, 0x9f]);
rows(0, '', 1, 1, [0xa7, 0xc4]);
rows(0, '', 2, 1, [0x46, 0x4f], [0x51, 0x66], [0x6a, 0x78], [0x7c, 0x8a], [0x92, 0x98]);
rows(0, '', 2, 1, [0xa0, 0xa6]);
rows(MISC, '', 1, 1, [0, 7]);
rows(MISC, 'init', 3, 0, 8);
rows(MISC, 'index', 0, 0, 9); // data.drop
rows(MISC, 'zeros', 3, 0, 10);
rows(MISC, 'zero', 3, 0, 11);
// Atomics of 32 bits: notify, wait, load, store, and what reads and writes in one.
rows(ATOMIC, 'memarg', 2, 1, 0, 0x1e, 0x25, 0x2c, 0x33, 0x3a, 0x41);
rows(ATOMIC, 'memarg', 3, 1, 1, 0x48);
rows(ATOMIC, 'memarg', 1, 1, 0x10);
rows(ATOMIC, 'memarg', 2, 0, 0x17);
// SIMD, in the order of its numbers.
rows(SIMD, 'memarg', 1, 1, [0, 10], 92, 93);
rows(SIMD, 'memarg', 2, 0, 11);
rows(SIMD, 'bytes16', 0, 1, 12);
rows(SIMD, 'bytes16', 2, 1, 13);
rows(SIMD, '', 2, 1, 14);
rows(SIMD, '', 1, 1, [15, 20]);
rows(SIMD, 'byte', 1, 1, 21, 22, 24, 25, 27, 29, 31, 33);
rows(SIMD, 'byte', 2, 1, 23, 26, 28, 30, 32, 34);
rows(SIMD, '', 2, 1, [35, 76], [78, 81], 101, 102, [107, 115], [118, 121], 123);
rows(SIMD, '', 3, 1, 82);
rows(SIMD, 'lane', 2, 1, [84, 87]);
rows(SIMD, 'lane', 2, 0, [88, 91]);
rows(SIMD, '', 1, 1, 77, 83, [94, 100], [103, 106], 116, 117, 122, [124, 129], 131, 132);
rows(SIMD, '', 1, 1, [135, 138], 148, 160, 161, 163, 164, [167, 170], 192, 193, 195, 196);
rows(SIMD, '', 1, 1, [199, 202], 224, 225, 227, 236, 237, 239, [248, 255]);
rows(SIMD, '', 2, 1, 130, 133, 134, [139, 147], [149, 153], [155, 159], [171, 174], 177);
rows(SIMD, '', 2, 1, [181, 186], [188, 191], [203, 206], 209, [213, 223], [228, 235]);
rows(SIMD, '', 2, 1, [240, 247]);
