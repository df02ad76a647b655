// keygen: an Ed25519 key pair.
import { makeKeys } from '../signing.mjs';

export const name = 'keygen';
export const summary = 'make a pair of keys to sign packages with';
export const description =
  'Make an Ed25519 key pair: NAME.pem signs and stays secret (mode 0600), NAME.pub.pem checks and ' +
  'goes into pages. A file that is there is never overwritten.';
export const example = `wasm-ai keygen -o release
wasm-ai compile model.onnx --sign release.pem`;

export function configure(command) {
  command.option('-o, --output <name>', 'name of the two files', 'wasm-ai-key');
}

export async function run(_args, options, io) {
  const made = await makeKeys(options.output ?? 'wasm-ai-key');
  io.json(made);
  io.out(`private key  ${made.privateFile}
public key   ${made.publicFile}
key id       ${made.keyId}`);
  io.talk(
    `Keep ${made.privateFile} secret, and a copy of it in a safe place; pages get the text of ` +
      `${made.publicFile}: load(url, { publicKey: await importPublicKey(text) }).`,
  );
}
