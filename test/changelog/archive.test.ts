import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { archiveAndPurge } from '../../src/changelog/archive.js';
import { findTarEnd } from '../../src/changelog/tar-walk.js';
import { strftime } from '../../src/changelog/strftime.js';
import { lacksPython } from '../skip.js';
import { fc } from '../seeds.js';

let dir: string;
let tar: string;
const NOW = new Date(2024, 1, 3, 4, 5, 6);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'archive-'));
  tar = join(dir, 'archive_202402.tar');
});
afterEach(() => rmSync(dir, { recursive: true }));

const put = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return name;
};
const archive = (...names: string[]): Promise<void> => archiveAndPurge(dir, names, '%Y%m', NOW);
const others = (): string[] =>
  readdirSync(dir)
    .filter((name) => name !== 'archive_202402.tar')
    .sort();

/** name -> content as GNU tar and as Python's tarfile see it; the two must agree. */
function members(path = tar): [string, string][] {
  const names = execFileSync('tar', ['-tf', path], { stdio: ['ignore', 'pipe', 'pipe'] })
    .toString()
    .split('\n')
    .slice(0, -1);
  const script =
    'import tarfile,json,sys\nt=tarfile.open(sys.argv[1])\nprint(json.dumps([[m.name,t.extractfile(m).read().decode()] for m in t]))';
  const seen = JSON.parse(execFileSync('python3', ['-c', script, path]).toString()) as [string, string][];
  expect(seen.map(([name]) => name)).toEqual(names);
  return seen;
}

function pythonAppend(name: string): void {
  execFileSync('python3', [
    '-c',
    'import tarfile,sys\nt=tarfile.open(sys.argv[1],"a")\nt.add(sys.argv[2],arcname=sys.argv[3])\nt.close()',
    tar,
    join(dir, name),
    name,
  ]);
}

