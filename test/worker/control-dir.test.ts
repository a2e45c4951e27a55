import { spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeControlDir } from '../../src/worker/gluster/control-dir.js';
import { lacksRoot } from '../skip.js';

let base = '';
let workingDir = '';
let parent = '';
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'control-'));
  [workingDir, parent] = [join(base, 'work'), join(base, 'tmp')];
  for (const dir of [workingDir, parent]) mkdirSync(dir);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

test('makeControlDir() creates a directory of mode 0700; close() removes it and its record', async () => {
  const control = await makeControlDir(workingDir, parent);
  expect(statSync(control.dir).mode & 0o777).toBe(0o700);
  writeFileSync(join(control.dir, 'socket'), '');
  await control.close();
  expect([readdirSync(parent), readdirSync(workingDir)]).toEqual([[], []]);
});

test('makeControlDir() removes only the directory that a killed worker of this brick left', async () => {
  const program = `const { makeControlDir } = await import('${resolve(import.meta.dirname, '../../dist/worker/gluster/control-dir.js')}');
    const { dir } = await makeControlDir(${JSON.stringify(workingDir)}, ${JSON.stringify(parent)});
    (await import('node:net')).createServer().listen(dir + '/x.sock', () => process.kill(process.pid, 'SIGKILL'));`;
  expect(spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })).toMatchObject({
    signal: 'SIGKILL',
    stderr: '',
  });
  const [left] = readdirSync(parent);
  expect(existsSync(join(parent, left!, 'x.sock'))).toBe(true);
  // Directories of another brick and of the stock daemon.
  for (const other of ['gsyncd-aux-ssh-00112233aabb', 'gsyncd-aux-ssh-k3_x9z1a']) mkdirSync(join(parent, other));
  const control = await makeControlDir(workingDir, parent);
  expect(control.removed).toBe(join(parent, left!));
  expect(readdirSync(parent).sort()).toEqual(
    [control.dir.slice(parent.length + 1), 'gsyncd-aux-ssh-00112233aabb', 'gsyncd-aux-ssh-k3_x9z1a'].sort(),
  );
  await control.close();
});

test('makeControlDir() removes nothing for a record that names another path', async () => {
  const kept = join(base, 'kept');
  mkdirSync(kept);
  const link = join(parent, 'gsyncd-aux-ssh-aabbccddeeff');
  symlinkSync(kept, link);
  for (const text of [
    kept,
    link,
    '/',
    '',
    'gsyncd-aux-ssh-aabbccddeeff',
    join(parent, 'gsyncd-aux-ssh-000000000000'),
  ]) {
    writeFileSync(join(workingDir, 'aux-ssh'), `${text}\n`);
    const control = await makeControlDir(workingDir, parent);
    expect(control.removed).toBeUndefined();
    await control.close();
  }
  expect(readdirSync(parent)).toEqual(['gsyncd-aux-ssh-aabbccddeeff']);
  expect(existsSync(kept)).toBe(true);
});

test.skipIf(lacksRoot("another user's control directory"))(
  "makeControlDir() keeps another user's directory of the recorded name",
  async () => {
    const dir = join(parent, 'gsyncd-aux-ssh-aabbccddeeff');
    mkdirSync(dir);
    chownSync(dir, 65534, 65534);
    writeFileSync(join(workingDir, 'aux-ssh'), `${dir}\n`);
    const control = await makeControlDir(workingDir, parent);
    expect([control.removed, existsSync(dir)]).toEqual([undefined, true]);
    await control.close();
  },
);
