// RemoteSecondary over a stock server: the sent operations, and the translation of failures.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT_GFID, entryPath, gfidPath, type Gfid } from '../../src/protocol/gfid.js';
import { RepceClient } from '../../src/rpc/client.js';
import { entryFailures } from '../../src/rpc/op-dicts.js';
import { pyTuple } from '../../src/rpc/pickle-values.js';
import { RemoteSecondary } from '../../src/rpc/remote-secondary.js';
import type { EntryOp, OpStat } from '../../src/protocol/secondary.js';
import { STOCK_DAEMON, startStockServer, type StockServer } from './stock-server.js';

const GFID = '11111111-2222-3333-4444-555555555555' as Gfid;
const STAT: OpStat = { uid: 1000, gid: 100, mode: 0o100644, atime: 1700000000, mtime: 1700000000.25 };

function op(name: string, more: Partial<EntryOp> = {}): EntryOp {
  return { op: 'LINK', gfid: GFID, entry: entryPath(ROOT_GFID, name), stat: STAT, ...more };
}

describe.skipIf(STOCK_DAEMON === undefined)('RemoteSecondary', () => {
  let server: StockServer;
  let secondary: RemoteSecondary;
  let dir: string;
  beforeAll(() => {
    server = startStockServer();
    secondary = new RemoteSecondary(server.client, { callTimeoutMs: 20_000, signal: new AbortController().signal });
    dir = mkdtempSync(join(tmpdir(), 'remote-secondary-'));
  });
  afterAll(async () => {
    await server.stop();
    rmSync(dir, { recursive: true });
  });
  const seen = async (): Promise<string> => ((await server.client.call('seen', [])) as string[]).at(-1) ?? '';

  it('sends operations in the form of the stock primary', async () => {
    const ops: EntryOp[] = [
      { op: 'CREATE', gfid: GFID, entry: '.gfid/p/a', mode: 33188, uid: 0, gid: 5 },
      { op: 'UNLINK', gfid: GFID, entry: '.gfid/p/b' },
      { op: 'SYMLINK', gfid: GFID, entry: '.gfid/p/c', stat: STAT, link: 'caf\uDCE9' },
      { op: 'RENAME', gfid: GFID, entry: '.gfid/p/d', entry1: '.gfid/p/e', stat: null },
    ];
    expect(await secondary.entryOps(ops)).toEqual([]);
    const stat = "{'uid': 1000, 'gid': 100, 'mode': 33188, 'atime': 1700000000.0, 'mtime': 1700000000.25}";
    const head = (name: string, entry: string): string =>
      `{'op': '${name}', 'skip_entry': False, 'gfid': '${GFID}', 'entry': '.gfid/p/${entry}'`;
    expect(await seen()).toBe(
      `('entry_ops', [${head('CREATE', 'a')}, 'mode': 33188, 'uid': 0, 'gid': 5}, ${head('UNLINK', 'b')}}, ` +
        `${head('SYMLINK', 'c')}, 'stat': ${stat}, 'link': 'caf\\udce9'}, ${head('RENAME', 'd')}, 'entry1': '.gfid/p/e', 'stat': {}, 'link': None}])`,
    );
  });

  it("returns failures with the caller's operation objects, from slave_ and secondary_ keys", async () => {
    const ops = [
      op('plain'),
      op('a+slave'),
      op('a+slave'),
      op('b+secondary', { op: 'RENAME', entry1: entryPath(ROOT_GFID, 'c') }),
      op('twice+slave+secondary'),
    ];
    const failures = await secondary.entryOps(ops);
    expect(failures.map((failure) => ops.indexOf(failure.op))).toEqual([1, 2, 3, 4, 4]);
    for (const failure of failures) {
      expect(failure.errno).toBe(17);
      expect(failure.info).toEqual({
        gfidMismatch: true,
        nameMismatch: false,
        dst: failure.op.op === 'RENAME',
        secondaryIsDir: true,
        secondaryGfid: '01234567-89ab-cdef-0123-456789abcdef',
        secondaryEntry: '.gfid/there',
      });
    }
    expect(failures[0]?.op).toBe(ops[1]);
    expect(failures[0]?.op.stat?.uid).toBe(1000);
  });

  it('returns failures of attributes', async () => {
    const ops = [1, 13, 2].map((uid) => ({ go: gfidPath(GFID), stat: { ...STAT, uid } }));
    ops[1] = { ...ops[1]!, go: gfidPath(ROOT_GFID) };
    expect(await secondary.metaOps(ops)).toEqual([{ op: ops[1], errno: 1, call: 'chmod' }]);
  });

  it('lstat() and entries() return attributes and names, null and ENOENT', async () => {
    writeFileSync(join(dir, 'ä'), 'hello');
    writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.of(0xff)]), '');
    expect((await secondary.entries(dir)).sort()).toEqual(['ä', '\uDCFF']);
    expect(await secondary.lstat(join(dir, 'ä'))).toMatchObject({ size: 5, nlink: 1, uid: process.getuid?.() });
    expect(typeof (await secondary.lstat(dir))?.ino).toBe('bigint');
    expect(await secondary.lstat(join(dir, 'none'))).toBeNull();
    await expect(secondary.entries(join(dir, 'none'))).rejects.toMatchObject({ errno: 2 });
  });

  it('purge() removes the given names or a whole tree, and nothing for an empty list', async () => {
    await secondary.purge('.gfid/x', ['a']);
    expect(await seen()).toBe("('purge', '.gfid/x', ['a'])");
    await secondary.purge('.gfid/y', []);
    expect(await seen()).toBe("('purge', '.gfid/x', ['a'])");
    await secondary.purge('.gfid/y');
    expect(await seen()).toBe("('purge', '.gfid/y', None)");
  });

  it('setattr() and keepAlive() send the form that a stock secondary expects', async () => {
    await secondary.setattr('.', { own: [1, 2], mode: 0o755, times: [1, 2] });
    expect(await seen()).toBe("('setattr', '.', {'own': (1, 2), 'mode': 493, 'times': (1.0, 2.0)})");
    expect(await secondary.keepAlive(null)).toBe(7);
    expect(
      await secondary.keepAlive({ version: [1, 0], uuid: GFID, retval: 0, volumeMark: [5, 6], timeout: 99.5 }),
    ).toBe(7);
    expect(await seen()).toBe(
      `('keep_alive', {'version': (1, 0), 'uuid': '${GFID}', 'retval': 0, 'volume_mark': (5, 6), 'timeout': 99})`,
    );
  });
});

