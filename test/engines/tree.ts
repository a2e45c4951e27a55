// A pair of directories that look like two aux-gfid-mounts: `.gfid/<gfid>` on both sides, where the secondary's
// inodes exist already, as they do after the entry operations. Only their content and attributes are to travel.

import { mkdtempSync } from 'node:fs';
import { lstat, mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Gfid } from '../../src/protocol/gfid.js';
import type { SyncLog } from '../../src/queue/syncer.js';

export const BIN = join(import.meta.dirname, '../fixtures/bin');
export const FAKE_SSH = join(BIN, 'fake-ssh');

export class Pair {
  readonly root = mkdtempSync(join(tmpdir(), 'engine-'));
  readonly primary = join(this.root, 'primary');
  readonly secondary = join(this.root, 'secondary');
  #next = 1;

  async create(): Promise<this> {
    for (const side of [this.primary, this.secondary]) await mkdir(join(side, '.gfid'), { recursive: true });
    return this;
  }

  remove(): Promise<void> {
    return rm(this.root, { recursive: true, force: true });
  }

  newGfid(): Gfid {
    return `${(this.#next++).toString(16).padStart(8, '0')}-abcd-4000-8000-00000000000f` as Gfid;
  }

  on(side: 'primary' | 'secondary', gfid: Gfid): string {
    return join(this[side], '.gfid', gfid);
  }

  /** A file on the primary, and one with `there` (default: empty) on the secondary unless that is null. */
  async file(content: string | Buffer, there: string | Buffer | null = ''): Promise<Gfid> {
    const gfid = this.newGfid();
    await writeFile(this.on('primary', gfid), content);
    if (there !== null) await writeFile(this.on('secondary', gfid), there);
    return gfid;
  }

  async directory(): Promise<Gfid> {
    const gfid = this.newGfid();
    for (const side of ['primary', 'secondary'] as const) await mkdir(this.on(side, gfid));
    return gfid;
  }

  async sameTimes(gfid: Gfid): Promise<void> {
    for (const side of ['primary', 'secondary'] as const)
      await utimes(this.on(side, gfid), 1_700_000_000, 1_700_000_000);
  }

  read(gfid: Gfid): Promise<Buffer> {
    return readFile(this.on('secondary', gfid));
  }

  /** Whether content, mode, owner and mtime (to the microsecond) of a file agree. */
  async same(gfid: Gfid, precision: 'micro' | 'second' = 'micro'): Promise<boolean> {
    const [a, b] = await Promise.all(
      (['primary', 'secondary'] as const).map((side) => lstat(this.on(side, gfid), { bigint: true })),
    );
    if (!a || !b) return false;
    const unit = precision === 'micro' ? 1_000n : 1_000_000_000n;
    if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid || a.mtimeNs / unit !== b.mtimeNs / unit) return false;
    return a.isFile() ? (await readFile(this.on('primary', gfid))).equals(await this.read(gfid)) : true;
  }
}

export interface LogLine {
  readonly level: 'info' | 'error';
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

export class LogLines implements SyncLog {
  readonly lines: LogLine[] = [];

  info(message: string, fields: Record<string, unknown> = {}): void {
    this.lines.push({ level: 'info', message, fields });
  }

  error(message: string, fields: Record<string, unknown> = {}): void {
    this.lines.push({ level: 'error', message, fields });
  }
}
