import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, describe, expect, it } from 'vitest';
import type { Gfid } from '../../src/protocol/gfid.js';
import { entryPath } from '../../src/protocol/gfid.js';
import { fsDecode } from '../../src/names.js';
import { FailureList, retryDelayMs } from '../../src/status/failures.js';
import { childScript } from '../child-script.js';
import { fc } from '../seeds.js';

const top = mkdtempSync(join(tmpdir(), 'failures-'));
afterAll(() => rmSync(top, { recursive: true, force: true }));
let dirs = 0;
function workingDir(): string {
  const dir = join(top, String(dirs++));
  mkdirSync(dir);
  return dir;
}

function gfid(n: number): Gfid {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as Gfid;
}

const HEAD = '2024-01-02T03:04:05.678Z';

describe('FailureList', () => {
  it('is empty without a file, and is loaded as it was persisted', async () => {
    const dir = workingDir();
    const list = await FailureList.load(dir);
    expect(list.size).toBe(0);
    const entry = entryPath(gfid(9), fsDecode(Buffer.from('a b\t%\n\xff', 'latin1')));
    list.add({ kind: 'data', gfid: gfid(1), reason: 'rsync: exit 23\n  Permission\tdenied' }, Date.parse(HEAD));
    list.add({ kind: 'entry', gfid: gfid(2), entry, reason: 'MKNOD: errno 95' }, Date.parse(HEAD));
    await list.persist();
    expect(readFileSync(join(dir, 'failures'), 'utf8')).toBe(
      `${HEAD}\tdata\t${gfid(1)}\t\t1\trsync: exit 23 Permission denied\n${HEAD}\tentry\t${gfid(2)}\t${gfid(9)}/a b%09%25%0A%FF\t1\tMKNOD: errno 95\n`,
    );
    const again = await FailureList.load(dir);
    expect(again.items()).toEqual(list.items());
    expect(again.items()[1]?.entry).toBe(entry);
    expect(again.garbled).toEqual([]);
  });

  it('stores any name and reason', async () => {
    const dir = workingDir();
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        fc.string({ unit: 'grapheme' }),
        async (bytes, reason) => {
          const list = await FailureList.load(dir);
          for (const { entry } of list.items()) list.resolveEntry(entry ?? '');
          list.add({ kind: 'entry', gfid: gfid(1), entry: entryPath(gfid(2), fsDecode(bytes)), reason });
          await list.persist();
          expect((await FailureList.load(dir)).items()).toEqual(list.items());
        },
      ),
      { numRuns: 60 },
    );
  });

  it('counts the tries of an item, and removes it when it is resolved', async () => {
    const list = await FailureList.load(workingDir());
    const entry = entryPath(gfid(5), 'n');
    for (let i = 0; i < 3; i++) list.add({ kind: 'data', gfid: gfid(1), reason: `r${i}` }, i);
    list.add({ kind: 'meta', gfid: gfid(1), reason: 'm' });
    list.add({ kind: 'entry', gfid: gfid(1), entry, reason: 'e' });
    list.add({ kind: 'entry', gfid: gfid(2), entry, reason: 'the name holds another file now' });
    expect(list.size).toBe(3);
    expect(list.items()[0]).toMatchObject({ kind: 'data', tries: 3, reason: 'r2', lastTryMs: 2 });
    expect(list.items()[2]).toMatchObject({ kind: 'entry', tries: 2, gfid: gfid(2) });
    list.resolve('data', gfid(1));
    list.resolve('meta', gfid(1));
    list.resolveEntry(entry);
    list.resolveEntry('never there');
    expect(list.size).toBe(0);
  });

  it('stores data, xattrs and meta of a file separately, and resolveGone() removes all of them', async () => {
    const dir = workingDir();
    const list = await FailureList.load(dir);
    for (const kind of ['data', 'xattrs', 'meta'] as const) list.add({ kind, gfid: gfid(1), reason: kind });
    list.resolve('data', gfid(1));
    await list.persist();
    expect((await FailureList.load(dir)).items().map(({ kind }) => kind)).toEqual(['xattrs', 'meta']);
    list.resolveGone(gfid(1));
    expect(list.size).toBe(0);
  });

  it('due() delays an item longer with every try', async () => {
    expect([1, 2, 3, 4, 9, 500].map(retryDelayMs)).toEqual([0, 1_000, 2_000, 4_000, 128_000, 600_000]);
    const list = await FailureList.load(workingDir());
    list.add({ kind: 'data', gfid: gfid(1), reason: '' }, 1_000_000);
    expect(list.due(1_000_000)).toHaveLength(1);
    list.add({ kind: 'data', gfid: gfid(1), reason: '' }, 1_000_000);
    expect(list.due(1_000_999)).toEqual([]);
    expect(list.due(1_001_000)).toHaveLength(1);
    expect(list.due(999_000)).toHaveLength(1);
  });

  it('each of many concurrent persist() calls writes the items added before it', async () => {
    const dir = workingDir();
    const list = await FailureList.load(dir);
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        await new Promise((resolve) => setTimeout(resolve, i % 7));
        list.add({ kind: 'data', gfid: gfid(i), reason: 'x' });
        await list.persist();
        expect(readFileSync(join(dir, 'failures'), 'utf8')).toContain(gfid(i));
      }),
    );
    expect((await FailureList.load(dir)).size).toBe(50);
    expect(readdirSync(dir)).toEqual(['failures']);
  });

  it('persist() writes all items after an earlier call failed', async () => {
    const dir = workingDir();
    const list = await FailureList.load(dir);
    list.add({ kind: 'data', gfid: gfid(1), reason: 'x' });
    rmSync(dir, { recursive: true });
    await expect(list.persist()).rejects.toMatchObject({ code: 'ENOENT' });
    mkdirSync(dir);
    await list.persist();
    expect((await FailureList.load(dir)).size).toBe(1);
  });
});

