// Runs a package in a headless browser as a visitor would: a folder made by
// `build`, served with its policies, and a page under the literal policy that
// loads the package into the locked worker.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorFromData, WasmAIError } from '../../web/errors.js';
import { launchBrowser } from '../browsers/index.mjs';
import { buildDist } from '../dist.mjs';
import { arrayFromBytes, bytesOf, dtypeByName } from '../dtypes.mjs';
import { serveFolder } from '../server/app.mjs';

const PACKAGE = 'package.wai';
const START_MS = 60_000;

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>wasm-ai run</title>
<script type="module" src="./runner.js"></script></head><body></body></html>
`;

// What the page does. Bytes travel as base64: text is what every driver carries.
const SCRIPT = `import { load, Tensor, WasmAIError } from './wasmai.js';
let session;
const encode = (bytes) => {
  let text = '';
  for (let i = 0; i < bytes.length; i += 32768) {
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  }
  return btoa(text);
};
const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
const ARRAYS = { float32: Float32Array, float16: globalThis.Float16Array ?? Uint16Array, float64: Float64Array,
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, int32: Int32Array,
  uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array, bool: Uint8Array,
  bfloat16: Uint16Array, float8e4m3fn: Uint8Array, float8e4m3fnuz: Uint8Array, float8e5m2: Uint8Array,
  float8e5m2fnuz: Uint8Array, uint4: Uint8Array, int4: Int8Array };
const told = (work) => async (...args) => {
  try {
    return { value: await work(...args) };
  } catch (error) {
    const ours = error instanceof WasmAIError;
    return { error: { code: ours ? error.code : 'INTERNAL', where: ours ? error.where : 'page', message: String(error.message) } };
  }
};
let feeds = {};
window.runner = {
  open: told(async (options) => {
    session = await load('./models/${PACKAGE}', options);
    return { inputs: session.inputs, outputs: session.outputs, info: session.info };
  }),
  feed: told((name, dtype, dims, text) => {
    feeds[name] = new Tensor(dtype, new ARRAYS[dtype](decode(text)), dims);
  }),
  run: told(async (repeat, carry, profile) => {
    const times = [];
    const profiles = [];
    let outputs;
    for (let i = 0; i < repeat; i++) {
      outputs = await session.run(feeds, { carry, profile });
      times.push(session.info.lastMs);
      if (profile) profiles.push(session.profile(outputs));
      for (const name of Object.keys(carry)) delete feeds[name]; // fed once
    }
    feeds = {};
    window.outputs = outputs;
    return { times, profiles, info: session.info };
  }),
  output: told((name) => {
    const { data, dims } = window.outputs[name];
    return { dims, text: encode(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) };
  }),
};
`;

/**
 * @param {import('../toolchain/browsers.mjs').BrowserName} engine
 * @param {Uint8Array} packageBytes @param {import('./index.mjs').RunnerOptions} [options]
 */
export async function openIn(engine, packageBytes, options = {}) {
  const { where = 'package', maxHeapMB, hardened, threads = 1, variant = 'simd' } = options;
  const folder = await mkdtemp(join(tmpdir(), 'wasm-ai-'));
  /** @type {(() => Promise<unknown>)[]} */
  const closers = [() => rm(folder, { recursive: true, force: true })];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const file = join(folder, PACKAGE);
    await writeFile(file, packageBytes);
    const site = join(folder, 'dist');
    await renaming(where, () => buildDist({ out: site, models: [file], maxHeapMB, hardened }));
    await writeFile(join(site, 'index.html'), PAGE);
    await writeFile(join(site, 'runner.js'), SCRIPT);
    await writeFile(join(site, 'favicon.ico'), '');
    const server = await serveFolder({ folder: site, port: 0 });
    closers.push(() => server.close());
    const browser = await launchBrowser(engine);
    closers.push(() => browser.close());
    const page = await openPage(browser, server.url);
    const call = (method, ...args) => callPage(page, method, args, where);
    const deterministic = variant === 'simd';
    let { inputs, outputs, info } = await call('open', { deterministic, threads });
    return {
      name: engine,
      inputs,
      outputs,
      get info() {
        return info;
      },
      async run(feeds, { repeat = 1, carry = {}, profile = false } = {}) {
        for (const [name, { dtype, dims, data }] of Object.entries(feeds)) {
          await call('feed', name, dtype, dims, Buffer.from(bytesOf(data)).toString('base64'));
        }
        const done = await call('run', repeat, carry, profile);
        info = done.info;
        const results = {};
        for (const { name, dtype } of outputs) {
          const { dims, text } = await call('output', name);
          const bytes = Buffer.from(text, 'base64');
          results[name] = {
            dtype,
            dims,
            data: arrayFromBytes(dtypeByName(dtype), new Uint8Array(bytes)),
          };
        }
        return { outputs: results, times: done.times, profiles: done.profiles };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

// Messages about the temporary copy speak of the user's file.
async function renaming(where, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof WasmAIError) || !error.where.endsWith(PACKAGE)) throw error;
    const message = error.message.slice(error.where.length + 2);
    throw new WasmAIError(error.code, where, message, { cause: error });
  }
}

async function openPage(browser, url) {
  const { page, complaints } = await browser.newPage();
  try {
    await page.goto(url);
    await page.waitForFunction(() => 'runner' in window, null, { timeout: START_MS });
  } catch (error) {
    const why = [error.message.split('\n')[0], ...complaints].join('; ');
    throw new WasmAIError('INTERNAL', 'page', `the loader did not start: ${why}`);
  }
  return page;
}

async function callPage(page, method, args, where) {
  const answer = await page.evaluate(
    ([name, list]) => /** @type {any} */ (window).runner[name](...list),
    [method, args],
  );
  if (answer.error === undefined) return answer.value;
  const error = errorFromData(answer.error);
  if (!error.where.endsWith(PACKAGE)) throw withoutPrefix(error, error.where);
  throw withoutPrefix(error, where);
}

// errorFromData puts `where` before a message that begins with it already.
function withoutPrefix(error, where) {
  const doubled = `${error.where}: `;
  let { message } = error;
  while (message.startsWith(doubled)) message = message.slice(doubled.length);
  return new WasmAIError(error.code, where, message);
}
