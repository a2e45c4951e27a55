// applyEntries() on a model of a replicated volume with inodes in split-brain: most calls that need one of them fail with
// ENOTCONN until it is healed.

import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { gfidPath, ROOT_GFID, splitEntryPath, type Gfid } from '../../src/protocol/gfid.js';
import { NativeError } from '../../src/native/libc.js';
import { S_IFDIR, S_IFMT } from '../../src/protocol/view.js';
import type { PyTuple, PyValue } from '../../src/rpc/pickle-values.js';
import { applyEntries } from '../../src/secondary/entry-batch.js';
import type { EntryOp } from '../../src/protocol/secondary.js';
import type { SecondaryVolume } from '../../src/secondary/volume.js';
import { AvailabilityGuard } from '../../src/secondary/availability-guard.js';
import { Random } from '../gluster/lab/random.js';
import { ModelVolume } from '../primary/model/volume.js';
import { conflicts } from './histories.js';
import { ModelSecondaryVolume } from './model-secondary-volume.js';
import { fc } from '../seeds.js';

const { ENOTCONN } = constants.errno;
const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const STATE = { isWhole: () => Promise.resolve(true), isReachable: () => Promise.resolve(true) };

const chance = (random: Random, of: number): boolean => random.int(100) < 100 * of;

/** @param split inodes in split-brain, and after how many calls each is healed */
function splitVolume(model: ModelVolume, split: Map<Gfid, number>, random: Random): SecondaryVolume {
  const through = new ModelSecondaryVolume(model, 1);
  const meet = (path: string): void => {
    const inode = model.find(path);
    const left = inode === null ? undefined : split.get(inode.gfid);
    if (inode === null || left === undefined || left === 0) return;
    split.set(inode.gfid, left - 1);
    if (inode.entries !== null) throw new NativeError('call', path, ENOTCONN);
    if (chance(random, 0.8)) throw new NativeError('call', path, ENOTCONN);
  };
  return new Proxy(through, {
    get:
      (volume, method) =>
      async (...args: readonly string[]) => {
        const [first = '.', second = '.'] = args;
        const names =
          method === 'link' || method === 'rename'
            ? [first, second]
            : [method.toString().startsWith('create') ? gfidPath(first as Gfid) : first];
        if (method === 'readdir') {
          await Promise.resolve();
          return [...(model.at(first).entries?.keys() ?? [])];
        }
        for (const name of names) {
          if (name.split('/').length === 3 && splitEntryPath(name).parent !== ROOT_GFID)
            meet(gfidPath(splitEntryPath(name).parent));
          meet(name);
        }
        return (volume[method as 'lstat'] as (...args: readonly string[]) => Promise<unknown>).apply(volume, [...args]);
      },
  });
}

/** Checks the effect of `op`, which returned no failure. @returns null when the effect is there, else the problem */
function undone(model: ModelVolume, { op, gfid, entry, entry1, stat = null, link = null }: EntryOp): string | null {
  const at = (path: string): Gfid | undefined => model.find(path)?.gfid;
  const wasThere = model.inodes.has(gfid);
  switch (op) {
    case 'UNLINK':
    case 'RMDIR':
      return at(entry) === gfid ? `${op}: it is there` : null;
    case 'RENAME': {
      if (at(entry) === gfid && entry !== entry1) return 'RENAME: the old name is there';
      const made =
        stat !== null && (stat.mode & S_IFMT) !== S_IFDIR && (link !== null || (stat.mode & S_IFMT) !== 0o120000);
      return made && at(entry1 ?? '') !== gfid ? 'RENAME: the new name is not there' : null;
    }
    case 'LINK':
    case 'SYMLINK':
      return at(entry) === gfid ? null : `${op}: it is not there`;
    case 'CREATE':
    case 'MKNOD':
    case 'MKDIR':
      return wasThere ? null : `${op}: there is no such inode`;
  }
}

test('applyEntries() returns a failure for each operation that split-brain prevents', async () => {
  let [done, told, inodes] = [0, 0, 0];
  await fc.assert(
    fc.asyncProperty(conflicts, fc.nat(), async ({ before, ops }, seed) => {
      const random = new Random(seed);
      const model = new ModelVolume(() => 1);
      const options = {
        distributionCount: chance(random, 0.5) ? 1 : 2,
        log: LOG,
        signal: new AbortController().signal,
      };
      await applyEntries({ ...options, volume: new ModelSecondaryVolume(model, seed) }, before as unknown as PyValue);
      const split = new Map(
        [...model.inodes.keys()]
          .filter((gfid) => gfid !== ROOT_GFID && chance(random, 0.3))
          .map((gfid) => [gfid, chance(random, 0.5) ? Infinity : random.int(40)]),
      );
      inodes += split.size;
      const volume = new AvailabilityGuard(splitVolume(model, split, random), STATE, 'several');
      for (const op of ops) {
        const failures = (await applyEntries({ ...options, volume }, [
          op,
        ] as unknown as PyValue)) as unknown as PyTuple[];
        if (failures.length > 0) told++;
        else {
          done++;
          expect(undone(model, op)).toBe(null);
        }
      }
    }),
    { numRuns: 300 },
  );
  expect(Math.min(done, told, inodes)).toBeGreaterThan(100);
}, 60_000);
