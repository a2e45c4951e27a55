// A read-only summary of the failure list by reason, for processes other than its worker. Invariant: memory is
// bounded for a list of any size.

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';
import { FAILURES_FILE, parseFailureLine, type FailureKind } from './failures.js';

export interface FailureReason {
  readonly reason: string;
  readonly count: number;
  readonly kinds: readonly FailureKind[];
  /** An example: `.gfid/<parent>/<name>`, or a gfid. */
  readonly example: string;
  /** Milliseconds since the epoch. */
  readonly lastTryMs: number;
}

export interface FailureSummary {
  readonly count: number;
  readonly byKind: Readonly<Record<FailureKind, number>>;
  /** The most frequent first, at most ten. */
  readonly reasons: readonly FailureReason[];
  /** Whether the list was too long to be read completely. The numbers then cover its beginning. */
  readonly cut: boolean;
}

const MAX_READ_BYTES = 8 << 20;
const MAX_REASONS = 10;
const MAX_DISTINCT_REASONS = 1_000;

/** Summarizes the list of a working directory; null when it cannot be read. Reads the list again only after a change. */
export class FailureReader {
  readonly #path: Buffer;
  #identity = '';
  #summary: FailureSummary = summarize([], false);

  constructor(workingDir: string) {
    this.#path = fsEncode(join(workingDir, FAILURES_FILE));
  }

  async read(): Promise<FailureSummary | null> {
    try {
      const file = await open(this.#path, 'r');
      try {
        const { size, mtimeNs, ino } = await file.stat({ bigint: true });
        const identity = `${ino} ${size} ${mtimeNs}`;
        if (identity === this.#identity) return this.#summary;
        const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(MAX_READ_BYTES, Number(size))), 0);
        const lines = fsDecode(buffer.subarray(0, bytesRead)).split('\n');
        this.#summary = summarize(lines.slice(0, -1), size > MAX_READ_BYTES);
        this.#identity = identity;
      } finally {
        await file.close();
      }
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') return null;
      this.#summary = summarize([], false);
    }
    return this.#summary;
  }
}

function summarize(lines: readonly string[], cut: boolean): FailureSummary {
  const byKind = { entry: 0, meta: 0, data: 0, xattrs: 0 };
  const reasons = new Map<string, { count: number; kinds: Set<FailureKind>; example: string; lastTryMs: number }>();
  let count = 0;
  for (const line of lines) {
    const item = parseFailureLine(line);
    if (item === null) continue;
    count += 1;
    byKind[item.kind] += 1;
    let group = reasons.get(item.reason);
    if (group === undefined) {
      if (reasons.size >= MAX_DISTINCT_REASONS) continue;
      reasons.set(
        item.reason,
        (group = { count: 0, kinds: new Set(), example: item.entry ?? item.gfid, lastTryMs: 0 }),
      );
    }
    group.count += 1;
    group.kinds.add(item.kind);
    group.lastTryMs = Math.max(group.lastTryMs, item.lastTryMs);
  }
  const sorted = [...reasons].sort(([, a], [, b]) => b.count - a.count).slice(0, MAX_REASONS);
  return {
    count,
    byKind,
    reasons: sorted.map(([reason, group]) => ({ reason, ...group, kinds: [...group.kinds] })),
    cut,
  };
}
