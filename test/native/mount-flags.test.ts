// Mount restrictions on a tmpfs, and the mount table that shows them.

import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parseMounts } from '../../src/native/mountinfo.js';
import { lacks } from '../skip.js';

const DIST = new URL('../../dist/native/', import.meta.url).href;
const isRoot = process.geteuid?.() === 0;

/** Runs a script in a new mount namespace, with a tmpfs at /mnt that holds a device, a program, a symlink and a directory
 *  with a file. */
function onMount(script: string): string {
  const prepare = `
    set -e; mount -t tmpfs -o mode=755 memory /mnt; cd /mnt
    mknod device c 1 5; printf '#!/bin/sh\\necho ran\\n' >program; chmod 4755 program; mkdir dir; echo text >dir/file; ln -s dir link
    cd /; node --input-type=module`;
  return execFileSync('unshare', ['--mount', '--propagation', 'private', 'bash', '-c', prepare], {
    input: script,
    encoding: 'utf8',
  });
}

describe.skipIf(lacks(isRoot, 'not root', "mounts' restrictions"))('restrictMount()', () => {
  it('disables devices, programs and symlinks on the mount, and changes no file', () => {
    const out = onMount(`
      import { execFileSync } from 'node:child_process';
      import { closeSync, lstatSync, openSync, readFileSync, readlinkSync } from 'node:fs';
      import { restrictMount, restrictionsOf } from '${DIST}mount-flags.js';
      const attempt = (act) => { try { return act(); } catch (error) { return error.code; } };
      const look = () => [
        attempt(() => closeSync(openSync('/mnt/device'))) ?? 'opened', attempt(() => execFileSync('/mnt/program').toString().trim()),
        attempt(() => readFileSync('/mnt/link/file', 'utf8').trim()), readFileSync('/mnt/dir/file', 'utf8').trim(),
        lstatSync('/mnt/program').mode.toString(8), lstatSync('/mnt/device').rdev, readlinkSync('/mnt/link'),
      ];
      const before = look();
      restrictMount('/mnt');
      console.log(JSON.stringify([before, restrictionsOf('/mnt'), look(), restrictionsOf('/')]));`);
    expect(JSON.parse(out)).toEqual([
      ['opened', 'ran', 'text', 'text', '104755', 261, 'dir'],
      ['nosuid', 'nodev', 'noexec', 'nosymfollow'],
      ['EACCES', 'EACCES', 'ELOOP', 'text', '104755', 261, 'dir'],
      [],
    ]);
  });

  it('sets the same restrictions without mount_setattr', () => {
    const out = onMount(`
      import koffi from '${import.meta.resolve('koffi')}';
      const load = koffi.load;
      koffi.load = (name) => {
        const lib = load(name);
        return { func: (name, ...types) => (name === 'syscall' ? () => -1 : lib.func(name, ...types)) };
      };
      const { restrictMount, restrictionsOf } = await import('${DIST}mount-flags.js');
      restrictMount('/mnt');
      console.log(JSON.stringify(restrictionsOf('/mnt')));`);
    expect(JSON.parse(out)).toEqual(['nosuid', 'nodev', 'noexec', 'nosymfollow']);
  });

  it('does nothing, and does not throw, for a path that is not a mount', () => {
    const out = onMount(`
      import { restrictMount, restrictionsOf } from '${DIST}mount-flags.js';
      restrictMount('/mnt/dir'); restrictMount('/nonexistent');
      console.log(JSON.stringify([restrictionsOf('/mnt/dir'), restrictionsOf('/mnt')]));`);
    expect(JSON.parse(out)).toEqual([[], []]);
  });
});

describe('parseMounts()', () => {
  it('parses /proc/self/mountinfo', () => {
    const table =
      '36 35 0:55 / /run/a\\040b\\134 rw,nosuid shared:1 master:2 - fuse.glusterfs localhost:sv0 rw,allow_other\n29 1 8:1 /sub /x ro - ext4 /dev/sda1 rw\nno line\n';
    expect(parseMounts(Buffer.from(table))).toEqual([
      {
        id: 36,
        root: '/',
        mountPoint: '/run/a b\\',
        options: ['rw', 'nosuid'],
        type: 'fuse.glusterfs',
        source: 'localhost:sv0',
      },
      { id: 29, root: '/sub', mountPoint: '/x', options: ['ro'], type: 'ext4', source: '/dev/sda1' },
    ]);
  });
});
