import { mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errnoCode } from '../../src/errors.js';
import { llistxattr, lsetxattr } from '../../src/native/libc.js';
import { chooseCalls, libcCalls, loadAttributeCalls, type AttributeCalls } from '../../src/native/mount-attributes.js';
import { lacks } from '../skip.js';

/** A variable, since an import of a literal fails to compile when the package's types are missing. */
const PACKAGE: string = 'fs-xattr';
const load = (): Promise<unknown> => import(PACKAGE) as Promise<unknown>;
const compiled = await load().then(
  (found) => found as AttributeCalls,
  () => null,
);
// Not in /tmp, which may be a tmpfs without user xattrs.
const dir = mkdtempSync(join(homedir(), '.gsyncd-ts-attributes-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function canMark(): boolean {
  try {
    lsetxattr(dir, 'user.probe', Buffer.from('x'));
    return true;
  } catch {
    return false;
  }
}

describe('loadAttributeCalls()', () => {
  it.skipIf(lacks(compiled !== null, 'npm could not compile it (no compiler)', 'fs-xattr'))(
    'uses fs-xattr where it was compiled',
    async () => {
      expect((await loadAttributeCalls()).getAttribute).toBe(compiled?.getAttribute);
    },
  );

  it.skipIf(compiled !== null)('uses libc without fs-xattr', async () => {
    expect(await loadAttributeCalls()).toBe(libcCalls);
  });

  it('uses libc when loading throws or returns something else', async () => {
    expect(await chooseCalls(() => Promise.reject(new Error('no such module')))).toBe(libcCalls);
    expect(await chooseCalls(() => Promise.resolve({ getAttribute: () => undefined }))).toBe(libcCalls);
    expect(await chooseCalls(() => Promise.resolve(null))).toBe(libcCalls);
  });
});

describe.skipIf(lacks(canMark(), 'the home directory takes none', 'xattrs of users')).each([
  ['libc', libcCalls],
  ['fs-xattr', compiled],
] as const)('%s', (_name, calls) => {
  beforeAll(() => lsetxattr(dir, 'user.fact', Buffer.from([0, 255, 10])));

  it.skipIf(calls === null)('reads and removes xattrs, and fails with ENODATA for a missing one', async () => {
    const { getAttribute, removeAttribute } = calls!;
    expect([...(await getAttribute(dir, 'user.fact'))]).toEqual([0, 255, 10]);
    await removeAttribute(dir, 'user.fact');
    expect(llistxattr(dir)).not.toContain('user.fact');
    expect(errnoCode(await getAttribute(dir, 'user.fact').catch((error: unknown) => error))).toBe('ENODATA');
    expect(errnoCode(await getAttribute(join(dir, 'absent'), 'user.fact').catch((error: unknown) => error))).toBe(
      'ENOENT',
    );
  });
});
