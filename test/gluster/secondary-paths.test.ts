// Paths from a peer, on a real volume: no path and no symlink in the volume leads out of it. Either the kernel refuses to follow
// symlinks (root's secondary), or the secondary looks for them on the way (secondaries of other users).
// SECONDARY_SEED=n repeats a run.
import { constants } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../../src/log.js';
import { errnoNumber } from '../../src/native/libc.js';
import type { RepceClient } from '../../src/rpc/client.js';
import { RemoteCallError } from '../../src/rpc/errors.js';
import { PyStat, pyTuple } from '../../src/rpc/pickle-values.js';
import type { PyDict, PyTuple, PyValue } from '../../src/rpc/pickle-values.js';
import { RaisedException } from '../../src/rpc/raised-exception.js';
import { secondaryMethods } from '../../src/secondary/methods.js';
import { MountVolume } from '../../src/secondary/mount-volume.js';
import type { MountVolumeOptions } from '../../src/secondary/mount-volume.js';
import { parseEntry, parseInode } from '../../src/secondary/path-guard.js';
import { clientOf, everythingIn, OUTSIDE, plantTrees, SEED, startOwnSecondary } from './lab/own-secondary.js';
import type { OwnSecondary } from './lab/own-secondary.js';
import { useLab } from './lab/use-lab.js';
import { fc } from '../seeds.js';

type Call = (method: string, args: readonly PyValue[]) => Promise<PyValue>;

const lab = useLab({ session: 'none' });
const LOOKED_AT = '/mnt/looked-at';
const ROOT = '.gfid/00000000-0000-0000-0000-000000000001';
const UUID = '5eb7c2a4-1f0d-4d2b-9a53-0e5a7c1d9b42';
const MARK = pyTuple([1, 2]);
const ATTRIBUTES = { own: pyTuple([1000, 100]), mode: 0o777, times: pyTuple([1, 2]) };
const log = createLogger({ destination: '/dev/null', level: 'ERROR', label: 'test' }).child({ module: 'test' });
let own: OwnSecondary;
let client: RepceClient;

/** The methods over a mount that follows symlinks. */
function overMount(symlinks: MountVolumeOptions['symlinks']): Call {
  const volume = new MountVolume({ dir: lab().box.outside(LOOKED_AT), symlinks });
  const methods = secondaryMethods({
    volume,
    distributionCount: 1,
    markSpace: 'trusted',
    log,
    signal: new AbortController().signal,
  });
  return async (method, args) => methods.get(method)!(args);
}

const byProcess: Call = (method, args) => client.call(method, args);
const byLooking: Call = (method, args) => overMount('looked for')(method, args);

beforeAll(async () => {
  await plantTrees(lab());
  // Relative: a mount of the lab is reached from outside here, where an absolute path would name another place.
  await lab().sh(
    `ln -s ../../../..${OUTSIDE} esc; ln -s ../../../../..${OUTSIDE} dir/in; ln -s esc again`,
    lab().secondary,
  );
  await lab().mount('sv0', LOOKED_AT, ['--acl', '--aux-gfid-mount']);
  own = startOwnSecondary(lab());
  client = clientOf(own);
}, 60_000);

afterAll(async () => {
  own.child.stdin?.end();
  await own.ended;
});

/** The answer of a call, or 'refused'. */
async function outcome(call: Call, method: string, args: readonly PyValue[]): Promise<PyValue> {
  try {
    return await call(method, args);
  } catch (error) {
    if (error instanceof RemoteCallError || error instanceof RaisedException || errnoNumber(error) !== undefined)
      return 'refused';
    throw error;
  }
}

/** Calls on paths below `on`, which must all be refused or do nothing. */
const below = (on: string): readonly [string, ...PyValue[]][] => [
  ['lstat', `${on}/canary`],
  ['lstat', `${on}/absent`],
  ['entries', `${on}/dir`],
  ['gfid', `${on}/canary`],
  ['linkto_check', `${on}/canary`],
  ['stime', `${on}/canary`, UUID],
  ['xtime', `${on}/canary`, UUID],
  ['set_stime', `${on}/canary`, UUID, MARK],
  ['set_xtime_remote', `${on}/canary`, UUID, MARK],
  ['set_entry_stime', `${on}/dir`, UUID, MARK],
  ['setattr', `${on}/canary`, ATTRIBUTES],
  ['setattr', `${on}/dir`, { mode: 0o777 }],
  ['mkdir', `${on}/made`],
  ['mkdir', `${on}/dir`],
  ['symlink', 'target', `${on}/made`],
  ['symlink', 'target', `${on}/canary`],
];
const purges = (on: string): readonly [string, ...PyValue[]][] => [
  ['purge', `${on}/canary`],
  ['purge', `${on}/dir`],
  ['purge', `${on}/dir`, ['a']],
  ['purge', on, ['canary', 'dir']],
  ['purge', `${on}/sym`, []],
];

