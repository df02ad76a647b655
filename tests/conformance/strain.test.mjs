// The ONNX project's tests on the shipped wasm at other addresses, in memory full of garbage, and with
// NaNs whose bits differ: the same outputs to the bit.
import { testAgainst } from './against.mjs';

await testAgainst('strain');
