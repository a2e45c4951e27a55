import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.js';
import { distribute } from '../../src/monitor/distribution.js';
import { parseBricks, volumesFromConfig } from '../../src/monitor/volumes.js';
import { parseVolumeInfo, type VolumeInfo } from '../../src/gluster/volinfo.js';
import { lacks, NO_GLUSTER } from '../skip.js';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'volinfo');
const NODE = '73b0ac14-da89-480a-8215-5a0bd5195f92';
const OTHER = '1c9e3bb2-6d43-4b35-8d33-0c6f30f4a001';
const THIRD = '9b1d3f55-0f5e-4b1a-8d93-7a9f3cf51002';
const STOCK = [
  '/usr/lib/x86_64-linux-gnu/glusterfs/python/syncdaemon',
  '/usr/libexec/glusterfs/python/syncdaemon',
].find((dir) => existsSync(join(dir, 'monitor.py')));

const dir = mkdtempSync(join(tmpdir(), 'distribution-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A fixture's XML with its bricks spread over three nodes in turn. */
function xml(name: string): string {
  let brick = 0;
  return readFileSync(join(FIXTURES, `${name}.xml`), 'utf8').replaceAll(/<brick uuid=.*<\/brick>/g, (line) => {
    brick += 1;
    const host = ['10.77.0.1', '10.77.0.2', '10.77.0.3'][brick % 3] ?? '';
    return line.replaceAll('10.77.0.1', host).replaceAll(NODE, [NODE, OTHER, THIRD][brick % 3] ?? '');
  });
}

const volume = (name: string): VolumeInfo => parseVolumeInfo(xml(name), name);
const PRIMARIES = ['one-brick', 'distribute', 'replica', 'disperse', 'distributed-arbiter', 'tier'];

describe('distribute()', () => {
  it("returns a worker for each brick of this node, and assigns the secondary's nodes to all bricks in turn", () => {
    const { workers, nodes } = distribute(volume('distributed-arbiter'), volume('distribute'), NODE);
    expect(nodes.map((node) => node.host)).toEqual(['10.77.0.2', '10.77.0.3', '10.77.0.1']);
    expect(workers.map((w) => [w.brickPath, w.subvolNum, w.remote.host])).toEqual([
      ['/d/a3', 1, '10.77.0.1'],
      ['/d/a6', 2, '10.77.0.1'],
    ]);
  });

  it('numbers the subvolumes of each tier separately', () => {
    const { workers, distributionCount } = distribute(volume('tier'), volume('one-brick'), OTHER);
    expect(workers.map((w) => [w.brickPath, w.subvolNum, w.hotTier])).toEqual([
      ['/d/h1', 1, true],
      ['/d/h4', 2, true],
      ['/d/c3', 1, false],
      ['/d/c6', 2, false],
    ]);
    expect(distributionCount).toBe(2);
  });

  it('assigns no worker to an isolated node, named by host or by id', () => {
    const { workers, nodes } = distribute(volume('distributed-arbiter'), volume('distribute'), NODE, [
      '10.77.0.1',
      THIRD,
      '',
    ]);
    expect(nodes.map((node) => node.host)).toEqual(['10.77.0.2']);
    expect(workers.map((w) => w.remote.host)).toEqual(['10.77.0.2', '10.77.0.2']);
    expect(() => distribute(volume('distribute'), volume('distribute'), NODE, [NODE, OTHER, THIRD])).toThrow(
      /isolated-secondarys names each of its nodes/,
    );
  });

  it('returns no workers for a node without bricks', () => {
    expect(distribute(volume('distribute'), volume('replica'), 'nobody').workers).toEqual([]);
  });
});

describe('parseBricks()', () => {
  it('parses the brick lists of a session file', () => {
    expect(parseBricks(`${NODE}:node1:/b/1, ${OTHER}:fe80::1%eth0:/b/2`)).toEqual([
      { host: 'node1', path: '/b/1', hostUuid: NODE, isArbiter: false },
      { host: 'fe80::1%eth0', path: '/b/2', hostUuid: OTHER, isArbiter: false },
    ]);
    expect(parseBricks(`${NODE}:backup1,${OTHER}:backup2`).map((b) => b.host)).toEqual(['backup1', 'backup2']);
    expect(parseBricks('')).toEqual([]);
  });
});

describe('volumesFromConfig()', () => {
  const from = (vars: string) => {
    const sessionFile = join(mkdtempSync(join(dir, 'conf-')), 'gsyncd.conf');
    writeFileSync(sessionFile, `[vars]\n${vars}`);
    return volumesFromConfig(loadConfig({ sessionFile, templateArgs: {} }), 'gv0', {
      user: 'root',
      host: 'backup',
      volume: 'sv0',
    });
  };

  it('returns volumes that distribute() accepts', async () => {
    const volumes = from(
      `primary-bricks = ${NODE}:n1:/b/1,${OTHER}:n2:/b/2,${NODE}:n1:/b/3\nsecondary-bricks = ${THIRD}:b1,${OTHER}:b2\n` +
        'primary-volume-id = P\nslave-volume-id = S\nprimary-replica-count = 2\nprimary-disperse-count = 0\nprimary-distribution-count = 2\n',
    );
    const { signal } = new AbortController();
    const { workers, ...rest } = distribute(await volumes.primary(signal), await volumes.secondary(signal), NODE);
    expect(workers.map((w) => [w.brickPath, w.subvolNum, w.remote.host])).toEqual([
      ['/b/1', 1, 'b1'],
      ['/b/3', 2, 'b1'],
    ]);
    expect(rest).toMatchObject({ secondaryId: 'S', stimeXattrPrefix: 'trusted.glusterfs.P.S', distributionCount: 2 });
  });

  it('names the missing options', async () => {
    await expect(from('').primary(new AbortController().signal)).rejects.toThrow(
      'config: volume gv0: no id, no bricks: --use-gconf-volinfo needs them',
    );
  });
});

describe.skipIf(lacks(STOCK !== undefined, NO_GLUSTER, "the monitor beside stock's"))(
  "beside stock's distribute()",
  () => {
    it.each(
      PRIMARIES.flatMap((primary) =>
        ['distribute', 'distributed-arbiter'].map((secondary) => [primary, secondary] as const),
      ),
    )('distribute() matches stock for %s to %s', (primary, secondary) => {
      const work = mkdtempSync(join(dir, 'stock-'));
      const files = [0, 1].map((i) => join(work, `${i}.xml`));
      [primary, secondary].forEach((name, i) => writeFileSync(files[i] ?? '', xml(name)));
      for (const node of primary === 'tier' ? [NODE, OTHER, THIRD] : [NODE, THIRD]) {
        const theirs = JSON.parse(
          execFileSync(
            '/usr/bin/python3',
            [join(import.meta.dirname, 'stock-distribute.py'), STOCK ?? '', ...files, node, work],
            { encoding: 'utf8' },
          ),
        ) as {
          workers: [string, string, string, string, boolean, string, string][];
          nodes: [string, string][];
          secondaryId: string;
          config: Record<string, string>;
        };
        const ours = distribute(volume(primary), volume(secondary), node);
        expect(new Set(ours.nodes.map(({ host, id }) => `${host} ${id}`))).toEqual(
          new Set(theirs.nodes.map((pair) => pair.join(' '))),
        );
        // Stock takes the nodes from a set, in an order that changes from run to run. Map our nodes to stock's by position.
        const stand = new Map(ours.nodes.map((own, i) => [own.id, theirs.nodes[i]]));
        const tiered = primary === 'tier';
        expect(
          ours.workers.map((w) => {
            const [host, id] = stand.get(w.remote.id) ?? ['', ''];
            const subvol = tiered ? `${w.hotTier ? 'hot' : 'cold'}_${w.subvolNum}` : String(w.subvolNum);
            return [w.brickPath, w.host, w.hostId, subvol, w.hotTier, `user@${host}`, id];
          }),
        ).toEqual(theirs.workers);
        expect(ours.secondaryId).toBe(theirs.secondaryId);
        expect(ours.stimeXattrPrefix).toBe(theirs.config['stime-xattr-prefix']);
        if (theirs.workers.length > 0)
          expect(String(ours.distributionCount)).toBe(theirs.config['primary-distribution-count'] ?? '1');
      }
    });
  },
);
