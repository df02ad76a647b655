// Settings: flags over environment over wasm-ai.config.json.
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { WasmAIError } from '../web/errors.js';
import { isVariant, variantNames } from '../web/variants.js';

export const CONFIG_FILE = 'wasm-ai.config.json';

// One row per setting; environment variables have the same names.
const SETTINGS = {
  MAX_HEAP_SIZE: { parse: parseMebibytes, about: 'largest WebAssembly.Memory, MiB' },
  MEMORY_HARDENING: { parse: parseSwitch, about: 'hardened memory in the runtime' },
  VARIANT: { parse: parseVariant, about: 'of the runtime: simd or relaxed' },
};

/** MiB as a whole number 1..4096 @param {unknown} value @param {string} where */
export function parseMebibytes(value, where) {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > 4096) {
    throw new WasmAIError('ARGUMENT', where, `must be whole MiB, 1 to 4096, not ${show(value)}`);
  }
  return number;
}

function parseSwitch(value, where) {
  if (value === true || value === 'true' || value === '1') return true;
  if (value === false || value === 'false' || value === '0') return false;
  throw new WasmAIError('ARGUMENT', where, `must be true or false, not ${show(value)}`);
}

/** @returns {import('../web/variants.js').VariantName} */
function parseVariant(value, where) {
  if (isVariant(value)) return value;
  throw new WasmAIError(
    'ARGUMENT',
    where,
    `must be ${variantNames.join(' or ')}, not ${show(value)}`,
  );
}

function show(value) {
  return JSON.stringify(value) ?? String(value);
}

function readFileSettings(path) {
  if (!existsSync(path)) return {};
  let parsed;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new WasmAIError('ARGUMENT', CONFIG_FILE, `is not JSON: ${error.message}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new WasmAIError('ARGUMENT', CONFIG_FILE, 'must be one JSON object');
  }
  for (const key of Object.keys(parsed)) {
    if (!Object.hasOwn(SETTINGS, key)) {
      const known = Object.keys(SETTINGS).join(', ');
      throw new WasmAIError('ARGUMENT', CONFIG_FILE, `unknown setting "${key}"; known: ${known}`);
    }
  }
  return parsed;
}

/**
 * @param {{MAX_HEAP_SIZE?: string, MEMORY_HARDENING?: string, VARIANT?: string}} flags  given on the command line
 * @param {{cwd?: string, env?: Record<string, string | undefined>}} [from]
 * @returns {{MAX_HEAP_SIZE?: number, MEMORY_HARDENING?: boolean, VARIANT?: import('../web/variants.js').VariantName}}
 */
export function readConfig(flags = {}, { cwd = process.cwd(), env = process.env } = {}) {
  const file = readFileSettings(resolve(cwd, CONFIG_FILE));
  const result = {};
  for (const [key, { parse }] of Object.entries(SETTINGS)) {
    if (flags[key] !== undefined) {
      result[key] = parse(flags[key], `--${FLAG_NAMES[key]}`);
    } else if (env[key] !== undefined && env[key] !== '') {
      result[key] = parse(env[key], `environment ${key}`);
    } else if (file[key] !== undefined) {
      result[key] = parse(file[key], `${CONFIG_FILE} ${key}`);
    }
  }
  return result;
}

const FLAG_NAMES = {
  MAX_HEAP_SIZE: 'max-heap',
  MEMORY_HARDENING: 'memory-hardening',
  VARIANT: 'variant',
};
