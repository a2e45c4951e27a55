// Which directories a worker or a secondary accepts: other users must not be able to replace its files.

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canBeUser, USER } from '../ordinary-user.js';
import { lacks, lacksRoot } from '../skip.js';

const PROGRAM = join(import.meta.dirname, '../../bin/gsyncd-ts.js');
const TESTS = 'whose a plain directory may be';

let dir: string;
let tree: string;
let other: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gsyncd-own-'));
  chmodSync(dir, 0o755);
  [tree, other] = [join(dir, 'tree'), join(dir, 'other')];
  for (const path of [tree, other]) mkdirSync(path, { mode: 0o755 });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function run(args: readonly string[], uid = 0): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [PROGRAM, ...args], {
    encoding: 'utf8',
    uid,
    gid: uid,
    cwd: '/',
    timeout: 20_000,
  });
}

/** The errors of a secondary that is asked for its id, which remote workers do first, and of a local worker. */
function refusals(root: string, uid = 0): string[] {
  const asked = run(['secondary', 'x', `file://${root}`, '--print-id'], uid);
  const worker = run(
    ['worker', `file://${root}`, `file://${other}`, '--state-dir', join(dir, 'state'), '--log-file', join(dir, 'log')],
    uid,
  );
  for (const { status, stderr } of [asked, worker]) expect(status, stderr).not.toBe(0);
  expect(asked.stderr.trim().split('\n')).toHaveLength(1);
  // The worker's first line says where it logs.
  expect(worker.stderr.trim().split('\n').slice(1)).toHaveLength(1);
  return [asked.stderr, worker.stderr];
}

const isSkipped = lacksRoot(TESTS) || lacks(canBeUser(), 'no other user can run the program', TESTS);

describe.skipIf(isSkipped)('as root', () => {
  const HINT =
    'root replicates only directories that root alone can write to; run as their owner, or change the owner and mode';
  const cases: Readonly<Record<string, { readonly prepare: () => void; readonly says: () => string }>> = {
    "another user's directory": {
      prepare: () => chownSync(tree, USER, USER),
      says: () => `directory ${tree}: belongs to user ${USER}: ${HINT}`,
    },
    'a directory that others can write to': {
      prepare: () => chmodSync(tree, 0o777),
      says: () => `directory ${tree}: others can write to it (mode 0777): ${HINT}`,
    },
    'a sticky directory that others can write to': {
      prepare: () => chmodSync(tree, 0o1777),
      says: () => `directory ${tree}: others can write to it (mode 1777): ${HINT}`,
    },
    'a directory that a group can write to': {
      prepare: () => chmodSync(tree, 0o775),
      says: () => `directory ${tree}: others can write to it (mode 0775): ${HINT}`,
    },
    "a directory inside another user's": {
      prepare: () => chownSync(dir, USER, USER),
      says: () => `directory ${tree}: others can replace it, since ${dir} belongs to user ${USER}: ${HINT}`,
    },
    'a directory whose parent others can write to': {
      prepare: () => chmodSync(dir, 0o777),
      says: () => `directory ${tree}: others can replace it, since ${dir} has mode 0777: ${HINT}`,
    },
    'a state directory that is a symlink': {
      prepare: () => symlinkSync(other, join(tree, '.glusterfs')),
      says: () => `state directory ${tree}/.glusterfs: is a symlink: remove it`,
    },
    "another user's state directory": {
      prepare: () => {
        mkdirSync(join(tree, '.glusterfs'), { mode: 0o700 });
        chownSync(join(tree, '.glusterfs'), USER, USER);
      },
      says: () => `state directory ${tree}/.glusterfs: belongs to user ${USER}: remove it`,
    },
    'a state directory that is open to others': {
      prepare: () => {
        mkdirSync(join(tree, '.glusterfs'));
        chmodSync(join(tree, '.glusterfs'), 0o777);
      },
      says: () =>
        `state directory ${tree}/.glusterfs: open to others (mode 0777): remove it, or chmod 700 when nobody else has changed it`,
    },
    "a part of the state directory that is another user's": {
      prepare: () => {
        mkdirSync(join(tree, '.glusterfs/.gfid'), { mode: 0o700, recursive: true });
        chownSync(join(tree, '.glusterfs/.gfid'), USER, USER);
      },
      says: () => `state directory ${tree}/.glusterfs/.gfid: belongs to user ${USER}: remove it`,
    },
    'a part of the state directory that is a symlink': {
      prepare: () => {
        mkdirSync(join(tree, '.glusterfs'), { mode: 0o700 });
        symlinkSync(other, join(tree, '.glusterfs/embedded'));
      },
      says: () => `state directory ${tree}/.glusterfs/embedded: is a symlink: remove it`,
    },
  };

  test.each(Object.entries(cases))(
    'refuses %s with a one-line error and writes nothing there',
    (_name, { prepare, says }) => {
      prepare();
      for (const line of refusals(tree)) expect(line).toContain(says());
      expect(readdirSync(other).filter((name) => name !== '.glusterfs')).toEqual([]);
      expect(existsSync(join(tree, '.glusterfs/brick.json')) || existsSync(join(other, 'brick.json'))).toBe(false);
    },
  );

  test('accepts its own directory inside a sticky one such as /tmp', () => {
    chmodSync(dir, 0o1777);
    expect(run(['secondary', 'x', `file://${tree}`, '--print-id'])).toMatchObject({ status: 0, stderr: '' });
  });
});

describe.skipIf(isSkipped)('as an ordinary user', () => {
  test('accepts a directory of that user, also one that others can write to', () => {
    chownSync(tree, USER, USER);
    expect(run(['secondary', 'x', `file://${tree}`, '--print-id'], USER)).toMatchObject({ status: 0, stderr: '' });
    chmodSync(tree, 0o777);
    expect(run(['secondary', 'x', `file://${tree}`, '--print-id'], USER)).toMatchObject({ status: 0, stderr: '' });
  });

  test("refuses another user's state directory", () => {
    chmodSync(tree, 0o777);
    mkdirSync(join(tree, '.glusterfs'), { mode: 0o755 });
    chownSync(join(tree, '.glusterfs'), 4321, 4321);
    const asked = run(['secondary', 'x', `file://${tree}`, '--print-id'], USER);
    expect(asked).toMatchObject({ status: 1, stdout: '' });
    expect(asked.stderr).toContain(`state directory ${tree}/.glusterfs: belongs to user 4321: remove it`);
  });
});
