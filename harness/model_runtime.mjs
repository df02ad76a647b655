// Which runtime a folder gets: one that is linked for its packages, or the prebuilt one that holds
// every operator.
import { WasmAIError } from '../web/errors.js';
import { Compiler } from './compiler.mjs';
import { usesOf } from './graph_text.mjs';
import { linkModelRuntime } from './toolchain/link_runtime.mjs';

/** @typedef {import('../web/variants.js').RuntimeName} RuntimeName */

/**
 * @param {Map<string, Uint8Array>} packages  by path, for messages
 * @param {readonly RuntimeName[]} names
 * @param {Iterable<string>} [parts]  of core/ops/parts.h that they are to hold besides
 * @returns {Promise<{ files: string[], operators: string[] } | null>} a file for each; null: no toolchain is there
 */
export async function runtimesForPackages(packages, names, parts = []) {
  const uses = usesOf('');
  for (const part of parts) uses.parts.add(part);
  const compiler = await Compiler.create();
  for (const [path, bytes] of packages) {
    const { error, stages } = compiler.dump(bytes);
    if (error) throw new WasmAIError(error.code, path, error.message, { cause: error });
    for (const [kind, names] of Object.entries(usesOf(stages[0].text))) {
      for (const name of names) uses[kind].add(name);
    }
  }
  const linking = names.map((name) => linkModelRuntime(uses, name));
  const files = await Promise.all(linking).catch((error) => {
    throw new WasmAIError(
      'STATE',
      '--optimize',
      `the runtime for these models does not link (${String(error.message).trim().split('\n').pop()}): ` +
        'build without --optimize takes the prebuilt one',
      { cause: error },
    );
  });
  const linked = files.filter((file) => file !== null);
  if (linked.length < names.length) return null;
  return { files: linked, operators: [...uses.operators].sort() };
}
