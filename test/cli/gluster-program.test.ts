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

// Programs of somebody else are passed over, and what an ordinary user makes is his.
describe.skipIf(lacksRoot('the gluster program of a forced command'))('findGluster()', () => {
  it.each([
    ['usr/lib/x86_64-linux-gnu/glusterfs/gsyncd', PACKAGED],
    ['usr/libexec/glusterfs/gsyncd.stock', PACKAGED],
    ['usr/local/libexec/glusterfs/gsyncd', OWN_BUILD],
  ])('with a gsyncd in %s is %s', async (place, program) => {
    put(place, PACKAGED, OWN_BUILD);
    expect(await found()).toBe(program);
  });

  it('without a known place is where there is one', async () => {
    expect(await found()).toBe(PACKAGED);
    put(OWN_BUILD);
    expect(await found()).toBe(OWN_BUILD);
    put(PACKAGED);
    expect(await found()).toBe(PACKAGED);
  });

  it.each<[string, (file: string) => void]>([
    ['no program', (file) => chmodSync(file, 0o644)],
    ['another user’s', (file) => chownSync(file, 1000, 0)],
    ['open to a group', (file) => chmodSync(file, 0o775)],
    ['in a directory of another user', (file) => chownSync(dirname(file), 1000, 0)],
    ['in a directory that is open to all', (file) => chmodSync(dirname(file), 0o777)],
    ['a link that leads nowhere', (file) => {
      rmSync(file);
      symlinkSync('nowhere', file);
    }],
  ])('passes over what is %s', async (_, spoil) => {
    put('usr/local/libexec/glusterfs/gsyncd', PACKAGED, OWN_BUILD);
    spoil(join(root, OWN_BUILD));
    expect(await found()).toBe(PACKAGED);
  });
});

describe.skipIf(lacksRoot('the directory of programs that a peer names'))('resolveProgramDirectory()', () => {
  const both = (dir: string): void => put(`${dir}/gluster`, `${dir}/glusterfs`);
  const meant = async (dir: string): Promise<string | undefined> => (await resolveProgramDirectory(join(root, dir), root))?.slice(root.length);

  it('takes where packages and own builds put them, however it is spelled', async () => {
    both('usr/sbin');
    both('usr/local/sbin');
    symlinkSync('usr/sbin', join(root, 'sbin'));
    for (const dir of ['usr/sbin', 'usr/sbin/', 'sbin']) expect(await meant(dir)).toBe('/usr/sbin');
    expect(await meant('usr/local/sbin')).toBe('/usr/local/sbin');
  });

  it("is the directory itself, not the peer's symlink to it, which may lead elsewhere later", async () => {
    both('usr/sbin');
    mkdirSync(join(root, 'bricks'));
    symlinkSync('../usr/sbin', join(root, 'bricks/link'));
    expect(await meant('bricks/link')).toBe('/usr/sbin');
  });

  it("refuses a brick's and every other directory, though it is root's, and programs of somebody else", async () => {
    both('bricks/b1/up');
    both('usr/sbin');
    chownSync(join(root, 'usr/sbin/glusterfs'), 1000, 0);
    put('usr/local/sbin/gluster');
    for (const dir of ['bricks/b1/up', 'usr/sbin', 'usr/local/sbin', 'nowhere']) expect(await meant(dir)).toBeUndefined();
  });
});