const segments = fc.array(fc.constantFrom('canary', 'dir', 'sub', 'a', 'sym', 'absent', '.', '', '.gfid', ROOT), {
  minLength: 1,
  maxLength: 4,
});
const at = fc.nat(4);
const plain = segments.map((parts) => parts.join('/'));
/** Paths that lead out of the volume, or that are no paths. */
const hostilePath = fc.oneof(
  fc
    .tuple(segments, at, fc.constantFrom('..', '../..', `../../../..${OUTSIDE}`))
    .map(([parts, where, up]) => [...parts.slice(0, where), up, ...parts.slice(where)].join('/')),
  plain.map((path) => `/${path}`),
  plain.map((path) => `${OUTSIDE}/${path}`),
  fc.tuple(plain, fc.nat(12)).map(([path, where]) => `${path.slice(0, where)}\0${path.slice(where)}`),
  fc.constantFrom('', '\0', null, 5, 1.5, true, Buffer.from('canary'), ['canary'], pyTuple(['canary']), {
    path: 'canary',
  }),
);
const hostileName = fc.oneof(hostilePath, fc.constantFrom('.', 'dir/a', './canary', 'canary/'));
/** A newline is a name's like any other, but belongs to no gfid. */
const hostileEntry = fc
  .oneof(
    hostilePath,
    plain,
    fc.constantFrom(
      `${ROOT}\n/canary`,
      `\n${ROOT}/canary`,
      `${ROOT}/dir/a`,
      `${ROOT}/.`,
      `${ROOT}/..`,
      `${ROOT}/`,
      `${ROOT}/x\0`,
      `${ROOT.toUpperCase()}/canary`,
      `${ROOT}/${'n'.repeat(256)}`,
    ),
  )
  .filter((path) => parseEntry(path) === null && parseInode(path) === null);

const onPath: readonly [string, ...PyValue[]][] = [
  ['purge'],
  ['purge', ['canary', 'a']],
  ['purge', []],
  ['setattr', ATTRIBUTES],
  ['mkdir'],
  ['set_stime', UUID, MARK],
  ['set_xtime', UUID, MARK],
  ['set_entry_stime', UUID, MARK],
  ['set_xtime_remote', UUID, MARK],
  ['lstat'],
  ['entries'],
  ['gfid'],
  ['linkto_check'],
  ['stime', UUID],
  ['xtime', UUID],
  ['node_uuid'],
];
const refusedCall = fc.oneof(
  fc
    .tuple(fc.constantFrom(...onPath), hostilePath)
    .map(([[method, ...more], path]): [string, ...PyValue[]] => [method, path, ...more]),
  fc.tuple(fc.constantFrom('purge'), fc.constant('.'), fc.array(hostileName, { minLength: 1, maxLength: 2 })),
  fc.tuple(fc.constantFrom('symlink'), fc.constantFrom('target', OUTSIDE), hostilePath),
  // Invalid times, owners and marks.
  fc.tuple(
    fc.constantFrom('setattr'),
    fc.constant('linked'),
    fc.constantFrom(null, 5, [], { own: 'root' }, { own: pyTuple([1]) }, { times: pyTuple([1, null]) }),
  ),
  fc.tuple(
    fc.constantFrom('set_stime'),
    fc.constant('linked'),
    fc.constantFrom('x', `${UUID}/..`, `${UUID}\n`, null),
    fc.constant(MARK),
  ),
);

describe('a path that is invalid or leads out of the volume', () => {
  test(`is refused in every call without any effect (seed ${SEED})`, async () => {
    const before = await everythingIn(lab());
    const property = fc.asyncProperty(refusedCall, async ([method, ...args]) => {
      expect(await outcome(byProcess, method, args)).toBe('refused');
    });
    await fc.assert(property, { seed: SEED, numRuns: 1500 });
    expect(await everythingIn(lab())).toEqual(before);
  });

  test(`fails only its own operation of a batch, with EINVAL (seed ${SEED})`, async () => {
    const before = await everythingIn(lab());
    const canary = await client.call('gfid', ['canary']);
    const stat = { uid: 1000, gid: 100, mode: 0o100777, atime: 1, mtime: 2 };
    const op = fc.constantFrom('CREATE', 'MKNOD', 'MKDIR', 'LINK', 'SYMLINK', 'RENAME', 'UNLINK', 'RMDIR');
    const rest = { skip_entry: false, mode: 0o100644, uid: 0, gid: 0, stat, link: 'target' };
    const entries = fc.array(
      fc.oneof(
        fc.tuple(op, hostileEntry).map(([name, entry]) => ({ ...rest, op: name, gfid: canary, entry })),
        hostileEntry.map((entry1) => ({ ...rest, op: 'RENAME', gfid: canary, entry: `${ROOT}/canary`, entry1 })),
        fc
          .tuple(op, hostilePath)
          .map(([name, gfid]) => ({ ...rest, op: name, gfid, entry: `${ROOT}/canary`, entry1: `${ROOT}/new` })),
      ),
      { minLength: 1, maxLength: 20 },
    );
    const errnos = (answer: PyValue): PyValue[] => (answer as PyTuple[]).map((failed) => failed[1]!);
    const property = fc.asyncProperty(entries, async (dicts: PyDict[]) => {
      expect(errnos(await client.call('entry_ops', [dicts]))).toEqual(dicts.map(() => constants.errno.EINVAL));
      const metaGfids = dicts.map(({ entry }) => ({ op: 'META', skip_entry: false, go: entry!, stat }));
      expect(errnos(await client.call('meta_ops', [metaGfids]))).toEqual(metaGfids.map(() => constants.errno.EINVAL));
    });
    await fc.assert(property, { seed: SEED, numRuns: 200 });
    expect(await everythingIn(lab())).toEqual(before);
  });
});

