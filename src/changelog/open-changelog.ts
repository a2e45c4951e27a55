// Reads the open changelog of a brick while the brick writes it. GlusterFS writes each record with one write() before it
// answers the client, but a read may see half of a record. A rollover renames the open changelog and creates the next one.
// Invariant: the next changelog is not read before the consumer has the whole closed one.

import { open, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isGsyncdError } from '../errors.js';
import { absentAsNull } from '../native/if-there.js';
import { fsEncode } from '../names.js';
import { OPEN_CHANGELOG } from './changelog-files.js';
import { decodeComplete, parseHeader, type ChangelogLayout } from './decode.js';
import type { ChangeRecord } from './record.js';

/** Limit of one read. It bounds memory. */
const MAX_READ_BYTES = 1 << 20;

interface OpenFile {
  readonly file: FileHandle;
  readonly ino: bigint;
  /** The consumer's time when the file was opened, seconds. */
  readonly openedAt: number;
  layout: ChangelogLayout | null;
  /** Bytes and records that were read. */
  offset: number;
  records: number;
  isClosed: boolean;
}

export class OpenChangelog {
  readonly #path: string;
  #current: OpenFile | null = null;

  /** @param dir the changelog directory, `<brick>/.glusterfs/changelogs` */
  constructor(dir: string) {
    this.#path = join(dir, OPEN_CHANGELOG);
  }

  /** @returns the complete records since the last call. Empty if a closed changelog must be consumed first.
   *  @param consumer.time seconds: when the last changelog that the consumer has read closed
   *  @param consumer.isBehind whether there are closed changelogs that it has not read */
  async read(consumer: { time: number; isBehind: () => Promise<boolean> }): Promise<readonly ChangeRecord[]> {
    await this.#openNext(consumer);
    const current = this.#current;
    if (current === null || current.isClosed) return [];
    const { size } = await current.file.stat();
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(size - current.offset, MAX_READ_BYTES)));
    const { bytesRead } = await current.file.read(buffer, 0, buffer.length, current.offset);
    let bytes = buffer.subarray(0, bytesRead);
    if (current.layout === null) {
      const layout = headerOf(bytes, this.#path);
      if (layout === null) return [];
      current.layout = layout;
      current.offset = layout.headerBytes;
      bytes = bytes.subarray(layout.headerBytes);
    }
    const { records, length } = decodeComplete(bytes, this.#path, current.layout);
    current.offset += length;
    current.records += records.length;
    return records;
  }

  /** Called when the consumer has read the closed changelog at `path`.
   *  @returns how many of its first records read() has returned */
  async closed(path: string): Promise<number> {
    const current = this.#current;
    if (current === null || (await inodeOf(path)) !== current.ino) return 0;
    current.isClosed = true;
    return current.records;
  }

  async close(): Promise<void> {
    const current = this.#current;
    this.#current = null;
    await current?.file.close();
  }

  async #openNext({ time, isBehind }: { time: number; isBehind: () => Promise<boolean> }): Promise<void> {
    const current = this.#current;
    // The open file keeps its inode number from being used again.
    const ino = await inodeOf(this.#path);
    if (ino === null || ino === current?.ino) return;
    // If the consumer has read later changelogs, another rollover in the same second replaced this one.
    const isReplaced = current !== null && time > current.openedAt;
    if (current !== null && !current.isClosed && !isReplaced && !(await isRemovedEmpty(current))) return;
    const file = await absentAsNull(open(fsEncode(this.#path), 'r'));
    if (file === null) return;
    try {
      // A rollover adds the closed changelog to the index before it creates the next one.
      if (await isBehind()) return await file.close();
      const opened = (await file.stat({ bigint: true })).ino;
      await this.close();
      this.#current = { file, ino: opened, openedAt: time, layout: null, offset: 0, records: 0, isClosed: false };
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }
}

/** A rollover removes a changelog without records. */
async function isRemovedEmpty({ file, records }: OpenFile): Promise<boolean> {
  return records === 0 && (await file.stat()).nlink === 0;
}

function headerOf(bytes: Buffer, path: string): ChangelogLayout | null {
  try {
    return parseHeader(bytes, path);
  } catch (error) {
    if (isGsyncdError(error, 'changelog')) return null;
    throw error;
  }
}

async function inodeOf(path: string): Promise<bigint | null> {
  return (await absentAsNull(stat(fsEncode(path), { bigint: true })))?.ino ?? null;
}
