import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { mountHome } from '../../src/gluster/mount-home.js';

const top = realpathSync(mkdtempSync(join(tmpdir(), 'mount-home-')));
afterAll(() => rmSync(top, { recursive: true, force: true }));
const modeOf = (path: string): number => statSync(path).mode & 0o777;

test('mountHome() creates a directory of mode 0700 and its missing parent, and restores the mode', async () => {
  const home = await mountHome([join(top, 'run/gluster')]);
  expect(home).toBe(join(top, 'run/gluster/gsyncd-mounts'));
  expect(modeOf(home)).toBe(0o700);
  chmodSync(home, 0o777);
  expect(await mountHome([join(top, 'run/gluster')])).toBe(home);
  expect(modeOf(home)).toBe(0o700);
});

test('mountHome() returns a path without symlinks, as in the mount table', async () => {
  symlinkSync(join(top, 'run'), join(top, 'var-run'));
  expect(await mountHome([join(top, 'var-run/gluster')])).toBe(join(top, 'run/gluster/gsyncd-mounts'));
});

test('mountHome() uses the next parent when one is unusable or has a symlink in place of the directory', async () => {
  writeFileSync(join(top, 'file'), '');
  mkdirSync(join(top, 'linked'));
  symlinkSync(tmpdir(), join(top, 'linked/gsyncd-mounts'));
  expect(await mountHome([join(top, 'file'), join(top, 'linked'), join(top, 'state')])).toBe(
    join(top, 'state/gsyncd-mounts'),
  );
  await expect(mountHome([join(top, 'file'), join(top, 'linked')])).rejects.toMatchObject({
    code: 'preflight',
    message: expect.stringMatching(
      /^directory for mounts: \S+\/file\/gsyncd-mounts: (?:EEXIST|ENOTDIR).*; \S+\/linked\/gsyncd-mounts: not this user's directory$/,
    ) as string,
  });
});
