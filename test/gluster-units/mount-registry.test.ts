import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { forgetMount, identifyProcess, recordMount, removeDeadMounts } from '../../src/gluster/mount-registry.js';
import type { ProcessIdentity } from '../../src/gluster/mount-registry.js';
import { lacksRoot } from '../skip.js';

const top = mkdtempSync(join(tmpdir(), 'registry-'));
afterAll(() => rmSync(top, { recursive: true, force: true }));
const registry = join(top, 'mounts');
// Ordinary users cannot unmount, not even a directory that is not a mount: the mount broker does it for them.
const noUnmount = lacksRoot('mounts that dead workers left');
const dead: ProcessIdentity = { pid: process.pid, startTime: '1' };

function mountPoint(name: string): string {
  const dir = join(top, name);
  mkdirSync(dir);
  return dir;
}

/** Starts `sleep 60` with `argument` in its command line, as a stand-in for glusterfs. */
async function server(argument: string): Promise<{ mark: ProcessIdentity; gone: Promise<unknown>; kill: () => void }> {
  const child = spawn('bash', ['-c', 'exec -a "$0" sleep 60', `fake ${argument}`], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  await once(child, 'spawn');
  const mark = await identifyProcess(child.pid ?? 0);
  if (mark === null) throw new Error('not started');
  await expect
    .poll(
      () =>
        readFileSync(`/proc/${mark.pid}/cmdline`, 'latin1').includes('fake') &&
        readFileSync(`/proc/${mark.pid}/comm`, 'latin1').trim(),
    )
    .toBe('sleep');
  return { mark, gone, kill: () => void child.kill('SIGKILL') };
}

it.skipIf(noUnmount)(
  "removeRecorded() ends a dead worker's glusterfs and removes its mount point and record",
  async () => {
    const dir = mountPoint('dead');
    const { mark, gone } = await server(dir);
    await recordMount(registry, { mountPoint: dir, worker: dead, glusterfs: null });
    await recordMount(registry, { mountPoint: dir, worker: dead, glusterfs: mark });
    expect(await removeDeadMounts(registry)).toEqual([dir]);
    await gone;
    expect(existsSync(dir)).toBe(false);
    expect(await removeDeadMounts(registry)).toEqual([]);
  },
);

it('removeDeadMounts() keeps the mount of a living worker', async () => {
  const dir = mountPoint('living');
  const worker = await identifyProcess(process.pid);
  await recordMount(registry, { mountPoint: dir, worker: worker ?? dead, glusterfs: null });
  expect(await removeDeadMounts(registry)).toEqual([]);
  expect(existsSync(dir)).toBe(true);
  await forgetMount(registry, dir);
});

it.skipIf(noUnmount).each(['another command line', 'another start time'])(
  'removeDeadMounts() does not kill a process with a reused process id: %s',
  async (what) => {
    const dir = mountPoint(what.replaceAll(' ', '-'));
    const { mark, kill, gone } = await server(what === 'another command line' ? '/elsewhere' : dir);
    const recorded = what === 'another start time' ? { ...mark, startTime: '2' } : mark;
    await recordMount(registry, { mountPoint: dir, worker: dead, glusterfs: recorded });
    expect(await removeDeadMounts(registry)).toEqual([dir]);
    expect(await identifyProcess(mark.pid)).toEqual(mark);
    kill();
    await gone;
  },
);

it.skipIf(noUnmount)(
  'removeDeadMounts() forgets missing directories, and keeps non-empty ones and their records',
  async () => {
    await recordMount(registry, { mountPoint: join(top, 'gone'), worker: dead, glusterfs: null });
    expect(await removeDeadMounts(registry)).toEqual([join(top, 'gone')]);
    const dir = mountPoint('full');
    writeFileSync(join(dir, 'precious'), '');
    await recordMount(registry, { mountPoint: dir, worker: dead, glusterfs: null });
    await expect(removeDeadMounts(registry)).rejects.toMatchObject({ code: 'ENOTEMPTY' });
    expect(readFileSync(registry, 'utf8')).toContain(dir);
  },
);

it('removeDeadMounts() removes nothing for a missing, empty or damaged registry', async () => {
  expect(await removeDeadMounts(join(top, 'none'))).toEqual([]);
  for (const text of ['', '[{"mountPoint":', '[{"mountPoint":"relative"}, 5]']) {
    writeFileSync(join(top, 'broken'), text);
    expect(await removeDeadMounts(join(top, 'broken'))).toEqual([]);
  }
});
