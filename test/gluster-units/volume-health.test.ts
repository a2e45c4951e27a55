// The health of replica sets from the .meta directory of a mount, with made-up directories.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VolumeHealth } from '../../src/gluster/volume-health.js';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gsyncd-ts-health-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** @param sets for each replica set, whether it has quorum */
async function graph(name: string, sets: readonly boolean[]): Promise<void> {
  const graphs = join(dir, '.meta', 'graphs');
  for (const [i, up] of sets.entries()) {
    await mkdir(join(graphs, name, `v-replicate-${i}`), { recursive: true });
    await writeFile(
      join(graphs, name, `v-replicate-${i}`, 'private'),
      `[cluster/replicate.v-replicate-${i}]\nchild_count = 3\nchild_up[0] = 0\nquorum-type = auto\nup = ${up ? 1 : 0}\n`,
    );
  }
  await mkdir(join(graphs, name, 'v-dht'), { recursive: true });
  await rm(join(graphs, 'active'), { force: true });
  await symlink(name, join(graphs, 'active'));
}

test('isWhole() is true for a mount without .meta', async () => {
  expect(await new VolumeHealth(dir).isWhole()).toBe(true);
});

test.each([
  [[true, true], true],
  [[true, false], false],
  [[false, false, true], false],
  // With a single set, each call fails if the set has no quorum.
  [[false], true],
  [[], true],
])('isWhole() for replica sets with quorum %j is %j', async (sets, whole) => {
  await graph('g1', sets);
  expect(await new VolumeHealth(dir).isWhole()).toBe(whole);
});

// Without .meta, an ENOTCONN is attributed to the volume.
test('isReachable() is false for a mount without .meta', async () => {
  expect(await new VolumeHealth(dir).isReachable()).toBe(false);
});

test.each([
  [[true, true], true],
  [[true, false], false],
  [[true], true],
  [[false], false],
  [[], true],
])('isReachable() for replica sets with quorum %j is %j', async (sets, reachable) => {
  await graph('g1', sets);
  expect(await new VolumeHealth(dir).isReachable()).toBe(reachable);
});

test('isWhole() reads the new replica sets after a graph change', async () => {
  const health = new VolumeHealth(dir);
  await graph('g0', [true]);
  expect(await health.isWhole()).toBe(true);
  await graph('g1', [true, true]);
  expect(await health.isWhole()).toBe(true);
  await graph('g2', [true, true, false]);
  expect(await health.isWhole()).toBe(false);
});

test.each([
  [['v-dht', 'v-client-0'], 'one'],
  [['v-dht', 'v-replicate-0', 'v-replicate-1'], 'several'],
  [['v-disperse-0'], 'several'],
] as const)('bricksOfFile() for the translators %j is %s', async (names, bricks) => {
  expect(await new VolumeHealth(dir).bricksPerFile()).toBe('one');
  for (const name of names) await mkdir(join(dir, '.meta', 'graphs', 'g1', name), { recursive: true });
  await symlink('g1', join(dir, '.meta', 'graphs', 'active'));
  expect(await new VolumeHealth(dir).bricksPerFile()).toBe(bricks);
});
