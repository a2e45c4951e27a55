// Attributes of a directory without a path: on a brick with damaged handles it is its own ancestor.
import { expect, test } from 'vitest';
import type { Gfid } from '../../src/protocol/gfid.js';
import { AttributesTransfer } from '../../src/primary/transfer/attributes-transfer.js';
import type { RsyncTransfer } from '../../src/primary/transfer/rsync-transfer.js';

const [A, B, FILE] = [1, 2, 3].map((n) => `0000000${n}-0000-4000-8000-00000000000${n}` as Gfid) as [Gfid, Gfid, Gfid];

test('a directory that is its own ancestor fails alone, and other items are synced', async () => {
  const parents = new Map([
    [A, B],
    [B, A],
  ]);
  const sent: Gfid[] = [];
  const rsync = {
    name: 'rsync',
    sync: (gfids: readonly Gfid[]) => {
      sent.push(...gfids);
      return Promise.resolve({ returnCode: 0, synced: new Set(gfids), failed: new Map() });
    },
  } as unknown as RsyncTransfer;
  const brick = {
    dirLocation: (gfid: Gfid) => Promise.resolve(parents.has(gfid) ? { parent: parents.get(gfid)!, name: 'd' } : null),
  };
  const results = await new AttributesTransfer({ rsync, brick }).sync([A, FILE]);
  expect(results.get(A)).toMatchObject({
    status: 'failed',
    scope: 'item',
    reason: expect.stringContaining('cycle') as string,
  });
  expect(results.get(FILE)).toEqual({ status: 'synced' });
  expect(sent).toEqual([FILE]);
});
