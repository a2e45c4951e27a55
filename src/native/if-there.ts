// Reads local files for callers to whom absence is a result, not an error. Paths are in the form of names.ts.

import { access, readdir, readFile } from 'node:fs/promises';
import { errnoCode } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';

/** @throws Node system errors other than ENOENT */
export async function isThere(path: string): Promise<boolean> {
  return (await absentAsNull(access(fsEncode(path)))) !== null;
}

/** @returns the file's text, null when there is no such file
 *  @throws Node system errors other than ENOENT */
export async function readTextIfExists(path: string): Promise<string | null> {
  return absentAsNull(readFile(fsEncode(path), 'utf8'));
}

/** @returns the names in the directory, none when there is no such directory
 *  @throws Node system errors other than ENOENT */
export async function namesIfExists(dir: string): Promise<string[]> {
  return ((await absentAsNull(readdir(fsEncode(dir), { encoding: 'buffer' }))) ?? []).map(fsDecode);
}

/** Resolves to null when `call` rejects with ENOENT. @throws every other error of `call` */
export async function absentAsNull<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return null;
    throw error;
  }
}
