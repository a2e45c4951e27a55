import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseVolumeInfo, subvolNumber, queryVolumeInfo } from '../../src/gluster/volinfo.js';

function fixture(name: string): string {
  return readFileSync(join(import.meta.dirname, '..', 'fixtures', 'volinfo', `${name}.xml`), 'utf8');
}

describe('parseVolumeInfo()', () => {
  it('reads a one-brick volume with its options', () => {
    const info = parseVolumeInfo(fixture('one-brick'), 'gvone');
    expect(info).toMatchObject({
      name: 'gvone',
      id: 'ba0b5a44-1410-43c9-ab61-425ed42f056d',
      type: 'Distribute',
      status: 'Started',
    });
    expect(info.bricks).toEqual([
      { host: '10.77.0.1', path: '/d/o1', hostUuid: '73b0ac14-da89-480a-8215-5a0bd5195f92', isArbiter: false },
    ]);
    expect(info.options['changelog.changelog']).toBe('on');
  });

  it.each([
    ['replica', { replicaCount: 2, disperseCount: 0, arbiterCount: 0, distributionCount: 1 }, ['1', '1']],
    ['distribute', { replicaCount: 1, disperseCount: 0, arbiterCount: 0, distributionCount: 3 }, ['1', '2', '3']],
    [
      'distributed-arbiter',
      { replicaCount: 3, disperseCount: 0, arbiterCount: 1, distributionCount: 2 },
      ['1', '1', '1', '2', '2', '2'],
    ],
    ['disperse', { replicaCount: 1, disperseCount: 3, arbiterCount: 0, distributionCount: 1 }, ['1', '1', '1']],
  ])('%s: returns counts and the subvolume of each brick', (name, counts, subvolumes) => {
    const info = parseVolumeInfo(fixture(name), name);
    expect(info).toMatchObject(counts);
    expect(info.bricks.map((_, i) => String(subvolNumber(i, info)))).toEqual(subvolumes);
  });

  // Samples of the output of gluster 11.1, derived from its cli-xml-output.c.
  it.each([
    [
      'v11-distribute',
      'Distribute',
      { replicaCount: 1, disperseCount: 0, arbiterCount: 0, distributionCount: 3 },
      [1, 2, 3],
    ],
    [
      'v11-replica',
      'Replicate',
      { replicaCount: 3, disperseCount: 0, arbiterCount: 0, distributionCount: 1 },
      [1, 1, 1],
    ],
    [
      'v11-distributed-replicate',
      'Distributed-Replicate',
      { replicaCount: 3, disperseCount: 0, arbiterCount: 0, distributionCount: 2 },
      [1, 1, 1, 2, 2, 2],
    ],
    [
      'v11-distributed-arbiter',
      'Distributed-Replicate',
      { replicaCount: 3, disperseCount: 0, arbiterCount: 1, distributionCount: 2 },
      [1, 1, 1, 2, 2, 2],
    ],
    [
      'v11-distributed-disperse',
      'Distributed-Disperse',
      { replicaCount: 1, disperseCount: 3, arbiterCount: 0, distributionCount: 2 },
      [1, 1, 1, 2, 2, 2],
    ],
  ])('GlusterFS 11, %s: returns counts and the subvolume of each brick', (name, type, counts, subvolumes) => {
    const info = parseVolumeInfo(fixture(name), name);
    expect(info).toMatchObject({ type, status: 'Started', ...counts });
    expect(info.bricks.map((_, i) => subvolNumber(i, info))).toEqual(subvolumes);
  });

  it('GlusterFS 11: returns name, id, hosts, arbiters and options', () => {
    const info = parseVolumeInfo(fixture('v11-distributed-replicate'), 'gvdrep');
    expect(info).toMatchObject({ name: 'gvdrep', id: '5b0f9a60-7d5c-4c1b-9a35-0c1f6d7b8e03' });
    expect(info.bricks[1]).toEqual({
      host: '10.77.0.2',
      path: '/d/r2',
      hostUuid: '1c9e3bb2-6d43-4b35-8d33-0c6f30f4a001',
      isArbiter: false,
    });
    expect(info.options).toMatchObject({
      'changelog.changelog': 'on',
      'geo-replication.indexing': 'on',
      'cluster.granular-entry-heal': 'on',
    });
    expect(parseVolumeInfo(fixture('v11-distributed-arbiter'), 'gvarb').bricks.map((b) => b.isArbiter)).toEqual([
      false,
      false,
      true,
      false,
      false,
      true,
    ]);
  });

  // During an upgrade the gluster command may be 11 and glusterd 10. Then, and before GlusterFS 8, distCount is the number
  // of bricks per subvolume.
  it.each([
    ['v11-distribute', 3, 1],
    ['v11-replica', 1, 3],
    ['v11-distributed-replicate', 2, 3],
    ['v11-distributed-disperse', 2, 3],
  ])('gluster 11 with glusterd 10, %s: returns %i subvolumes although distCount is %i', (name, subvolumes, leaf) => {
    const xml = fixture(name).replace(`<distCount>${subvolumes}</distCount>`, `<distCount>${leaf}</distCount>`);
    expect(xml).not.toBe(fixture(name));
    expect(parseVolumeInfo(xml, name).distributionCount).toBe(subvolumes);
  });

  it('marks arbiter bricks', () => {
    const { bricks } = parseVolumeInfo(fixture('distributed-arbiter'), 'gvarb');
    expect(bricks.map((b) => b.isArbiter)).toEqual([false, false, true, false, false, true]);
  });

  it('reads IPv6 hosts, colons and entities in paths', () => {
    const xml = fixture('one-brick').replaceAll('10.77.0.1:/d/o1', 'fe80::af0f%utun0:/a:b/&lt;x&amp;y&gt; é');
    expect(parseVolumeInfo(xml, 'gvone').bricks[0]).toMatchObject({ host: 'fe80::af0f%utun0', path: '/a:b/<x&y> é' });
  });

  it.each([
    ['missing', fixture('missing'), 'volume info: gvX: Volume does not exist'],
    ['several volumes', fixture('all'), 'volume info: gvX: 6 volumes instead of one'],
    ['no XML', 'Connection failed', 'volume info: gvX: not the output of gluster'],
    ['empty output', '', 'volume info: gvX: not the output of gluster'],
    ['truncated output', fixture('one-brick').slice(0, 400), 'volume info: gvX: incomplete output of gluster'],
  ])('%s: throws one line that names the volume', (_, xml, message) => {
    expect(() => parseVolumeInfo(xml, 'gvX')).toThrow(expect.objectContaining({ message, code: 'preflight' }) as Error);
  });
});

