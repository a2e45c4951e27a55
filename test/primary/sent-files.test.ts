import { describe, expect, test } from 'vitest';
import type { ChangeRecord } from '../../src/changelog/record.js';
import { emptyPlan, type Plan } from '../../src/primary/batch/plan.js';
import { PAUSE_MS, SentFiles } from '../../src/primary/batch/sent-files.js';
import type { Gfid } from '../../src/protocol/gfid.js';

const gfid = (n: number): Gfid => `00000000-0000-0000-0000-${String(n).padStart(12, '0')}` as Gfid;
const [A, B] = [gfid(1), gfid(2)];
const written = (...gfids: Gfid[]): ChangeRecord[] => gfids.map((of) => ({ type: 'data', gfid: of }));
const meta = (of: Gfid): ChangeRecord => ({ type: 'meta', gfid: of, fop: 'SETATTR' });

/** A brick with a clock, and the SentFiles that watches its files. */
class Brick {
  nowMs = 1_000_000;
  readonly files = new Map<Gfid, { version: string; changedMs: number }>();
  readonly sent = new SentFiles(
    (of) => Promise.resolve(this.files.get(of) ?? null),
    () => this.nowMs,
  );

  write(...gfids: Gfid[]): void {
    for (const of of gfids) this.files.set(of, { version: `${this.nowMs}`, changedMs: this.nowMs });
  }

  /** Plans records of the open changelog. @returns files to send now */
  async open(records: readonly ChangeRecord[], plan = planOf(records)): Promise<Gfid[]> {
    await this.sent.completeOpen(plan);
    return [...plan.dataGfids.keys()];
  }

  /** Plans a closed changelog. @returns files to send */
  async closed(records: readonly ChangeRecord[], taken: number): Promise<Gfid[]> {
    const plan = planOf(await this.sent.remaining(records, taken));
    await this.sent.completeClosed(plan);
    return [...plan.dataGfids.keys()];
  }
}

function planOf(records: readonly ChangeRecord[]): Plan {
  const plan = emptyPlan();
  for (const record of records) if (record.type === 'data') plan.dataGfids.set(record.gfid, 'written');
  return plan;
}

describe('SentFiles', () => {
  test('a file is sent when its writer has paused, and not again when its changelog closes', async () => {
    const brick = new Brick();
    brick.write(A);
    expect(await brick.open(written(A))).toEqual([]);
    expect(await brick.sent.hasPaused()).toBe(false);
    brick.nowMs += PAUSE_MS;
    expect(await brick.sent.hasPaused()).toBe(true);
    expect(await brick.open([])).toEqual([A]);
    expect(brick.sent.hasWaiting).toBe(false);
    brick.nowMs += 10_000;
    expect(await brick.closed(written(A), 1)).toEqual([]);
  });

  test('a file that is written all the time is sent when its changelog closes', async () => {
    const brick = new Brick();
    for (let i = 0; i < 5; i++, brick.nowMs += 20) {
      brick.write(A);
      expect(await brick.open(i === 0 ? written(A) : [])).toEqual([]);
    }
    expect(await brick.closed(written(A), 1)).toEqual([A]);
  });

  test('a write after the file was sent, which has no record of its own, is sent when the changelog closes', async () => {
    const brick = new Brick();
    brick.write(A, B);
    brick.nowMs += PAUSE_MS;
    expect(await brick.open(written(A, B))).toEqual([A, B]);
    brick.write(B);
    brick.nowMs += 1000;
    expect(await brick.closed(written(A, B), 2)).toEqual([B]);
  });

  test('a write at the moment of the rollover, which is in no changelog, is sent when the next one closes', async () => {
    const brick = new Brick();
    brick.write(A);
    brick.nowMs += PAUSE_MS;
    expect(await brick.closed(written(A), 0)).toEqual([A]);
    brick.write(A);
    brick.nowMs += 1000;
    expect(await brick.closed([], 0)).toEqual([A]);
    brick.nowMs += 1000;
    expect(await brick.closed([], 0)).toEqual([]);
  });

  test('a file that changed just before the rollover is sent once more when the next changelog closes', async () => {
    const brick = new Brick();
    brick.write(A);
    // A write within the same tick of the clock of file times would leave the same version.
    brick.nowMs += PAUSE_MS - 1;
    expect(await brick.closed(written(A), 0)).toEqual([A]);
    brick.nowMs += 1000;
    expect(await brick.closed([], 0)).toEqual([A]);
    expect(await brick.closed([], 0)).toEqual([]);
  });

  test('a file that was sent in two intervals is not sent a third time', async () => {
    const brick = new Brick();
    for (let i = 0; i < 2; i++) {
      brick.write(A);
      brick.nowMs += PAUSE_MS;
      expect(await brick.open(written(A))).toEqual([A]);
      expect(await brick.closed(written(A), 1)).toEqual([]);
    }
  });

  test('attributes of a waiting file wait with its data', async () => {
    const brick = new Brick();
    brick.write(A);
    expect(await brick.open(written(A))).toEqual([]);
    const plan = emptyPlan();
    plan.metaGfids.set(A, null);
    await brick.open([], plan);
    expect([plan.metaGfids.size, brick.sent.hasWaiting]).toEqual([0, true]);
  });

  test('a new inode whose xattrs were sent is no longer new', async () => {
    const brick = new Brick();
    const plan = emptyPlan();
    plan.newGfids.add(A);
    plan.newGfids.add(B);
    plan.xattrGfids.add(A);
    await brick.sent.completeOpen(plan);
    expect(brick.sent.created).toEqual(new Set([B]));
  });

  test('files that are gone are not sent when changelogs close', async () => {
    const brick = new Brick();
    brick.write(A, B);
    brick.nowMs += PAUSE_MS;
    expect(await brick.open(written(A, B))).toEqual([A, B]);
    brick.files.delete(A);
    expect(await brick.closed(written(A, B), 2)).toEqual([]);
    brick.files.delete(B);
    expect(await brick.closed([], 0)).toEqual([]);
  });

  test('attributes of directories, whose state the brick does not tell, are sent again', async () => {
    const brick = new Brick();
    expect(await brick.sent.remaining([meta(A), ...written(B)], 1)).toEqual([meta(A), ...written(B)]);
  });

  test('a waiting file keeps its cause and its changed xattrs, and is still new', async () => {
    const brick = new Brick();
    brick.write(A);
    const plan = emptyPlan();
    plan.dataGfids.set(A, 'linked');
    plan.newGfids.add(A);
    plan.xattrGfids.add(A);
    await brick.open([], plan);
    expect([plan.dataGfids.size, plan.xattrGfids.size]).toEqual([0, 0]);
    brick.nowMs += PAUSE_MS;
    const next = emptyPlan();
    await brick.sent.completeOpen(next);
    expect([next.dataGfids, next.newGfids, next.xattrGfids]).toEqual([
      new Map([[A, 'linked']]),
      new Set([A]),
      new Set([A]),
    ]);
  });

  test('doubtful names are compared again when the changelog closes, and new inodes are known until then', async () => {
    const brick = new Brick();
    const plan = emptyPlan();
    plan.namesToCompare.add('.gfid/x/name');
    plan.newGfids.add(A);
    await brick.sent.completeOpen(plan);
    expect(brick.sent.created).toEqual(new Set([A]));
    const closed = emptyPlan();
    await brick.sent.completeClosed(closed);
    expect(closed.namesToCompare).toEqual(new Set(['.gfid/x/name']));
    expect(brick.sent.created).toEqual(new Set());
  });
});
