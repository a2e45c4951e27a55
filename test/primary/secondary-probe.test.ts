// The peer's answers may be inconsistent.
import { expect, test } from 'vitest';
import { entryPath, type Gfid } from '../../src/protocol/gfid.js';
import { SecondaryProbe } from '../../src/primary/reconcile/secondary-probe.js';

const gfid = (n: number): Gfid => `aabb0000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as Gfid;

/** A probe whose peer answers that directory n is in directory `parentOf(n)`. */
function truthOf(parentOf: (n: number) => number): { truth: SecondaryProbe; asked: () => number } {
  let asked = 0;
  const sync = {
    applyIndependent: ([op]: readonly { gfid: Gfid }[]) => {
      asked += 1;
      return Promise.resolve({
        failures: [
          { info: { secondaryEntry: entryPath(gfid(parentOf(Number.parseInt(op!.gfid.slice(-12), 16))), 'name') } },
        ],
      });
    },
  };
  const truth = new SecondaryProbe(
    { entries: () => Promise.reject(new Error('not asked')) } as never,
    sync as never,
    'bytes',
  );
  return { truth, asked: () => asked };
}

test('children() returns null for directories that contain each other', async () => {
  const { truth, asked } = truthOf((n) => (n % 2) + 1);
  expect(await truth.children(gfid(1))).toBeNull();
  expect(asked()).toBe(2);
});

test('children() returns null for an endless chain of parents', async () => {
  const { truth, asked } = truthOf((n) => n + 1);
  expect(await truth.children(gfid(1))).toBeNull();
  expect(asked()).toBeLessThan(5000);
});
