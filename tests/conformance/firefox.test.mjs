// The ONNX project's tests on the shipped wasm, loader and locked worker, in Firefox.
import { testIn } from './against.mjs';

await testIn('firefox');
