import { appendFileSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findHtimeEnd, readEntries, readHtime, type HtimeEntry } from '../../src/changelog/htime.js';
import { FakeBrick } from './brick.js';
import { lacksRoot } from '../skip.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'htime-'));
});
afterEach(() => rmSync(root, { recursive: true }));

async function collect(path: string, offset: number): Promise<{ entries: HtimeEntry[]; end: number }> {
  const entries: HtimeEntry[] = [];
  let end = offset;
  for await (const part of readEntries(path, offset)) {
    entries.push(...part.entries);
    end = part.ends.at(-1)!;
  }
  return { entries, end };
}

describe.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('HTIME index', () => {
  test.each(['dated', 'flat'] as const)('lists changelogs and empty intervals of the %s layout', async (layout) => {
    const brick = new FakeBrick(root, layout);
    brick.enable(1000);
    brick.change();
    brick.rollover(1015);
    brick.rollover(1030);
    expect(await readHtime(brick.htimeDir)).toEqual({
      files: [{ path: join(brick.htimeDir, 'HTIME.1000'), created: 1000 }],
      entries: [
        { path: brick.changelogPath(1015), time: 1015, isEmpty: false },
        { path: brick.changelogPath(1030, 'changelog'), time: 1030, isEmpty: true },
      ],
      gaps: [],
    });
  });

  test('readHtime() reports the time while changelogs were disabled as a gap, unless it is at most a second', async () => {
    const brick = new FakeBrick(root);
    brick.enable(1000);
    brick.disable(1010);
    brick.enable(1011);
    brick.rollover(1020);
    brick.disable(1025);
    brick.enable(1100);
    const { gaps, files, entries } = await readHtime(brick.htimeDir);
    expect(gaps).toEqual([{ from: 1025, to: 1100 }]);
    expect(files.map(({ created }) => created)).toEqual([1000, 1011, 1100]);
    expect(entries.map(({ time }) => time)).toEqual([1010, 1020, 1025]);
    expect(await findHtimeEnd(brick.htimeDir)).toEqual({ created: 1100, offset: 0, time: 1100 });
  });

  test('sorts index files by number, not by text', async () => {
    const brick = new FakeBrick(root);
    brick.enable(999_999_999);
    brick.disable(1_000_000_000);
    brick.enable(1_000_000_001);
    brick.rollover(1_000_000_015);
    expect((await readHtime(brick.htimeDir)).entries.map(({ time }) => time)).toEqual([1_000_000_000, 1_000_000_015]);
  });

  test('readEntries() skips a partly written last entry and reads it once complete', async () => {
    const brick = new FakeBrick(root);
    brick.enable(1000);
    brick.rollover(1015);
    appendFileSync(brick.htimeFile, '/b/changelog.10');
    const before = await collect(brick.htimeFile, 0);
    expect(before.entries.map(({ time }) => time)).toEqual([1015]);
    expect(await findHtimeEnd(brick.htimeDir)).toEqual({ created: 1000, offset: before.end, time: 1015 });
    appendFileSync(brick.htimeFile, '30\0');
    expect(await collect(brick.htimeFile, before.end)).toEqual({
      entries: [{ path: '/b/changelog.1030', time: 1030, isEmpty: true }],
      end: before.end + '/b/changelog.1030\0'.length,
    });
  });

  test('readEntries() reads an index of many chunks from any entry, with exact end offsets', async () => {
    const brick = new FakeBrick(root);
    brick.enable(1000);
    const paths = Array.from(
      { length: 5000 },
      (_, i) => `/b/é/2024/01/01/${i % 3 ? 'CHANGELOG' : 'changelog'}.${2000 + i}`,
    );
    writeFileSync(brick.htimeFile, paths.map((path) => `${path}\0`).join(''));
    const ends: number[] = [];
    for await (const part of readEntries(brick.htimeFile, 0)) ends.push(...part.ends);
    expect(ends).toHaveLength(5000);
    for (const from of [0, 1, 777, 4999]) {
      const { entries } = await collect(brick.htimeFile, from === 0 ? 0 : ends[from - 1]!);
      expect(entries.map(({ path }) => path)).toEqual(paths.slice(from));
    }
    expect(await findHtimeEnd(brick.htimeDir)).toEqual({ created: 1000, offset: ends.at(-1), time: 6999 });
  });

  test('readEntries() skips entries that are not changelog paths, and fails for an index that has shrunk', async () => {
    const brick = new FakeBrick(root);
    brick.enable(1000);
    brick.rollover(1015);
    const { end } = await collect(brick.htimeFile, 0);
    truncateSync(brick.htimeFile, 5);
    await expect(collect(brick.htimeFile, end)).rejects.toThrow(
      `${brick.htimeFile}: byte ${end}: the file is only 5 bytes long`,
    );
    writeFileSync(brick.htimeFile, `/b/changelog.1015\0/b/rubbish\0${'\0'.repeat(600)}/b/CHANGELOG.1045\0\0\0`);
    const { entries, end: newEnd } = await collect(brick.htimeFile, 0);
    expect(entries.map(({ time }) => time)).toEqual([1015, 1045]);
    expect(newEnd).toBe(statSync(brick.htimeFile).size - 2);
    expect(await findHtimeEnd(brick.htimeDir)).toEqual({
      created: 1000,
      offset: statSync(brick.htimeFile).size,
      time: 1045,
    });
  });

  test('htimeEnd() returns null without an HTIME file', async () => {
    expect(await findHtimeEnd(new FakeBrick(root).htimeDir)).toBeNull();
  });
});
