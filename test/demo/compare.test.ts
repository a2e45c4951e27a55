import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { compareTrees } from '../../src/demo/compare.js';

const root = mkdtempSync(join(tmpdir(), 'compare-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Compares two trees with one file each, whose mtimes differ by `apartS` around a microsecond boundary. */
function differencesOf(apartS: number): readonly string[] {
  for (const [side, mtime] of [
    ['a', 1_700_000_000.000005],
    ['b', 1_700_000_000.000005 - apartS],
  ] as const) {
    mkdirSync(join(root, side), { recursive: true });
    writeFileSync(join(root, side, 'file'), 'content');
    utimesSync(join(root, side, 'file'), mtime, mtime);
  }
  return compareTrees(join(root, 'a'), join(root, 'b')).differences;
}

test('compareTrees() treats mtimes that differ by a microsecond as equal, also across a rounding boundary', () => {
  expect(differencesOf(0.000001)).toEqual([]);
});

test('compareTrees() skips the given names only at the top of the tree', () => {
  const [a, b] = [join(root, 'skip-a'), join(root, 'skip-b')];
  for (const path of [a, join(a, 'dir'), b, join(b, 'dir'), join(b, '.trashcan'), join(b, 'dir/.trashcan')])
    mkdirSync(path);
  expect(compareTrees(a, b).differences).toHaveLength(2);
  expect(compareTrees(a, b, ['.trashcan']).differences).toEqual(['"/dir/.trashcan": only in the second']);
});

test('compareTrees() reports mtimes that differ by a millisecond', () => {
  expect(differencesOf(0.001)).toEqual([expect.stringMatching(/^"\/file": mtime: /)]);
});

test('compareTrees() does not fail while the trees change', async () => {
  const [a, b] = [join(root, 'moving-a'), join(root, 'moving-b')];
  // The target of the symlink must not change; in / it would contain processes that come and go.
  for (const dir of ['moving-a', 'moving-a/x', 'moving-b', 'elsewhere', 'elsewhere/below']) mkdirSync(join(root, dir));
  for (let i = 0; i < 20; i += 1) writeFileSync(join(a, 'x', `f${i}`), '');
  const change = `const fs = require('node:fs');
    const [x, y, elsewhere] = process.argv.slice(1);
    process.stdout.write('.');
    for (;;) { fs.renameSync(x, y); fs.symlinkSync(elsewhere, x); fs.rmSync(x); fs.writeFileSync(x, ''); fs.rmSync(x); fs.renameSync(y, x); }`;
  const changing = spawn(process.execPath, ['-e', change, join(a, 'x'), join(root, 'moved'), join(root, 'elsewhere')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(changing.stdout, 'data');
    for (let i = 0; i < 1_000; i += 1) compareTrees(a, b);
    expect(changing.exitCode).toBeNull();
  } finally {
    changing.kill('SIGKILL');
    await once(changing, 'exit');
  }
});
