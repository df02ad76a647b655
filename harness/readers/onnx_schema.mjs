// The part of onnx.proto that the command line reads, for protobufjs. Fields
// that are not listed (most attributes, subgraphs, metadata) are skipped unread.
// Numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
import protobuf from 'protobufjs/light.js';

const one = (id, type) => ({ id, type });
const many = (id, type, packed) => ({
  id,
  type,
  rule: 'repeated',
  ...(packed === undefined ? {} : { options: { packed } }),
});

const SCHEMA = {
  nested: {
    OperatorSet: { fields: { domain: one(1, 'string'), version: one(2, 'int64') } },
    StringEntry: { fields: { key: one(1, 'string'), value: one(2, 'string') } },
    Tensor: {
      fields: {
        dims: many(1, 'int64', true),
        dataType: one(2, 'int32'),
        floatData: many(4, 'float', true),
        int32Data: many(5, 'int32', true),
        stringData: many(6, 'bytes'),
        int64Data: many(7, 'int64', true),
        name: one(8, 'string'),
        rawData: one(9, 'bytes'),
        doubleData: many(10, 'double', true),
        uint64Data: many(11, 'uint64', true),
        externalData: many(13, 'StringEntry'),
        dataLocation: one(14, 'int32'),
      },
    },
    Sequence: { fields: { tensorValues: many(3, 'Tensor') } },
    Optional: { fields: { tensorValue: one(3, 'Tensor'), sequenceValue: one(5, 'Sequence') } },
    // A oneof, so that a size of 0 differs from no size.
    Dimension: {
      oneofs: { value: { oneof: ['dimValue', 'dimParam'] } },
      fields: { dimValue: one(1, 'int64'), dimParam: one(2, 'string') },
    },
    Shape: { fields: { dim: many(1, 'Dimension') } },
    TensorType: { fields: { elemType: one(1, 'int32'), shape: one(2, 'Shape') } },
    Held: { fields: { elemType: one(1, 'Type') } },
    Type: {
      fields: {
        tensorType: one(1, 'TensorType'),
        sequenceType: one(4, 'Held'),
        optionalType: one(9, 'Held'),
      },
    },
    ValueInfo: { fields: { name: one(1, 'string'), type: one(2, 'Type') } },
    Attribute: {
      fields: {
        name: one(1, 'string'),
        floatValue: one(2, 'float'),
        intValue: one(3, 'int64'),
        tensorValue: one(5, 'Tensor'),
        intValues: many(8, 'int64'),
        type: one(20, 'int32'),
      },
    },
    Node: {
      fields: {
        attribute: many(5, 'Attribute'),
        input: many(1, 'string'),
        output: many(2, 'string'),
        name: one(3, 'string'),
        opType: one(4, 'string'),
        domain: one(7, 'string'),
      },
    },
    Graph: {
      fields: {
        node: many(1, 'Node'),
        name: one(2, 'string'),
        initializer: many(5, 'Tensor'),
        input: many(11, 'ValueInfo'),
        output: many(12, 'ValueInfo'),
      },
    },
    Model: {
      fields: {
        irVersion: one(1, 'int64'),
        producerName: one(2, 'string'),
        producerVersion: one(3, 'string'),
        graph: one(7, 'Graph'),
        opsetImport: many(8, 'OperatorSet'),
      },
    },
  },
};

const root = protobuf.Root.fromJSON(SCHEMA);

export const Sequence = root.lookupType('Sequence');
export const Optional = root.lookupType('Optional');
export const Tensor = root.lookupType('Tensor');
export const Model = root.lookupType('Model');
