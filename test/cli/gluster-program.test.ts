import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { findGluster, resolveProgramDirectory } from '../../src/cli/gluster-program.js';
import { lacksRoot } from '../skip.js';

const base = mkdtempSync(join(tmpdir(), 'gluster-program-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(base, 'root-'));
});

function put(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), '#!/bin/sh\n', { mode: 0o755 });
  }
}

const found = async (): Promise<string> => (await findGluster(root)).slice(root.length);
const [PACKAGED, OWN_BUILD] = ['/usr/sbin/gluster', '/usr/local/sbin/gluster'];

// findGluster() ignores files of other users, so only root can create files that it accepts.
describe.skipIf(lacksRoot('the gluster program of a forced command'))('findGluster()', () => {
  it.each([
    ['usr/lib/x86_64-linux-gnu/glusterfs/gsyncd', PACKAGED],
    ['usr/libexec/glusterfs/gsyncd.stock', PACKAGED],
    ['usr/local/libexec/glusterfs/gsyncd', OWN_BUILD],
  ])('with a gsyncd in %s returns %s', async (place, program) => {
    put(place, PACKAGED, OWN_BUILD);
    expect(await found()).toBe(program);
  });

  it('without an installed gsyncd returns the existing gluster, the packaged one first', async () => {
    expect(await found()).toBe(PACKAGED);
    put(OWN_BUILD);
    expect(await found()).toBe(OWN_BUILD);
    put(PACKAGED);
    expect(await found()).toBe(PACKAGED);
  });

  it.each<[string, (file: string) => void]>([
    ['not executable', (file) => chmodSync(file, 0o644)],
    ['owned by another user', (file) => chownSync(file, 1000, 0)],
    ['writable by its group', (file) => chmodSync(file, 0o775)],
    ['in a directory owned by another user', (file) => chownSync(dirname(file), 1000, 0)],
    ['in a world-writable directory', (file) => chmodSync(dirname(file), 0o777)],
    [
      'a dangling symlink',
      (file) => {
        rmSync(file);
        symlinkSync('nowhere', file);
      },
    ],
  ])('ignores a gluster that is %s', async (_, spoil) => {
    put('usr/local/libexec/glusterfs/gsyncd', PACKAGED, OWN_BUILD);
    spoil(join(root, OWN_BUILD));
    expect(await found()).toBe(PACKAGED);
  });
});

describe.skipIf(lacksRoot('the directory of programs that a peer names'))('resolveProgramDirectory()', () => {
  const both = (dir: string): void => put(`${dir}/gluster`, `${dir}/glusterfs`);
  const meant = async (dir: string): Promise<string | undefined> =>
    (await resolveProgramDirectory(join(root, dir), root))?.slice(root.length);

  it('accepts the directories of packages and own builds, also with a trailing slash or through a symlink', async () => {
    both('usr/sbin');
    both('usr/local/sbin');
    symlinkSync('usr/sbin', join(root, 'sbin'));
    for (const dir of ['usr/sbin', 'usr/sbin/', 'sbin']) expect(await meant(dir)).toBe('/usr/sbin');
    expect(await meant('usr/local/sbin')).toBe('/usr/local/sbin');
  });

  it("returns the real path of the peer's symlink, so that a later change of the symlink has no effect", async () => {
    both('usr/sbin');
    mkdirSync(join(root, 'bricks'));
    symlinkSync('../usr/sbin', join(root, 'bricks/link'));
    expect(await meant('bricks/link')).toBe('/usr/sbin');
  });

  it('refuses directories in bricks, incomplete or missing ones, and programs of another user', async () => {
    both('bricks/b1/up');
    both('usr/sbin');
    chownSync(join(root, 'usr/sbin/glusterfs'), 1000, 0);
    put('usr/local/sbin/gluster');
    for (const dir of ['bricks/b1/up', 'usr/sbin', 'usr/local/sbin', 'nowhere'])
      expect(await meant(dir)).toBeUndefined();
  });
});