describe.each([
  ['the kernel refuses to follow symlinks', byProcess],
  ['the secondary looks for symlinks', byLooking],
] as const)('where %s', (_name, call) => {
  test('no call reads or changes anything behind a symlink', async () => {
    const before = await everythingIn(lab());
    const gfid = (await call('gfid', ['esc'])) as string;
    for (const on of ['esc', 'dir/in', 'again', './esc', 'dir/./in', 'esc/dir', `.gfid/${gfid}`, `${ROOT}/esc`]) {
      for (const [method, ...args] of below(on))
        expect(await outcome(call, method, args), `${method} ${JSON.stringify(args)}`).toBe('refused');
      for (const [method, ...args] of purges(on))
        expect([null, 'refused'], `${method} ${JSON.stringify(args)}`).toContain(await outcome(call, method, args));
    }
    const entry = `.gfid/${gfid}/`;
    const ops = ['CREATE', 'MKDIR', 'MKNOD'].map((op) => ({
      op,
      skip_entry: false,
      gfid: UUID,
      entry: `${entry}made`,
      mode: 0o100644,
      uid: 0,
      gid: 0,
    }));
    expect(await outcome(call, 'entry_ops', [ops])).not.toEqual([]);
    await outcome(call, 'entry_ops', [
      ['canary', 'dir'].map((name) => ({ op: 'UNLINK', skip_entry: false, gfid: UUID, entry: entry + name })),
    ]);
    expect(await everythingIn(lab())).toEqual(before);
  });

  test('a path that ends with a symlink means the symlink itself, in every spelling', async () => {
    const before = await everythingIn(lab(), OUTSIDE);
    const gfid = (await call('gfid', ['esc'])) as string;
    for (const path of [
      'esc',
      'esc/',
      'esc/.',
      'esc//',
      './esc/./',
      'again/',
      'dir/in/.',
      `.gfid/${gfid}`,
      `.gfid/${gfid}/`,
      `${ROOT}/esc/.`,
    ]) {
      expect(await outcome(call, 'entries', [path]), path).toBe('refused');
      const found = await outcome(call, 'lstat', [path]);
      if (found instanceof PyStat) expect(found.fields.mode & 0o170000, path).toBe(0o120000);
      else expect(found, path).toBe('refused');
      expect(await outcome(call, 'setattr', [path, { mode: 0o777 }]), path).toBe('refused');
      for (const [method, ...more] of [
        ['setattr', ATTRIBUTES],
        ['set_stime', UUID, MARK],
        ['set_xtime_remote', UUID, MARK],
        ['purge', ['canary', 'dir']],
      ] as const) {
        await outcome(call, method, [path, ...more]);
      }
      expect(await everythingIn(lab(), OUTSIDE), path).toEqual(before);
    }
  });

  test('purge removes a symlink and keeps its target', async () => {
    const before = await everythingIn(lab(), OUTSIDE);
    await lab().sh(
      `mkdir -p tree/sub; ln -s ../../../..${OUTSIDE} gone; cp -P gone gone-as-well; ln -s ../../../../..${OUTSIDE} tree/one; ln -s ../../../../../..${OUTSIDE} tree/sub/two`,
      lab().secondary,
    );
    for (const path of ['gone', 'gone-as-well/', 'tree']) await outcome(call, 'purge', [path]);
    expect(
      await lab().sh('ls -d gone gone-as-well tree 2>/dev/null || true', lab().places[0]!.path.replace('gv0', 'sv0')),
    ).toBe('');
    expect(await everythingIn(lab(), OUTSIDE)).toEqual(before);
  });
});

test("the mount of the secondary's process has the option nosymfollow", async () => {
  const pid = (await client.call('pid', [])) as number;
  const mount = (await lab().read(`/proc/${pid}/mounts`))
    .split('\n')
    .find((line) => line.includes('/gsyncd-aux-mount-'));
  expect(mount).toMatch(/ fuse\.glusterfs \S*\bnosymfollow\b/);
});

test('control: without either protection, lstat reaches files behind the symlinks', async () => {
  const call = overMount('refused by the kernel');
  for (const path of ['esc/canary', 'dir/in/canary', 'again/canary'])
    expect(await outcome(call, 'lstat', [path]), path).toBeInstanceOf(PyStat);
});
