// File operations of the installer. Whole files appear by rename, so a program that starts meanwhile finds the old or
// the new one. Paths are the ASCII paths of packages.

import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, open, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoCode } from '../errors.js';
import { syncDirectory } from '../native/durable-file.js';

export async function exists(path: string): Promise<boolean> {
  return (await absentAsNull(lstat(path))) !== null;
}

export async function readIfThere(path: string): Promise<Buffer | null> {
  return absentAsNull(readFile(path));
}

/** Puts a file with exactly `mode` in place, regardless of the umask. Creates missing directories. */
export async function putFile(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await renameOnto(path, async (temp) => {
    const file = await open(temp, 'wx', mode);
    try {
      await file.writeFile(text);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
  });
}

/** Gives the file `path` the second name `other`, and replaces a file of that name. */
export async function putLink(path: string, other: string): Promise<void> {
  await renameOnto(other, (temp) => link(path, temp));
}

/** Makes `path` a symbolic link to `target`, and replaces a file of that name. Creates missing directories. */
export async function putSymlink(path: string, target: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await renameOnto(path, (temp) => symlink(target, temp));
}

/** The target of the link `path`; null when `path` is no link. */
export async function readLinkTarget(path: string): Promise<string | null> {
  return (await absentAsNull(lstat(path)))?.isSymbolicLink() === true ? absentAsNull(readlink(path)) : null;
}

/** Moves `from` over `to`. The move is on the disk when this resolves. */
export async function moveOver(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncDirectory(dirname(to));
}

export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}

async function renameOnto(path: string, make: (temp: string) => Promise<void>): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    await make(temp);
    await moveOver(temp, path);
  } finally {
    // rename(2) does nothing if both names belong to the same file, so the temporary name can remain.
    await rm(temp, { force: true });
  }
}

async function absentAsNull<T>(wanted: Promise<T>): Promise<T | null> {
  try {
    return await wanted;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ENOTDIR') return null;
    throw error;
  }
}
