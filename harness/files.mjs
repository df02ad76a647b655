// Reading and writing whole files with errors that name the file.
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { WasmAIError } from '../web/errors.js';

const REASONS = {
  ENOENT: 'no such file',
  EISDIR: 'this is a folder, not a file',
  ENOTDIR: 'a part of the path is not a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
  ERR_FS_FILE_TOO_LARGE: 'the file is larger than 2 GiB',
};

/** A system error as a WasmAIError that names `path`. */
export function fileError(path, error, doing) {
  const reason =
    error.code === 'ENOENT' && doing !== 'read'
      ? 'there is no such folder'
      : (REASONS[error.code] ?? error.message);
  return new WasmAIError('ARGUMENT', path, `cannot ${doing}: ${reason}`);
}

/** @param {string} path @returns {Promise<Uint8Array>} */
export async function readBytes(path) {
  try {
    const buffer = await readFile(path);
    return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  } catch (error) {
    throw fileError(path, error, 'read');
  }
}

/** @param {string} path */
export function isFolder(path) {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // reading it as a file says why
  }
}

/** Write to a temporary name and rename: the file is whole or not there. */
export async function writeWhole(path, bytes) {
  const temporary = join(
    dirname(path),
    `.${basename(path)}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`,
  );
  try {
    await writeFile(temporary, bytes, { flag: 'wx' });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw fileError(path, error, 'write');
  }
}

export async function makeFolder(path) {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw fileError(path, error, 'make the folder');
  }
}

/** A tensor's name as a file name. */
export function safeName(name) {
  return name.replace(/[^A-Za-z0-9._-]/g, '_');
}
