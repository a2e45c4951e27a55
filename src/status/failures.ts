// The failure list, `failures` in a brick's working directory: entries that could not be synced and are retried. The
// batch phases add and resolve items in memory. persist() writes the list to the disk before the stime moves past its
// items. Later batches retry the items that are due. Each item is one line with fields separated by tabs:
//   time of the last try (ISO), kind, gfid, `<parent gfid>/<name>` or nothing, number of tries, reason
// %, control characters and bytes that are not UTF-8 are written as %XX. load() moves a line that it cannot read to
// `failures.garbled` and reports it; no line is dropped.

import { appendFile, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoCode } from '../errors.js';
import { GFID_PREFIX, isGfid } from '../protocol/gfid.js';
import type { Gfid } from '../protocol/gfid.js';
import { fsDecode, fsEncode } from '../names.js';
import { replaceFile, syncDirectory, writing } from '../native/durable-file.js';

/** `meta`: owner, permissions and times. `xattrs`: xattrs and ACLs, removed ones too. A data transfer carries a
 *  removal only if the file has other xattrs. */
export type FailureKind = 'entry' | 'meta' | 'data' | 'xattrs';

export interface NewFailure {
  readonly kind: FailureKind;
  /** The inode that could not be synced. For an entry whose gfid is unknown, its parent; or the root, if a crawl
   *  skipped the entry. In the last case everything below the entry is unknown, too. */
  readonly gfid: Gfid;
  /** `.gfid/<parent>/<name>`, for kind 'entry'. */
  readonly entry?: string;
  /** Any text; kept as one line of at most 500 characters. */
  readonly reason: string;
}

export interface Failure extends NewFailure {
  /** Milliseconds since the epoch. */
  readonly lastTryMs: number;
  readonly tries: number;
}

/** Name of the list in a brick's working directory. */
export const FAILURES_FILE = 'failures';
const GARBLED_NAME = 'failures.garbled';
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 600_000;
const ANNOUNCE_AGAIN_MS = 600_000;
const MAX_REASON_CHARS = 500;
const KINDS: ReadonlySet<string> = new Set<FailureKind>(['entry', 'meta', 'data', 'xattrs']);

/** Delay before the next try when try number `tries` has failed: none at first, then 1 s, 2 s, 4 s, … 10 min. */
export function retryDelayMs(tries: number): number {
  return tries <= 1 ? 0 : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(tries - 2, 30));
}

function keyOf(kind: FailureKind, gfid: Gfid, entry: string | undefined): string {
  return kind === 'entry' && entry !== undefined ? entry : `${kind} ${gfid}`;
}

export class FailureList {
  /** Lines that load() could not read and put aside. */
  readonly garbled: readonly string[];
  readonly #path: string;
  readonly #items: Map<string, Failure>;
  #version = 0;
  #savedVersion = 0;
  #saving: Promise<void> = Promise.resolve();
  #announce: (holdsAny: boolean) => Promise<void> = () => Promise.resolve();
  /** The last announcement: whether the list held entries, and when. */
  #announced: { readonly holdsAny: boolean; readonly ms: number } | null = null;

  private constructor(path: string, items: Map<string, Failure>, garbled: readonly string[]) {
    this.#path = path;
    this.#items = items;
    this.garbled = garbled;
  }

  /** Reads the list of a working directory; a missing file is an empty list. Moves unreadable lines durably to
   *  `failures.garbled` beside it, and keeps them in `garbled`. */
  static async load(workingDir: string): Promise<FailureList> {
    const path = join(workingDir, FAILURES_FILE);
    let bytes: Buffer;
    try {
      bytes = await readFile(fsEncode(path));
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') throw error;
      return new FailureList(path, new Map(), []);
    }
    const items = new Map<string, Failure>();
    const garbled: string[] = [];
    for (const line of fsDecode(bytes).split('\n')) {
      if (line === '') continue;
      const item = parseFailureLine(line);
      if (item === null) garbled.push(line);
      else items.set(keyOf(item.kind, item.gfid, item.entry), item);
    }
    const list = new FailureList(path, items, garbled);
    if (garbled.length > 0) {
      await appendDurably(join(workingDir, GARBLED_NAME), garbled.map((line) => `${line}\n`).join(''));
      list.#version += 1;
      await list.persist();
    }
    return list;
  }

  get size(): number {
    return this.#items.size;
  }

  /** Whether the name `.gfid/<parent>/<name>` is on the list. */
  hasEntry(entry: string): boolean {
    return this.#items.has(entry);
  }