describe('RemoteSecondary with a silent peer', () => {
  it('extends the timeout by the number and kind of operations', async () => {
    const client = new RepceClient({ input: new PassThrough(), output: new PassThrough() });
    const secondary = new RemoteSecondary(client, { callTimeoutMs: 10, operationTimeoutMs: 20, removalTimeoutMs: 30 });
    await expect(secondary.keepAlive(null)).rejects.toThrow('call keep_alive: no answer for 0.01 s');
    await expect(secondary.entryOps([op('a'), op('b')])).rejects.toThrow('call entry_ops: no answer for 0.05 s');
    await expect(secondary.entryOps([op('a', { op: 'RMDIR' })])).rejects.toThrow(
      'call entry_ops: no answer for 0.06 s',
    );
    await expect(secondary.purge('.')).rejects.toThrow('call purge: no answer for 0.04 s');
    client.close();
  });
});

describe('entryFailures()', () => {
  it('refuses malformed answers and operations that were not sent', () => {
    const dict = { op: 'LINK', gfid: GFID, entry: entryPath(ROOT_GFID, 'a') };
    for (const answer of [
      null,
      5,
      ['x'],
      [pyTuple([dict, 'x', {}])],
      [pyTuple([dict, 17])],
      [pyTuple([{ ...dict, entry: 'b' }, 17, {}])],
    ]) {
      expect(() => entryFailures([op('a')], answer)).toThrow(/^answer to entry_ops: /);
    }
    expect(entryFailures([op('a')], [pyTuple([dict, 17, {}])])).toHaveLength(1);
  });
});
