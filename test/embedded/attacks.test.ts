// Attacks by a user who owns a directory in root's tree, while root's worker reads or writes that tree. The volume, the
// scanner and the recorder are real and run in this process; the user's commands run with his uid.

import fs, {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openLayout, type BrickLayout } from '../../src/embedded/layout.js';
import { Recorder } from '../../src/embedded/recorder.js';
import { Scanner } from '../../src/embedded/scan.js';
import { EmbeddedVolume } from '../../src/embedded/secondary-volume.js';
import { TreeIndex } from '../../src/embedded/tree-index.js';
import { entryPath, gfidPath, ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';
import { createLogger } from '../../src/log.js';
import { purge, removeDirectory } from '../../src/secondary/remove.js';
import { USER } from '../ordinary-user.js';
import { lacksRoot } from '../skip.js';
import { AttackedTree, filesWithSecret } from './attacks.js';
import { Pair } from './pair.js';

const log = createLogger({ destination: '/dev/null', level: 'ERROR', label: 'test' }).child({ module: 'test' });
const OTHER_USER = 4321;
const [OF_USER, DIR, INNER, FILE, NEW] = ['a', 'b', 'c', 'd', 'e'].map(
  (digit) => `0000000${digit}-0000-4000-8000-00000000000${digit}` as Gfid,
) as [Gfid, Gfid, Gfid, Gfid, Gfid];
const DIRECTORY = { mode: 0o040755, uid: USER, gid: USER };
const PROGRAM_OF_USER = { mode: 0o104755, uid: USER, gid: USER, rdev: 0 };

let tree: AttackedTree;
let layout: BrickLayout;

beforeEach(async () => {
  if (process.geteuid?.() !== 0) return;
  tree = new AttackedTree({ files: 40 });
  layout = await openLayout(tree.root);
});
afterEach(() => {
  if (process.geteuid?.() === 0) tree.remove();
});

/** Runs a call that may fail: an error is an expected answer. */
async function attempted(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call();
  } catch {
    return undefined;
  }
}