describe('queryVolumeInfo()', () => {
  it('runs gluster of the configured directory against localhost', async () => {
    const asked: string[][] = [];
    const info = await queryVolumeInfo(
      (argv) => {
        asked.push([...argv]);
        return Promise.resolve({ stdout: fixture('replica'), stderrTail: '', exitCode: 0 });
      },
      'gvrep',
      '/usr/sbin/',
    );
    expect(asked).toEqual([['/usr/sbin/gluster', '--xml', '--remote-host=localhost', 'volume', 'info', 'gvrep']]);
    expect(info.bricks).toHaveLength(2);
  });

  it('throws the last stderr line of a command without output, or why it could not run', async () => {
    const failing = () =>
      Promise.resolve({
        stdout: '',
        stderrTail: 'warning\nssh: connect to host h port 22: No route to host\n',
        exitCode: 255,
      });
    await expect(queryVolumeInfo(failing, 'gv')).rejects.toThrow(
      'volume info: gv: ssh: connect to host h port 22: No route to host',
    );
    const silent = () => Promise.resolve({ stdout: '', stderrTail: '', exitCode: 3 });
    await expect(queryVolumeInfo(silent, 'gv')).rejects.toThrow('volume info: gv: gluster exited with 3');
    await expect(queryVolumeInfo(() => Promise.reject(new Error('spawn gluster ENOENT')), 'gv')).rejects.toThrow(
      'volume info: gv: spawn gluster ENOENT',
    );
  });
});
