import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { forgetMount, markProcess, recordMount, removeRecorded } from '../../src/gluster/mount-registry.js';
import type { ProcessMark } from '../../src/gluster/mount-registry.js';
import { lacksRoot } from '../skip.js';

const top = mkdtempSync(join(tmpdir(), 'registry-'));
afterAll(() => rmSync(top, { recursive: true, force: true }));
const registry = join(top, 'mounts');
// Ordinary users cannot unmount, not even a directory that is not a mount: the mount broker does it for them.
const noUnmount = lacksRoot('mounts that dead workers left');
const dead: ProcessMark = { pid: process.pid, startTime: '1' };

function mountPoint(name: string): string {
  const dir = join(top, name);
  mkdirSync(dir);
  return dir;
}

/** Starts `sleep 60` with `argument` in its command line, as a stand-in for glusterfs. */
async function server(argument: string): Promise<{ mark: ProcessMark; gone: Promise<unknown>; kill: () => void }> {
  const child = spawn('bash', ['-c', 'exec -a "$0" sleep 60', `fake ${argument}`], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  await once(child, 'spawn');
  const mark = await markProcess(child.pid ?? 0);
  if (mark === null) throw new Error('not started');
  await expect.poll(() => readFileSync(`/proc/${mark.pid}/cmdline`, 'latin1').includes('fake') && readFileSync(`/proc/${mark.pid}/comm`, 'latin1').trim()).toBe('sleep');
  return { mark, gone, kill: () => void child.kill('SIGKILL') };
}

it.skipIf(noUnmount)("removeRecorded() ends a dead worker's glusterfs and removes its mount point and record", async () => {
  const dir = mountPoint('dead');
  const { mark, gone } = await server(dir);
  await recordMount(registry, { mountPoint: dir, worker: dead, glusterfs: null });
  await recordMount(registry, { mountPoint: dir, worker: dead, glusterfs: mark });
  expect(await removeRecorded(registry)).toEqual([dir]);
  await gone;
  expect(existsSync(dir)).toBe(false);
  expect(await removeRecorded(registry)).toEqual([]);
});

it('removeRecorded() keeps the mount of a living worker', async () => {
  const dir = mountPoint('living');
  const worker = await markProcess(process.pid);
  await recordMount(registry, { mountPoint: dir, worker: worker ?? dead, glusterfs: null });
  expect(await removeRecorded(registry)).toEqual([]);
  expect(existsSync(dir)).toBe(true);
  await forgetMount(registry, dir);
});

it.skipIf(noUnmount).each(['another command line', 'another start time'])('removeRecorded() does not kill a process with a reused process id: %s', async (what) => {
  const dir = mountPoint(what.replaceAll(' ', '-'));
  const { mark, kill, gone } = await server(what === 'another command line' ? '/elsewhere' : dir);
  const recorded = what === 'another start time' ? { ...mark, startTime: '2' } : mark;
  await recordMount(registry, { mountPoint: dir, worker: dead, glusterfs: recorded });
  expect(await removeRecorded(registry)).toEqual([dir]);
  expect(await markProcess(mark.pid)).toEqual(mark);
  kill();
  await gone;
});

it.skipIf(noUnmount)('removeRecorded() forgets missing directories, and keeps non-empty ones and their records', async () => {
  await recordMount(registry, { mountPoint: join(top, 'gone'), worker: dead, glusterfs: null });
  expect(await removeRecorded(registry)).toEqual([join(top, 'gone')]);
  const dir = mountPoint('full');
  writeFileSync(join(dir, 'precious'), '');
  await recordMount(registry, { mountPoint: dir, worker: dead, glusterfs: null });
  await expect(removeRecorded(registry)).rejects.toMatchObject({ code: 'ENOTEMPTY' });
  expect(readFileSync(registry, 'utf8')).toContain(dir);
});

it('removeRecorded() removes nothing for a missing, empty or damaged registry', async () => {
  expect(await removeRecorded(join(top, 'none'))).toEqual([]);
  for (const text of ['', '[{"mountPoint":', '[{"mountPoint":"relative"}, 5]']) {
    writeFileSync(join(top, 'broken'), text);
    expect(await removeRecorded(join(top, 'broken'))).toEqual([]);
  }
});
