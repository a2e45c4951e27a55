import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseVolumeInfo, subvolNumber, volumeInfo } from '../../src/gluster/volinfo.js';

function fixture(name: string): string {
  return readFileSync(join(import.meta.dirname, '..', 'fixtures', 'volinfo', `${name}.xml`), 'utf8');
}

describe('parseVolumeInfo()', () => {
  it('reads a one-brick volume with its options', () => {
    const info = parseVolumeInfo(fixture('one-brick'), 'gvone');
    expect(info).toMatchObject({ name: 'gvone', id: 'ba0b5a44-1410-43c9-ab61-425ed42f056d', type: 'Distribute', status: 'Started' });
    expect(info.bricks).toEqual([{ host: '10.77.0.1', path: '/d/o1', hostUuid: '73b0ac14-da89-480a-8215-5a0bd5195f92', isArbiter: false }]);
    expect(info.options['changelog.changelog']).toBe('on');
  });

  it.each([
    ['replica', { replicaCount: 2, disperseCount: 0, arbiterCount: 0, distributionCount: 1 }, ['1', '1']],
    ['distribute', { replicaCount: 1, disperseCount: 0, arbiterCount: 0, distributionCount: 3 }, ['1', '2', '3']],
    ['distributed-arbiter', { replicaCount: 3, disperseCount: 0, arbiterCount: 1, distributionCount: 2 }, ['1', '1', '1', '2', '2', '2']],
    ['disperse', { replicaCount: 1, disperseCount: 3, arbiterCount: 0, distributionCount: 1 }, ['1', '1', '1']],
  ])('%s: counts, and the subvolume of each brick', (name, counts, subvolumes) => {
    const info = parseVolumeInfo(fixture(name), name);
    expect(info).toMatchObject(counts);
    expect(info.bricks.map((_, i) => String(subvolNumber(i, info)))).toEqual(subvolumes);
  });

  it('tells arbiters', () => {
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
    ['nothing', '', 'volume info: gvX: not the output of gluster'],
    ['cut', fixture('one-brick').slice(0, 400), 'volume info: gvX: incomplete output of gluster'],
  ])('%s: one line that names the volume', (_, xml, message) => {
    expect(() => parseVolumeInfo(xml, 'gvX')).toThrow(expect.objectContaining({ message, code: 'preflight' }) as Error);
  });
});

describe('volumeInfo()', () => {
  it('asks the local gluster from the configured directory', async () => {
    const asked: string[][] = [];
    const info = await volumeInfo(
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

  it('reports the last line of a command that printed no XML, or that could not run', async () => {
    const failing = () => Promise.resolve({ stdout: '', stderrTail: 'warning\nssh: connect to host h port 22: No route to host\n', exitCode: 255 });
    await expect(volumeInfo(failing, 'gv')).rejects.toThrow('volume info: gv: ssh: connect to host h port 22: No route to host');
    const silent = () => Promise.resolve({ stdout: '', stderrTail: '', exitCode: 3 });
    await expect(volumeInfo(silent, 'gv')).rejects.toThrow('volume info: gv: gluster exited with 3');
    await expect(volumeInfo(() => Promise.reject(new Error('spawn gluster ENOENT')), 'gv')).rejects.toThrow('volume info: gv: spawn gluster ENOENT');
  });
});
