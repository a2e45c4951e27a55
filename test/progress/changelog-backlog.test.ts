// The probe on changelog directories as the changelog translator keeps them, compared with what is known of them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ChangelogProbe } from '../../src/progress/changelog-backlog.js';
import { FakeBrick } from '../changelog/brick.js';
import { lacksRoot } from '../skip.js';

const START = 1_700_000_000;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gsyncd-probe-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('changelogs behind the mark are counted, empty ones are not, and the oldest change is bounded by its interval', async () => {
  const brick = new FakeBrick(root);
  brick.enable(START);
  brick.change();
  brick.rollover(START + 15);
  brick.rollover(START + 30);
  brick.rollover(START + 45);
  brick.change();
  brick.rollover(START + 60);
  const probe = new ChangelogProbe(brick.dir);
  expect(await probe.readBacklog(START + 15)).toEqual({ changelogs: 1, hasOpenChanges: false, oldestSince: START + 45 });
  brick.change();
  expect(await probe.readBacklog(START + 15)).toEqual({ changelogs: 1, hasOpenChanges: true, oldestSince: START + 45 });
  expect(await probe.readBacklog(START + 60)).toEqual({ changelogs: 0, hasOpenChanges: true, oldestSince: START + 60 });
  brick.rollover(START + 75);
  expect(await probe.readBacklog(START + 60)).toEqual({ changelogs: 1, hasOpenChanges: false, oldestSince: START + 60 });
  expect(await probe.readBacklog(START + 75)).toEqual({ changelogs: 0, hasOpenChanges: false, oldestSince: null });
});

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('a mark that goes back counts what lies between again', async () => {
  const brick = new FakeBrick(root);
  brick.enable(START);
  for (let i = 1; i <= 4; i++) {
    brick.change();
    brick.rollover(START + 15 * i);
  }
  const probe = new ChangelogProbe(brick.dir);
  expect((await probe.readBacklog(START + 60))?.changelogs).toBe(0);
  expect((await probe.readBacklog(START))?.changelogs).toBe(4);
});

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('what a clock that was set back leaves behind the mark is pending until the mark follows it, and then by its times', async () => {
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
    expect(await one.readBacklog(START + 3614)).toEqual({ changelogs: 4, hasOpenChanges: false, oldestSince: START + 3600 });
    expect(await one.readBacklog(START + 25)).toEqual({ changelogs: 1, hasOpenChanges: false, oldestSince: START + 25 });
    expect((await one.readBacklog(START + 40))?.changelogs).toBe(0);
  }
});

test('a directory without changelogs is not a brick without a backlog', async () => {
  expect(await new ChangelogProbe(join(root, 'nowhere')).readBacklog(START)).toBeNull();
});

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('whatever was recorded and however often it is looked at: the count is that of the changelogs with changes behind the mark', async () => {
  const interval = fc.record({ changes: fc.boolean(), restart: fc.integer({ min: 0, max: 20 }).map((n) => n === 0), look: fc.boolean(), back: fc.nat(40) });
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
});

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('the end of a long index is enough', async () => {
  const brick = new FakeBrick(root);
  brick.enable(START);
  for (let i = 1; i <= 3_000; i++) {
    if (i % 3 === 0) brick.change();
    brick.rollover(START + 15 * i);
  }
  const last = START + 45_000;
  expect((await new ChangelogProbe(brick.dir).readBacklog(last - 900))?.changelogs).toBe(20);
  expect((await new ChangelogProbe(brick.dir).readBacklog(START + 1))?.changelogs).toBe(1_000);
});
