// Moves finished changelogs into `archive_<date>.tar` beside them, as the reference does. The stock daemon and this
// one can append to the same archive in turn. Invariant: a changelog is deleted only after its archive is on the disk,
// so a kill at any instruction loses none. A changelog may be in the archive twice. If a killed writer left an
// incomplete member at the end of an archive, the next append moves it to a file beside the archive.

import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pack, type Pack } from 'tar-stream';
import { errnoCode } from '../errors.js';
import { fsEncode } from '../names.js';
import { syncDirectory, writing } from '../native/durable-file.js';
import { strftime } from './strftime.js';
import { findTarEnd, rememberTarEnd } from './tar-walk.js';

/** Archives are padded to tar's usual record of 20 blocks. */
const RECORD_BYTES = 10_240;
/** tar-stream ends an archive with two blocks of zeros. */
const END_OF_TAR_BYTES = 1024;
const COPY_BYTES = 1024 * 1024;

const lastCalls = new Map<string, Promise<unknown>>();

/** Appends the files `names` of directory `dir` to its archive and removes them. Missing files are skipped. Calls for
 *  one directory run one after the other.
 *  @param format strftime form of the date in the archive's name, e.g. `%Y%m` */
export function archiveAndPurge(
  dir: string,
  names: readonly string[],
  format: string,
  date: Date = new Date(),
): Promise<void> {
  const result = (lastCalls.get(dir) ?? Promise.resolve()).then(() =>
    archive(dir, names, join(dir, `archive_${strftime(format, date)}.tar`)),
  );
  const settled = result
    .catch(() => undefined)
    .finally(() => {
      if (lastCalls.get(dir) === settled) lastCalls.delete(dir);
    });
  lastCalls.set(dir, settled);
  return result;
}

async function archive(dir: string, names: readonly string[], path: string): Promise<void> {
  const present = [...new Set(names)].map((name) => ({ name, path: join(dir, name) }));
  const first = await openFirstPresent(present);
  if (first === null) return;
  await first.file.close();
  const tar = await openForAppend(path);
  let archived: string[];
  try {
    archived = await writing(path, () => append(tar, path, present));
  } finally {
    await tar.close();
  }
  await syncDirectory(dir);
  for (const changelog of archived) await rm(fsEncode(changelog), { force: true });
}

/** @returns the paths of the changelogs that are now in the archive, on the disk. A failure leaves the archive as it
 *  was. */
async function append(tar: FileHandle, path: string, changelogs: readonly Changelog[]): Promise<string[]> {
  const start = (await tar.stat()).size;
  const archived: string[] = [];
  try {
    const packer = pack();
    const added = packFiles(packer, changelogs, archived);
    // The packer passes the failure to the loop below. Until then this handler keeps the rejection from being
    // unhandled.
    added.catch((error: unknown) => packer.destroy(error instanceof Error ? error : new Error(String(error))));
    let offset = start;
    for await (const chunk of packer as AsyncIterable<Buffer>) {
      await writeAll(tar, chunk, offset);
      offset += chunk.length;
    }
    await added;
    await tar.truncate(paddedSize(offset));
    await rememberTarEnd(tar, path, offset - END_OF_TAR_BYTES);
    await tar.sync();
    return archived;
  } catch (error) {
    await tar.truncate(start);
    await tar.truncate(paddedSize(start));
    throw error;
  }
}

function paddedSize(bytes: number): number {
  return Math.ceil(bytes / RECORD_BYTES) * RECORD_BYTES;
}

interface Changelog {
  readonly name: string;
  readonly path: string;
}

async function openFirstPresent(changelogs: readonly Changelog[]): Promise<(Changelog & { file: FileHandle }) | null> {
  for (const changelog of changelogs) {
    try {
      return { ...changelog, file: await open(fsEncode(changelog.path), 'r') };
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') throw error;
    }
  }
  return null;
}

async function packFiles(packer: Pack, changelogs: readonly Changelog[], archived: string[]): Promise<void> {
  for (const changelog of changelogs) {
    const opened = await openFirstPresent([changelog]);
    if (opened === null) continue;
    try {
      await packFile(packer, changelog.name, opened.file);
      archived.push(changelog.path);
    } finally {
      await opened.file.close();
    }
  }
  packer.finalize();
}

async function packFile(packer: Pack, name: string, file: FileHandle): Promise<void> {
  const { size, mode, mtime, uid, gid } = await file.stat();
  const stored = new Promise<void>((resolve, reject) => {
    const sink = packer.entry({ name, size, mode: mode & 0o7777, mtime, uid, gid }, (error) => {
      if (error) reject(error);
      else resolve();
    });
    const source = file.createReadStream({ autoClose: false, ...(size > 0 && { end: size - 1 }) });
    sink.on('error', reject);
    source.on('error', reject);
    source.pipe(sink);
  });
  await stored;
}

/** Opens the archive for writing and truncates it after its last whole member. */
async function openForAppend(path: string): Promise<FileHandle> {
  const file = await openOrCreate(path);
  try {
    const end = await findTarEnd(file, path);
    if (end.tail === 'garbage') await copyGarbage(path, file, end.offset);
    await file.truncate(end.offset);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(fsEncode(path), 'r+');
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
    return await open(fsEncode(path), 'wx+', 0o644);
  }
}

/** Copies everything after `offset` to `<path>.bad-<time in ms>`. The copy is on the disk when this resolves. */
async function copyGarbage(path: string, file: FileHandle, offset: number): Promise<void> {
  const garbagePath = `${path}.bad-${Date.now()}`;
  const partial = `${garbagePath}.partial`;
  const copy = await open(fsEncode(partial), 'w', 0o644);
  try {
    const buffer = Buffer.allocUnsafe(COPY_BYTES);
    for (let at = offset; ;) {
      const { bytesRead } = await file.read(buffer, 0, COPY_BYTES, at);
      if (bytesRead === 0) break;
      await writeAll(copy, buffer.subarray(0, bytesRead), at - offset);
      at += bytesRead;
    }
    await copy.sync();
  } finally {
    await copy.close();
  }
  await rename(fsEncode(partial), fsEncode(garbagePath));
  await syncDirectory(dirname(path));
}

async function writeAll(file: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
  }
}
