// What a peer answers need not make sense.
import { expect, test } from 'vitest';
import { entryPath, type Gfid } from '../../src/protocol/gfid.js';
import { SecondaryProbe } from '../../src/primary/reconcile/secondary-probe.js';

const gfid = (n: number): Gfid => `aabb0000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as Gfid;

/** A peer that says where each directory is. */
function truthOf(parentOf: (n: number) => number): { truth: SecondaryProbe; asked: () => number } {
  let asked = 0;
  const sync = {
    applyIndependent: ([op]: readonly { gfid: Gfid }[]) => {
      asked += 1;
      return Promise.resolve({ failures: [{ info: { secondaryEntry: entryPath(gfid(parentOf(Number.parseInt(op!.gfid.slice(-12), 16))), 'name') } }] });
    },
  };
  const truth = new SecondaryProbe({ entries: () => Promise.reject(new Error('not asked')) } as never, sync as never, 'bytes');
  return { truth, asked: () => asked };
}

test('directories that are in each other have no path', async () => {
  const { truth, asked } = truthOf((n) => (n % 2) + 1);
  expect(await truth.children(gfid(1))).toBeNull();
  expect(asked()).toBe(2);
});

test('directories without an end have no path', async () => {
  const { truth, asked } = truthOf((n) => n + 1);
  expect(await truth.children(gfid(1))).toBeNull();
  expect(asked()).toBeLessThan(5000);
});