describe.skipIf(lacksPython('archives'))('archiveAndPurge()', () => {
  test('makes an archive that tar and Python read, and removes the files', async () => {
    put('CHANGELOG.1', 'one\n');
    put('CHANGELOG.2', '');
    put('CHANGELOG.3', 'x'.repeat(100_000));
    await archive('CHANGELOG.1', 'CHANGELOG.2', 'CHANGELOG.3');
    expect(members()).toEqual([
      ['CHANGELOG.1', 'one\n'],
      ['CHANGELOG.2', ''],
      ['CHANGELOG.3', 'x'.repeat(100_000)],
    ]);
    expect(statSync(tar).size % 10_240).toBe(0);
    expect(others()).toEqual([]);
  });

  test('appends to archives that Python tarfile wrote, and the reverse', async () => {
    for (let i = 0; i < 6; i += 1) {
      const name = put(`CHANGELOG.${i}`, `text ${i}\n`.repeat(i * 200));
      if (i % 2 === 0) await archive(name);
      else pythonAppend(name);
    }
    expect(members()).toEqual(Array.from({ length: 6 }, (_, i) => [`CHANGELOG.${i}`, `text ${i}\n`.repeat(i * 200)]));
  });

  test('findTarEnd() reads as little of a long archive as of a short one, and walks one changed by another program', async () => {
    const reads = async (): Promise<number> => {
      const file = await open(tar, 'r');
      const read = vi.spyOn(file, 'read');
      const { offset, tail } = await findTarEnd(file, tar);
      expect(tail).toBe('whole');
      expect(
        readFileSync(tar)
          .subarray(offset)
          .every((byte) => byte === 0),
      ).toBe(true);
      expect(
        readFileSync(tar)
          .subarray(offset - 512, offset)
          .some((byte) => byte !== 0),
      ).toBe(true);
      await file.close();
      return read.mock.calls.length;
    };
    const add = (from: number, count: number): Promise<void> =>
      archive(...Array.from({ length: count }, (_, i) => put(`CHANGELOG.${from + i}`, `text ${i}\n`)));
    await add(0, 10);
    const short = await reads();
    await add(10, 500);
    expect(await reads()).toBe(short);
    pythonAppend(put('CHANGELOG.600', 'six hundred\n'));
    const walked = await reads();
    expect(walked).toBeGreaterThan(short);
    // One read covers many members.
    expect(walked).toBeLessThan(20);
    rmSync(join(dir, 'CHANGELOG.600'));
    await add(601, 1);
    expect(await reads()).toBe(short);
    expect(
      members()
        .map(([name]) => name)
        .slice(-3),
    ).toEqual(['CHANGELOG.509', 'CHANGELOG.600', 'CHANGELOG.601']);
  });

  test('ignores the saved end offset after a foreign write or when the archive is another file', async () => {
    await archive(put('CHANGELOG.1', 'one\n'));
    const { atime, mtime } = statSync(tar);
    const bytes = readFileSync(tar);
    bytes.fill(0xff, 1024, 1536);
    writeFileSync(tar, bytes);
    utimesSync(tar, atime, mtime);
    await archive(put('CHANGELOG.2', 'two\n'));
    expect(members()).toEqual([
      ['CHANGELOG.1', 'one\n'],
      ['CHANGELOG.2', 'two\n'],
    ]);
    expect(others()).toEqual([expect.stringMatching(/^archive_202402\.tar\.bad-\d+$/)]);
    cpSync(tar, join(dir, 'copy'));
    renameSync(join(dir, 'copy'), tar);
    await archive(put('CHANGELOG.3', 'three\n'));
    expect(members().map(([name]) => name)).toEqual(['CHANGELOG.1', 'CHANGELOG.2', 'CHANGELOG.3']);
  });

  test('skips missing files, and creates no archive when none is left', async () => {
    await archive('CHANGELOG.1');
    expect(readdirSync(dir)).toEqual([]);
    put('CHANGELOG.2', 'two');
    await archive('CHANGELOG.1', 'CHANGELOG.2', 'CHANGELOG.3');
    expect(members()).toEqual([['CHANGELOG.2', 'two']]);
  });

  test('keeps the whole members of an archive cut at any byte and moves the rest to a .bad file', async () => {
    put('CHANGELOG.1', 'a'.repeat(700));
    put('CHANGELOG.2', 'b'.repeat(1500));
    await archive('CHANGELOG.1', 'CHANGELOG.2');
    const whole = readFileSync(tar);
    const ends = [0, 512 + 1024, 512 + 1024 + 512 + 1536];
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (cut) => {
        for (const name of readdirSync(dir)) rmSync(join(dir, name));
        writeFileSync(tar, whole.subarray(0, cut));
        put('CHANGELOG.3', 'c');
        await archive('CHANGELOG.3');
        const kept = ends.filter((end) => end <= cut).length - 1;
        const before = [
          ['CHANGELOG.1', 'a'.repeat(700)],
          ['CHANGELOG.2', 'b'.repeat(1500)],
        ].slice(0, kept);
        expect(members()).toEqual([...before, ['CHANGELOG.3', 'c']]);
        const lost = whole.subarray(ends[kept], cut);
        const aside = others().map((name) => readFileSync(join(dir, name)));
        const expected = lost.some((byte) => byte !== 0) ? [lost] : [];
        expect(aside.map((bytes) => bytes.toString('hex'))).toEqual(expected.map((bytes) => bytes.toString('hex')));
      }),
      { numRuns: 25, examples: [[0], [1], [512], [1536], [1537], [2048], [3584], [3585]] },
    );
  }, 60_000);

  test('moves members that follow zero blocks to a .bad file', async () => {
    put('CHANGELOG.1', 'one');
    put('CHANGELOG.2', 'two');
    await archive('CHANGELOG.1', 'CHANGELOG.2');
    const damaged = readFileSync(tar).fill(0, 0, 1024);
    writeFileSync(tar, damaged);
    put('CHANGELOG.3', 'three');
    await archive('CHANGELOG.3');
    expect(members()).toEqual([['CHANGELOG.3', 'three']]);
    expect(readFileSync(join(dir, others()[0]!)).equals(damaged)).toBe(true);
  });

  test('moves a file that is not a tar archive to a .bad file', async () => {
    writeFileSync(tar, 'this is no tar archive'.repeat(100));
    put('CHANGELOG.1', 'one');
    await archive('CHANGELOG.1');
    expect(members()).toEqual([['CHANGELOG.1', 'one']]);
    const [bad] = others();
    expect(bad).toMatch(/^archive_202402\.tar\.bad-\d+$/);
    expect(readFileSync(join(dir, bad!), 'latin1')).toBe('this is no tar archive'.repeat(100));
  });

  test('leaves changelogs and archive unchanged when it fails', async () => {
    put('CHANGELOG.1', 'one');
    await archive('CHANGELOG.1');
    const before = readFileSync(tar);
    put('CHANGELOG.2', 'two');
    // The second member is a directory, whose read fails after the first member was written.
    await expect(archiveAndPurge(dir, ['CHANGELOG.2', '.'], '%Y%m', NOW)).rejects.toThrow();
    expect(readFileSync(tar).equals(before)).toBe(true);
    expect(others()).toEqual(['CHANGELOG.2']);
  });

  test('serializes concurrent callers', async () => {
    const names = Array.from({ length: 20 }, (_, i) => put(`CHANGELOG.${i}`, `${i}`));
    await Promise.all(names.map((name) => archive(name)));
    expect(members()).toEqual(names.map((name, i) => [name, `${i}`]));
  });

  test('appends to an archive that ends with a single zero block', async () => {
    put('CHANGELOG.1', 'one');
    await archive('CHANGELOG.1');
    truncateSync(tar, 1024);
    appendFileSync(tar, Buffer.alloc(512));
    put('CHANGELOG.2', 'two');
    await archive('CHANGELOG.2');
    expect(members()).toEqual([
      ['CHANGELOG.1', 'one'],
      ['CHANGELOG.2', 'two'],
    ]);
    expect(others()).toEqual([]);
  });
});

describe.skipIf(lacksPython('archives'))('strftime()', () => {
  test('matches Python for every supported directive', () => {
    const format = '%Y %y %m %d %e %H %I %M %S %p %j %U %W %u %w %a %A %b %B %h %F %T %% x';
    const dates = [
      NOW,
      new Date(2023, 0, 1),
      new Date(2024, 11, 31, 23, 59, 59),
      new Date(2000, 1, 29, 12, 0),
      new Date(1999, 0, 3, 13),
    ];
    const script =
      'import sys,datetime,json\nf,ds=json.load(sys.stdin)\nprint(json.dumps([datetime.datetime(*d).strftime(f) for d in ds]))';
    const parts = dates.map((d) => [
      d.getFullYear(),
      d.getMonth() + 1,
      d.getDate(),
      d.getHours(),
      d.getMinutes(),
      d.getSeconds(),
    ]);
    const theirs = JSON.parse(
      execFileSync('python3', ['-c', script], {
        input: JSON.stringify([format, parts]),
        env: { ...process.env, LC_ALL: 'C' },
      }).toString(),
    ) as string[];
    expect(dates.map((date) => strftime(format, date))).toEqual(theirs);
  });

  test('keeps unknown directives unchanged', () => {
    expect(strftime('%Y%Q-%', NOW)).toBe('2024%Q-%');
  });
});
