// Writes the changelogs and HTIME of a plain-directory primary, as the changelog translator does. The open changelog is
// `CHANGELOG`. A rollover moves it to `YYYY/MM/DD/CHANGELOG.<seconds>` and lists it in HTIME. Invariant: a record is on
// disk when append() resolves, and a kill at any instruction loses none. The next start truncates an incomplete record, and
// lists a changelog that was moved but not listed.

import { mkdir, open, readFile, rename, rm, stat, truncate, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OPEN_CHANGELOG } from '../changelog/changelog-files.js';
import { decodeChangelog } from '../changelog/decode.js';
import { findHtimeEnd, listHtimeFiles } from '../changelog/htime.js';
import type { ChangeRecord } from '../changelog/record.js';
import { errnoCode } from '../errors.js';
import { writing } from '../native/durable-file.js';
import { namesIfExists } from '../native/if-there.js';
import { lsetxattr } from '../native/libc.js';
import { fsEncode } from '../names.js';
import { encodeRecord, CHANGELOG_HEADER } from './changelog-format.js';

const HTIME_XATTR = 'trusted.glusterfs.htime';
const CLOSED_NAME = /^CHANGELOG\.(\d+)$/;

export interface ChangelogWriterOptions {
  readonly changelogDir: string;
  readonly xattrs: 'trusted' | 'none';
}

export class ChangelogWriter {
  readonly #dir: string;
  readonly #xattrs: 'trusted' | 'none';
  #file: FileHandle | null = null;
  #htimePath = '';
  #listedCount = 0;
  #lastTime = 0;
  #pendingRecords = 0;

  constructor({ changelogDir, xattrs }: ChangelogWriterOptions) {
    this.#dir = changelogDir;
    this.#xattrs = xattrs;
  }

  /** End of the last interval, seconds since the epoch. */
  get lastTime(): number {
    return this.#lastTime;
  }

  /** Records in the open changelog. */
  get pendingRecords(): number {
    return this.#pendingRecords;
  }