describe.skipIf(lacksRoot('attacks on a secondary of root'))('a secondary that runs as root', () => {
  let volume: EmbeddedVolume;

  beforeEach(async () => {
    rmSync(tree.user, { recursive: true });
    volume = new EmbeddedVolume(layout, log);
    await volume.createDirectory(ROOT_GFID, 'user', { gfid: OF_USER, ...DIRECTORY });
    await volume.createDirectory(OF_USER, 'dir', { gfid: DIR, ...DIRECTORY });
    await volume.createDirectory(DIR, 'inner', { gfid: INNER, ...DIRECTORY });
    await volume.createNode(DIR, 'secret0', { gfid: FILE, ...PROGRAM_OF_USER, mode: 0o100644 });
  });

  /** Calls on `user/dir`, which a symlink to the victim's directory has replaced. */
  const calls: Readonly<Record<string, (v: EmbeddedVolume) => Promise<unknown>>> = {
    'makes a setuid program': (v) => v.createNode(INNER, 'program', { gfid: NEW, ...PROGRAM_OF_USER }),
    'makes a device': (v) =>
      v.createNode(INNER, 'disk', { gfid: NEW, mode: 0o060666, uid: USER, gid: USER, rdev: 0x700 }),
    'makes a directory': (v) => v.createDirectory(INNER, 'made', { gfid: NEW, ...DIRECTORY }),
    'makes a symlink': (v) =>
      v.createSymlink(INNER, 'link', { gfid: NEW, mode: 0o120777, uid: USER, gid: USER, target: '/etc/shadow' }),
    'links a file': (v) => v.link(gfidPath(FILE), entryPath(INNER, 'linked')),
    'moves a file into the directory': async (v) => {
      await v.createNode(OF_USER, 'moved', { gfid: NEW, ...PROGRAM_OF_USER });
      await v.rename(entryPath(OF_USER, 'moved'), entryPath(DIR, 'moved'));
    },
    'moves a file out of the directory': (v) => v.rename(entryPath(DIR, 'secret1'), entryPath(OF_USER, 'mine')),
    'moves a subdirectory out of the directory': (v) => v.rename(entryPath(DIR, 'inner'), entryPath(OF_USER, 'mine')),
    'changes the owner of a directory': (v) => v.chown(gfidPath(INNER), USER, USER),
    'changes the owner of a file': (v) => v.chown(entryPath(DIR, 'secret1'), USER, USER),
    'changes the mode of a directory': (v) => v.chmod(gfidPath(INNER), 0o777),
    'changes the mode of a file': (v) => v.chmod(entryPath(DIR, 'secret1'), 0o4777),
    'changes the times of a directory': (v) => v.utimes(gfidPath(INNER), 1, 1),
    'sets an xattr of a directory': (v) => v.setXattr(gfidPath(INNER), 'trusted.test', Buffer.from('x')),
    'removes a file': (v) => v.unlink(entryPath(DIR, 'secret1')),
    'removes a directory': (v) => v.rmdir(entryPath(DIR, 'inner/empty')),
    'removes the content of a directory': (v) => removeDirectory(v, INNER, entryPath(DIR, 'inner')),
    'purges the given names': (v) => purge(v, gfidPath(DIR), ['secret0', 'secret1', 'inner']),
    'looks up a file': (v) => v.gfidOf(entryPath(DIR, 'secret1')),
    'looks up a directory': (v) => v.gfidOf(entryPath(DIR, 'inner')),
  };

  test.each(Object.entries(calls))(
    '%s: does not follow a symlink that a user put in place of the directory',
    async (_name, call) => {
      tree.asUser(`mv dir aside; ln -s ${tree.victim} dir`);
      const before = tree.victimState;
      await attempted(() => call(volume));
      expect(tree.victimState).toEqual(before);
      // A restarted volume reads the gfid links of directories again.
      await attempted(() => call(new EmbeddedVolume(layout, log)));
      expect(tree.victimState).toEqual(before);
    },
  );

  test('does not reveal names, attributes or xattrs behind such a symlink', async () => {
    tree.asUser(`mv dir aside; ln -s ${tree.victim} dir`);
    symlinkSync('/etc/shadow', join(tree.victim, 'link'));
    for (const at of [volume, new EmbeddedVolume(layout, log)]) {
      for (const path of [gfidPath(DIR), 'user/dir'])
        expect(await attempted(() => at.readdir(path)), path).toBeUndefined();
      for (const path of [entryPath(DIR, 'secret1'), 'user/dir/secret1', gfidPath(INNER)])
        expect(await attempted(() => at.lstat(path)), path).toBeUndefined();
      for (const path of [entryPath(DIR, 'link'), 'user/dir/link'])
        expect(await attempted(() => at.readlink(path)), path).toBeUndefined();
      expect(await attempted(() => at.listXattrs(gfidPath(INNER)))).toBeUndefined();
    }
  });

  test("sets a new directory's mode on that directory, not on a symlink that a user puts in its place", async () => {
    const before = tree.victimState;
    const { renameSync } = fs;
    fs.renameSync = (from, to) => {
      renameSync(from, to);
      tree.asUser(`mv made aside; ln -s ${tree.victim} made`);
    };
    syncBuiltinESMExports();
    try {
      await volume.createDirectory(OF_USER, 'made', { gfid: NEW, ...DIRECTORY, mode: 0o040777 });
    } finally {
      fs.renameSync = renameSync;
      syncBuiltinESMExports();
    }
    expect(lstatSync(join(tree.user, 'made')).isSymbolicLink()).toBe(true);
    expect(tree.victimState).toEqual(before);
    expect(lstatSync(join(tree.user, 'aside')).mode & 0o777).toBe(0o777);
  });

  test("does not take a user's symlink in the state directory for the gfid link of a directory", async () => {
    mkdirSync(join(tree.root, 'others'), { mode: 0o700 });
    for (const [name, target] of [
      ['up', `${ROOT_GFID}/../victim`],
      ['beside', `${ROOT_GFID}/others`],
    ] as const) {
      const gfid = name === 'up' ? NEW : INNER;
      if (name === 'beside') await volume.rmdir(entryPath(DIR, 'inner'));
      await volume.createSymlink(OF_USER, name, { gfid, mode: 0o120777, uid: USER, gid: USER, target });
      tree.asUser(`rm ${name}`);
    }
    const before = tree.victimState;
    const restarted = new EmbeddedVolume(layout, log);
    for (const gfid of [NEW, INNER]) {
      await attempted(() => restarted.chown(gfidPath(gfid), USER, USER));
      await attempted(() => restarted.chmod(gfidPath(gfid), 0o777));
    }
    expect(tree.victimState).toEqual(before);
    expect(lstatSync(join(tree.root, 'others'))).toMatchObject({ uid: 0, mode: 0o040700 });
  });

  test("does not give a user another user's directory that he moved in place of his own", async () => {
    await volume.createDirectory(OF_USER, 'theirs', { gfid: NEW, mode: 0o040700, uid: OTHER_USER, gid: OTHER_USER });
    tree.asUser('mv dir aside; mv theirs dir');
    const moved = lstatSync(join(tree.user, 'dir'));
    expect(moved.uid).toBe(OTHER_USER);
    await attempted(() => volume.chown(gfidPath(DIR), USER, USER));
    await attempted(() => volume.chmod(gfidPath(DIR), 0o777));
    expect(lstatSync(join(tree.user, 'dir'))).toMatchObject({ uid: OTHER_USER, mode: moved.mode });
  });

  test('does not write through a hard link that a user put in place of his file', async () => {
    // A user can do this where fs.protected_hardlinks is off.
    unlinkSync(join(tree.user, 'dir/secret0'));
    linkSync(join(tree.victim, 'secret0'), join(tree.user, 'dir/secret0'));
    const before = tree.victimState;
    await volume.chown(gfidPath(FILE), USER, USER);
    await volume.chmod(gfidPath(FILE), 0o666);
    writeFileSync(join(layout.gfidDir, FILE), 'content that rsync brings');
    expect(tree.victimState).toEqual(before);
  });

  test("keeps its top directory owned by root and closed to other writers, whatever the primary's is", async () => {
    for (const path of ['.', gfidPath(ROOT_GFID)]) {
      await volume.chown(path, USER, USER);
      await volume.chmod(path, 0o1777);
      expect(lstatSync(tree.root)).toMatchObject({ uid: 0, gid: 0, mode: 0o041755 });
    }
    await expect(openLayout(tree.root)).resolves.toBeDefined();
  });
});

