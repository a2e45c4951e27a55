// Whose an ENOTCONN of a stock secondary is, with a peer that takes new names or refuses them.
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { withSplitNames } from '../../src/daemon/split-names.js';
import { PARKED } from '../../src/primary/parking.js';
import { RemoteCallError } from '../../src/rpc/errors.js';
import type { EntryOp, Secondary } from '../../src/secondary/secondary.js';

const { EACCES, EIO, ENOTCONN } = constants.errno;
const OP: EntryOp = { op: 'UNLINK', gfid: '5a6f3c1e-0000-4000-8000-000000000001' as EntryOp['gfid'], entry: '.gfid/00000000-0000-0000-0000-000000000001/split' };
const raised = (errno: number): RemoteCallError => new RemoteCallError('call', 'OSError', [errno, 'said so']);

/** Every call fails with `errno`, but for what is made and taken away in the root, which fails with `refusal` if there is one. */
function setUp(errno: number, { subvolumes = 1, refusal }: { subvolumes?: number; refusal?: Error } = {}) {
  const probes: (readonly EntryOp[])[] = [];
  const clock = { ms: 0 };
  const fail = (): Promise<never> => Promise.reject(raised(errno));
  const peer: Secondary = {
    entryOps: (ops) => {
      if (!ops.every(({ entry }) => entry.startsWith(PARKED))) return fail();
      probes.push(ops);
      return refusal === undefined ? Promise.resolve([]) : Promise.reject(refusal);
    },
    metaOps: fail, lstat: fail, entries: fail, purge: fail, setattr: fail, keepAlive: fail, pid: fail,
  };
  return { probes, clock, told: withSplitNames(peer, { subvolumes, volume: 'sv0', now: () => clock.ms }) };
}

const CALLS: readonly [string, (told: Secondary) => Promise<unknown>][] = [
  ['entryOps', (told) => told.entryOps([OP])],
  ['metaOps', (told) => told.metaOps([])],
  ['lstat', (told) => told.lstat('a')],
  ['entries', (told) => told.entries('.')],
  ['purge', (told) => told.purge('a')],
  ['setattr', (told) => told.setattr('a', {})],
];

test.each(CALLS)('%s: ENOTCONN of a volume that takes names is one entry\'s, and becomes EIO', async (_, call) => {
  await expect(call(setUp(ENOTCONN).told)).rejects.toMatchObject({ name: 'RemoteCallError', errno: EIO });
});

test.each(CALLS)('%s: ENOTCONN of a volume that refuses is the volume\'s', async (_, call) => {
  const { told } = setUp(ENOTCONN, { refusal: raised(ENOTCONN) });
  await expect(call(told)).rejects.toMatchObject({ code: 'peer', message: expect.stringMatching(/^secondary volume sv0: call call: OSError: said so/) as string });
});

test.each(CALLS)('%s: anything else is passed on without a look', async (_, call) => {
  const { told, probes } = setUp(EACCES);
  await expect(call(told)).rejects.toMatchObject({ name: 'RemoteCallError', errno: EACCES });
  expect(probes).toEqual([]);
});

test('each subvolume gets names, and each name is taken away again', async () => {
  for (const [subvolumes, names] of [[1, 1], [3, 48]] as const) {
    const { told, probes } = setUp(ENOTCONN, { subvolumes });
    await expect(told.lstat('a')).rejects.toMatchObject({ errno: EIO });
    const [ops = []] = probes;
    expect(ops.map(({ op }) => op)).toEqual(Array.from({ length: names }, () => ['MKNOD', 'UNLINK']).flat());
    for (const [i, { gfid, entry }] of ops.entries()) if (i % 2 === 1) expect(ops[i - 1]).toMatchObject({ gfid, entry });
    expect(new Set(ops.map(({ entry }) => entry)).size).toBe(names);
  }
});

test('many at once share a look, which counts for a moment', async () => {
  const { told, probes, clock } = setUp(ENOTCONN);
  const all = (): Promise<unknown> => Promise.allSettled(Array.from({ length: 50 }, () => told.lstat('a')));
  await all();
  expect(probes).toHaveLength(1);
  clock.ms += 900;
  await all();
  expect(probes).toHaveLength(1);
  clock.ms += 200;
  await all();
  expect(probes).toHaveLength(2);
});
