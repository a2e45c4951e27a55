import { describe, expect, test } from 'vitest';
import { nextRestart, OutdatedMounts, type Restart } from '../../src/worker/outdated-mounts.js';

/** Whether the worker starts again after each of these crawls, in which something was denied (`x`) or not (`-`), or after
 *  which the failure list was empty (`0`). */
function restarts(last: Restart | null, nowMs: number, crawls: string): string {
  const mounts = new OutdatedMounts(last);
  return [...crawls]
    .map((crawl) => {
      if (crawl === 'x') mounts.noteDenial();
      try {
        mounts.crawlDone(crawl !== '0', nowMs);
        return '.';
      } catch (error) {
        expect(error).toMatchObject({ code: 'outdated-mount' });
        return 'R';
      }
    })
    .join('');
}

describe('OutdatedMounts', () => {
  test('the worker starts again after two crawls with a denial, unless the failure list was empty between them', () => {
    expect([restarts(null, 0, '-x--x'), restarts(null, 0, 'x0x0-x')]).toEqual(['....R', '......']);
  });

  test('not before the interval since the last restart is over', () => {
    const last = { atMs: 1_000, intervalMs: 10_000 };
    expect([restarts(last, 10_999, 'xx'), restarts(last, 11_000, 'xx')]).toEqual(['..', '.R']);
  });

  test('a restart in the future, before the clock was set back, does not delay the next one', () => {
    expect(restarts({ atMs: 5_000_000, intervalMs: 10_000 }, 1_000, 'xx')).toBe('.R');
    expect(nextRestart({ atMs: 5_000_000, intervalMs: 80_000 }, 1_000).intervalMs).toBe(10_000);
  });
});

test('the interval doubles up to ten minutes, and begins anew after a long time without a restart', () => {
  let last: Restart | null = null;
  const intervals: number[] = [];
  for (let i = 0; i < 8; i++) {
    last = nextRestart(last, (last?.atMs ?? 0) + (last?.intervalMs ?? 0));
    intervals.push(last.intervalMs / 1000);
  }
  expect(intervals).toEqual([10, 20, 40, 80, 160, 320, 600, 600]);
  expect(nextRestart(last, (last?.atMs ?? 0) + 1_300_000).intervalMs).toBe(10_000);
});