  /** Continues where the last writer stopped.
   *  @param index `new`: changes since the last changelog are unknown, so a new HTIME makes consumers crawl the brick */
  async open(index: 'new' | 'continue'): Promise<void> {
    await mkdir(fsEncode(join(this.#dir, 'htime')), { recursive: true, mode: 0o700 });
    const files = await this.#htimeFiles();
    const newest = files.at(-1);
    if (newest === undefined || index === 'new') {
      if (newest !== undefined) await this.#continueHtime(newest);
      const created = Math.max(Math.floor(Date.now() / 1000), (newest?.created ?? 0) + 1, this.#lastTime);
      this.#htimePath = join(this.#dir, 'htime', `HTIME.${created}`);
      await (await open(fsEncode(this.#htimePath), 'a', 0o600)).close();
      this.#listedCount = 0;
      this.#lastTime = created;
      this.#setHtimeXattr();
    } else await this.#continueHtime(newest);
    await this.#openChangelog();
  }

  /** Records of changelogs that closed after `time`, and of the open one, in order. Call it before open(). */
  async recordsSince(time: number): Promise<ChangeRecord[]> {
    const records: ChangeRecord[] = [];
    for (const { path } of (await this.#closedChangelogs()).filter((changelog) => changelog.time > time))
      records.push(...decodeChangelog(await readFile(fsEncode(path)), path));
    records.push(...(await this.#repairOpenChangelog()));
    return records;
  }

  async append(records: readonly ChangeRecord[]): Promise<void> {
    if (records.length === 0) return;
    const file = this.#openFile();
    await writing(join(this.#dir, OPEN_CHANGELOG), async () => {
      await file.appendFile(Buffer.concat(records.map(encodeRecord)));
      await file.datasync();
    });
    this.#pendingRecords += records.length;
  }

  /** Ends the interval. An interval without changes is listed in HTIME, but has no file.
   *  Each interval ends later than every earlier one. */
  async rollover(): Promise<void> {
    const time = Math.max(Math.floor(Date.now() / 1000), this.#lastTime + 1);
    const day = join(this.#dir, new Date(time * 1000).toISOString().slice(0, 10).replaceAll('-', '/'));
    if (this.#pendingRecords === 0) {
      await this.#appendToHtime(join(day, `changelog.${time}`), time);
      return;
    }
    await this.#openFile().close();
    this.#file = null;
    const path = join(day, `${OPEN_CHANGELOG}.${time}`);
    await mkdir(fsEncode(dirname(path)), { recursive: true, mode: 0o700 });
    await rename(fsEncode(join(this.#dir, OPEN_CHANGELOG)), fsEncode(path));
    await this.#openChangelog();
    await this.#appendToHtime(path, time);
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }

  async #openChangelog(): Promise<void> {
    const path = join(this.#dir, OPEN_CHANGELOG);
    this.#pendingRecords = (await this.#repairOpenChangelog()).length;
    this.#file = await open(fsEncode(path), 'a', 0o600);
    if ((await this.#file.stat()).size === 0) await writing(path, async () => this.#file?.appendFile(CHANGELOG_HEADER));
  }

  /** Truncates an incomplete record at the end of the open changelog. @returns the complete records */
  async #repairOpenChangelog(): Promise<ChangeRecord[]> {
    const path = join(this.#dir, OPEN_CHANGELOG);
    let bytes: Buffer;
    try {
      bytes = await readFile(fsEncode(path));
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return [];
      throw error;
    }
    // Records are appended in order, so only the end can be incomplete: drop field by field until the rest decodes.
    for (let end = bytes.length; end >= CHANGELOG_HEADER.length; end = previousFieldEnd(bytes, end)) {
      const records = decodedOrNull(bytes.subarray(0, end), path);
      if (records === null) continue;
      if (end < bytes.length) await truncate(fsEncode(path), end);
      return records;
    }
    await rm(fsEncode(path), { force: true });
    return [];
  }

  /** Reads the end of HTIME, and lists the changelogs that closed later. */
  async #continueHtime(file: { path: string; created: number }): Promise<void> {
    this.#htimePath = file.path;
    await truncateIncompleteEntry(file.path);
    const end = await findHtimeEnd(join(this.#dir, 'htime'));
    this.#lastTime = end?.time ?? file.created;
    this.#listedCount = await countEntries(file.path);
    for (const { path, time } of await this.#closedChangelogs())
      if (time > this.#lastTime) await this.#appendToHtime(path, time);
    this.#setHtimeXattr();
  }

  async #appendToHtime(path: string, time: number): Promise<void> {
    const htime = await open(fsEncode(this.#htimePath), 'a');
    try {
      await writing(this.#htimePath, async () => {
        await htime.appendFile(Buffer.concat([fsEncode(path), Buffer.of(0)]));
        await htime.datasync();
      });
    } finally {
      await htime.close();
    }
    this.#listedCount += 1;
    this.#lastTime = time;
    this.#setHtimeXattr();
  }

  #setHtimeXattr(): void {
    if (this.#xattrs === 'trusted')
      lsetxattr(this.#htimePath, HTIME_XATTR, Buffer.from(`${this.#lastTime}:${this.#listedCount}\0`));
  }

  async #closedChangelogs(): Promise<{ path: string; time: number }[]> {
    const found: { path: string; time: number }[] = [];
    const visit = async (dir: string, depth: number): Promise<void> => {
      for (const name of await namesIfExists(dir)) {
        const match = depth === 3 ? CLOSED_NAME.exec(name) : null;
        if (match !== null) found.push({ path: join(dir, name), time: Number(match[1]) });
        else if (depth < 3 && /^\d+$/.test(name)) await visit(join(dir, name), depth + 1);
      }
    };
    await visit(this.#dir, 0);
    return found.sort((a, b) => a.time - b.time);
  }

  async #htimeFiles(): Promise<{ path: string; created: number }[]> {
    try {
      return await listHtimeFiles(join(this.#dir, 'htime'));
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  #openFile(): FileHandle {
    if (this.#file === null) throw new Error('changelog: not open');
    return this.#file;
  }
}

/** End of the field before the one that ends at `end`. Below the length of the header if there is none. */
function previousFieldEnd(bytes: Buffer, end: number): number {
  if (end <= CHANGELOG_HEADER.length) return 0;
  return Math.max(bytes.lastIndexOf(0, end - 2) + 1, CHANGELOG_HEADER.length);
}

function decodedOrNull(bytes: Buffer, path: string): ChangeRecord[] | null {
  try {
    return decodeChangelog(bytes, path);
  } catch {
    return null;
  }
}

async function truncateIncompleteEntry(path: string): Promise<void> {
  const { size } = await stat(fsEncode(path));
  const bytes = await readFile(fsEncode(path));
  const end = bytes.lastIndexOf(0) + 1;
  if (end < size) await truncate(fsEncode(path), end);
}

async function countEntries(path: string): Promise<number> {
  const bytes = await readFile(fsEncode(path));
  let count = 0;
  for (const byte of bytes) if (byte === 0) count += 1;
  return count;
}
