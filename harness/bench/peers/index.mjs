// The peers: one row each. What they load beside the model, and the model as they want it.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WasmAIError } from '../../../web/errors.js';
import { graphOf } from './graph.mjs';

/** In a checkout; elsewhere they are where the command is called. */
const HERE = fileURLToPath(new URL('../node_modules/', import.meta.url));
export const moduleFolders = () => [HERE, join(process.cwd(), 'node_modules')];

/**
 * @typedef {object} Peer
 * @property {string} label
 * @property {boolean} [needsGraph]  runs what graph.mjs knows
 * @property {string} adapter      page/peers/NAME.js
 * @property {Record<string, string>} packages  name -> version
 * @property {(folder: (name: string) => string) => Map<string, string>} files  address -> file
 * @property {(onnx: Uint8Array, name: string) => Promise<Record<string, Uint8Array>> | Record<string, Uint8Array>} model
 */

const WANTED_ORT = ['ort.wasm.bundle.min.mjs', 'ort-wasm-simd-threaded.wasm'];

const filesOf = (folder, below, wanted = readdirSync(folder)) =>
  new Map(wanted.map((file) => [`${below}/${file}`, join(folder, file)]));

/** @type {Record<string, Peer>} */
export const PEERS = {
  'onnxruntime-web': {
    label: 'onnxruntime-web',
    adapter: 'ort',
    packages: { 'onnxruntime-web': '1.30.0' },
    files: (folder) => filesOf(join(folder('onnxruntime-web'), 'dist'), 'ort', WANTED_ORT),
    model: (onnx, name) => ({ [`${name}.onnx`]: onnx }),
  },
  tfjs: {
    label: 'tfjs-wasm',
    needsGraph: true,
    adapter: 'tfjs',
    packages: { '@tensorflow/tfjs-core': '4.22.0', '@tensorflow/tfjs-backend-wasm': '4.22.0' },
    files(folder) {
      const out = join(folder('@tensorflow/tfjs-backend-wasm'), 'wasm-out');
      return filesOf(
        out,
        'tfjs',
        readdirSync(out).filter((file) => file.endsWith('.wasm')),
      );
    },
    async model(onnx, name) {
      const { writeTfjs } = await import('./tfjs.mjs');
      const { json, weights } = writeTfjs(graphOf(onnx));
      return { [`${name}.tfjs.json`]: json, [`${name}.tfjs.bin`]: weights };
    },
  },
  litert: {
    label: 'LiteRT.js',
    needsGraph: true,
    adapter: 'litert',
    packages: { '@litertjs/core': '2.5.3', flatbuffers: '25.9.23' },
    files(folder) {
      const wasm = join(folder('@litertjs/core'), 'wasm');
      return filesOf(
        wasm,
        'litert',
        readdirSync(wasm).filter((file) => !file.includes('jspi')),
      );
    },
    async model(onnx, name) {
      const { writeTflite } = await import('./tflite.mjs');
      return { [`${name}.tflite`]: writeTflite(graphOf(onnx)) };
    },
  },
};

/** The folder of an npm package. @param {string} name */
function packageFolder(name) {
  for (const modules of moduleFolders()) {
    if (existsSync(join(modules, name, 'package.json'))) return join(modules, name);
  }
  return null;
}

/** STATE, with what to install, where a peer is not. @param {string[]} ids */
export function checkInstalled(ids) {
  checkPackages(Object.assign({}, ...ids.map((id) => PEERS[id].packages)));
}

/** @param {Record<string, string>} packages  name -> version */
export function checkPackages(packages) {
  const missing = Object.entries(packages).filter(([name]) => packageFolder(name) === null);
  if (missing.length === 0) return;
  const list = missing.map(([name, version]) => `${name}@${version}`).join(' ');
  throw new WasmAIError(
    'STATE',
    missing.map(([name]) => name).join(', '),
    `is not installed; \`npm install --no-save ${list}\`, or in a checkout \`npm ci --prefix harness/bench\``,
  );
}

/** Addresses and files that a peer's page may ask for. @param {string} id */
export const peerFiles = (id) => PEERS[id].files((name) => packageFolder(name) ?? '');

/** Name and version as installed. @param {string} id */
export function peerVersion(id) {
  const [name] = Object.keys(PEERS[id].packages);
  const file = join(packageFolder(name) ?? '', 'package.json');
  return `${PEERS[id].label} ${JSON.parse(readFileSync(file, 'utf8')).version}`;
}
