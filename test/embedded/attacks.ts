// A tree owned by root with a user's directory in it, and the target of his attacks: root's files outside the tree.

import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { llistxattr } from '../../src/native/libc.js';
import { USER } from '../ordinary-user.js';

export const SECRET = 'only root may read this';
const SWAPPER = join(import.meta.dirname, 'swapper.js');

export class AttackedTree {
  /** Owned by root, mode 0755. */
  readonly dir = mkdtempSync(join(tmpdir(), 'gsyncd-attacked-'));
  readonly root: string;
  /** The user's directory in the tree. */
  readonly user: string;
  /** Root's directory outside the tree, open to all, with files that only root may read. */
  readonly victim = join(this.dir, 'victim');

  /** @param root the tree's root, created when it is missing */
  constructor({ files = 3, root }: { readonly files?: number; readonly root?: string } = {}) {
    this.root = root ?? join(this.dir, 'tree');
    this.user = join(this.root, 'user');
    chmodSync(this.dir, 0o755);
    for (const dir of [this.root, this.user, this.victim, join(this.victim, 'inner/empty')])
      mkdirSync(dir, { mode: 0o755, recursive: true });
    chownSync(this.user, USER, USER);
    for (const dir of ['.', 'inner']) {
      for (let i = 0; i < files; i += 1) writeFileSync(join(this.victim, dir, `secret${i}`), SECRET, { mode: 0o600 });
    }
  }

  /** Runs a shell script in the user's directory with his uid. */
  asUser(script: string): void {
    const { status, stderr } = spawnSync('/bin/sh', ['-ec', script], {
      cwd: this.user,
      uid: USER,
      gid: USER,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
  }

  /** Names, attributes and xattrs of the victim's tree, except for those that reading changes. */
  get victimState(): string[] {
    const names = ['.', ...readdirSync(this.victim, { recursive: true, encoding: 'utf8' }).sort()];
    return names.map((name) => {
      const path = join(this.victim, name);
      const { mode, uid, gid, nlink, size, mtimeMs } = lstatSync(path);
      return [name, mode.toString(8), uid, gid, nlink, size, mtimeMs, ...llistxattr(path)].join(' ');
    });
  }

  /** While `work` runs, the user swaps `name` in his directory for a symlink to the victim and back. @returns how often */
  async swapping(name: string, work: () => Promise<void>): Promise<number> {
    const child = spawn(process.execPath, [SWAPPER, join(this.user, name), this.victim], {
      uid: USER,
      gid: USER,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await work();
    } finally {
      child.stdin.end();
    }
    return Number(await text(child.stdout));
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Paths of the files below `dir` that contain the secret. */
export function filesWithSecret(dir: string): string[] {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true, encoding: 'utf8' }).filter((entry) =>
    entry.isFile(),
  );
  return files
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => readFileSync(path).includes(SECRET));
}
