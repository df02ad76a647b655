// keygen: an Ed25519 key pair, or a key to encrypt with.
import { makeEncryptionKey } from '../encryption.mjs';
import { makeKeys } from '../signing.mjs';

export const name = 'keygen';
export const summary = 'make keys to sign or to encrypt packages with';
export const description =
  'Make an Ed25519 key pair: NAME.pem signs and stays secret (mode 0600), NAME.pub.pem checks and ' +
  'goes into pages. With --encryption: NAME.jwk, one secret key to encrypt packages with, which a server ' +
  'gives to those who may run them. A file that is there is never overwritten.';
export const example = `wasm-ai keygen -o release
wasm-ai compile model.onnx --sign release.pem
wasm-ai keygen --encryption -o customer`;

export function configure(command) {
  command
    .option('--encryption', 'a key to encrypt packages with, instead of a pair to sign with')
    .option('-o, --output <name>', 'name of the files', 'wasm-ai-key');
}

export async function run(_args, options, io) {
  const output = options.output ?? 'wasm-ai-key';
  if (options.encryption) return encryptionKey(output, io);
  const made = await makeKeys(output);
  io.json(made);
  io.out(`private key  ${made.privateFile}
public key   ${made.publicFile}
key id       ${made.keyId}`);
  io.talk(
    `Keep ${made.privateFile} secret, and a copy of it in a safe place; pages get the text of ` +
      `${made.publicFile}: load(url, { publicKey: await importPublicKey(text) }).`,
  );
}

async function encryptionKey(output, io) {
  const made = await makeEncryptionKey(output);
  io.json(made);
  io.out(`key     ${made.keyFile}
key id  ${made.keyId}`);
  io.talk(
    `Who has ${made.keyFile} can read what it encrypts. Pages get it from a server that knows who ` +
      'asks: load(url, { decryptionKey: await importDecryptionKey(text) }).',
  );
}
