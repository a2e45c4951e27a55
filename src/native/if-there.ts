// Reads local files for callers to whom absence is a result, not an error. Paths are in the form of names.ts.

import { access, readFile } from 'node:fs/promises';
import { errnoCode } from '../errors.js';
import { fsEncode } from '../names.js';

/** @throws Node system errors other than ENOENT */
export async function isThere(path: string): Promise<boolean> {
  return (await absentAsNull(access(fsEncode(path)))) !== null;
}

/** @returns the file's text, null when there is no such file
 *  @throws Node system errors other than ENOENT */
export async function readTextIfExists(path: string): Promise<string | null> {
  return absentAsNull(readFile(fsEncode(path), 'utf8'));
}

/** Resolves to null when `wanted` rejects with ENOENT. @throws every other error of `wanted` */
export async function absentAsNull<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return null;
    throw error;
  }
}
