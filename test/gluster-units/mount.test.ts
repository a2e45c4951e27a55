import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { logErrorsSince, logSize } from '../../src/gluster/mount-log.js';
import { AuxMount } from '../../src/gluster/mount.js';
import type { MountChild, MountOptions } from '../../src/gluster/mount.js';
import { isMountPoint } from '../../src/gluster/mount-ready.js';
import { lacksProgram, lacksRoot } from '../skip.js';

const top = mkdtempSync(join(tmpdir(), 'mount-'));
afterAll(() => rmSync(top, { recursive: true, force: true }));

/** Starts `instead` when given, else the argv. */
function spawner(seen: string[][], instead?: readonly string[]): (argv: readonly string[]) => MountChild {
  return (argv) => {
    seen.push([...argv]);
    const [program = 'false', ...args] = instead ?? argv;
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderrTail = '';
    child.stderr.on('data', (chunk: Buffer) => (stderrTail += chunk.toString()));
    const exited = new Promise<Awaited<MountChild['exited']>>((resolve) =>
      child.on('close', (code, signal) => resolve({ code, signal, stderrTail })),
    );
    return { pid: child.pid ?? 0, exited, kill: (signal) => child.kill(signal) };
  };
}

function options(spawnChild: MountOptions['spawnChild'], more: Partial<MountOptions> = {}): MountOptions {
  return {
    glusterCommandDir: '',
    params: ['aux-gfid-mount', 'acl'],
    volfileServer: '127.0.0.1',
    volume: 'gv-none',
    logFile: join(top, 'mount.log'),
    logLevel: 'INFO',
    timeoutMs: 10_000,
    directoryPrefix: join(top, 'aux-'),
    registry: join(top, 'mounts'),
    spawnChild,
    ...more,
  };
}

function nothingIsLeft(): void {
  expect(readdirSync(top).filter((name) => name.startsWith('aux-'))).toEqual([]);
  expect(readFileSync(join(top, 'mounts'), 'utf8')).toBe('[]\n');
}

describe.skipIf(lacksRoot('mounts'))('AuxMount.mount() leaves no directory and no record when', () => {
  it('glusterfs exits with a reason on stderr', async () => {
    const seen: string[][] = [];
    const spawnChild = spawner(seen, ['sh', '-c', 'echo first >&2; echo no such option >&2; exit 3']);
    const failure = AuxMount.mount(options(spawnChild, { glusterCommandDir: '/usr/sbin/' }));
    await expect(failure).rejects.toMatchObject({
      code: 'mount',
      message: 'mount: gv-none: glusterfs ended with 3: no such option',
    });
    const dir = seen[0]?.at(-1) ?? '';
    expect(dir.startsWith(join(top, 'aux-'))).toBe(true);
    expect(seen[0]).toEqual([
      '/usr/sbin/glusterfs',
      '--aux-gfid-mount',
      '--acl',
      '--log-level=INFO',
      `--log-file=${join(top, 'mount.log')}`,
      '--volfile-server=127.0.0.1',
      '--volfile-id=gv-none',
      '--client-pid=-1',
      '--no-daemon',
      dir,
    ]);
    nothingIsLeft();
  });

  it('the timeout expires', async () => {
    const failure = AuxMount.mount(options(spawner([], ['sleep', '60']), { timeoutMs: 100 }));
    await expect(failure).rejects.toMatchObject({ code: 'mount', message: 'mount: gv-none: not mounted after 0.1 s' });
    nothingIsLeft();
  });

  it('the caller aborts', async () => {
    const stop = new AbortController();
    const failure = AuxMount.mount(options(spawner([], ['sleep', '60']), { signal: stop.signal }));
    setTimeout(() => stop.abort(), 50);
    await expect(failure).rejects.toMatchObject({ code: 'stopped' });
    nothingIsLeft();
    await expect(AuxMount.mount(options(spawner([]), { signal: stop.signal }))).rejects.toMatchObject({
      code: 'stopped',
    });
  });

  it('glusterfs cannot be started', async () => {
    const failure = AuxMount.mount(options(() => Promise.reject(new Error('no glusterfs'))));
    await expect(failure).rejects.toThrow('no glusterfs');
    nothingIsLeft();
  });

  it.skipIf(lacksProgram('glusterfs', 'mounts without a server'))(
    'no server answers, with the reason from the log',
    async () => {
      const failure = AuxMount.mount(
        options(spawner([]), { volfileServer: '127.0.0.1', params: ['volfile-server-port=1'], timeoutMs: 5_000 }),
      );
      await expect(failure).rejects.toMatchObject({
        code: 'mount',
        message: expect.stringMatching(/^mount: gv-none: .*127\.0\.0\.1/) as string,
      });
      nothingIsLeft();
    },
    20_000,
  );
});

describe('logErrorsSince()', () => {
  it('returns the last errors since the start of this mount, also after rotation', async () => {
    const log = join(top, 'log');
    expect(await logSize(log)).toBe(0);
    expect(await logErrorsSince(log, 0)).toEqual([]);
    const line = (level: string, text: string) =>
      `[2024-01-01 00:00:00.1 +0000] ${level} [MSGID: 101] [a.c:1:f] 0-glusterfs: ${text} \n`;
    writeFileSync(log, line('E', 'old'));
    const start = await logSize(log);
    writeFileSync(
      log,
      line('E', 'one') + line('E', 'two') + line('I', 'info') + line('E', 'two') + line('C', 'three'),
      { flag: 'a' },
    );
    expect(await logErrorsSince(log, start)).toEqual(['0-glusterfs: two', '0-glusterfs: three']);
    writeFileSync(log, line('E', 'rotated'));
    expect(await logErrorsSince(log, start + 1000)).toEqual(['0-glusterfs: rotated']);
  });
});

it('isMountPoint() is true for mount points only', async () => {
  expect(await isMountPoint('/proc')).toBe(true);
  expect(await isMountPoint(top)).toBe(false);
});
