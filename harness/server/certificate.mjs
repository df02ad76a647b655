// The self-signed certificate of the local server, made once and kept.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { WasmAIError } from '../../web/errors.js';

const DAYS = 365;
const SPARE_MS = 7 * 86400 * 1000; // make a new one when it ends within a week

/** @param {string} folder a cache folder @returns {Promise<{ key: string, cert: string }>} */
export async function localCertificate(folder) {
  const keyFile = join(folder, 'localhost-key.pem');
  const certFile = join(folder, 'localhost-cert.pem');
  const kept = await readPair(keyFile, certFile);
  if (kept && isGood(kept)) return kept;

  const now = Date.now();
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    algorithm: 'sha256',
    keyType: 'ec',
    notBeforeDate: new Date(now - 3600 * 1000),
    notAfterDate: new Date(now + DAYS * 86400 * 1000),
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writePrivate(keyFile, key);
  await writePrivate(certFile, cert);
  return { key, cert };
}

/** @param {string} keyFile @param {string} certFile */
export async function givenCertificate(keyFile, certFile) {
  const read = (file) =>
    readFile(file, 'utf8').catch((error) => {
      throw new WasmAIError(
        'ARGUMENT',
        file,
        `cannot read: ${error.code === 'ENOENT' ? 'no such file' : error.message}`,
      );
    });
  return { key: await read(keyFile), cert: await read(certFile) };
}

/** SHA-256 of the public key, base64: what Chromium's --ignore-certificate-errors-spki-list takes. */
export function spkiOf(cert) {
  const spki = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' });
  return crypto.subtle.digest('SHA-256', spki).then((hash) => Buffer.from(hash).toString('base64'));
}

async function readPair(keyFile, certFile) {
  try {
    return { key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8') };
  } catch {
    return null;
  }
}

function isGood({ key, cert }) {
  try {
    const read = new X509Certificate(cert);
    return (
      read.checkPrivateKey(createPrivateKey(key)) &&
      Date.parse(read.validTo) - Date.now() > SPARE_MS
    );
  } catch {
    return false;
  }
}

async function writePrivate(file, text) {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, text, { mode: 0o600 });
  await chmod(temporary, 0o600);
  await rename(temporary, file);
}
