// A session in the sandboxed frame does what it does in a worker: the same tests again.
process.env.WASM_AI_TEST_ISOLATION = 'frame';
await import('./session.test.mjs');
await import('./chaos.test.mjs');