  /** Every item, in the order in which they first failed. */
  items(): Failure[] {
    return [...this.#items.values()];
  }

  /** Records a failed try: a new item, or one more try of an existing item. */
  add(failure: NewFailure, nowMs: number = Date.now()): void {
    const key = keyOf(failure.kind, failure.gfid, failure.entry);
    const reason = failure.reason.replaceAll(/\s+/g, ' ').trim().slice(0, MAX_REASON_CHARS);
    const tries = (this.#items.get(key)?.tries ?? 0) + 1;
    this.#items.set(key, { ...failure, reason, tries, lastTryMs: nowMs });
    this.#version += 1;
  }

  /** Adds an item that is in progress and has not failed. An existing item stays unchanged. */
  addPending(item: NewFailure, nowMs: number = Date.now()): void {
    if (!this.#items.has(keyOf(item.kind, item.gfid, item.entry))) this.add(item, nowMs);
  }

  /** Removes the inode's item of this kind, which is now synced. */
  resolve(kind: Exclude<FailureKind, 'entry'>, gfid: Gfid): void {
    this.#resolve(keyOf(kind, gfid, undefined));
  }

  /** Removes the items of an inode that is gone from the primary. */
  resolveGone(gfid: Gfid): void {
    for (const kind of ['meta', 'data', 'xattrs'] as const) this.resolve(kind, gfid);
  }

  /** Removes the item of the name `.gfid/<parent>/<name>`, which is on the secondary as it is on the primary. */
  resolveEntry(entry: string): void {
    this.#resolve(entry);
  }

  /** Items whose delay is over. */
  due(nowMs: number): Failure[] {
    return this.items().filter((item) => item.lastTryMs + retryDelayMs(item.tries) <= nowMs || item.lastTryMs > nowMs);
  }

  /** Registers `announce`, which is called when the list becomes empty or stops being empty, before persist()
   *  resolves. If it fails, the next persist() or announce() calls it again. */
  async announceTo(announce: (holdsAny: boolean) => Promise<void>): Promise<void> {
    this.#announce = announce;
    await this.announce();
  }

  /** Announces whether the list holds entries, if that has changed or the last announcement is old. */
  async announce(nowMs: number = Date.now()): Promise<void> {
    const holdsAny = this.size > 0;
    if (this.#announced?.holdsAny === holdsAny && nowMs - this.#announced.ms < ANNOUNCE_AGAIN_MS) return;
    this.#announced =
      (await this.#announce(holdsAny).catch(() => 'failed')) === 'failed' ? null : { holdsAny, ms: nowMs };
  }

  /** Resolves when all changes before the call are on the disk. Concurrent calls share a write. */
  async persist(): Promise<void> {
    const wanted = this.#version;
    const before = this.#saving;
    this.#saving = (async () => {
      await before.catch(() => undefined);
      if (this.#savedVersion < wanted) await this.#write();
    })();
    await this.#saving;
  }

  #resolve(key: string): void {
    if (this.#items.delete(key)) this.#version += 1;
  }

  async #write(): Promise<void> {
    const version = this.#version;
    await replaceFile(this.#path, this.items().map(formatLine).join(''));
    this.#savedVersion = version;
    await this.announce();
  }
}

/** Writes %, control characters and bytes outside of UTF-8 as %XX. */
function escape(text: string): string {
  return text.replaceAll(/[%\p{Cc}\u2028\u2029\uDC80-\uDCFF]/gu, (char) => {
    const bytes = [...fsEncode(char)];
    return bytes.map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
  });
}

function unescape(text: string): string {
  if (!text.includes('%')) return text;
  const bytes = fsEncode(text).toString('latin1');
  const plain = bytes.replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return fsDecode(Buffer.from(plain, 'latin1'));
}

function formatLine(item: Failure): string {
  const place = item.entry === undefined ? '' : escape(item.entry.slice(GFID_PREFIX.length));
  const time = new Date(item.lastTryMs).toISOString();
  return `${[time, item.kind, item.gfid, place, item.tries, escape(item.reason)].join('\t')}\n`;
}

function isKind(text: string): text is FailureKind {
  return KINDS.has(text);
}

/** Parses one line of the list; null when it cannot be read. */
export function parseFailureLine(line: string): Failure | null {
  const fields = line.split('\t');
  const [time = '', kind = '', gfid = '', place = '', triesText = '', reason = ''] = fields;
  const lastTryMs = Date.parse(time);
  const tries = Number(triesText);
  if (fields.length !== 6 || Number.isNaN(lastTryMs) || !isKind(kind) || !isGfid(gfid)) return null;
  if (!/^[1-9][0-9]*$/.test(triesText) || !Number.isSafeInteger(tries) || (kind !== 'entry' && place !== ''))
    return null;
  if (place !== '' && !(isGfid(place.slice(0, 36)) && place[36] === '/' && place.length > 37)) return null;
  const entry = place === '' ? undefined : GFID_PREFIX + unescape(place);
  return { kind, gfid, entry, reason: unescape(reason), lastTryMs, tries };
}

async function appendDurably(path: string, text: string): Promise<void> {
  await writing(path, () => appendFile(fsEncode(path), fsEncode(text), { mode: 0o600 }));
  const file = await open(fsEncode(path), 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await syncDirectory(dirname(path));
}