describe.skipIf(lacksRoot('attacks on a primary of root'))('the scanner and the recorder as root', () => {
  test('scan() does not follow a symlink that replaces a directory before it is read', async () => {
    tree.asUser('mkdir -p dir/inner; : >dir/secret0');
    const index = new TreeIndex();
    let swapped = false;
    const onDirectory = (_gfid: Gfid, path: string): void => {
      // The scan has already seen that this is a directory.
      if (swapped || !readdirSync(path).includes('secret0')) return;
      swapped = true;
      tree.asUser(`mv dir aside; ln -s ${tree.victim} dir`);
    };
    const before = tree.victimState;
    const found = await new Scanner({ layout, index, log, onDirectory }, new Map()).scan('all');
    expect(swapped).toBe(true);
    expect([...found.dirs.values()].flatMap((names) => [...names.keys()])).not.toContain('secret1');
    expect(tree.victimState).toEqual(before);
    expect(filesWithSecret(layout.gfidDir)).toEqual([]);
  });

  test('flush() records nothing behind a symlink that repeatedly replaces a directory', async () => {
    tree.asUser('mkdir dir; cd dir; seq -f secret%g 0 3000 | xargs touch');
    const recorder = new Recorder({ layout, log, rolloverMs: 15_000 });
    await recorder.open();
    const before = tree.victimState;
    let scans = 0;
    const swaps = await tree.swapping('dir', async () => {
      for (const endMs = Date.now() + 5_000; Date.now() < endMs || scans < 20; scans += 1) await recorder.flush();
    });
    await recorder.close();
    expect(swaps).toBeGreaterThan(50);
    expect(tree.victimState).toEqual(before);
    expect(filesWithSecret(layout.internal)).toEqual([]);
  });

  test('setXtime() does not follow a symlink in place of a directory', async () => {
    tree.asUser('mkdir -p dir/inner');
    const recorder = new Recorder({ layout, log, rolloverMs: 15_000 });
    await recorder.open();
    const before = tree.victimState;
    const { gfid } = recorder.index.nodeAt('user/dir/inner') ?? { gfid: '' as Gfid };
    tree.asUser(`mv dir aside; ln -s ${tree.victim} dir`);
    recorder.setXtime(gfid, [1_700_000_000, 0]);
    await recorder.close();
    expect(tree.victimState).toEqual(before);
  });
});

test.skipIf(lacksRoot('attacks on a worker of root'))(
  "no content of root's files reaches the secondary while a user swaps his directory for a symlink",
  async () => {
    const pair = new Pair();
    chmodSync(pair.dir, 0o755);
    const attacked = new AttackedTree({ files: 300, root: pair.a });
    try {
      attacked.asUser('mkdir dir; cd dir; seq -f secret%g 0 299 | xargs touch');
      pair.start();
      expect((await pair.converged(60_000)).differences, pair.stderr).toEqual([]);
      const swaps = await attacked.swapping('dir', () => delay(8_000));
      expect(swaps).toBeGreaterThan(100);
      expect((await pair.converged(60_000)).differences, pair.stderr).toEqual([]);
      await pair.end('SIGTERM');
      for (const dir of [pair.a, pair.b]) expect(filesWithSecret(dir)).toEqual([]);
    } finally {
      attacked.remove();
      await pair.remove();
    }
  },
  180_000,
);
