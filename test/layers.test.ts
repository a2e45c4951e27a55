// The table of ARCHITECTURE.md orders the folders of src. Imports must not point upwards in it.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const REPO = resolve(import.meta.dirname, '..');
const SRC = join(REPO, 'src');
/** Levels of the files directly in src. The log writes through native; names, errors and formats are at its level. */
const TOP_FILES: Readonly<Record<string, string>> = {
  'log.ts': 'log.ts',
  'log-format.ts': 'native',
  'errors.ts': 'native',
  'names.ts': 'native',
};

/** Folders of each row of the table, from top to bottom. A row is one level. */
function layers(): string[][] {
  const text = readFileSync(join(REPO, '.github/ARCHITECTURE.md'), 'utf8');
  const rows = text.slice(text.indexOf('| folder of `src` |')).split('\n\n')[0] ?? '';
  return rows
    .split('\n')
    .slice(2)
    .map((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map((found) => found[1] ?? ''));
}

function folderOf(path: string): string {
  const [first = ''] = relative(SRC, path).split('/');
  return TOP_FILES[first] ?? first;
}

function* imports(): Generator<{ from: string; to: string }> {
  for (const name of readdirSync(SRC, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const from = join(SRC, name);
    for (const [, path = ''] of readFileSync(from, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g))
      yield { from, to: resolve(dirname(from), path.replace(/\.js$/, '.ts')) };
  }
}

test('every folder of src is in the table, and no import points upwards', () => {
  const order = layers();
  const levelOf = new Map(order.flatMap((row, level) => row.map((folder) => [folder, level] as const)));
  const folders = readdirSync(SRC, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  expect(folders.filter((folder) => !levelOf.has(folder))).toEqual([]);
  const up: string[] = [];
  let count = 0;
  for (const { from, to } of imports()) {
    count += 1;
    const [above, below] = [levelOf.get(folderOf(from)) ?? NaN, levelOf.get(folderOf(to)) ?? NaN];
    if (!(above <= below)) up.push(`${relative(SRC, from)} -> ${relative(SRC, to)}`);
  }
  expect(up).toEqual([]);
  expect(count).toBeGreaterThan(500);
});
