// A directory used as /, for running `gsyncd-ts install` as a separate program.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeEach } from 'vitest';

export const REPO = resolve(import.meta.dirname, '../..');
export const BIN = join(REPO, 'bin/gsyncd-ts.js');
export const STOCK = '\x7fELF … /python/syncdaemon/gsyncd.py …';
export const DEBIAN = 'usr/lib/x86_64-linux-gnu/glusterfs/gsyncd';
export const UPSTREAM = 'usr/libexec/glusterfs/gsyncd';

const base = mkdtempSync(join(tmpdir(), 'install-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** A new directory below `base` for each test. */
export let root = '';
beforeEach(() => {
  root = mkdtempSync(join(base, 'root-'));
});
export { base };

export function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text, { encoding: 'latin1', mode: 0o755 });
}

export function get(path: string): string {
  return readFileSync(join(root, path), 'latin1');
}

/** Runs install and removes `root` from the paths in its output. */
export function install(...args: string[]): { code: number | null; out: string; err: string } {
  const done = spawnSync(process.execPath, [BIN, 'install', '--root', root, ...args], { encoding: 'utf8' });
  return { code: done.status, out: done.stdout.replaceAll(root, ''), err: done.stderr.replaceAll(root, '') };
}
