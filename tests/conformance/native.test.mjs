// The ONNX project's tests on the native compiler and runtime under ASan and UBSan.
import { existsSync } from 'node:fs';
import { testAgainst } from './against.mjs';
import { SANITIZED_COMMAND } from './places/native.mjs';

await testAgainst('native', {
  missing: !existsSync(SANITIZED_COMMAND) && 'build/native-asan/wai is not built',
});
