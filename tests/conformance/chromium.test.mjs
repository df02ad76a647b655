// The ONNX project's tests on the shipped wasm, loader and locked worker, in Chromium.
import { testIn } from './against.mjs';

await testIn('chromium');
