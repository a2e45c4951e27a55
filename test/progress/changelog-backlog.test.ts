// ChangelogProbe on changelog directories in the format of the changelog translator.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ChangelogProbe } from '../../src/progress/changelog-backlog.js';
import { FakeBrick } from '../changelog/brick.js';
import { lacksRoot } from '../skip.js';
import { fc } from '../seeds.js';

const START = 1_700_000_000;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gsyncd-probe-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))(
  'readBacklog() counts non-empty changelogs after the stime, and bounds the oldest change by its interval',
  async () => {
    const brick = new FakeBrick(root);
    brick.enable(START);
    brick.change();
    brick.rollover(START + 15);
    brick.rollover(START + 30);
    brick.rollover(START + 45);
    brick.change();
    brick.rollover(START + 60);
    const probe = new ChangelogProbe(brick.dir);
    expect(await probe.readBacklog(START + 15)).toEqual({
      changelogs: 1,
      hasOpenChanges: false,
      oldestSince: START + 45,
    });
    brick.change();
    expect(await probe.readBacklog(START + 15)).toEqual({
      changelogs: 1,
      hasOpenChanges: true,
      oldestSince: START + 45,
    });
    expect(await probe.readBacklog(START + 60)).toEqual({
      changelogs: 0,
      hasOpenChanges: true,
      oldestSince: START + 60,
    });
    brick.rollover(START + 75);
    expect(await probe.readBacklog(START + 60)).toEqual({
      changelogs: 1,
      hasOpenChanges: false,
      oldestSince: START + 60,
    });
    expect(await probe.readBacklog(START + 75)).toEqual({ changelogs: 0, hasOpenChanges: false, oldestSince: null });
  },
);

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))(
  'readBacklog() counts changelogs again when the stime goes back',
  async () => {
    const brick = new FakeBrick(root);
    brick.enable(START);
    for (let i = 1; i <= 4; i++) {
      brick.change();
      brick.rollover(START + 15 * i);
    }
    const probe = new ChangelogProbe(brick.dir);
    expect((await probe.readBacklog(START + 60))?.changelogs).toBe(0);
    expect((await probe.readBacklog(START))?.changelogs).toBe(4);
  },
);

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))(
  'readBacklog() counts changelogs after a clock set-back as pending until the stime follows the clock',
  async () => {
    const brick = new FakeBrick(root);
    brick.enable(START + 3600);
    brick.change();
    brick.rollover(START + 3615);
    const probe = new ChangelogProbe(brick.dir);
    expect((await probe.readBacklog(START + 3615))?.changelogs).toBe(0);
    for (const time of [10, 25, 40]) {
      brick.change();
      brick.rollover(START + time);
    }
    for (const one of [probe, new ChangelogProbe(brick.dir)]) {
      expect(await one.readBacklog(START + 3614)).toEqual({
        changelogs: 4,
        hasOpenChanges: false,
        oldestSince: START + 3600,
      });
      expect(await one.readBacklog(START + 25)).toEqual({
        changelogs: 1,
        hasOpenChanges: false,
        oldestSince: START + 25,
      });
      expect((await one.readBacklog(START + 40))?.changelogs).toBe(0);
    }
  },
);

test('readBacklog() returns null for a directory without changelogs', async () => {
  expect(await new ChangelogProbe(join(root, 'nowhere')).readBacklog(START)).toBeNull();
});

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))(
  'readBacklog() returns the number of non-empty changelogs after the stime, for random changelogs and calls',
  async () => {
    const interval = fc.record({
      changes: fc.boolean(),
      restart: fc.integer({ min: 0, max: 20 }).map((n) => n === 0),
      look: fc.boolean(),
      back: fc.nat(40),
    });
    let serial = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(interval, { maxLength: 60 }), async (intervals) => {
        const brick = new FakeBrick(join(root, String(++serial)));
        let now = START;
        brick.enable(now);
        const probe = new ChangelogProbe(brick.dir);
        const full: number[] = [];
        for (const { changes, restart, look, back } of intervals) {
          now += 15;
          if (changes) {
            brick.change();
            full.push(now);
          }
          if (restart) {
            brick.disable(now);
            now += 1;
            brick.enable(now);
          } else brick.rollover(now);
          if (!look) continue;
          const mark = now - 15 * back;
          const found = await probe.readBacklog(mark);
          expect(found?.changelogs).toBe(full.filter((time) => time > mark).length);
        }
      }),
      { numRuns: 30 },
    );
  },
);

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))(
  'readBacklog() counts correctly in a long index, for a late and for an early stime',
  async () => {
    const brick = new FakeBrick(root);
    brick.enable(START);
    for (let i = 1; i <= 3_000; i++) {
      if (i % 3 === 0) brick.change();
      brick.rollover(START + 15 * i);
    }
    const last = START + 45_000;
    expect((await new ChangelogProbe(brick.dir).readBacklog(last - 900))?.changelogs).toBe(20);
    expect((await new ChangelogProbe(brick.dir).readBacklog(START + 1))?.changelogs).toBe(1_000);
  },
);