describe('invalid lines', () => {
  const good = `${HEAD}\tdata\t${gfid(1)}\t\t2\treason`;

  it.each([
    ['a cut line', `${HEAD}\tdata\t${gfid(7)}`],
    ['an unknown kind', `${HEAD}\tother\t${gfid(7)}\t\t1\tr`],
    ['no gfid', `${HEAD}\tdata\tnot-a-gfid\t\t1\tr`],
    ['no time', `yesterday\tdata\t${gfid(7)}\t\t1\tr`],
    ['no count', `${HEAD}\tdata\t${gfid(7)}\t\t-1\tr`],
    ['a bad entry', `${HEAD}\tentry\t${gfid(7)}\tname\t1\tr`],
    ['binary rubbish', '\u0000\u0001 %zz'],
  ])('%s is moved to failures.garbled and reported, and the other lines are loaded', async (_, line) => {
    const dir = workingDir();
    writeFileSync(join(dir, 'failures'), `${line}\n${good}\n`);
    const list = await FailureList.load(dir);
    expect(list.garbled).toEqual([line]);
    expect(list.items()).toMatchObject([{ gfid: gfid(1), tries: 2 }]);
    expect(readFileSync(join(dir, 'failures.garbled'), 'utf8')).toBe(`${line}\n`);
    expect(readFileSync(join(dir, 'failures'), 'utf8')).toBe(`${good}\n`);
    expect((await FailureList.load(dir)).garbled).toEqual([]);
  });
});

it('FailureList stays complete when its writer is killed', async () => {
  const dir = workingDir();
  const script = childScript(
    top,
    `import { FailureList } from '/src/status/failures.ts';
     const list = await FailureList.load(${JSON.stringify(dir)});
     for (let i = list.size; ; i++) {
       list.add({ kind: 'data', gfid: '00000000-0000-4000-8000-' + i.toString(16).padStart(12, '0'), reason: 'x'.repeat(200) });
       await list.persist();
       process.send(i + 1);
     }`,
  );
  for (let round = 0; round < 5; round++) {
    const child = fork(script);
    let acknowledged = 0;
    child.on('message', (n: number) => {
      acknowledged = n;
      if (n % 20 === 3 + round) child.kill('SIGKILL');
    });
    await once(child, 'exit');
    const list = await FailureList.load(dir);
    expect(list.garbled).toEqual([]);
    expect(list.size).toBeGreaterThanOrEqual(acknowledged);
    expect(acknowledged).toBeGreaterThan(0);
  }
});
