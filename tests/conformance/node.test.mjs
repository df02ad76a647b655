// The ONNX project's tests on the shipped wasm and loader, in Node.
import { testAgainst } from './against.mjs';

await testAgainst('node');
