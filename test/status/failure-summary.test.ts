import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Gfid } from '../../src/protocol/gfid.js';
import { FailureReader } from '../../src/status/failure-summary.js';
import { FailureList } from '../../src/status/failures.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gsyncd-summary-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const gfid = (n: number): Gfid => `00000000-0000-0000-0000-${String(n).padStart(12, '0')}` as Gfid;

test('FailureReader groups failures by reason, the most frequent first', async () => {
  const reader = new FailureReader(dir);
  expect(await reader.read()).toMatchObject({ count: 0, reasons: [] });
  const list = await FailureList.load(dir);
  for (let i = 0; i < 5; i++) list.add({ kind: 'data', gfid: gfid(i), reason: 'rsync: exit 23' }, 1_000_000 + i);
  list.add({ kind: 'entry', gfid: gfid(9), entry: `.gfid/${gfid(9)}/caf\udce9\n`, reason: 'errno 13' }, 2_000_000);
  await list.persist();
  expect(await reader.read()).toEqual({
    count: 6,
    byKind: { entry: 1, meta: 0, data: 5, xattrs: 0 },
    cut: false,
    reasons: [
      { reason: 'rsync: exit 23', count: 5, kinds: ['data'], example: gfid(0), lastTryMs: 1_000_004 },
      { reason: 'errno 13', count: 1, kinds: ['entry'], example: `.gfid/${gfid(9)}/caf\udce9\n`, lastTryMs: 2_000_000 },
    ],
  });
  list.resolve('data', gfid(1));
  await list.persist();
  expect((await reader.read())?.count).toBe(5);
});

test('FailureReader changes no files, even for invalid lines', async () => {
  writeFileSync(join(dir, 'failures'), 'garbage\n');
  expect(await new FailureReader(dir).read()).toMatchObject({ count: 0 });
  expect(readdirSync(dir)).toEqual(['failures']);
});
