// The unit template that `install --systemd` writes, under a real systemd: a worker that replicates, is started again
// after a crash, reopens its log, and leaves nothing behind when it is stopped.
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { EVERY_TYPE, everyOperation } from './lab/fixtures.js';
import { HOST } from './lab/lab.js';
import { REPO } from './lab/machine.js';
import { useLab } from './lab/use-lab.js';
import { lacks } from '../skip.js';

/** Why systemd cannot run in a box; undefined when it can. */
function whyNoSystemd(): string | undefined {
  if (!existsSync('/lib/systemd/systemd')) return 'systemd is not installed';
  const tree = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];
  try {
    accessSync(tree ?? '/none', constants.W_OK);
    return undefined;
  } catch {
    return 'no control groups can be made';
  }
}

const noSystemd = whyNoSystemd();
const UNIT = 'gsyncd-ts-worker@b1';
const LOG = '/var/log/glusterfs/systemd-worker.log';

describe.skipIf(lacks(noSystemd === undefined, noSystemd ?? '', 'the unit under systemd'))('under systemd', () => {
  const lab = useLab({ gsyncd: 'ours' });
  let systemd: ChildProcess | undefined;
  let pid = '';
  afterAll(async () => {
    if (systemd === undefined) return;
    const ended = new Promise((resolve) => systemd?.once('exit', resolve));
    await lab().exec(['pkill', '-TERM', '-f', 'lab/systemd.sh$']);
    await ended;
  });

  const inSystemd = async (...argv: string[]): Promise<string> =>
    (await lab().exec(['nsenter', '-t', pid, '-p', '-m', '-C', '--', ...argv])).stdout;
  const property = async (name: string): Promise<string> =>
    (await inSystemd('systemctl', 'show', '--value', '-p', name, UNIT)).trim();
  const log = (): Promise<string> =>
    lab()
      .read(LOG)
      .catch(() => '');

  test('install writes the unit, and systemd starts it', async () => {
    systemd = lab().box.start(['bash', path.join(REPO, 'test/gluster/lab/systemd.sh')]);
    systemd.stdout?.resume();
    systemd.stderr?.resume();
    await lab().until(
      'systemd',
      async () => {
        pid = (await lab().exec(['pgrep', '-x', 'systemd'], { onFailure: 'return' })).stdout.trim();
        if (pid === '') return false;
        return (
          (
            await lab().exec(['nsenter', '-t', pid, '-p', '-m', '-C', '--', 'systemctl', 'is-system-running'], {
              onFailure: 'return',
            })
          ).stdout.trim() === 'running'
        );
      },
      60_000,
    );
    expect(await inSystemd(process.execPath, '/mnt/gsyncd-ts/bin/gsyncd-ts.js', 'install', '--systemd')).toContain(
      '/etc/systemd/system/gsyncd-ts-worker@.service: written',
    );
    const settings = ['PRIMARY=gv0', `SECONDARY=root@${HOST}::sv0`, 'BRICK=/srv/gv0_1', `OPTIONS=--log-file ${LOG}`];
    await inSystemd(
      'bash',
      '-c',
      'mkdir -p /etc/gsyncd-ts; printf "%s\\n" "$@" >/etc/gsyncd-ts/b1.conf',
      'sh',
      ...settings,
    );
    await inSystemd('systemctl', 'daemon-reload');
    await lab().sh(EVERY_TYPE);
    await lab().sh(everyOperation('ops').prepare);
    await inSystemd('systemctl', 'start', UNIT);
    expect(await property('ActiveState')).toBe('active');
  });

  test("the worker replicates under the unit's restrictions", async () => {
    await lab().waitConverged(90_000);
    await lab().sh(everyOperation('ops').change);
    await lab().waitConverged(90_000);
    expect(await property('NRestarts')).toBe('0');
  });

  test("the mounts are only in the worker's mount namespace", async () => {
    expect(await inSystemd('cat', '/proc/1/mounts')).not.toMatch(/gsyncd-aux-mount-\S+ fuse/);
    expect(await inSystemd('cat', `/proc/${await property('MainPID')}/mounts`)).toMatch(/gsyncd-aux-mount-\S+ fuse/);
  });

  test('systemd restarts a worker that crashed, and it replicates', async () => {
    await inSystemd('kill', '-KILL', await property('MainPID'));
    await lab().sh('printf after >after-crash');
    await lab().until('restart', async () => (await property('NRestarts')) === '1', 60_000);
    await lab().waitConverged(90_000);
  });

  test('systemctl reload makes the worker reopen its log', async () => {
    await lab().exec(['mv', LOG, `${LOG}.1`]);
    await inSystemd('systemctl', 'reload', UNIT);
    await lab().until(
      'new log',
      async () => {
        await lab().sh('printf x >>tick');
        return (await log()) !== '';
      },
      60_000,
    );
  });

  test('systemctl stop ends the worker with success and leaves no process and no mount', async () => {
    await lab().waitConverged();
    await inSystemd('systemctl', 'stop', UNIT);
    expect([await property('Result'), await property('ExecMainStatus'), await property('ActiveState')]).toEqual([
      'success',
      '0',
      'inactive',
    ]);
    const left = [...(await lab().box.processes()).values()].filter((line) =>
      /gsyncd-aux-mount|gsyncd-ts\.js worker/.test(line),
    );
    expect(left).toEqual([]);
    expect(
      (
        await inSystemd(
          'sh',
          '-c',
          'ls -d /run/gluster/gsyncd-mounts/gsyncd-aux-* /tmp/gsyncd-aux-* /tmp/systemd-private-* 2>/dev/null || true',
        )
      ).trim(),
    ).toBe('');
    await lab().assertNoMountsLeft();
  });
});
