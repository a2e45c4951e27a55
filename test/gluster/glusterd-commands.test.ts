import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { REPO } from './lab/machine.js';
import { HOST } from './lab/lab.js';
import { useLab } from './lab/use-lab.js';

/** Each command of an admin, in order, on one session; none of them starts a monitor. */
const SCRIPT: readonly (readonly string[])[] = [
  ['status'],
  ['status', 'detail'],
  ['config'],
  ['config', 'sync-jobs'],
  ['config', 'log_level'],
  ['config', 'no-such-option'],
  ['config', 'log-level', 'DEBUG'],
  ['config', 'log_level', 'BAD'],
  ['config', 'no-such-option', '3'],
  ['config', 'pid-file', '/x'],
  ['config', 'sync-jobs', '4'],
  ['config', 'rsync-options', '=-v --compress'],
  ['config', 'checkpoint', '1700000000'],
  ['status', 'detail'],
  ['config'],
  ['config', '!log-level'],
  ['config', '!no-such-option'],
  ['config', '!pid-file'],
  ['config', '!sync_jobs'],
  ['config'],
  ['delete', 'reset-sync-time'],
  ['status'],
];

describe('glusterd with this program in place of gsyncd', () => {
  const lab = useLab();

  it('prints the same output as with the stock gsyncd, from create to delete', async () => {
    const gsyncd = (
      await lab().exec([
        'sh',
        '-c',
        'ls /usr/lib/*/glusterfs/gsyncd /usr/libexec/glusterfs/gsyncd 2>/dev/null | head -n 1',
      ])
    ).stdout.trim();
    const all = async (): Promise<{ argv: string; code: number | undefined; out: string }[]> => {
      const said = [];
      for (const argv of SCRIPT) {
        const { code, stdout, stderr } = await lab().session(argv, 'return');
        said.push({ argv: argv.join(' '), code, out: stdout + stderr });
      }
      return said;
    };
    const left = async (): Promise<string> =>
      (
        await lab().exec(
          ['sh', '-c', `ls -A ${lab().sessionDir}; ls /var/lib/misc/gluster/gsyncd; ls /run/gluster | grep gsyncd`],
          { onFailure: 'return' },
        )
      ).stdout;
    const stock = await all();
    const leftByStock = await left();

    const wrapper = '/var/lib/misc/gsyncd-ts';
    const calls = '/var/log/glusterfs/calls.log';
    const exec = `exec '${process.execPath}' '${path.join(REPO, 'bin/gsyncd-ts.js')}' "$@"`;
    await lab().exec([
      'sh',
      '-c',
      `printf '%s\\n' '#!/bin/sh' 'echo "$*" >>${calls}' "$1" >${wrapper}; chmod +x ${wrapper}; mount --bind ${wrapper} ${gsyncd}`,
      'sh',
      exec,
    ]);
    const created = await lab().session(['create', 'push-pem', 'force'], 'return');
    expect(created).toMatchObject({
      code: 0,
      stdout: `Creating geo-replication session between gv0 & ${HOST}::sv0 has been successful\n`,
    });
    expect(await lab().read(`${lab().sessionDir}/monitor.status`)).toBe('Created');
    const here = await all();
    expect(here).toEqual(stock);
    expect(await left()).toBe(leftByStock);
    const called = await lab().read(calls);
    for (const mark of [
      '--create Created',
      '--secondaryvoluuid-get',
      '--status-get',
      '--config-set',
      '--config-del',
      '--delete',
    ])
      expect(called).toContain(mark);
  });
});
