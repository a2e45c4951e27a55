// What a mount's description of itself says of its sets of replicas, in a directory that looks like one.
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

/** `sets`: of each, whether it has its quorum. */
async function graph(name: string, sets: readonly boolean[]): Promise<void> {
  const graphs = join(dir, '.meta', 'graphs');
  for (const [i, up] of sets.entries()) {
    await mkdir(join(graphs, name, `v-replicate-${i}`), { recursive: true });
    await writeFile(join(graphs, name, `v-replicate-${i}`, 'private'), `[cluster/replicate.v-replicate-${i}]\nchild_count = 3\nchild_up[0] = 0\nquorum-type = auto\nup = ${up ? 1 : 0}\n`);
  }
  await mkdir(join(graphs, name, 'v-dht'), { recursive: true });
  await rm(join(graphs, 'active'), { force: true });
  await symlink(name, join(graphs, 'active'));
}

test('a mount that does not describe itself counts as whole', async () => {
  expect(await new VolumeHealth(dir).isWhole()).toBe(true);
});

test.each([
  [[true, true], true],
  [[true, false], false],
  [[false, false, true], false],
  // It says so in each answer.
  [[false], true],
  [[], true],
])('sets with quorum: %j, whole: %j', async (sets, whole) => {
  await graph('g1', sets);
  expect(await new VolumeHealth(dir).isWhole()).toBe(whole);
});

// Without knowing, an ENOTCONN is the volume's.
test('a mount that does not describe itself is not known to be reachable', async () => {
  expect(await new VolumeHealth(dir).isReachable()).toBe(false);
});

test.each([
  [[true, true], true],
  [[true, false], false],
  [[true], true],
  [[false], false],
  [[], true],
])('sets with quorum: %j, reachable: %j', async (sets, reachable) => {
  await graph('g1', sets);
  expect(await new VolumeHealth(dir).isReachable()).toBe(reachable);
});

test('a volume that grows has other sets', async () => {
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
] as const)('of the translators %j, each file is on %s', async (names, bricks) => {
  expect(await new VolumeHealth(dir).bricksOfFile()).toBe('one');
  for (const name of names) await mkdir(join(dir, '.meta', 'graphs', 'g1', name), { recursive: true });
  await symlink('g1', join(dir, '.meta', 'graphs', 'active'));
  expect(await new VolumeHealth(dir).bricksOfFile()).toBe(bricks);
});
