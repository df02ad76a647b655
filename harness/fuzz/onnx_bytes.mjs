// ONNX files rewritten as bytes: what our schema does not know stays as it is.

/** A length or a field's key, as protobuf writes them: 7 bits a byte. @param {number} value @returns {number[]} */
const varint = (value) =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];

/** The number at `at`, and where it ends. @param {Uint8Array} bytes @param {number} at */
function readVarint(bytes, at) {
  let value = 0;
  for (let shift = 1; ; shift *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * shift;
    if (byte < 128 || at >= bytes.length) return { value, end: at };
  }
}

/** @typedef {{ field: number, wire: number, all: Uint8Array, body: Uint8Array, value: number }} Field */

/** The fields of a message, in their order. @param {Uint8Array} bytes @returns {Field[]} */
function fieldsOf(bytes) {
  const fields = [];
  for (let at = 0; at < bytes.length; ) {
    const key = readVarint(bytes, at);
    const wire = key.value & 7;
    const number = readVarint(bytes, key.end);
    const ends = { 0: number.end, 1: key.end + 8, 2: number.end + number.value, 5: key.end + 4 };
    const end = ends[wire] ?? bytes.length;
    fields.push({
      field: Math.floor(key.value / 8),
      wire,
      all: bytes.subarray(at, end),
      body: bytes.subarray(wire === 2 ? number.end : key.end, end),
      value: number.value,
    });
    at = end;
  }
  return fields;
}

/** @param {number} field @param {Uint8Array} body */
const message = (field, body) =>
  Buffer.concat([Uint8Array.from([...varint(field * 8 + 2), ...varint(body.length)]), body]);

/** @param {number} field @param {string} value */
const text = (field, value) => message(field, Buffer.from(value));

/** A message with every message at `path` (field numbers) replaced by what `leaf` makes of it.
 * @param {Uint8Array} bytes @param {number[]} path @param {(bytes: Uint8Array) => Uint8Array} leaf */
function rewrite(bytes, path, leaf) {
  if (path.length === 0) return leaf(bytes);
  return Buffer.concat(
    fieldsOf(bytes).map(({ field, wire, all, body }) =>
      wire === 2 && field === path[0] ? message(field, rewrite(body, path.slice(1), leaf)) : all,
    ),
  );
}

const GRAPH = 7;
const [NODE, INITIALIZER, INPUT, OUTPUT] = [1, 5, 11, 12];
const INT64 = 7;

/** Every dim from 2 to 99 of inputs and outputs as a symbol, d2 to d99: models of symbolic dims.
 * @param {Uint8Array} bytes */
export function withSymbols(bytes) {
  const dims = new Set();
  const open = (/** @type {Uint8Array} */ dim) => {
    if (dim.length !== 2 || dim[0] !== 8 || dim[1] < 2 || dim[1] > 99) return dim;
    dims.add(dim[1]);
    return text(2, `d${dim[1]}`);
  };
  const path = (/** @type {number} */ io) => [GRAPH, io, 2, 1, 2, 1]; // value info, type, tensor, shape, dim
  const inputs = rewrite(bytes, path(INPUT), open);
  return { bytes: rewrite(inputs, path(OUTPUT), open), dims: [...dims] };
}

/** One element that is not 0, of the types that ConstantOfShape takes. @type {Record<number, number[]>} */
const ELEMENTS = {
  1: [0, 0, 0x80, 0x3d],
  2: [1],
  3: [1],
  6: [1, 0, 0, 0],
  7: [1, 0, 0, 0, 0, 0, 0, 0],
  10: [0, 0x2c],
};

/** A tensor as the node that makes one of its shape, and that node's input. @param {Uint8Array} tensor */
function hollow(tensor) {
  const fields = fieldsOf(tensor);
  const name = Buffer.from(fields.find(({ field }) => field === 8)?.body ?? []).toString();
  const type = fields.find(({ field }) => field === 2)?.value ?? 0;
  const dims = fields.filter(({ field }) => field === 1);
  if (!ELEMENTS[type] || !name || dims.length === 0) return null;
  const numbers = dims.flatMap(({ wire, body, value }) => {
    if (wire !== 2) return [value];
    const list = [];
    for (let at = 0; at < body.length; ) {
      const number = readVarint(body, at);
      list.push(number.value);
      at = number.end;
    }
    return list;
  });
  const shape = Buffer.alloc(numbers.length * 8);
  for (const [i, n] of numbers.entries()) shape.writeBigInt64LE(BigInt(n), i * 8);
  const one = Buffer.concat([
    Uint8Array.from([8, 1, 16, type]),
    message(9, Buffer.from(ELEMENTS[type])),
  ]);
  const value = Buffer.concat([text(1, 'value'), message(5, one), Uint8Array.from([0xa0, 1, 4])]);
  return {
    name,
    node: message(
      NODE,
      Buffer.concat([
        text(1, `${name}/shape`),
        text(2, name),
        text(4, 'ConstantOfShape'),
        message(5, value),
      ]),
    ),
    shape: message(
      INITIALIZER,
      Buffer.concat([
        Uint8Array.from([8, ...varint(numbers.length), 16, INT64]),
        text(8, `${name}/shape`),
        message(9, shape),
      ]),
    ),
  };
}

/** A model without its weights: those above `most` bytes are made by ConstantOfShape, so that its
 * graph is as it was in a few kilobytes. @param {Uint8Array} bytes */
export function withoutWeights(bytes, most = 256) {
  return rewrite(bytes, [GRAPH], (graph) => {
    const fields = fieldsOf(graph);
    const made = new Map();
    for (const { field, body } of fields) {
      const tensor = field === INITIALIZER && body.length > most ? hollow(body) : null;
      if (tensor) made.set(tensor.name, tensor);
    }
    const nameOf = (/** @type {Uint8Array} */ body, /** @type {number} */ number) =>
      Buffer.from(fieldsOf(body).find(({ field }) => field === number)?.body ?? []).toString();
    const kept = fields.filter(
      ({ field, body }) =>
        !(field === INITIALIZER && made.has(nameOf(body, 8))) &&
        !(field === INPUT && made.has(nameOf(body, 1))),
    );
    const all = [...made.values()];
    return Buffer.concat([
      ...all.map(({ shape }) => shape),
      ...all.map(({ node }) => node),
      ...kept.map((field) => field.all),
    ]);
  });
}
